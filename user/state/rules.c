/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/rule.h"
#include "state/rule_order.h"
#include "state/rules.h"
#include "host/target.h"

static enum fwd_exit write_error(enum fwd_map map, int ret)
{
	return fwd_err("can't write to the map \"%s\": %s", map_name(map), strerror(-ret));
}

void rules_close(struct rules *rules)
{
	if (rules->live)
		map_view_end(rules->at, rules->room * sizeof(*rules->at));
	else
		free(rules->at);
}

/* What a decided change makes of it. */
static enum fwd_rule_state state_after(const struct fwd_rule *rule)
{
	switch ((enum fwd_rule_change)rule->change) {
	case FWD_CHANGE_ADD:
		return FWD_RULE_ACTIVE;
	case FWD_CHANGE_END:
		return FWD_RULE_FREE;
	case FWD_CHANGE_KEEP:
		return FWD_RULE_DRAINING;
	default:
		return rule->state;
	}
}

static bool is_decided(__u32 change)
{
	return !(change & 1);
}

/* `change` first: whoever clears it has written all that it stands for before. */
static void copy_rule(struct fwd_rule *copy, const struct fwd_rule *live, bool decided)
{
	__u8 change = __atomic_load_n(&live->change, __ATOMIC_ACQUIRE);

	*copy = *live;
	copy->change = decided ? change : FWD_CHANGE_NONE;
	copy->state = state_after(copy);
	copy->change = FWD_CHANGE_NONE;
}

static int copy_rules(const struct instance *in, const struct fwd_config *config, struct rules *copy)
{
	size_t size = config->rules_end * sizeof(*copy->at);
	struct fwd_rule *live = map_view(&in->maps, FWD_MAP_RULES, size, false);
	int ret = -errno;

	if (!live)
		return ret;
	free(copy->at);
	copy->at = malloc(size);
	copy->end = copy->at ? config->rules_end : 0;
	for (__u32 i = 0; i < copy->end; i++)
		copy_rule(&copy->at[i], &live[i], is_decided(config->change));
	map_view_end(live, size);
	return copy->at ? 0 : -ENOMEM;
}

/* Nobody is locked out meanwhile: if a change has begun or was decided, once more. */
enum fwd_exit rules_read(const struct instance *in, struct rules *rules)
{
	struct fwd_config before, after;
	int ret;

	*rules = (struct rules){};
	if (!in->exists)
		return FWD_DONE;
	ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &after);
	do {
		before = after;
		if (!ret && before.rules_end)
			ret = copy_rules(in, &before, rules);
		if (!ret)
			ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &after);
	} while (!ret && before.change != after.change);
	return ret ? fwd_err("can't read the maps: %s", strerror(-ret)) : FWD_DONE;
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

/* By words: a range may be of all ports, and there may be thousands of ranges. */
static void set_bits(struct fwd_port_set *set, unsigned int low, unsigned int high)
{
	for (unsigned int word = low / 64; word <= high / 64; word++) {
		__u64 bits = ~0ULL;

		if (word == low / 64)
			bits &= ~0ULL << (low % 64);
		if (word == high / 64)
			bits &= ~0ULL >> (63 - high % 64);
		set->bits[word] |= bits;
	}
}

/*
 * Those of draining maps too: their connections' packets must still be looked up. Of maps that are about to be
 * added, before they are.
 *
 * Target ports stay known when their last map goes: a connection of the gateway itself that was given
 * another source port towards one has to be translated to its end, which has nothing to do with the
 * map's. It costs what local processes send to such a port two lookups.
 */
static enum fwd_exit write_ports(const struct instance *in, const struct rules *rules)
{
	struct fwd_port_set sets[FWD_PORTS_MAX] = {};
	int ret = 0;

	for (__u32 i = FWD_PORTS_TARGET_TCP; !ret && i <= FWD_PORTS_TARGET_UDP; i++)
		ret = map_read(&in->maps, FWD_MAP_PORTS, &i, &sets[i]);
	for_each_rule (rule, rules) {
		bool tcp = rule->proto == IPPROTO_TCP;

		if (state_after(rule) == FWD_RULE_FREE)
			continue;
		set_bits(&sets[tcp ? FWD_PORTS_LISTEN_TCP : FWD_PORTS_LISTEN_UDP], rule->listen_low, rule->listen_high);
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

/* The prefix lengths in use, and how far the change is: raises config.change to the next odd or even number, if it is
 * not at one. `ended`: connections have, so the sweeper is to look at every one. */
static enum fwd_exit write_config(const struct instance *in, const struct rules *rules, bool decided, bool ended)
{
	struct fwd_config config;
	int ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &config);

	if (decided)
		config.plens = 0;
	for_each_rule (rule, rules)
		if (decided && state_after(rule) == FWD_RULE_ACTIVE)
			config.plens |= prefix_lengths(rule);
	config.rules_end = rules->end;
	config.gc_all += ended;
	config.change += is_decided(config.change) != decided;
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_CONFIG, &config);
	return ret ? write_error(FWD_MAP_CONFIG, ret) : FWD_DONE;
}

