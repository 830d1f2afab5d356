/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fwdctl reads from the messages of libbpf: the program that the verifier refused, and a driver's reason. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "state/bpf_log.h"

/* By libbpf 1.1.2, of an object that clang 13 built. */
static const char refused[] = "libbpf: prog 'fwd_ingress': BPF program load failed: Bad address\n"
			      "libbpf: prog 'fwd_ingress': -- BEGIN PROG LOAD LOG --\n"
			      "9190: (1d) if r0 == r7 goto pc-95\n"
			      "The sequence of 8193 jumps is too complex.\n"
			      "processed 124287 insns (limit 1000000) max_states_per_insn 13 total_states 3953 "
			      "peak_states 3170 mark_read 0\n"
			      "-- END PROG LOAD LOG --\n"
			      "libbpf: prog 'fwd_ingress': failed to load: -14\n"
			      "libbpf: failed to load object 'fwd_tc'\n"
			      "libbpf: failed to load BPF skeleton 'fwd_tc': -14\n";

static const char driver[] = "libbpf: Kernel error message: Parent Qdisc doesn't exists\n"
			     "libbpf: Kernel error message: can't setup XDP: MTU too large\n";

static void check_program(const char *log, const char *expected)
{
	char name[64];

	cr_assert_str_eq(bpf_log_refused_program(log, name, sizeof(name)), expected);
}

Test(bpf_log, refused_program)
{
	char small[8];

	check_program(refused, "fwd_ingress");
	/* The buffer holds the end of a long log. */
	check_program(strstr(refused, "-- END"), "fwd_ingress");
	check_program("", "");
	check_program(driver, "");
	check_program("libbpf: failed to load object 'fwd_tc'\n", "");
	check_program("': failed to load", "");
	check_program("prog 'a': failed to load: -13\nprog 'b': failed to load: -13\n", "b");
	cr_assert_str_eq(bpf_log_refused_program(refused, small, sizeof(small)), "fwd_ing");
}

Test(bpf_log, kernel_message)
{
	char text[64], small[4];

	cr_assert_str_eq(bpf_log_kernel_message(driver, text, sizeof(text)), "can't setup XDP: MTU too large");
	cr_assert_str_eq(bpf_log_kernel_message(refused, text, sizeof(text)), "");
	cr_assert_str_eq(bpf_log_kernel_message(driver, small, sizeof(small)), "can");
}

static void append(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	bpf_log_append(format, args);
	va_end(args);
}

/* The end of what was printed is kept. */
Test(bpf_log, append)
{
	static char large[20000];

	bpf_log_start();
	cr_assert_str_eq(bpf_log_text(), "");
	append("%s %d\n", "first", 1);
	append("second\n");
	cr_assert_str_eq(bpf_log_text(), "first 1\nsecond\n");
	for (int i = 0; i < 10000; i++)
		append("line %d\n", i);
	cr_assert_lt(strlen(bpf_log_text()), 8192);
	cr_assert_str_eq(bpf_log_text() + strlen(bpf_log_text()) - strlen("line 9999\n"), "line 9999\n");
	memset(large, 'x', sizeof(large) - 1);
	append("%s", large);
	cr_assert_eq(strspn(bpf_log_text(), "x"), 8191);
	append("%send", large);
	cr_assert_str_eq(bpf_log_text() + 8188, "end");
}

/* Each line is a message of its own, and only with -v. */
Test(bpf_log, report)
{
	struct fwd_error_list list = error_list_init();

	bpf_log_start();
	append("first\nsecond");
	bpf_log_report(&list.report);
	cr_assert_eq(list.count, 0);
	list.report.verbose = true;
	bpf_log_report(&list.report);
	cr_assert_eq(list.count, 2);
	cr_assert_str_eq(list.error[1].text, "second");
	error_list_free(&list);
}
