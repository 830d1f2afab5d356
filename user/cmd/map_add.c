/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach/map_change.h"
#include "cli/lines.h"
#include "model/rule.h"

static enum fwd_exit parse(const struct args *args, struct fwd_report *report, void *arg)
{
	const struct fwd_rule_words words = {
		.proto = args->word[0],
		.listen = args->word[1],
		.target = args->word[2],
		.snat = args->option[OPT_SNAT],
		.name = args->option[OPT_NAME],
		.mss = args->option[OPT_MSS],
	};
	struct fwd_rule rule;
	enum fwd_exit ret = rule_parse(&words, &rule, report);

	return ret ? ret : map_additions_add(arg, &rule, args->line, args->option[OPT_FORCE], report);
}

enum fwd_exit cmd_map_add(const struct args *args, struct fwd_report *report)
{
	struct map_additions all = {.pin_dir = args->pin_dir};
	enum fwd_exit ret = lines_each(args, parse, &all, report);

	if (!ret && all.count)
		ret = maps_add(&all, report);
	map_additions_free(&all);
	return ret;
}