/* Where a map drains, another may have its LISTEN, and the keys. */
static void delete_keys(const struct instance *in, const struct fwd_rule *rule, __u32 index)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);
	__u32 owner;

	/* Only a missing key can't be deleted, and that is what is wanted. */
	while (count--)
		if (!map_read(&in->maps, FWD_MAP_RULE_INDEX, &keys[count], &owner) && owner == index)
			map_delete(&in->maps, FWD_MAP_RULE_INDEX, &keys[count]);
}

static enum fwd_exit insert_keys(const struct instance *in, const struct fwd_rule *rule, __u32 index)
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
static bool key_is_right(const struct rules *rules, const struct fwd_rule_key *key, __u32 index)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count;

	if (index >= rules->end || rules->at[index].state != FWD_RULE_ACTIVE)
		return false;
	count = rule_keys(&rules->at[index], keys);
	while (count)
		if (!memcmp(&keys[--count], key, sizeof(*key)))
			return true;
	return false;
}

static void delete_wrong_keys(const struct instance *in, const struct rules *rules)
{
	struct fwd_rule_key key, next;
	bool more = !map_next(&in->maps, FWD_MAP_RULE_INDEX, NULL, &next);

	while (more) {
		__u32 index;

		key = next;
		more = !map_next(&in->maps, FWD_MAP_RULE_INDEX, &key, &next);
		if (!map_read(&in->maps, FWD_MAP_RULE_INDEX, &key, &index) && !key_is_right(rules, &key, index))
			map_delete(&in->maps, FWD_MAP_RULE_INDEX, &key);
	}
}

/* ---- a change: written, decided, carried out ---- */

static enum fwd_exit begin(const struct instance *in, const struct rules *rules)
{
	return instance_dirty_set(in) ? FWD_NOT_DONE : write_config(in, rules, false, false);
}

/* The one write that decides; before it nothing has changed, behind it all of it will. */
static enum fwd_exit decide(const struct instance *in, const struct rules *rules)
{
	return write_config(in, rules, true, false);
}

/* From here on a packet that opens a connection sees the change: microseconds from the first map to the last. */
static void set_states(struct rules *rules)
{
	for_each_rule (rule, rules)
		if (rule->change)
			__atomic_store_n(&rule->state, state_after(rule), __ATOMIC_RELEASE);
}

/* Ends the use of a place: all that still carries the old number is dead. What else it says stays, since somebody may
 * be reading it. */
static void give_up(struct fwd_rule *rule)
{
	__atomic_store_n(&rule->state, FWD_RULE_FREE, __ATOMIC_RELEASE);
	__atomic_store_n(&rule->gen, rule->gen + 1, __ATOMIC_RELEASE);
}

/* Not with the states: a packet that still found the map must have read its number before that changes. Then its
 * connection ends, too. */
static void clear_changes(struct rules *rules)
{
	for_each_rule (rule, rules) {
		if (rule->change == FWD_CHANGE_END)
			give_up(rule);
		if (rule->change)
			__atomic_store_n(&rule->change, FWD_CHANGE_NONE, __ATOMIC_RELEASE);
	}
}

/* What was not decided when it was cut short was never begun. */
static enum fwd_exit drop_undecided(const struct instance *in, struct rules *rules)
{
	struct fwd_config config;
	int ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &config);

	if (ret)
		return write_error(FWD_MAP_CONFIG, ret);
	for (__u32 i = 0; !is_decided(config.change) && i < rules->end; i++)
		if (rules->at[i].change)
			rules->at[i].change = FWD_CHANGE_NONE;
	return FWD_DONE;
}

/* Goes on from wherever a change was cut short, and makes all that follows from `rules` anew. */
static enum fwd_exit repair(const struct instance *in, struct rules *rules)
{
	if (drop_undecided(in, rules))
		return FWD_NOT_DONE;
	set_states(rules);
	delete_wrong_keys(in, rules);
	if (write_ports(in, rules) || write_config(in, rules, true, true))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < rules->end; i++)
		if (rules->at[i].state == FWD_RULE_ACTIVE && insert_keys(in, &rules->at[i], i))
			return FWD_NOT_DONE;
	clear_changes(rules);
	instance_dirty_clear(in);
	return FWD_DONE;
}

