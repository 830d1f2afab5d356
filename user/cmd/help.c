/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/usage.h"

enum fwd_exit cmd_help(const struct args *args, struct fwd_report *report)
{
	return usage_help(args->count, args->word, report);
}
