/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach/plan.h"
#include "cli/command.h"

enum fwd_exit cmd_detach(const struct args *args, struct fwd_report *report)
{
	return detach_devices(args->pin_dir, (const char *const *)args->word, args->count, report);
}