static void free_drained(const struct instance *in, struct rules *rules)
{
	struct fwd_rule_stats stats;

	for (__u32 i = 0; i < rules->end; i++)
		if (rules->at[i].state == FWD_RULE_DRAINING && !rule_stats_read(in, i, &stats) &&
		    !rule_stats_live(&stats))
			give_up(&rules->at[i]);
}

enum fwd_exit rules_open(const struct instance *in, struct rules *rules, size_t more)
{
	struct fwd_config config;
	int ret = 0;

	*rules = (struct rules){};
	if (!in->exists)
		return FWD_DONE;
	ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &config);
	if (ret)
		return fwd_err("can't read the settings: %s", strerror(-ret));
	rules->end = config.rules_end;
	rules->room = rules->end + more < FWD_RULES_MAX ? rules->end + more : FWD_RULES_MAX;
	if (!rules->room)
		return FWD_DONE;
	rules->at = map_view(&in->maps, FWD_MAP_RULES, rules->room * sizeof(*rules->at), true);
	if (!rules->at)
		return fwd_err("can't read the maps: %m");
	rules->live = true;
	if (instance_dirty(in) && repair(in, rules))
		return FWD_NOT_DONE;
	free_drained(in, rules);
	return FWD_DONE;
}

/* ---- adding and removing ---- */

/* The line that a map to be added is on; -1: it is there already. */
static long line_of(const struct fwd_rule *rule, const struct new_rule *added, size_t count)
{
	const struct new_rule *new = (const struct new_rule *)rule;

	return new >= added &&new < added + count ? (long)new->line : -1;
}

static enum fwd_exit conflict(const struct fwd_rule *a, const struct fwd_rule *b, const struct new_rule *added,
			      size_t count)
{
	const struct fwd_rule *later = a, *rule = b;
	char own[FWD_ENDPOINT_TEXT], text[FWD_RULE_TEXT], listen[FWD_ENDPOINT_TEXT], mend[128];

	if (line_of(a, added, count) < line_of(b, added, count)) {
		later = b;
		rule = a;
	}
	fwd_line(line_of(later, added, count));
	rule_listen_text(later, own);
	rule_listen_text(rule, listen);
	snprintf(mend, sizeof(mend), "fwdctl map del %s %s", proto_name(rule->proto), listen);
	if (line_of(rule, added, count) >= 0)
		snprintf(mend, sizeof(mend), "see line %ld", line_of(rule, added, count));
	if (!rule_overlap(later, rule))
		return fwd_err("--name: \"%s\": is the name of the map %s already: %s", later->name,
			       rule_text(rule, text), mend);
	if (!strcmp(own, listen))
		return fwd_err("\"%s\": is mapped to %s already: %s", own, rule_target_text(rule, text), mend);
	return fwd_err("\"%s\": overlaps the map %s: %s", own, rule_text(rule, text), mend);
}

static enum fwd_exit check_conflicts(const struct rules *rules, const struct new_rule *added, size_t count)
{
	const struct fwd_rule *a, *b;
	enum fwd_exit ret = FWD_DONE;
	struct order order;

	if (order_init(&order, rules, count))
		return FWD_NOT_DONE;
	for (size_t i = 0; i < count; i++)
		order_add(&order, &added[i].rule);
	order_sort(&order);
	if (order_overlap(&order, &a, &b) || order_namesakes(&order, &a, &b))
		ret = conflict(a, b, added, count);
	order_free(&order);
	return ret;
}

/* Free places are taken first, then those that never were in use. */
static enum fwd_exit make_room(struct rules *rules, const struct new_rule *added, size_t count)
{
	size_t free = 0, most;

	for_each_rule (rule, rules)
		free += rule->state == FWD_RULE_FREE;
	most = free + FWD_RULES_MAX - rules->end;
	if (count > most) {
		fwd_line(added[most].line);
		return fwd_err("there are %d maps already, which is the most", FWD_RULES_MAX);
	}
	if (count > free)
		rules->end += count - free;
	return FWD_DONE;
}

