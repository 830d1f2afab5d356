/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "iface.h"
#include "map_rule.h"
#include "rules.h"

static enum fwd_exit write_error(enum fwd_map map, int ret)
{
	return fwd_err("can't write to the map \"%s\": %s", map_name(map), strerror(-ret));
}

struct fwd_rule *rules_read(const struct instance *in)
{
	struct fwd_rule *rules = calloc(FWD_RULES_MAX, sizeof(*rules));
	int ret = -ENOMEM;

	if (rules && in->exists)
		ret = map_read_array(&in->maps, FWD_MAP_RULES, 0, FWD_RULES_MAX, sizeof(*rules),
				     rules);
	if (rules && (!in->exists || !ret))
		return rules;
	fwd_err("can't read the maps: %s", strerror(-ret));
	free(rules);
	return NULL;
}

int rule_stats_read(const struct instance *in, __u32 index, struct fwd_rule_stats *stats)
{
	return map_sum(&in->maps, FWD_MAP_RULE_STATS, index, FWD_RULE_STATS_WORDS, (__u64 *)stats);
}

/* The CPUs are read one after the other, so an end may be seen whose beginning was not. */
__u64 rule_stats_live(const struct fwd_rule_stats *stats)
{
	return stats->created > stats->ended ? stats->created - stats->ended : 0;
}

static enum fwd_exit write_rule(const struct instance *in, __u32 index, const struct fwd_rule *rule)
{
	int ret = map_write(&in->maps, FWD_MAP_RULES, &index, rule);

	return ret ? write_error(FWD_MAP_RULES, ret) : FWD_DONE;
}

static void set_bits(struct fwd_port_set *set, unsigned int low, unsigned int high)
{
	for (unsigned int port = low; port <= high; port++)
		set->bits[port / 64] |= 1ULL << (port % 64);
}

/* Those of draining maps too: their connections' packets must still be looked up. */
/*
 * Target ports stay known when their last map goes: a connection of the gateway itself that was given
 * another source port towards one has to be translated to its end, which has nothing to do with the
 * map's. It costs what local processes send to such a port two lookups.
 */
static enum fwd_exit write_ports(const struct instance *in, const struct fwd_rule *rules)
{
	struct fwd_port_set sets[FWD_PORTS_MAX] = {};
	int ret = 0;

	for (__u32 i = FWD_PORTS_TARGET_TCP; !ret && i <= FWD_PORTS_TARGET_UDP; i++)
		ret = map_read(&in->maps, FWD_MAP_PORTS, &i, &sets[i]);
	for (const struct fwd_rule *rule = rules; rule < rules + FWD_RULES_MAX; rule++) {
		bool tcp = rule->proto == IPPROTO_TCP;

		if (rule->state == FWD_RULE_FREE)
			continue;
		set_bits(&sets[tcp ? FWD_PORTS_LISTEN_TCP : FWD_PORTS_LISTEN_UDP], rule->listen_low,
			 rule->listen_high);
		set_bits(&sets[tcp ? FWD_PORTS_TARGET_TCP : FWD_PORTS_TARGET_UDP], rule->target_low,
			 rule_target_high(rule));
	}
	for (__u32 i = 0; !ret && i < FWD_PORTS_MAX; i++)
		ret = map_write(&in->maps, FWD_MAP_PORTS, &i, &sets[i]);
	return ret ? write_error(FWD_MAP_PORTS, ret) : FWD_DONE;
}

static __u32 prefix_lengths(const struct fwd_rule *rule)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);
	__u32 plens = 0;

	while (count)
		plens |= 1U << keys[--count].plen;
	return plens;
}

/* Adds `ended` to the number that lets the sweeper look at every connection. */
static enum fwd_exit write_config(const struct instance *in, const struct fwd_rule *rules,
				  __u32 ended)
{
	struct fwd_config config;
	int ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &config);

	config.plens = 0;
	for (const struct fwd_rule *rule = rules; rule < rules + FWD_RULES_MAX; rule++)
		if (rule->state == FWD_RULE_ACTIVE)
			config.plens |= prefix_lengths(rule);
	config.sweep_all += ended;
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_CONFIG, &config);
	return ret ? write_error(FWD_MAP_CONFIG, ret) : FWD_DONE;
}

static void delete_keys(const struct instance *in, const struct fwd_rule *rule)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);

	/* Only a missing key can't be deleted, and that is what is wanted. */
	while (count)
		map_delete(&in->maps, FWD_MAP_RULE_INDEX, &keys[--count]);
}

