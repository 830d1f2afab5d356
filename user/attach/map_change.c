/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attach/device.h"
#include "attach/map_change.h"
#include "attach/map_notes.h"
#include "base/array.h"
#include "model/rule.h"

/* ---- adding ---- */

static struct new_rule *grow(struct map_additions *all, struct fwd_report *report)
{
	struct new_rule *grown = array_grow(all->rule, all->count, sizeof(*grown));

	if (grown)
		all->rule = grown;
	else
		report_no_memory(report);
	return grown ? &grown[all->count] : NULL;
}

static enum fwd_exit check_sources(struct map_additions *all, const struct fwd_rule *rule, bool force,
				   struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;

	for (int i = 0; !ret && rule->snat == FWD_SNAT_LIST && i < rule->snat_count; i++)
		ret = source_check(&all->targets, &rule->pool[i], force, report);
	return ret;
}

/* The addresses and routes of another network namespace would decide about the maps. */
static enum fwd_exit check_netns(const struct instance *in, struct device_list *list, struct fwd_report *report)
{
	bool foreign;

	devices_read(in, list);
	return devices_check_netns(in, list, &foreign, report);
}

/* Before the first map is checked on this host. Reports about no line of the input. */
static enum fwd_exit check_netns_first(struct map_additions *all, struct fwd_report *report)
{
	const unsigned int line = report->line;
	struct device_list list;
	struct instance in;
	enum fwd_exit ret;

	if (all->netns_checked)
		return FWD_DONE;
	report->line = 0;
	ret = instance_open(&in, all->pin_dir, INSTANCE_CHANGE, report);
	if (!ret)
		ret = check_netns(&in, &list, report);
	instance_close(&in);
	report->line = line;
	all->netns_checked = !ret;
	return ret;
}

enum fwd_exit map_additions_add(struct map_additions *all, const struct fwd_rule *rule, unsigned int line, bool force,
				struct fwd_report *report)
{
	struct new_rule *new;
	struct target *target;

	if (all->count == FWD_RULES_MAX)
		return report_usage(report, ABOUT(.line = line), "expected at most %d maps", FWD_RULES_MAX);
	if (check_netns_first(all, report))
		return FWD_NOT_DONE;
	new = grow(all, report);
	target = new ? target_find(&all->targets, &rule->target, rule->target_low, report) : NULL;
	if (!target || target_check(&all->targets, target, rule, report) || check_sources(all, rule, force, report))
		return FWD_NOT_DONE;
	*new = (struct new_rule){.rule = *rule, .line = line};
	if (rule->snat != FWD_SNAT_LIST) {
		new->rule.snat_count = target->has_source;
		new->rule.pool[0] = target->source;
	}
	if (target_check_ipsec(&all->targets, &new->rule, line, report))
		return FWD_NOT_DONE;
	all->count++;
	return FWD_DONE;
}

void map_additions_free(struct map_additions *all)
{
	targets_free(&all->targets);
	free(all->rule);
}

/* Only of IPv6: attach has checked IPv4, and IPv6 only if there were maps of it. */
static void check_forwarding(const struct device_list *list, const struct map_additions *all, struct fwd_report *report)
{
	bool v6 = false;

	for (size_t i = 0; i < all->count; i++)
		v6 |= all->rule[i].rule.family == FWD_FAMILY_IPV6;
	for (size_t i = 0; v6 && i < list->count; i++) {
		char name[IF_NAMESIZE];

		if (!iface_check_forwarding(device_name_now(&list->device[i], name), FWD_FAMILY_IPV6, report))
			break;
	}
}

static enum fwd_exit add_locked(const struct instance *in, struct rules *rules, struct map_additions *all,
				struct fwd_report *report)
{
	struct device_list list;
	enum fwd_exit ret = check_netns(in, &list, report);

	if (!ret)
		ret = rules_add(in, rules, all->rule, all->count, report);
	if (ret)
		return ret;
	map_notes(&list, all, report);
	check_forwarding(&list, all, report);
	return FWD_DONE;
}

enum fwd_exit maps_add(struct map_additions *all, struct fwd_report *report)
{
	struct rules rules = {};
	struct instance in;
	enum fwd_exit ret = instance_open(&in, all->pin_dir, INSTANCE_CREATE, report);

