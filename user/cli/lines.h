/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Commands that take many things at once: `fwdctl map add -` reads lines of what would stand behind `map add`. */
#ifndef FWD_USER_LINES_H
#define FWD_USER_LINES_H

#include "cli/command.h"

typedef enum fwd_exit (*lines_visit)(const struct args *args, void *arg);

/* Calls visit for each line of standard input if args say so ("-"), or once for args as they are; stops at the first
 * that fails. Blank lines are skipped, and those that begin with "#". args->line says which one it is, and so does
 * what is printed meanwhile. The words last as long as the call. */
enum fwd_exit lines_each(const struct args *args, lines_visit visit, void *arg);

#endif
