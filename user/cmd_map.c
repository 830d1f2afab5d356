/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"
#include "fwdctl.h"
#include "iface.h"
#include "instance.h"
#include "map_rule.h"
#include "output.h"
#include "rules.h"

/* What validation of the words alone can't see. */
static enum fwd_exit check_target(const struct fwd_rule *rule)
{
	char target[FWD_ADDR_TEXT], name[IF_NAMESIZE];

	addr_format(&rule->target, target);
	if (iface_of_address(&rule->target, name))
		return fwd_err(
		    "\"%s\": is an address of this host (%s): a map leads to another host", target,
		    name);
	if (iface_is_broadcast(&rule->target))
		return fwd_err("\"%s\": is a broadcast address", target);
	return FWD_DONE;
}

/* The address of this host towards the target. False: there is no route to it now, and the map needs one. */
static bool choose_source(struct fwd_rule *rule)
{
	if (rule->snat == FWD_SNAT_LIST)
		return true;
	rule->snat_count = iface_source_towards(&rule->target, rule->target_low, &rule->pool[0]);
	return rule->snat_count || rule->snat == FWD_SNAT_NONE;
}

/* Attach has told about IPv4; IPv6 it looks at only once there are maps of it. */
static void check_forwarding(const struct device_list *list, const struct fwd_rule *rule)
{
	for (size_t i = 0; rule->family == FWD_FAMILY_IPV6 && i < list->count; i++)
		if (!iface_check_forwarding(list->device[i].entry.name, rule->family))
			break;
}

/* The source address that was just chosen would be another namespace's. */
static enum fwd_exit check_netns(const struct instance *in, const struct device_list *list,
				 const struct fwd_rule *rule)
{
	bool foreign;

	return rule->snat == FWD_SNAT_LIST ? FWD_DONE : devices_check_netns(in, list, &foreign);
}

enum fwd_exit cmd_map_add(const struct args *args)
{
	const struct fwd_rule_words words = {
	    .proto = args->word[0],
	    .listen = args->word[1],
	    .target = args->word[2],
	    .snat = args->option[OPT_SNAT],
	    .name = args->option[OPT_NAME],
	    .mss = args->option[OPT_MSS],
	};
	struct fwd_rule rule, *rules = NULL;
	enum fwd_exit ret = rule_parse(&words, &rule);
	struct device_list list;
	struct instance in;
	bool found;

	if (!ret)
		ret = check_target(&rule);
	if (ret)
		return ret;
	ret = FWD_NOT_DONE;
	found = choose_source(&rule);
	if (instance_open(&in, args->pin_dir, INSTANCE_MAKE))
		goto out;
	rules = rules_open(&in);
	if (!rules || devices_read(&in, &list) || check_netns(&in, &list, &rule) ||
	    rules_add(&in, rules, &rule))
		goto out;
	if (!found)
		fwd_note(
		    "\"%s\": no route to it now: its source address is chosen at the next attach",
		    words.target);
	check_forwarding(&list, &rule);
	ret = FWD_DONE;
out:
	free(rules);
	instance_close(&in);
	return ret;
}

static enum fwd_exit no_such_map(const struct fwd_rule *rules, __u8 proto,
				 const struct fwd_endpoint *listen, const char *text)
{
	char other[FWD_RULE_TEXT];

	for (__u32 i = 0; i < FWD_RULES_MAX; i++)
		if (rules[i].state == FWD_RULE_ACTIVE && rule_touches(&rules[i], proto, listen))
			return fwd_err("\"%s\": no map has this LISTEN, but it touches the map %s",
				       text, rule_text(&rules[i], other));
	return fwd_err("\"%s\": there is no such map for %s: fwdctl map list shows them all", text,
		       proto_name(proto));
}

/* Marks the maps that `map del` means: the active one, or else those that still drain. */
static enum fwd_exit choose_maps(const struct fwd_rule *rules, __u8 proto,
				 const struct fwd_endpoint *listen, const char *text, bool *gone)
{
	enum fwd_rule_state states[] = {FWD_RULE_ACTIVE, FWD_RULE_DRAINING};
	int found = 0;

	for (int s = 0; s < 2 && !found; s++) {
		for (__u32 i = 0; i < FWD_RULES_MAX; i++) {
			gone[i] = rules[i].state == states[s] &&
				  rule_listens_on(&rules[i], proto, listen);
			found += gone[i];
		}
		if (found > 1 && states[s] == FWD_RULE_ACTIVE)
			return fwd_err("\"%s\": there is one map of IPv4 and one of IPv6: say "
				       "0.0.0.0%s or [::]%s",
				       text, text, text);
	}
	return found ? FWD_DONE : no_such_map(rules, proto, listen, text);
}

enum fwd_exit cmd_map_del(const struct args *args)
{
	const char *text = args->word[1];
	bool keep = args->option[OPT_KEEP], gone[FWD_RULES_MAX] = {};
	__u8 proto = proto_parse(args->word[0]);
	enum fwd_exit ret = FWD_NOT_DONE;
	struct fwd_rule *rules = NULL;
	struct fwd_endpoint listen;
	struct instance in;

	if (!proto)
		return fwd_usage("\"%s\": PROTO is tcp or udp", args->word[0]);
	if (listen_parse(text, &listen))
		return ret;
	if (instance_open(&in, args->pin_dir, INSTANCE_CHANGE))
		goto out;
	rules = rules_open(&in);
	if (!rules || choose_maps(rules, proto, &listen, text, gone))
		goto out;
	ret = rules_remove(&in, rules, gone, keep ? FWD_REMOVE_KEEP : FWD_REMOVE_END);
out:
	free(rules);
	instance_close(&in);
	return ret;
}

