/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/command.h"
#include "cli/output.h"
#include "model/rule.h"
#include "view/maps.h"

struct list {
	struct table table;
	struct json_stream stream;
	struct fwd_report *report;
};

static void begin_json(void *arg)
{
	json_stream_begin(&((struct list *)arg)->stream);
}

static enum fwd_exit add_json(const struct map_snapshot *map, void *arg)
{
	struct list *list = arg;

	return json_stream_add(&list->stream, map_json(map), list->report);
}

static enum fwd_exit list_json(const struct args *args, struct fwd_report *report)
{
	struct list list = {.report = report};
	enum fwd_exit ret = maps_visit(args->pin_dir, begin_json, add_json, &list, report);

	if (!ret)
		json_stream_end(&list.stream);
	return ret;
}

/* "10.172.16.1 (auto)" */
static char *snat_cell(const struct fwd_rule *rule, char *text, size_t size)
{
	char address[FWD_ADDR_TEXT];

	if (rule->snat != FWD_SNAT_AUTO)
		return rule_snat_text(rule, text);
	snprintf(text, size, "%s (auto)", rule->snat_count ? addr_format(&rule->pool[0], address) : "not known yet");
	return text;
}

static enum fwd_exit add_row(const struct map_snapshot *map, void *arg)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	char in[HUMAN_TEXT], out[HUMAN_TEXT], connections[32], name[FWD_NAME_LEN + 16];
	const struct fwd_rule *rule = map->rule;

	snprintf(name, sizeof(name), "%s%s", *rule->name ? rule->name : "-", map->draining ? " (draining)" : "");
	snprintf(connections, sizeof(connections), "%llu", map->connections);
	table_row(&((struct list *)arg)->table,
		  (const char *[]){
			  name,
			  proto_name(rule->proto),
			  rule_listen_text(rule, listen),
			  rule_target_text(rule, target),
			  snat_cell(rule, snat, sizeof(snat)),
			  connections,
			  human_traffic(map->packets[FWD_DIR_FORWARD], map->bytes[FWD_DIR_FORWARD], in),
			  human_traffic(map->packets[FWD_DIR_REPLY], map->bytes[FWD_DIR_REPLY], out),
		  });
	return FWD_DONE;
}

static enum fwd_exit list_text(const struct args *args, struct fwd_report *report)
{
	struct list list = {.table = {.columns = 8, .right = 1U << 5 | 1U << 6 | 1U << 7}};
	enum fwd_exit ret;

	table_row(&list.table,
		  (const char *[]){"NAME", "PROTO", "LISTEN", "TARGET", "SNAT", "CONNECTIONS", "IN", "OUT"});
	ret = maps_visit(args->pin_dir, NULL, add_row, &list, report);
	if (!ret)
		return table_print(&list.table, report);
	table_free(&list.table);
	return ret;
}

enum fwd_exit cmd_map_list(const struct args *args, struct fwd_report *report)
{
	return args->option[OPT_JSON] ? list_json(args, report) : list_text(args, report);
}
