/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/target.h"
#include "model/rule.h"
#include "state/config.h"
#include "state/rules.h"

/* `error`: a negative errno. */
static enum fwd_exit write_error(enum fwd_map map, int error, struct fwd_report *report)
{
	return report_error(report, NULL, "can't write to the BPF map %s: %s", map_name(map), strerror(-error));
}

void rules_close(struct rules *rules)
{
	if (rules->live)
		map_view_end(rules->at, rules->room * sizeof(*rules->at));
	else
		free(rules->at);
}

/* The state that a committed change leads to. */
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

static bool is_committed(__u32 change)
{
	return !(change & 1);
}

/* Reads `change` first: a writer clears it after all that it stands for. */
static void copy_rule(struct fwd_rule *copy, const struct fwd_rule *live, bool committed)
{
	__u8 change = __atomic_load_n(&live->change, __ATOMIC_ACQUIRE);

	*copy = *live;
	copy->change = committed ? change : FWD_CHANGE_NONE;
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
		copy_rule(&copy->at[i], &live[i], is_committed(config->change));
	map_view_end(live, size);
	return copy->at ? 0 : -ENOMEM;
}

/* Without a lock: reads again if a change began or was committed meanwhile. */
enum fwd_exit rules_read(const struct instance *in, struct rules *rules, struct fwd_report *report)
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
	return ret ? report_error(report, NULL, "can't read the maps: %s", strerror(-ret)) : FWD_DONE;
}

int rule_stats_read(const struct instance *in, __u32 index, struct fwd_rule_stats *stats)
{
	return map_sum(&in->maps, FWD_MAP_RULE_STATS, index, FWD_RULE_STATS_WORDS, (__u64 *)stats);
}

/* The CPUs are read one after the other, so the end of a connection may be seen without its beginning. */
__u64 rule_stats_live(const struct fwd_rule_stats *stats)
{
	return stats->created > stats->ended ? stats->created - stats->ended : 0;
}

/* By words, because there may be thousands of ranges, each of all ports. */
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
 * Includes ports of draining rules, because packets of their connections must still be looked up, and those of rules
 * that are about to be added.
 *
 * Target ports stay in the set when their last map goes: a connection of the gateway itself whose source port was
 * translated must be translated until it ends, and it does not end with the map. The cost is two lookups for each
 * packet of a local process to such a port.
 */
static enum fwd_exit write_ports(const struct instance *in, const struct rules *rules, struct fwd_report *report)
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
	return ret ? write_error(FWD_MAP_PORTS, ret, report) : FWD_DONE;
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

/* Writes the end of the rules, the prefix lengths in use, and whether the change is committed: raises config.change
 * to the next odd or even number, unless it is one. `ended`: connections were, so the garbage collector is to check
 * all. */
static enum fwd_exit write_config(const struct instance *in, const struct rules *rules, bool committed, bool ended,
				  struct fwd_report *report)
{
	struct fwd_config config;

	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	if (committed)
		config.plens = 0;
	for_each_rule (rule, rules)
		if (committed && state_after(rule) == FWD_RULE_ACTIVE)
			config.plens |= prefix_lengths(rule);
	config.rules_end = rules->end;
	config.gc_all += ended;
	config.change += is_committed(config.change) != committed;
	return config_write(in, &config, report);
}

/* While a rule drains, another one may have its LISTEN, and so the keys. */
static void delete_keys(const struct instance *in, const struct fwd_rule *rule, __u32 index)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);
	__u32 owner;

	/* The only error is a missing key. */
	while (count--)
		if (!map_read(&in->maps, FWD_MAP_RULE_INDEX, &keys[count], &owner) && owner == index)
			map_delete(&in->maps, FWD_MAP_RULE_INDEX, &keys[count]);
}

