/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What fwdctl says on standard error. An error is one line: who (the command), the thing, the
 * reason, the mend. Functions that can fail print their own error, where the reason is known, and
 * return the status; callers only pass the status on.
 */
#ifndef FWD_USER_ERR_H
#define FWD_USER_ERR_H

#include <stdbool.h>

/* Exit statuses, and what most functions here return. */
enum fwd_exit {
	FWD_DONE = 0,
	FWD_NOT_DONE = 1,
	FWD_BAD_USAGE = 2, /* main() adds the command's usage line */
};

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* The command that lines are about, "map add"; must outlive its use. NULL: none. */
void fwd_context(const char *context);

/* The line of standard input that they are about: "line 3"; 0: none. */
void fwd_line(unsigned int line);

/* -v: tell what is done. */
extern bool fwd_verbose;

/* Prints "fwdctl: CONTEXT: ..." on standard error. Returns FWD_NOT_DONE, to return in one line. */
enum fwd_exit fwd_err(const char *format, ...) PRINTF(1, 2);

/* The same for a command line that makes no sense. Returns FWD_BAD_USAGE. */
enum fwd_exit fwd_usage(const char *format, ...) PRINTF(1, 2);

/* A warning: the command goes on. */
void fwd_note(const char *format, ...) PRINTF(1, 2);

/* Only with -v. */
void fwd_say(const char *format, ...) PRINTF(1, 2);

#endif
