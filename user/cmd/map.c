/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "state/devices.h"
#include "cli/command.h"
#include "host/iface.h"
#include "state/instance.h"
#include "cli/lines.h"
#include "model/rule.h"
#include "state/rule_order.h"
#include "cli/output.h"
#include "state/rules.h"
#include "host/target.h"

/* The maps to be added, and what the host says about where they lead. */
struct additions {
	struct new_rule *rule;
	size_t count;
	struct targets targets;
};

/* What validation of the words alone can't see. */
static enum fwd_exit check_target(struct target *target)
{
	char text[FWD_ADDR_TEXT], name[IF_NAMESIZE];

	if (target->checked)
		return FWD_DONE;
	target->checked = true;
	addr_format(&target->addr, text);
	if (iface_of_address(&target->addr, name))
		return fwd_err("\"%s\": is an address of this host (%s): a map leads to another host", text, name);
	if (iface_is_broadcast(&target->addr))
		return fwd_err("\"%s\": is a broadcast address", text);
	return FWD_DONE;
}

static void choose_source(struct fwd_rule *rule, const struct target *target)
{
	if (rule->snat == FWD_SNAT_LIST)
		return;
	rule->snat_count = target->has_source;
	rule->pool[0] = target->source;
}

/* Room is doubled whenever their number is a power of two. */
static struct new_rule *grow(struct additions *all)
{
	struct new_rule *grown = all->rule;

	if (!(all->count & (all->count - 1)))
		grown = realloc(all->rule, 2 * (all->count ?: 1) * sizeof(*grown));
	if (grown)
		all->rule = grown;
	else
		fwd_err("not enough memory");
	return grown ? &grown[all->count] : NULL;
}

static enum fwd_exit parse_addition(const struct args *args, void *arg)
{
	const struct fwd_rule_words words = {
		.proto = args->word[0],
		.listen = args->word[1],
		.target = args->word[2],
		.snat = args->option[OPT_SNAT],
		.name = args->option[OPT_NAME],
		.mss = args->option[OPT_MSS],
	};
	struct additions *all = arg;
	struct new_rule *new = grow(all);
	enum fwd_exit ret = new ? rule_parse(&words, &new->rule) : FWD_NOT_DONE;
	struct target *target;

	if (ret)
		return ret;
	if (all->count == FWD_RULES_MAX)
		return fwd_err("it is one map too many: %d are the most", FWD_RULES_MAX);
	target = target_find(&all->targets, &new->rule.target, new->rule.target_low);
	if (!target || check_target(target))
		return FWD_NOT_DONE;
	choose_source(&new->rule, target);
	new->line = args->line;
	all->count++;
	return FWD_DONE;
}

/* The source address that was just chosen would be another namespace's. */
static enum fwd_exit check_netns(const struct instance *in, const struct device_list *list, const struct additions *all)
{
	bool foreign;

	for (size_t i = 0; i < all->count; i++)
		if (all->rule[i].rule.snat != FWD_SNAT_LIST)
			return devices_check_netns(in, list, &foreign);
	return FWD_DONE;
}

/* Once for each target, there may be thousands of maps. */
static void note_no_source(struct additions *all)
{
	char text[FWD_ENDPOINT_TEXT];

	for (size_t i = 0; i < all->count; i++) {
		const struct fwd_rule *rule = &all->rule[i].rule;
		struct target *target = target_find(&all->targets, &rule->target, rule->target_low);

		if (rule->snat != FWD_SNAT_AUTO || rule->snat_count || !target || target->told)
			continue;
		target->told = true;
		fwd_line(all->rule[i].line);
		fwd_note("\"%s\": no route to it now: its source address is chosen at the next attach",
			 rule_target_text(rule, text));
	}
	fwd_line(0);
}

/* Attach has told about IPv4; IPv6 it looks at only once there are maps of it. */
static void check_forwarding(const struct device_list *list, const struct additions *all)
{
	bool v6 = false;

	for (size_t i = 0; i < all->count; i++)
		v6 |= all->rule[i].rule.family == FWD_FAMILY_IPV6;
	for (size_t i = 0; v6 && i < list->count; i++) {
		char name[IF_NAMESIZE];

		if (!iface_check_forwarding(device_name_now(&list->device[i], name), FWD_FAMILY_IPV6))
			break;
	}
}

static enum fwd_exit add(const char *pin_dir, struct additions *all)
{
	enum fwd_exit ret = FWD_NOT_DONE;
	struct rules rules = {};
	struct device_list list;
	struct instance in;