static enum fwd_exit write_rules(const struct instance *in, struct rules *rules, const struct new_rule *added,
				 size_t count)
{
	__u32 index = 0;

	for (size_t i = 0; i < count; i++, index++) {
		struct fwd_rule rule = added[i].rule;

		while (rules->at[index].state != FWD_RULE_FREE)
			index++;
		rule.gen = rules->at[index].gen;
		rule.state = FWD_RULE_FREE;
		rule.change = FWD_CHANGE_ADD;
		rules->at[index] = rule;
		if (map_set_sum(&in->maps, FWD_MAP_RULE_STATS, index, FWD_RULE_STATS_WORDS, NULL))
			return fwd_err("can't reset the map's counters");
	}
	return FWD_DONE;
}

static enum fwd_exit insert_new_keys(const struct instance *in, const struct rules *rules)
{
	for (__u32 i = 0; i < rules->end; i++)
		if (rules->at[i].change == FWD_CHANGE_ADD && insert_keys(in, &rules->at[i], i))
			return FWD_NOT_DONE;
	return FWD_DONE;
}

enum fwd_exit rules_add(const struct instance *in, struct rules *rules, const struct new_rule *added, size_t count)
{
	if (check_conflicts(rules, added, count) || make_room(rules, added, count))
		return FWD_NOT_DONE;
	/* The keys lead to FREE places at first, which are nobody's: the states last. */
	if (begin(in, rules) || write_rules(in, rules, added, count) || write_ports(in, rules) ||
	    insert_new_keys(in, rules) || decide(in, rules)) {
		if (instance_dirty(in) && !repair(in, rules))
			fwd_say("nothing was changed");
		return FWD_NOT_DONE;
	}
	set_states(rules);
	clear_changes(rules);
	instance_dirty_clear(in);
	return FWD_DONE;
}

enum fwd_exit rules_remove(const struct instance *in, struct rules *rules, const __u8 *changes)
{
	bool ended = false;

	if (begin(in, rules))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < rules->end; i++) {
		if (changes[i])
			rules->at[i].change = changes[i];
		ended |= changes[i] == FWD_CHANGE_END;
	}
	if (decide(in, rules)) {
		repair(in, rules);
		return FWD_NOT_DONE;
	}
	set_states(rules);
	for (__u32 i = 0; i < rules->end; i++)
		if (changes[i])
			delete_keys(in, &rules->at[i], i);
	if (write_ports(in, rules))
		return FWD_NOT_DONE;
	clear_changes(rules);
	if (ended && write_config(in, rules, true, true))
		return FWD_NOT_DONE;
	instance_dirty_clear(in);
	return FWD_DONE;
}

static void no_source(const struct fwd_rule *rule)
{
	char text[FWD_RULE_TEXT];

	if (!rule->snat_count && rule->snat == FWD_SNAT_AUTO)
		fwd_note("%s: no route to the target: its source address is chosen at the next attach",
			 rule_text(rule, text));
}

enum fwd_exit rules_refresh_sources(struct rules *rules)
{
	enum fwd_exit ret = FWD_DONE;
	struct targets targets = {};

	for_each_rule (rule, rules) {
		const struct target *target;

		if (ret || rule->state != FWD_RULE_ACTIVE || rule->snat == FWD_SNAT_LIST)
			continue;
		target = target_find(&targets, &rule->target, rule->target_low);
		if (!target)
			ret = FWD_NOT_DONE;
		else if (!target->has_source)
			no_source(rule);
		else if (!rule->snat_count || !addr_equal(&rule->pool[0], &target->source)) {
			rule->pool[0] = target->source;
			__atomic_store_n(&rule->snat_count, 1, __ATOMIC_RELEASE);
		}
	}
	targets_free(&targets);
	return ret;
}

enum fwd_exit rules_forget_connections(const struct instance *in, const struct rules *rules)
{
	const size_t counters_words = sizeof(struct fwd_counters) / sizeof(__u64);
	struct fwd_rule_stats stats;
	struct fwd_counters counters;
	int ret;

	ret = map_sum(&in->maps, FWD_MAP_COUNTERS, 0, counters_words, (__u64 *)&counters);
	counters.value[FWD_COUNTER_ENDED] = counters.value[FWD_COUNTER_CREATED];
	if (!ret)
		ret = map_set_sum(&in->maps, FWD_MAP_COUNTERS, 0, counters_words, (__u64 *)&counters);
	for (__u32 i = 0; !ret && i < rules->end; i++) {
		if (rules->at[i].state == FWD_RULE_FREE)
			continue;
		ret = rule_stats_read(in, i, &stats);
		stats.ended = stats.created;
		if (!ret)
			ret = map_set_sum(&in->maps, FWD_MAP_RULE_STATS, i, FWD_RULE_STATS_WORDS, (__u64 *)&stats);
	}
	return ret ? fwd_err("can't reset the counters: %s", strerror(-ret)) : FWD_DONE;
}