static enum fwd_exit insert_keys(const struct instance *in, const struct fwd_rule *rule, __u32 index,
				 struct fwd_report *report)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);

	while (count) {
		int ret = map_write(&in->maps, FWD_MAP_RULE_INDEX, &keys[--count], &index);

		if (ret == -E2BIG)
			return report_error(
				report,
				ABOUT(.fix = "merge some, or let them begin and end at multiples of a power "
					     "of two"),
				"no room for more ranges of ports");
		if (ret)
			return write_error(FWD_MAP_RULE_INDEX, ret, report);
	}
	return FWD_DONE;
}

/* Whether the key is one of the active rule with that index. */
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

/* ---- a change: noted, committed, carried out ---- */

static enum fwd_exit begin(const struct instance *in, const struct rules *rules, struct fwd_report *report)
{
	return instance_dirty_set(in, report) ? FWD_NOT_DONE : write_config(in, rules, false, false, report);
}

/* Before this write nothing has changed; after it everything will. */
static enum fwd_exit commit(const struct instance *in, const struct rules *rules, struct fwd_report *report)
{
	return write_config(in, rules, true, false, report);
}

/* From now on packets that open a connection see the change; microseconds pass between the first rule and the last. */
static void set_states(struct rules *rules)
{
	for_each_rule (rule, rules)
		if (rule->change)
			__atomic_store_n(&rule->state, state_after(rule), __ATOMIC_RELEASE);
}

/* Raising `gen` ends all connections of the rule. The other members stay, because a program may be reading them. */
static void free_rule(struct fwd_rule *rule)
{
	__atomic_store_n(&rule->state, FWD_RULE_FREE, __ATOMIC_RELEASE);
	__atomic_store_n(&rule->gen, rule->gen + 1, __ATOMIC_RELEASE);
}

/* After all states are set: a packet that still found the rule has read its `gen` by now, and its connection ends when
 * that is raised. */
static void clear_changes(struct rules *rules)
{
	for_each_rule (rule, rules) {
		if (rule->change == FWD_CHANGE_END)
			free_rule(rule);
		if (rule->change)
			__atomic_store_n(&rule->change, FWD_CHANGE_NONE, __ATOMIC_RELEASE);
	}
}

static enum fwd_exit drop_uncommitted(const struct instance *in, struct rules *rules, struct fwd_report *report)
{
	struct fwd_config config;

	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	for (__u32 i = 0; !is_committed(config.change) && i < rules->end; i++)
		if (rules->at[i].change)
			rules->at[i].change = FWD_CHANGE_NONE;
	return FWD_DONE;
}

/* Completes or drops a change, at whatever step it was interrupted, and writes all that follows from `rules` again. */
static enum fwd_exit recover(const struct instance *in, struct rules *rules, struct fwd_report *report)
{
	if (drop_uncommitted(in, rules, report))
		return FWD_NOT_DONE;
	set_states(rules);
	delete_wrong_keys(in, rules);
	if (write_ports(in, rules, report) || write_config(in, rules, true, true, report))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < rules->end; i++)
		if (rules->at[i].state == FWD_RULE_ACTIVE && insert_keys(in, &rules->at[i], i, report))
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
			free_rule(&rules->at[i]);
}

enum fwd_exit rules_open(const struct instance *in, struct rules *rules, size_t more, struct fwd_report *report)
{
	struct fwd_config config;

	*rules = (struct rules){};
	if (!in->exists)
		return FWD_DONE;
	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	rules->end = config.rules_end;
	rules->room = rules->end + more < FWD_RULES_MAX ? rules->end + more : FWD_RULES_MAX;
	if (!rules->room)
		return FWD_DONE;
	rules->at = map_view(&in->maps, FWD_MAP_RULES, rules->room * sizeof(*rules->at), true);
	if (!rules->at)
		return report_error(report, NULL, "can't read the maps: %m");
	rules->live = true;
	if (instance_dirty(in) && recover(in, rules, report))
		return FWD_NOT_DONE;
	free_drained(in, rules);
	return FWD_DONE;
}

