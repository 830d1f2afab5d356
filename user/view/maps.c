/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "model/rule.h"
#include "state/rules.h"
#include "view/maps.h"

/* *shown: false for a draining map without connections, which only waits for the next change to free it. */
static enum fwd_exit read_map(const struct instance *in, const struct rules *rules, const struct fwd_rule *rule,
			      struct map_snapshot *view, bool *shown, struct fwd_report *report)
{
	struct fwd_rule_stats stats;
	int ret;

	*shown = false;
	if (rule->state == FWD_RULE_FREE)
		return FWD_DONE;
	ret = rule_stats_read(in, rule - rules->at, &stats);
	if (ret)
		return report_error(report, ABOUT(.fix = errno_fix(-ret)), "can't read the counters: %s",
				    strerror(-ret));
	*view = (struct map_snapshot){
		.rule = rule,
		.draining = rule->state == FWD_RULE_DRAINING,
		.connections = rule_stats_live(&stats),
	};
	for (int dir = 0; dir < FWD_DIR_MAX; dir++) {
		view->packets[dir] = stats.packets[dir];
		view->bytes[dir] = stats.bytes[dir];
	}
	*shown = !view->draining || view->connections;
	return FWD_DONE;
}

enum fwd_exit maps_visit(const char *pin_dir, void (*begin)(void *arg), map_visit visit, void *arg,
			 struct fwd_report *report)
{
	struct rules rules = {};
	struct instance in;
	struct map_snapshot view;
	bool shown;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_READ, report);

	if (!ret)
		ret = rules_read(&in, &rules, report);
	if (!ret && begin)
		begin(arg);
	for_each_rule (rule, &rules) {
		if (!ret)
			ret = read_map(&in, &rules, rule, &view, &shown, report);
		if (!ret && shown)
			ret = visit(&view, arg);
	}
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

static json_t *mss_json(const struct fwd_rule *rule)
{
	if (rule->mss == FWD_MSS_AUTO)
		return json_string("auto");
	return rule->mss == FWD_MSS_OFF ? json_string("off") : json_integer(rule->mss);
}

/* The addresses that the target sees; none with --snat none. */
static json_t *source_json(const struct fwd_rule *rule)
{
	json_t *array = json_array();

	for (int i = 0; rule->snat != FWD_SNAT_NONE && i < rule->snat_count; i++) {
		char text[FWD_ADDR_TEXT];

		json_array_append_new(array, json_string(addr_format(&rule->pool[i], text)));
	}
	return array;
}

json_t *map_json(const struct map_snapshot *map)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	const struct fwd_rule *rule = map->rule;

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:I,s:I,s:I,s:I,s:I}", "name", rule->name, "proto",
			 proto_name(rule->proto), "listen", rule_listen_text(rule, listen), "target",
			 rule_target_text(rule, target), "snat", rule_snat_text(rule, snat), "source",
			 source_json(rule), "mss", mss_json(rule), "state", map->draining ? "draining" : "active",
			 "connections", (json_int_t)map->connections, "packets_in",
			 (json_int_t)map->packets[FWD_DIR_FORWARD], "bytes_in", (json_int_t)map->bytes[FWD_DIR_FORWARD],
			 "packets_out", (json_int_t)map->packets[FWD_DIR_REPLY], "bytes_out",
			 (json_int_t)map->bytes[FWD_DIR_REPLY]);
}