static enum fwd_exit insert_keys(const struct instance *in, const struct fwd_rule *rule,
				 __u32 index)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);

	while (count) {
		int ret = map_write(&in->maps, FWD_MAP_RULE_INDEX, &keys[--count], &index);

		if (ret == -E2BIG)
			return fwd_err("no room for more ranges of ports: merge some, or let them "
				       "begin and end at multiples of a power of two");
		if (ret)
			return write_error(FWD_MAP_RULE_INDEX, ret);
	}
	return FWD_DONE;
}

/* Whether the key is one that `rules` asks for. */
static bool key_is_right(const struct fwd_rule *rules, const struct fwd_rule_key *key, __u32 index)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count;

	if (index >= FWD_RULES_MAX || rules[index].state != FWD_RULE_ACTIVE)
		return false;
	count = rule_keys(&rules[index], keys);
	while (count)
		if (!memcmp(&keys[--count], key, sizeof(*key)))
			return true;
	return false;
}

static void delete_wrong_keys(const struct instance *in, const struct fwd_rule *rules)
{
	struct fwd_rule_key key, next;
	bool more = !map_next(&in->maps, FWD_MAP_RULE_INDEX, NULL, &next);

	while (more) {
		__u32 index;

		key = next;
		more = !map_next(&in->maps, FWD_MAP_RULE_INDEX, &key, &next);
		if (!map_read(&in->maps, FWD_MAP_RULE_INDEX, &key, &index) &&
		    !key_is_right(rules, &key, index))
			map_delete(&in->maps, FWD_MAP_RULE_INDEX, &key);
	}
}

static enum fwd_exit repair(const struct instance *in, const struct fwd_rule *rules)
{
	delete_wrong_keys(in, rules);
	if (write_ports(in, rules) || write_config(in, rules, 1))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < FWD_RULES_MAX; i++)
		if (rules[i].state == FWD_RULE_ACTIVE && insert_keys(in, &rules[i], i))
			return FWD_NOT_DONE;
	instance_dirty_clear(in);
	return FWD_DONE;
}

/* Ends the use of a place: all that still carries the old number is dead. */
static void give_up(struct fwd_rule *rule)
{
	*rule = (struct fwd_rule){.state = FWD_RULE_FREE, .gen = rule->gen + 1};
}

static enum fwd_exit free_drained(const struct instance *in, struct fwd_rule *rules)
{
	struct fwd_rule_stats stats;