enum fwd_exit rules_order(const struct rules *rules, size_t more, struct rule_order *order, struct fwd_report *report)
{
	size_t room = rules->end + more;

	*order = (struct rule_order){.rule = calloc(room ? room : 1, sizeof(*order->rule))};
	if (!order->rule)
		return report_no_memory(report);
	for_each_rule (rule, rules)
		if (rule->state == FWD_RULE_ACTIVE)
			order->rule[order->count++] = rule;
	return FWD_DONE;
}

void rules_order_free(struct rule_order *order)
{
	free(order->rule);
}

/* ---- adding and removing ---- */

/* The rule as one of those to be added; NULL: it exists already. */
static const struct new_rule *as_added(const struct fwd_rule *rule, const struct new_rule *added, size_t count)
{
	const struct new_rule *new = (const struct new_rule *)rule;

	return new >= added &&new < added + count ? new : NULL;
}

/* `rule` excludes the new one, `later`: the text is wrong if both are in it, otherwise the running state is the
 * reason. */
static enum fwd_exit conflict(const struct new_rule *later, const struct fwd_rule *rule, const struct new_rule *earlier,
			      struct fwd_report *report)
{
	enum fwd_exit (*emit)(struct fwd_report *, const struct fwd_about *, const char *, ...) =
		earlier ? report_usage : report_error;
	char own[FWD_ENDPOINT_TEXT], text[FWD_RULE_TEXT], listen[FWD_ENDPOINT_TEXT], fix[FWD_FIX_TEXT];
	struct fwd_about about = {.object = rule_listen_text(&later->rule, own), .fix = fix, .line = later->line};

	rule_listen_text(rule, listen);
	if (earlier)
		snprintf(fix, sizeof(fix), "see line %u", earlier->line);
	else
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a conflict is between two rules */
		snprintf(fix, sizeof(fix), "fwdctl map del %s %s", proto_name(rule->proto), listen);
	if (!rule_overlap(&later->rule, rule)) {
		about.option = "--name";
		about.object = rule->name;
		return emit(report, &about, "is the name of the map %s already", rule_text(rule, text));
	}
	if (!strcmp(own, listen) && rule_same_words(&later->rule, rule)) {
		about.fix = earlier ? fix : NULL;
		return emit(report, &about, "is mapped to %s already, with the same options",
			    rule_target_text(rule, text));
	}
	if (!strcmp(own, listen))
		return emit(report, &about, "is mapped to %s already", rule_target_text(rule, text));
	return emit(report, &about, "overlaps the map %s", rule_text(rule, text));
}

static enum fwd_exit check_conflicts(const struct rules *rules, const struct new_rule *added, size_t count,
				     struct fwd_report *report)
{
	const struct fwd_rule *a, *b;
	const struct new_rule *new_a, *new_b;
	enum fwd_exit ret = FWD_DONE;
	struct rule_order order;

	if (rules_order(rules, count, &order, report))
		return FWD_NOT_DONE;
	for (size_t i = 0; i < count; i++)
		order.rule[order.count++] = &added[i].rule;
	rule_order_sort(&order);
	if (rule_order_overlap(&order, &a, &b) || rule_order_same_name(&order, &a, &b)) {
		new_a = as_added(a, added, count);
		new_b = as_added(b, added, count);
		ret = new_a > new_b ? conflict(new_a, b, new_b, report) : conflict(new_b, a, new_a, report);
	}
	rules_order_free(&order);
	return ret;
}

/* Free rules are used first, then those that never were in use. */
static enum fwd_exit make_room(struct rules *rules, const struct new_rule *added, size_t count,
			       struct fwd_report *report)
{
	size_t free = 0, most;