	if (instance_open(&in, pin_dir, INSTANCE_MAKE))
		goto out;
	if (rules_open(&in, &rules, all->count) || devices_read(&in, &list) || check_netns(&in, &list, all) ||
	    rules_add(&in, &rules, all->rule, all->count))
		goto out;
	note_no_source(all);
	check_forwarding(&list, all);
	ret = FWD_DONE;
out:
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

enum fwd_exit cmd_map_add(const struct args *args)
{
	struct additions all = {};
	enum fwd_exit ret = lines_each(args, parse_addition, &all);

	if (!ret && all.count)
		ret = add(args->pin_dir, &all);
	targets_free(&all.targets);
	free(all.rule);
	return ret;
}

/* The words of `map del`. */
struct removal {
	char text[FWD_ENDPOINT_TEXT];
	struct fwd_endpoint listen;
	__u8 proto;
	__u8 change; /* enum fwd_rule_change */
	unsigned int line;
};

struct removals {
	struct removal *removal;
	size_t count;
	struct order active;
	__u8 changes[FWD_RULES_MAX];
};

static enum fwd_exit parse_removal(const struct args *args, void *arg)
{
	struct removals *all = arg;
	struct removal *new = &all->removal[all->count];

	new->proto = proto_parse(args->word[0]);
	if (!new->proto)
		return fwd_usage("\"%s\": PROTO is tcp or udp", args->word[0]);
	if (listen_parse(args->word[1], &new->listen))
		return FWD_NOT_DONE;
	if (all->count == FWD_RULES_MAX)
		return fwd_err("it is one map too many: %d are the most", FWD_RULES_MAX);
	snprintf(new->text, sizeof(new->text), "%s", args->word[1]);
	new->change = args->option[OPT_KEEP] ? FWD_CHANGE_KEEP : FWD_CHANGE_END;
	new->line = args->line;
	all->count++;
	return FWD_DONE;
}

static enum fwd_exit no_such_map(const struct rules *rules, const struct removal *removal)
{
	char other[FWD_RULE_TEXT];

	for_each_rule (rule, rules)
		if (rule->state == FWD_RULE_ACTIVE && rule_touches(rule, removal->proto, &removal->listen))
			return fwd_err("\"%s\": no map has this LISTEN, but it touches the map %s", removal->text,
				       rule_text(rule, other));
	return fwd_err("\"%s\": there is no such map for %s: fwdctl map list shows them all", removal->text,
		       proto_name(removal->proto));
}

/* The active map that it means, of this family; NULL: there is none. */
static const struct fwd_rule *find_active(const struct order *active, const struct removal *removal,
					  enum fwd_family family)
{
	const struct fwd_endpoint *listen = &removal->listen;
	struct fwd_rule like = {
		.proto = removal->proto,
		.family = family,
		.listen = listen->family ? listen->addr : addr_unspecified(family),
		.listen_low = listen->low,
		.listen_high = listen->high,
	};
	const struct fwd_rule *rule = NULL;

	if (!listen->family || listen->family == family)
		rule = order_find(active, &like);
	return rule && rule_listens_on(rule, removal->proto, listen) ? rule : NULL;
}

static enum fwd_exit mark(struct removals *all, const struct removal *removal, size_t place)
{
	if (all->changes[place])
		return fwd_err("\"%s\": is given twice", removal->text);
	all->changes[place] = removal->change;
	return FWD_DONE;
}

/* Marks the maps that one removal means: the active one, or else those that still drain. */
static enum fwd_exit choose_maps(struct removals *all, const struct removal *removal, const struct rules *rules)
{
	const struct fwd_rule *v4 = find_active(&all->active, removal, FWD_FAMILY_IPV4);
	const struct fwd_rule *v6 = find_active(&all->active, removal, FWD_FAMILY_IPV6);
	const char *text = removal->text;
	enum fwd_exit ret = FWD_DONE;
	bool found = false;

	fwd_line(removal->line);
	if (v4 && v6)
		return fwd_err("\"%s\": there is one map of IPv4 and one of IPv6: say "
			       "0.0.0.0%s or [::]%s",
			       text, text, text);
	if (v4 || v6)
		return mark(all, removal, (v4 ?: v6) - rules->at);
	for_each_rule (rule, rules) {
		if (ret || rule->state != FWD_RULE_DRAINING || !rule_listens_on(rule, removal->proto, &removal->listen))
			continue;
		found = true;
		ret = mark(all, removal, rule - rules->at);
	}
	return found ? ret : no_such_map(rules, removal);
}

static enum fwd_exit choose_all(struct removals *all, const struct rules *rules)
{
	enum fwd_exit ret = order_init(&all->active, rules, 0);

	if (ret)
		return ret;
	order_sort(&all->active);
	for (size_t i = 0; !ret && i < all->count; i++)
		ret = choose_maps(all, &all->removal[i], rules);
	order_free(&all->active);
	return ret;
}

static enum fwd_exit del(const char *pin_dir, struct removals *all)
{
	enum fwd_exit ret = FWD_NOT_DONE;
	struct rules rules = {};
	struct instance in;