	if (!ret)
		ret = rules_open(&in, &rules, all->count, report);
	if (!ret)
		ret = add_locked(&in, &rules, all, report);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

/* ---- removing ---- */

struct choice {
	const struct rules *rules;
	struct rule_order active;    /* sorted */
	__u8 changes[FWD_RULES_MAX]; /* by index */
};

static enum fwd_exit no_such_map(const struct rules *rules, const struct map_removal *removal,
				 struct fwd_report *report)
{
	const struct fwd_about *about = ABOUT(.object = removal->text, .line = removal->line);
	char other[FWD_RULE_TEXT];

	for_each_rule (rule, rules)
		if (rule->state == FWD_RULE_ACTIVE && rule_touches(rule, removal->proto, &removal->listen))
			return report_error(report, about, "no map has this LISTEN, but it overlaps the map %s",
					    rule_text(rule, other));
	return report_error(
		report, ABOUT(.object = removal->text, .line = removal->line, .fix = "fwdctl map list shows all maps"),
		"no such map of %s", proto_name(removal->proto));
}

/* The active map of this family with exactly this LISTEN; NULL: none. */
static const struct fwd_rule *find_active(const struct rule_order *active, const struct map_removal *removal,
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
		rule = rule_order_find(active, &like);
	return rule && rule_listens_on(rule, removal->proto, listen) ? rule : NULL;
}

static enum fwd_exit mark(struct choice *choice, const struct map_removal *removal, const struct fwd_rule *rule,
			  struct fwd_report *report)
{
	__u8 *change = &choice->changes[rule - choice->rules->at];

	if (*change)
		return report_usage(report, ABOUT(.object = removal->text, .line = removal->line), "is given twice");
	*change = removal->change;
	return FWD_DONE;
}

/* All that drain, because they can have the same LISTEN. */
static enum fwd_exit mark_draining(struct choice *choice, const struct map_removal *removal, struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;
	bool found = false;

	for_each_rule (rule, choice->rules) {
		if (ret || rule->state != FWD_RULE_DRAINING || !rule_listens_on(rule, removal->proto, &removal->listen))
			continue;
		found = true;
		ret = mark(choice, removal, rule, report);
	}
	return found ? ret : no_such_map(choice->rules, removal, report);
}

/* Marks the active map, or else those that still drain. */
static enum fwd_exit choose(struct choice *choice, const struct map_removal *removal, struct fwd_report *report)
{
	const struct fwd_rule *v4 = find_active(&choice->active, removal, FWD_FAMILY_IPV4);
	const struct fwd_rule *v6 = find_active(&choice->active, removal, FWD_FAMILY_IPV6);
	char fix[FWD_FIX_TEXT];

	if (v4 && v6) {
		snprintf(fix, sizeof(fix), "write 0.0.0.0%s or [::]%s", removal->text, removal->text);
		return report_error(report, ABOUT(.object = removal->text, .fix = fix, .line = removal->line),
				    "there is one map of IPv4 and one of IPv6");
	}
	if (v4 || v6)
		return mark(choice, removal, v4 ?: v6, report);
	return mark_draining(choice, removal, report);
}

static enum fwd_exit choose_all(struct choice *choice, const struct map_removal *removal, size_t count,
				struct fwd_report *report)
{
	enum fwd_exit ret = rules_order(choice->rules, 0, &choice->active, report);

	if (ret)
		return ret;
	rule_order_sort(&choice->active);
	for (size_t i = 0; !ret && i < count; i++)
		ret = choose(choice, &removal[i], report);
	rules_order_free(&choice->active);
	return ret;
}

enum fwd_exit maps_remove(const char *pin_dir, const struct map_removal *removal, size_t count,
			  struct fwd_report *report)
{
	struct rules rules = {};
	struct choice choice = {.rules = &rules};
	struct instance in;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_CHANGE, report);

	if (!ret)
		ret = rules_open(&in, &rules, 0, report);
	if (!ret)
		ret = choose_all(&choice, removal, count, report);
	if (!ret)
		ret = rules_remove(&in, &rules, choice.changes, report);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

enum fwd_exit maps_flush(const char *pin_dir, struct fwd_report *report)
{
	__u8 changes[FWD_RULES_MAX];
	struct rules rules = {};
	struct instance in;
	bool any = false;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_CHANGE, report);

	if (!ret)
		ret = rules_open(&in, &rules, 0, report);
	for (__u32 i = 0; !ret && i < rules.end; i++) {
		changes[i] = rules.at[i].state == FWD_RULE_FREE ? FWD_CHANGE_NONE : FWD_CHANGE_END;
		any |= changes[i];
	}
	if (!ret && any)
		ret = rules_remove(&in, &rules, changes, report);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}