	for_each_rule (rule, rules)
		free += rule->state == FWD_RULE_FREE;
	most = free + FWD_RULES_MAX - rules->end;
	if (count > most)
		return report_error(report, ABOUT(.line = added[most].line),
				    "there are %d maps already, which is the maximum", FWD_RULES_MAX);
	if (count > free)
		rules->end += count - free;
	return FWD_DONE;
}

static enum fwd_exit write_rules(const struct instance *in, struct rules *rules, const struct new_rule *added,
				 size_t count, struct fwd_report *report)
{
	__u32 index = 0;
	int ret;

	for (size_t i = 0; i < count; i++, index++) {
		struct fwd_rule rule = added[i].rule;

		while (rules->at[index].state != FWD_RULE_FREE)
			index++;
		rule.gen = rules->at[index].gen;
		rule.state = FWD_RULE_FREE;
		rule.change = FWD_CHANGE_ADD;
		rules->at[index] = rule;
		ret = map_set_sum(&in->maps, FWD_MAP_RULE_STATS, index, FWD_RULE_STATS_WORDS, NULL);
		if (ret)
			return report_error(report, ABOUT(.fix = errno_fix(-ret)), "can't reset the map's counters: %s",
					    strerror(-ret));
	}
	return FWD_DONE;
}

static enum fwd_exit insert_new_keys(const struct instance *in, const struct rules *rules, struct fwd_report *report)
{
	for (__u32 i = 0; i < rules->end; i++)
		if (rules->at[i].change == FWD_CHANGE_ADD && insert_keys(in, &rules->at[i], i, report))
			return FWD_NOT_DONE;
	return FWD_DONE;
}

/* The keys lead to FREE rules until the states are set, which comes last. */
static enum fwd_exit note_additions(const struct instance *in, struct rules *rules, const struct new_rule *added,
				    size_t count, struct fwd_report *report)
{
	return begin(in, rules, report) || write_rules(in, rules, added, count, report) ||
			       write_ports(in, rules, report) || insert_new_keys(in, rules, report)
		       ? FWD_NOT_DONE
		       : FWD_DONE;
}

enum fwd_exit rules_add(const struct instance *in, struct rules *rules, const struct new_rule *added, size_t count,
			struct fwd_report *report)
{
	enum fwd_exit ret = check_conflicts(rules, added, count, report);

	if (!ret)
		ret = make_room(rules, added, count, report);
	if (ret)
		return ret;
	if (note_additions(in, rules, added, count, report) || commit(in, rules, report)) {
		if (instance_dirty(in) && !recover(in, rules, report))
			report_progress(report, NULL, "nothing was changed");
		return FWD_NOT_DONE;
	}
	set_states(rules);
	clear_changes(rules);
	instance_dirty_clear(in);
	return FWD_DONE;
}

/* What follows from a committed removal. A failure undoes nothing, so it is a note: the instance stays dirty, and the
 * next change writes all of it again. */
static void complete_removal(const struct instance *in, struct rules *rules, const __u8 *changes, bool ended,
			     struct fwd_report *report)
{
	struct fwd_error_list errors = error_list_init();

	set_states(rules);
	for (__u32 i = 0; i < rules->end; i++)
		if (changes[i])
			delete_keys(in, &rules->at[i], i);
	write_ports(in, rules, &errors.report);
	clear_changes(rules);
	if (ended)
		write_config(in, rules, true, true, &errors.report);
	if (errors.count || errors.failed)
		report_note(report, NULL,
			    "the maps are removed; some of their entries remain until the next change of a map: %s",
			    errors.count ? errors.error[0].text : "no memory");
	else
		instance_dirty_clear(in);
	error_list_free(&errors);
}

enum fwd_exit rules_remove(const struct instance *in, struct rules *rules, const __u8 *changes,
			   struct fwd_report *report)
{
	bool ended = false;