	for (__u32 i = 0; i < FWD_RULES_MAX; i++) {
		if (rules[i].state != FWD_RULE_DRAINING || rule_stats_read(in, i, &stats) ||
		    rule_stats_live(&stats))
			continue;
		give_up(&rules[i]);
		if (write_rule(in, i, &rules[i]))
			return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

struct fwd_rule *rules_open(const struct instance *in)
{
	struct fwd_rule *rules = rules_read(in);

	if (!rules || !in->exists)
		return rules;
	if ((instance_dirty(in) && repair(in, rules)) || free_drained(in, rules)) {
		free(rules);
		return NULL;
	}
	return rules;
}

static enum fwd_exit check_conflicts(const struct fwd_rule *rules, const struct fwd_rule *rule)
{
	char own[FWD_ENDPOINT_TEXT], text[FWD_RULE_TEXT], listen[FWD_ENDPOINT_TEXT];

	rule_listen_text(rule, own);
	for (const struct fwd_rule *r = rules; r < rules + FWD_RULES_MAX; r++) {
		if (r->state != FWD_RULE_ACTIVE)
			continue;
		if (rule_overlap(r, rule) && !strcmp(own, rule_listen_text(r, listen)))
			return fwd_err("\"%s\": is mapped to %s already: fwdctl map del %s %s", own,
				       rule_target_text(r, text), proto_name(r->proto), listen);
		if (rule_overlap(r, rule))
			return fwd_err("\"%s\": overlaps the map %s: fwdctl map del %s %s", own,
				       rule_text(r, text), proto_name(r->proto),
				       rule_listen_text(r, listen));
		if (*rule->name && !strcmp(r->name, rule->name))
			return fwd_err("--name: \"%s\": is the name of the map %s already",
				       rule->name, rule_text(r, text));
	}
	return FWD_DONE;
}

static enum fwd_exit find_place(const struct fwd_rule *rules, __u32 *index)
{
	for (*index = 0; *index < FWD_RULES_MAX; ++*index)
		if (rules[*index].state == FWD_RULE_FREE)
			return FWD_DONE;
	return fwd_err("there are %d maps already, which is the most", FWD_RULES_MAX);
}

enum fwd_exit rules_add(const struct instance *in, struct fwd_rule *rules,
			const struct fwd_rule *rule)
{
	__u32 index, gen;

	if (check_conflicts(rules, rule) || find_place(rules, &index) || instance_dirty_set(in))
		return FWD_NOT_DONE;
	if (map_set_sum(&in->maps, FWD_MAP_RULE_STATS, index, FWD_RULE_STATS_WORDS, NULL))
		return fwd_err("can't reset the map's counters");
	gen = rules[index].gen;
	rules[index] = *rule;
	rules[index].gen = gen;
	/* The keys last: with them the map begins to work. */
	if (!write_config(in, rules, 0) && !write_rule(in, index, &rules[index]) &&
	    !write_ports(in, rules) && !insert_keys(in, &rules[index], index)) {
		instance_dirty_clear(in);
		return FWD_DONE;
	}
	delete_keys(in, &rules[index]);
	give_up(&rules[index]);
	if (!write_rule(in, index, &rules[index]) && !repair(in, rules))
		fwd_say("nothing was changed");
	return FWD_NOT_DONE;
}

enum fwd_exit rules_remove(const struct instance *in, struct fwd_rule *rules, const bool *gone,
			   enum fwd_rules_removal how)
{
	if (instance_dirty_set(in))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < FWD_RULES_MAX; i++) {
		if (!gone[i])
			continue;
		if (rules[i].state == FWD_RULE_ACTIVE)
			delete_keys(in, &rules[i]);
		if (how == FWD_REMOVE_KEEP)
			rules[i].state = FWD_RULE_DRAINING;
		else
			give_up(&rules[i]);
	}
	if (write_ports(in, rules))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < FWD_RULES_MAX; i++)
		if (gone[i] && write_rule(in, i, &rules[i]))
			return FWD_NOT_DONE;
	if (write_config(in, rules, how == FWD_REMOVE_END))
		return FWD_NOT_DONE;
	instance_dirty_clear(in);
	return FWD_DONE;
}

enum fwd_exit rules_refresh_sources(const struct instance *in, struct fwd_rule *rules)
{
	char text[FWD_RULE_TEXT];

	for (__u32 i = 0; i < FWD_RULES_MAX; i++) {
		struct fwd_rule *rule = &rules[i];
		struct fwd_addr source;

		if (rule->state != FWD_RULE_ACTIVE || rule->snat == FWD_SNAT_LIST)
			continue;
		if (!iface_source_towards(&rule->target, rule->target_low, &source)) {
			if (!rule->snat_count && rule->snat == FWD_SNAT_AUTO)
				fwd_note("%s: no route to the target: its source address is chosen "
					 "at the next attach",
					 rule_text(rule, text));
			continue;
		}
		if (rule->snat_count && addr_equal(&rule->pool[0], &source))
			continue;
		rule->pool[0] = source;
		rule->snat_count = 1;
		if (write_rule(in, i, rule))
			return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

enum fwd_exit rules_forget_connections(const struct instance *in, const struct fwd_rule *rules)
{
	const size_t counters_words = sizeof(struct fwd_counters) / sizeof(__u64);
	struct fwd_rule_stats stats;
	struct fwd_counters counters;
	int ret;

	ret = map_sum(&in->maps, FWD_MAP_COUNTERS, 0, counters_words, (__u64 *)&counters);
	counters.ended = counters.created;
	if (!ret)
		ret =
		    map_set_sum(&in->maps, FWD_MAP_COUNTERS, 0, counters_words, (__u64 *)&counters);
	for (__u32 i = 0; !ret && i < FWD_RULES_MAX; i++) {
		if (rules[i].state == FWD_RULE_FREE)
			continue;
		ret = rule_stats_read(in, i, &stats);
		stats.ended = stats.created;
		if (!ret)
			ret = map_set_sum(&in->maps, FWD_MAP_RULE_STATS, i, FWD_RULE_STATS_WORDS,
					  (__u64 *)&stats);
	}
	return ret ? fwd_err("can't reset the counters: %s", strerror(-ret)) : FWD_DONE;
}
