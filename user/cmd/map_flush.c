/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach/map_change.h"
#include "cli/command.h"

enum fwd_exit cmd_map_flush(const struct args *args, struct fwd_report *report)
{
	return maps_flush(args->pin_dir, report);
}