	if (begin(in, rules, report))
		return FWD_NOT_DONE;
	for (__u32 i = 0; i < rules->end; i++) {
		if (changes[i])
			rules->at[i].change = changes[i];
		ended |= changes[i] == FWD_CHANGE_END;
	}
	if (commit(in, rules, report)) {
		recover(in, rules, report);
		return FWD_NOT_DONE;
	}
	complete_removal(in, rules, changes, ended, report);
	return FWD_DONE;
}

/* The path of the rule as far as the host decides it. A route through a tunnel binds it as before. From OPEN it is
 * decided again: the device that the route led to may have been attached before its tunnel was. */
static void refresh_path(struct fwd_rule *rule, bool ipsec)
{
	const __u8 path = rule->path;

	if (path != FWD_PATH_IPSEC)
		rule->was_tunnel = path == FWD_PATH_TUNNEL;
	__atomic_store_n(&rule->path,
			 ipsec              ? FWD_PATH_IPSEC
			 : rule->was_tunnel ? FWD_PATH_TUNNEL
					    : FWD_PATH_UNKNOWN,
			 __ATOMIC_RELAXED);
}

static void note_ipsec(struct targets *targets, const struct fwd_rule *rule, struct fwd_report *report)
{
	struct target *target = target_find(targets, &rule->target, rule->target_low, report);
	char text[FWD_ENDPOINT_TEXT];

	if (!target || target->ipsec_noted)
		return;
	target->ipsec_noted = true;
	report_note(report, ABOUT(.object = rule_target_text(rule, text), .fix = TARGET_IPSEC_FIX),
		    "an IPsec policy applies to packets to it: its maps forward nothing");
}

/* If the policies cannot be read, the paths stay as they are. The devices are attached by now, so that is a note. */
static void refresh_paths(struct rules *rules, struct targets *targets, struct fwd_report *report)
{
	struct fwd_error_list errors = error_list_init();
	enum fwd_exit ret = FWD_DONE;
	bool ipsec;

	for_each_rule (rule, rules) {
		if (ret || rule->state == FWD_RULE_FREE)
			continue;
		ret = target_has_ipsec(targets, rule, &ipsec, &errors.report);
		if (ret)
			continue;
		refresh_path(rule, ipsec);
		if (ipsec)
			note_ipsec(targets, rule, report);
	}
	if (ret)
		report_note(report, ABOUT(.fix = "attach again when that is possible"), "%s",
			    errors.count ? errors.error[0].text : "no memory");
	error_list_free(&errors);
}

enum fwd_exit rules_refresh_sources(struct rules *rules, struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;
	struct targets targets = {};

	refresh_paths(rules, &targets, report);
	for_each_rule (rule, rules) {
		struct target *target;

		if (ret || rule->state != FWD_RULE_ACTIVE || rule->snat == FWD_SNAT_LIST)
			continue;
		target = target_find(&targets, &rule->target, rule->target_low, report);
		if (!target) {
			ret = FWD_NOT_DONE;
		} else if (!target->has_source) {
			target_note_no_source(target, rule, 0, report);
		} else if (!rule->snat_count || !addr_equal(&rule->pool[0], &target->source)) {
			rule->pool[0] = target->source;
			__atomic_store_n(&rule->snat_count, 1, __ATOMIC_RELEASE);
		}
	}
	targets_free(&targets);
	return ret;
}

enum fwd_exit rules_forget_connections(const struct instance *in, const struct rules *rules, struct fwd_report *report)
{
	const size_t counters_words = sizeof(struct fwd_counters) / sizeof(__u64);
	struct fwd_rule_stats stats;
	struct fwd_counters counters;
	int ret;

	ret = map_sum(&in->maps, FWD_MAP_COUNTERS, 0, counters_words, (__u64 *)&counters);
	counters.value[FWD_COUNTER_FLUSHED] += counters.value[FWD_COUNTER_CREATED] - counters_of_ends(&counters);
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
	return ret ? report_error(report, NULL, "can't reset the counters: %s", strerror(-ret)) : FWD_DONE;
}
