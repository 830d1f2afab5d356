/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Usage and help, made from the tables of command.h. */
#ifndef FWD_USER_USAGE_H
#define FWD_USER_USAGE_H

#include <stdio.h>
#include "cli/command.h"

void usage_print_line(FILE *out, const struct command *command);
void usage_print_help(FILE *out, const struct command *command);

/* `fwdctl help WORDS...`, on standard output. */
enum fwd_exit usage_help(int count, char **words, struct fwd_report *report);

/* Reports words that name no command, and prints usage on standard error. Returns FWD_BAD_USAGE. */
enum fwd_exit usage_unknown(int count, char **words, struct fwd_report *report);

#endif
