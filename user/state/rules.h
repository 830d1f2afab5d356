/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The port maps of an instance: the BPF map `rules` and those derived from it (`rule_index`, `ports`, the prefix
 * lengths in `config`).
 *
 * A change, of one rule or of thousands, is first noted in each of them (fwd_rule.change). That has no effect,
 * because the programs go by the states. One write, of config.change, commits it; then it is carried out. If a writer
 * was interrupted, the next one completes a committed change and drops an uncommitted one (instance_dirty()). A
 * reader sees a change by config.change, as a whole or not at all.
 */
#ifndef FWD_USER_RULES_H
#define FWD_USER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "fwd/counters.h"
#include "fwd/rule.h"
#include "model/rule_order.h"
#include "state/instance.h"

/* For map_sum() of struct fwd_rule_stats. */
#define FWD_RULE_STATS_WORDS (sizeof(struct fwd_rule_stats) / sizeof(__u64))

/* The rules that were ever in use, FREE ones included; those after them are FREE. */
struct rules {
	struct fwd_rule *at;
	__u32 end;  /* how many */
	__u32 room; /* how many there is memory for */
	bool live;  /* `at` is the BPF map itself: the programs see what is written there */
};

/* Of an instance that does not exist there are none: `at` is NULL. */
#define for_each_rule(rule, rules)                                                                                    \
	for (struct fwd_rule *rule = (rules)->at, *rule##_end = rule ? rule + (rules)->end : rule; rule < rule##_end; \
	     rule++)

/* A copy of the rules at one moment, without a lock. rules_close() must follow, after a failure, too; so after
 * rules_open(). */
enum fwd_exit rules_read(const struct instance *in, struct rules *rules, struct fwd_report *report);

/* The rules themselves, for a change under the lock, with room for `more`. Recovers from a writer that was
 * interrupted, and frees draining rules whose last connection has ended. */
enum fwd_exit rules_open(const struct instance *in, struct rules *rules, size_t more, struct fwd_report *report);

void rules_close(struct rules *rules);

/* The active rules, not sorted yet, with room for `more`. rules_order_free() must follow, after a failure, too. */
enum fwd_exit rules_order(const struct rules *rules, size_t more, struct rule_order *order, struct fwd_report *report);
void rules_order_free(struct rule_order *order);

/* A rule to be added, and the line of the input that it is on; 0: the command line. */
struct new_rule {
	struct fwd_rule rule;
	unsigned int line;
};

/* Adds all of them or none. Returns FWD_BAD_USAGE if two of them exclude each other. */
enum fwd_exit rules_add(const struct instance *in, struct rules *rules, const struct new_rule *added, size_t count,
			struct fwd_report *report);

/* Removes all those at once for which changes[0] to changes[rules->end - 1] is FWD_CHANGE_END or FWD_CHANGE_KEEP. */
enum fwd_exit rules_remove(const struct instance *in, struct rules *rules, const __u8 *changes,
			   struct fwd_report *report);

/* Chooses the source address of each `--snat auto` map again, by the routes of now, and its path as far as it is not
 * known (enum fwd_rule_path). Notes the maps that an IPsec policy keeps from forwarding. */
enum fwd_exit rules_refresh_sources(struct rules *rules, struct fwd_report *report);

/* Returns 0 or a negative errno. */
int rule_stats_read(const struct instance *in, __u32 index, struct fwd_rule_stats *stats);

/* The number of connections. */
__u64 rule_stats_live(const struct fwd_rule_stats *stats);

/* Sets all counts of connections to 0, after the connection table was created again. */
enum fwd_exit rules_forget_connections(const struct instance *in, const struct rules *rules, struct fwd_report *report);

#endif