	if (instance_open(&in, pin_dir, INSTANCE_CHANGE))
		goto out;
	if (rules_open(&in, &rules, 0) || choose_all(all, &rules))
		goto out;
	fwd_line(0);
	ret = rules_remove(&in, &rules, all->changes);
out:
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

enum fwd_exit cmd_map_del(const struct args *args)
{
	/* One more than there can be, to tell about. */
	struct removals all = {.removal = calloc(FWD_RULES_MAX + 1, sizeof(*all.removal))};
	enum fwd_exit ret = all.removal ? lines_each(args, parse_removal, &all) : fwd_err("not enough memory");

	if (!ret && all.count)
		ret = del(args->pin_dir, &all);
	free(all.removal);
	return ret;
}

enum fwd_exit cmd_map_flush(const struct args *args)
{
	__u8 changes[FWD_RULES_MAX];
	bool any = false;
	enum fwd_exit ret = FWD_NOT_DONE;
	struct rules rules = {};
	struct instance in;

	if (instance_open(&in, args->pin_dir, INSTANCE_CHANGE) || rules_open(&in, &rules, 0))
		goto out;
	for (__u32 i = 0; i < rules.end; i++) {
		changes[i] = rules.at[i].state == FWD_RULE_FREE ? FWD_CHANGE_NONE : FWD_CHANGE_END;
		any |= changes[i];
	}
	ret = any ? rules_remove(&in, &rules, changes) : FWD_DONE;
out:
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

static json_t *rule_json(const struct fwd_rule *rule, const struct fwd_rule_stats *stats)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	json_t *source = json_array();

	for (int i = 0; rule->snat != FWD_SNAT_NONE && i < rule->snat_count; i++) {
		char text[FWD_ADDR_TEXT];

		json_array_append_new(source, json_string(addr_format(&rule->pool[i], text)));
	}
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:s,s:I,s:I,s:I,s:I,s:I}", "name", rule->name, "proto",
			 proto_name(rule->proto), "listen", rule_listen_text(rule, listen), "target",
			 rule_target_text(rule, target), "snat", rule_snat_text(rule, snat), "source", source, "mss",
			 mss_json(rule), "state", rule->state == FWD_RULE_ACTIVE ? "active" : "draining", "connections",
			 (json_int_t)rule_stats_live(stats), "packets_in", (json_int_t)stats->packets[FWD_DIR_FORWARD],
			 "bytes_in", (json_int_t)stats->bytes[FWD_DIR_FORWARD], "packets_out",
			 (json_int_t)stats->packets[FWD_DIR_REPLY], "bytes_out",
			 (json_int_t)stats->bytes[FWD_DIR_REPLY]);
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

static void rule_row(struct table *table, const struct fwd_rule *rule, const struct fwd_rule_stats *stats)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT];
	char in[HUMAN_TEXT], out[HUMAN_TEXT], live[HUMAN_TEXT + 16], name[FWD_NAME_LEN + 16];

	snprintf(name, sizeof(name), "%s%s", *rule->name ? rule->name : "-",
		 rule->state == FWD_RULE_DRAINING ? " (draining)" : "");
	snprintf(live, sizeof(live), "%llu", rule_stats_live(stats));
	table_row(table, (const char *[]){
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
	return rule->state == FWD_RULE_ACTIVE || (rule->state == FWD_RULE_DRAINING && rule_stats_live(stats));
}

static enum fwd_exit print_maps(const struct instance *in, const struct rules *rules, bool json)
{
	struct table table = {.columns = 8, .right = 1U << 5 | 1U << 6 | 1U << 7};
	struct json_stream stream;

	if (json)
		json_stream_begin(&stream);
	else
		table_row(&table,
			  (const char *[]){"NAME", "PROTO", "LISTEN", "TARGET", "SNAT", "CONNECTIONS", "IN", "OUT"});
	for_each_rule (rule, rules) {
		struct fwd_rule_stats stats = {};

		if (rule->state == FWD_RULE_FREE || rule_stats_read(in, rule - rules->at, &stats) ||
		    !is_shown(rule, &stats))
			continue;
		if (!json)
			rule_row(&table, rule, &stats);
		else if (json_stream_add(&stream, rule_json(rule, &stats)))
			return FWD_NOT_DONE;
	}
	if (!json)
		return table_print(&table);
	json_stream_end(&stream);
	return FWD_DONE;
}

enum fwd_exit cmd_map_list(const struct args *args)
{
	enum fwd_exit ret = FWD_NOT_DONE;
	struct rules rules = {};
	struct instance in;

	if (!instance_open(&in, args->pin_dir, INSTANCE_READ) && !rules_read(&in, &rules))
		ret = print_maps(&in, &rules, args->option[OPT_JSON]);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}
