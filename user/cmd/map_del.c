/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include "attach/map_change.h"
#include "cli/lines.h"
#include "model/rule.h"

struct removals {
	struct map_removal *removal; /* FWD_RULES_MAX */
	size_t count;
};

static enum fwd_exit parse(const struct args *args, struct fwd_report *report, void *arg)
{
	struct removals *all = arg;
	struct map_removal new = {
		.change = args->option[OPT_KEEP] ? FWD_CHANGE_KEEP : FWD_CHANGE_END,
		.line = args->line,
	};
	enum fwd_exit ret = proto_parse(NULL, args->word[0], &new.proto, report);

	if (!ret)
		ret = listen_parse(args->word[1], &new.listen, report);
	if (!ret && all->count == FWD_RULES_MAX)
		ret = report_usage(report, NULL, "expected at most %d maps", FWD_RULES_MAX);
	if (ret)
		return ret;
	snprintf(new.text, sizeof(new.text), "%s", args->word[1]);
	all->removal[all->count++] = new;
	return FWD_DONE;
}

enum fwd_exit cmd_map_del(const struct args *args, struct fwd_report *report)
{
	struct removals all = {.removal = calloc(FWD_RULES_MAX, sizeof(*all.removal))};
	enum fwd_exit ret = all.removal ? lines_each(args, parse, &all, report) : report_no_memory(report);

	if (!ret && all.count)
		ret = maps_remove(args->pin_dir, all.removal, all.count, report);
	free(all.removal);
	return ret;
}
