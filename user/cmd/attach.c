/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "attach/plan.h"
#include "base/word.h"
#include "cli/command.h"
#include "cli/output.h"

/* Leaves *size 0 if the option is not given. */
static enum fwd_exit parse_size(const struct args *args, enum fwd_option option, __u32 *size, struct fwd_report *report)
{
	const char *text = args->option[option];
	unsigned long value = 0;

	if (text && !number_parse(text, FWD_TABLE_MIN, FWD_TABLE_MAX, &value))
		return report_usage(report, ABOUT(.option = options[option].name, .object = text),
				    "expected a number from %d to %d", FWD_TABLE_MIN, FWD_TABLE_MAX);
	*size = value;
	return FWD_DONE;
}

enum fwd_exit cmd_attach(const struct args *args, struct fwd_report *report)
{
	struct attach_request request = {.names = (const char *const *)args->word, .count = args->count};
	struct attach_result result = {};
	char memory[HUMAN_TEXT];
	enum fwd_exit ret;

	ret = mode_parse(args->option[OPT_MODE], &request.mode, report);
	if (!ret)
		ret = parse_size(args, OPT_CONNECTIONS, &request.connections, report);
	if (!ret)
		ret = parse_size(args, OPT_HALF_OPEN, &request.half_open, report);
	if (!ret)
		ret = attach_devices(args->pin_dir, &request, &result, report);
	/* Sizes are chosen by the memory that they need. */
	if (!ret && (request.connections || request.half_open))
		printf("room for %u connections and %u half-open ones: %s\n", result.connections, result.half_open,
		       human_bytes(result.memory, memory));
	return ret;
}
