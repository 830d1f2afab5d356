/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verifier's budget. It refuses programs above 1,000,000 processed instructions or 512 bytes of stack; other
 * kernels count differently, so there must be a margin. tests/prog/verifier has the figures of each program: growth
 * by more than a tenth fails, and needs a change of that file.
 */
#include <sys/utsname.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "fwd/device.h"
#include "fwd/maps.h"
#include "host/conntrack.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"
#include "version.h"

#define VERIFIER_LIMIT 1000000
#define STACK_LIMIT    448 /* of 512: another compiler makes other frames */
#define STACK_UNIT     32  /* older kernels round up each frame to it (kernel/bpf/verifier.c, check_max_stack_depth) */
#define TABLE          "tests/prog/verifier"
#define LOG_STATS      4 /* BPF_LOG_STATS */

struct cost {
	unsigned int instructions; /* that were verified */
	unsigned int stack;        /* bytes, of the deepest chain of calls */
};

static char log_text[1 << 16];

/* The instructions of a loaded program, without the functions that the verifier has removed because nothing calls
 * them. */
static struct bpf_insn insns[1 << 15];
static unsigned int n_insns;

static void insns_read(int fd)
{
	struct bpf_prog_info info = {.xlated_prog_insns = (__u64)insns, .xlated_prog_len = sizeof(insns)};
	__u32 len = sizeof(info);

	cr_assert(!bpf_obj_get_info_by_fd(fd, &info, &len), "BPF_OBJ_GET_INFO_BY_FD: %s", strerror(errno));
	cr_assert(info.xlated_prog_len <= sizeof(insns), "%u bytes of instructions", info.xlated_prog_len);
	n_insns = info.xlated_prog_len / sizeof(insns[0]);
}

/* The functions of a program in the order of their instructions, as the verifier numbers them. */
static struct {
	unsigned int first, frame;
} functions[128];
static unsigned int n_functions;

/* The function that an instruction calls, or passes as a callback; 0: none. In a compiled program `off` has the
 * distance to a called function (kernel/bpf/verifier.c, jit_subprogs()). */
static unsigned int called_by(unsigned int i)
{
	if (insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_CALL)
		return i + insns[i].off + 1;
	if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW) && insns[i].src_reg == BPF_PSEUDO_FUNC)
		return i + insns[i].imm + 1;
	return 0;
}

static void functions_add(unsigned int first)
{
	unsigned int at = 0;

	while (at < n_functions && functions[at].first < first)
		at++;
	if (at < n_functions && functions[at].first == first)
		return;
	cr_assert(n_functions < sizeof(functions) / sizeof(functions[0]));
	memmove(&functions[at + 1], &functions[at], (n_functions++ - at) * sizeof(functions[0]));
	functions[at].first = first;
}

static void functions_find(void)
{
	const char *text = strstr(log_text, "stack depth ");
	int length = 0;

	n_functions = 0;
	functions_add(0);
	for (unsigned int i = 0; i < n_insns; i++)
		if (called_by(i))
			functions_add(called_by(i));
	cr_assert(text, "%s", log_text);
	text += strlen("stack depth ");
	for (unsigned int i = 0; i < n_functions; i++, text += length + 1)
		cr_assert(sscanf(text, "%u%n", &functions[i].frame, &length) == 1);
}

static unsigned int stack_from(unsigned int first)
{
	unsigned int at = 0, end, below = 0, deepest = 0;

	while (functions[at].first != first)
		at++;
	end = at + 1 < n_functions ? functions[at + 1].first : n_insns;
	for (unsigned int i = first; i < end; i++) {
		if (called_by(i))
			below = stack_from(called_by(i));
		deepest = below > deepest ? below : deepest;
	}
	return deepest + (functions[at].frame + !functions[at].frame + STACK_UNIT - 1) / STACK_UNIT * STACK_UNIT;
}

/* Loads this program of the object alone. */
static struct cost cost_of(struct bpf_object *o, const char *name)
{
	struct bpf_program *p, *it;
	const char *processed;
	struct cost cost = {};

