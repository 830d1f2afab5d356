/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Commands that read many objects from standard input: `fwdctl map add -`. */
#ifndef FWD_USER_LINES_H
#define FWD_USER_LINES_H

#include "cli/command.h"

typedef enum fwd_exit (*lines_visit)(const struct args *args, struct fwd_report *report, void *arg);

/* Calls visit for each line of standard input if args are "-", or once for args themselves, and stops at the first that
 * fails. Skips blank lines and lines that begin with "#". args->line and report->line are the number of the line. The
 * words are valid during the call. */
enum fwd_exit lines_each(const struct args *args, lines_visit visit, void *arg, struct fwd_report *report);

#endif
