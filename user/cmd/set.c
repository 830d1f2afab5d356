/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/command.h"
#include "model/settings.h"
#include "state/config.h"

enum fwd_exit cmd_set(const struct args *args, struct fwd_report *report)
{
	enum fwd_timeout setting;
	struct instance in;
	__u32 seconds;
	enum fwd_exit ret = setting_parse(args->word[0], &setting, report);

	if (!ret)
		ret = setting_parse_value(setting, args->word[1], &seconds, report);
	if (ret)
		return ret;
	ret = instance_open(&in, args->pin_dir, INSTANCE_CREATE, report);
	if (!ret)
		ret = config_set_timeout(&in, setting, seconds, report);
	if (!ret)
		report_progress(report, NULL, "%s: %u seconds", setting_name(setting), seconds);
	instance_close(&in);
	return ret;
}