	bpf_object__for_each_program (it, o)
		bpf_program__set_autoload(it, !strcmp(bpf_program__name(it), name));
	p = bpf_object__find_program_by_name(o, name);
	cr_assert(p);
	bpf_program__set_log_level(p, LOG_STATS);
	bpf_program__set_log_buf(p, log_text, sizeof(log_text));
	log_text[0] = 0;
	cr_assert(!bpf_object__load(o), "%s", log_text);
	processed = strstr(log_text, "processed ");
	cr_assert(processed && sscanf(processed, "processed %u", &cost.instructions) == 1, "%s", log_text);
	insns_read(bpf_program__fd(p));
	functions_find();
	cost.stack = stack_from(0);
	return cost;
}

static struct cost load_tc(const char *name, enum fwd_link link)
{
	struct fwd_tc *o = fwd_tc__open();
	struct cost cost;

	cr_assert(o);
	o->rodata->fwd_conntrack = conntrack_has_kfuncs();
	o->rodata->fwd_link = link;
	o->rodata->fwd_sizes = fwd_sizes_of(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN);
	cost = cost_of(o->obj, name);
	fwd_tc__destroy(o);
	return cost;
}

static struct cost load_control(void)
{
	struct fwd_control *o = fwd_control__open();
	struct cost cost;

	cr_assert(o);
	o->rodata->fwd_sizes = fwd_sizes_of(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN);
	cost = cost_of(o->obj, "fwd_control");
	fwd_control__destroy(o);
	return cost;
}

static struct cost load_xdp(const char *name, enum fwd_mode mode)
{
	struct fwd_xdp *o = fwd_xdp__open();
	struct cost cost;

	cr_assert(o);
	o->rodata->fwd_sizes = fwd_sizes_of(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN);
	o->rodata->fwd_conntrack = conntrack_has_kfuncs();
	o->rodata->fwd_mode = mode;
	cost = cost_of(o->obj, name);
	fwd_xdp__destroy(o);
	return cost;
}

/* The figures of tests/prog/verifier. False: they are of another kernel or compiler. */
static bool table_find(const char *name, const char *variant, struct cost *cost)
{
	char line[256], kernel[32] = "", program[32], of[32];
	int clang = 0;
	FILE *table = fopen(TABLE, "r");
	struct utsname uts;
	bool found = false;

	cr_assert(table && !uname(&uts), TABLE ": %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), table)) {
		sscanf(line, "kernel %31s clang %d", kernel, &clang);
		found = sscanf(line, "%31s %31s %u %u", program, of, &cost->instructions, &cost->stack) == 4 &&
			!strcmp(program, name) && !strcmp(of, variant);
	}
	fclose(table);
	cr_expect(found, "%s %s is missing in " TABLE, name, variant);
	return found && !strncmp(uts.release, kernel, strlen(kernel)) && clang == FWD_CLANG_MAJOR;
}

static void check(const char *name, const char *variant, struct cost now)
{
	struct cost then;

	printf("%-12s %-12s %7u %4u\n", name, variant, now.instructions, now.stack);
	cr_expect(now.instructions && now.instructions < VERIFIER_LIMIT / 10 * 7, "%s: %u instructions", name,
		  now.instructions);
	cr_expect(now.stack <= STACK_LIMIT, "%s: %u bytes of stack", name, now.stack);
	if (!table_find(name, variant, &then))
		return;
	cr_expect(now.instructions <= then.instructions / 10 * 11, "%s %s: %u instructions, in " TABLE " %u", name,
		  variant, now.instructions, then.instructions);
	cr_expect(now.stack <= then.stack / 10 * 11, "%s %s: %u bytes of stack, in " TABLE " %u", name, variant,
		  now.stack, then.stack);
}

Test(verifier, budget)
{
	static const char *const names[] = {"fwd_ingress", "fwd_egress"};
	static const char *const links[] = {[FWD_LINK_IP] = "ip", [FWD_LINK_ETHERNET] = "ethernet"};

	for (enum fwd_link link = FWD_LINK_IP; link < FWD_LINK_MAX; link++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			check(names[i], links[link], load_tc(names[i], link));
	check("fwd_control", "-", load_control());
	check("fwd_xdp", "xdp", load_xdp("fwd_xdp", FWD_MODE_XDP));
	check("fwd_xdp", "xdp-generic", load_xdp("fwd_xdp", FWD_MODE_XDP_GENERIC));
}