enum fwd_exit cmd_map_flush(const struct args *args)
{
	bool gone[FWD_RULES_MAX], any = false;
	enum fwd_exit ret = FWD_NOT_DONE;
	struct fwd_rule *rules = NULL;
	struct instance in;

	if (instance_open(&in, args->pin_dir, INSTANCE_CHANGE))
		goto out;
	rules = rules_open(&in);
	if (!rules)
		goto out;
	for (__u32 i = 0; i < FWD_RULES_MAX; i++)
		any |= gone[i] = rules[i].state != FWD_RULE_FREE;
	ret = any ? rules_remove(&in, rules, gone, FWD_REMOVE_END) : FWD_DONE;
out:
	free(rules);
	instance_close(&in);
	return ret;
}

static json_t *mss_json(const struct fwd_rule *rule)
{
	if (rule->mss == FWD_MSS_AUTO)
		return json_string("auto");
	return rule->mss == FWD_MSS_OFF ? json_string("off") : json_integer(rule->mss);
}

static json_t *rule_json(const struct fwd_rule *rule, const struct fwd_rule_stats *stats)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	json_t *source = json_array();

	for (int i = 0; rule->snat != FWD_SNAT_NONE && i < rule->snat_count; i++) {
		char text[FWD_ADDR_TEXT];

		json_array_append_new(source, json_string(addr_format(&rule->pool[i], text)));
	}
	return json_pack(
	    "{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:I,s:I,s:I,s:I,s:I}", "name", rule->name, "proto",
	    proto_name(rule->proto), "listen", rule_listen_text(rule, listen), "target",
	    rule_target_text(rule, target), "snat", rule_snat_text(rule, snat), "source", source,
	    "mss", mss_json(rule), "state", rule->state == FWD_RULE_ACTIVE ? "active" : "draining",
	    "connections", (json_int_t)rule_stats_live(stats), "packets_in",
	    (json_int_t)stats->packets[FWD_DIR_FORWARD], "bytes_in",
	    (json_int_t)stats->bytes[FWD_DIR_FORWARD], "packets_out",
	    (json_int_t)stats->packets[FWD_DIR_REPLY], "bytes_out",
	    (json_int_t)stats->bytes[FWD_DIR_REPLY]);
}

/* "10.172.16.1 (auto)" */
static char *snat_cell(const struct fwd_rule *rule, char *text, size_t size)
{
	char address[FWD_ADDR_TEXT];

	if (rule->snat != FWD_SNAT_AUTO)
		return rule_snat_text(rule, text);
	snprintf(text, size, "%s (auto)",
		 rule->snat_count ? addr_format(&rule->pool[0], address) : "not known yet");
	return text;
}

static void rule_row(struct table *table, const struct fwd_rule *rule,
		     const struct fwd_rule_stats *stats)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	char in[HUMAN_TEXT], out[HUMAN_TEXT], live[HUMAN_TEXT + 16], name[FWD_NAME_LEN + 16];

	snprintf(name, sizeof(name), "%s%s", *rule->name ? rule->name : "-",
		 rule->state == FWD_RULE_DRAINING ? " (draining)" : "");
	snprintf(live, sizeof(live), "%llu", rule_stats_live(stats));
	table_row(
	    table,
	    (const char *[]){
		name,
		proto_name(rule->proto),
		rule_listen_text(rule, listen),
		rule_target_text(rule, target),
		snat_cell(rule, snat, sizeof(snat)),
		live,
		human_traffic(stats->packets[FWD_DIR_FORWARD], stats->bytes[FWD_DIR_FORWARD], in),
		human_traffic(stats->packets[FWD_DIR_REPLY], stats->bytes[FWD_DIR_REPLY], out),
	    });
}

/* A map that drains and is empty only waits for somebody to tidy up. */
static bool is_shown(const struct fwd_rule *rule, const struct fwd_rule_stats *stats)
{
	return rule->state == FWD_RULE_ACTIVE ||
	       (rule->state == FWD_RULE_DRAINING && rule_stats_live(stats));
}

static enum fwd_exit print_maps(const struct instance *in, const struct fwd_rule *rules, bool json)
{
	struct table table = {.columns = 8, .right = 1U << 5 | 1U << 6 | 1U << 7};
	struct json_stream stream;

	if (json)
		json_stream_begin(&stream);
	else
		table_row(&table, (const char *[]){"NAME", "PROTO", "LISTEN", "TARGET", "SNAT",
						   "CONNECTIONS", "IN", "OUT"});
	for (__u32 i = 0; i < FWD_RULES_MAX; i++) {
		struct fwd_rule_stats stats = {};

		if (rules[i].state == FWD_RULE_FREE || rule_stats_read(in, i, &stats) ||
		    !is_shown(&rules[i], &stats))
			continue;
		if (!json)
			rule_row(&table, &rules[i], &stats);
		else if (json_stream_add(&stream, rule_json(&rules[i], &stats)))
			return FWD_NOT_DONE;
	}
	if (!json)
		return table_print(&table);
	json_stream_end(&stream);
	return FWD_DONE;
}

enum fwd_exit cmd_map_list(const struct args *args)
{
	struct fwd_rule *rules = NULL;
	enum fwd_exit ret = FWD_NOT_DONE;
	struct instance in;

	if (instance_open(&in, args->pin_dir, INSTANCE_READ))
		goto out;
	rules = rules_read(&in);
	if (rules)
		ret = print_maps(&in, rules, args->option[OPT_JSON]);
out:
	free(rules);
	instance_close(&in);
	return ret;
}
