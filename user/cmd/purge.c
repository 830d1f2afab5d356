/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach/purge.h"
#include "cli/command.h"

enum fwd_exit cmd_purge(const struct args *args, struct fwd_report *report)
{
	return purge_instance(args->pin_dir, report);
}
