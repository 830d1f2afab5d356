/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Errors as values, and the line that they are printed as. */
#include <criterion/criterion.h>
#include <errno.h>
#include "base/err.h"

static struct fwd_error_list list;

static void setup(void)
{
	list = error_list_init();
}

static void teardown(void)
{
	error_list_free(&list);
}

TestSuite(err, .init = setup, .fini = teardown);

static void check_last(enum fwd_exit status, const char *expected)
{
	const struct fwd_error *last = &list.error[list.count - 1];
	char text[FWD_MESSAGE_TEXT];

	cr_assert_eq(last->status, status);
	cr_assert_str_eq(error_format(last, text, sizeof(text)), expected);
}

Test(err, format)
{
	cr_assert_eq(report_error(&list.report, NULL, "not %s memory", "enough"), FWD_NOT_DONE);
	check_last(FWD_NOT_DONE, "not enough memory");
	cr_assert_eq(report_usage(&list.report, ABOUT(.object = ":80"), "is given twice"), FWD_BAD_USAGE);
	check_last(FWD_BAD_USAGE, "\":80\": is given twice");
	report_usage(&list.report, ABOUT(.option = "--snat", .object = ""), "not an IP address");
	check_last(FWD_BAD_USAGE, "--snat: \"\": not an IP address");
	report_error(&list.report, ABOUT(.object = "eth0", .fix = "fwdctl attach"), "is not attached");
	check_last(FWD_NOT_DONE, "\"eth0\": is not attached: fwdctl attach");
	report_note(&list.report, ABOUT(.object = "wg0", .line = 7), "forwarding is off");
	check_last(FWD_DONE, "line 7: note: \"wg0\": forwarding is off");
	errno = ENOENT;
	report_error(&list.report, NULL, "can't open it: %m");
	check_last(FWD_NOT_DONE, "can't open it: No such file or directory");
}

/* The place in the input: that of the report, unless the message names another. */
Test(err, line)
{
	list.report.line = 3;
	report_usage(&list.report, NULL, "too many words");
	check_last(FWD_BAD_USAGE, "line 3: too many words");
	report_usage(&list.report, ABOUT(.line = 5, .column = 9), "too many words");
	check_last(FWD_BAD_USAGE, "line 5, column 9: too many words");
	list.report.line = 0;
	report_usage(&list.report, NULL, "too many words");
	check_last(FWD_BAD_USAGE, "too many words");
}

Test(err, list)
{
	struct fwd_error_list copy = error_list_init();

	for (int i = 1; i <= 1000; i++)
		report_error(&list.report, ABOUT(.line = i), "wrong");
	cr_assert_eq(list.count, 1000);
	cr_assert_not(list.failed);
	cr_assert_eq(list.error[999].line, 1000);
	error_list_pass_on(&list, &copy.report);
	cr_assert_eq(copy.count, 1000);
	error_list_free(&copy);
	cr_assert_eq(copy.count, 0);
}

/* Errors that undo nothing. */
Test(err, note)
{
	struct fwd_error_list notes = error_list_init();

	report_error(&list.report, ABOUT(.object = "wg0"), "no such device");
	report_usage(&list.report, NULL, "too many words");
	report_note(&list.report, NULL, "forwarding is off");
	error_list_note(&list, &notes.report);
	cr_assert_eq(notes.count, 3);
	for (size_t i = 0; i < notes.count; i++) {
		cr_assert_eq(notes.error[i].severity, FWD_NOTE);
		cr_assert_eq(notes.error[i].status, FWD_DONE);
	}
	cr_assert_str_eq(notes.error[0].object, "wg0");
	notes.count = 0;
	list.failed = true;
	error_list_note(&list, &notes.report);
	cr_assert_eq(notes.count, 4);
	error_list_free(&notes);
}

Test(err, progress)
{
	report_progress(&list.report, NULL, "attached");
	cr_assert_eq(list.count, 0);
	list.report.verbose = true;
	report_progress(&list.report, NULL, "attached");
	cr_assert_eq(list.count, 1);
	cr_assert_eq(list.error[0].severity, FWD_PROGRESS);
}

/* Long texts are truncated, each by itself. */
Test(err, truncated)
{
	char text[FWD_MESSAGE_TEXT], word[2000];

	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	report_error(&list.report, ABOUT(.option = word, .object = word, .fix = word), "%s", word);
	cr_assert_eq(strlen(list.error[0].option), FWD_OPTION_TEXT - 1);
	cr_assert_eq(strlen(list.error[0].object), FWD_OBJECT_TEXT - 1);
	cr_assert_eq(strlen(list.error[0].text), FWD_REASON_TEXT - 1);
	cr_assert_eq(strlen(list.error[0].fix), FWD_FIX_TEXT - 1);
	error_format(&list.error[0], text, sizeof(text));
	cr_assert_gt(strlen(text), FWD_OPTION_TEXT + FWD_OBJECT_TEXT + FWD_REASON_TEXT + FWD_FIX_TEXT - 4);
}
