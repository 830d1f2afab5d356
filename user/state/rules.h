/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of an instance: `rules` and what follows from it (`rule_index`, `ports`, the prefix lengths in `config`).
 *
 * A change, of however many maps, is first noted in each of them (fwd_rule.change), with no effect: the states are what
 * the programs go by. One write, of config.change, decides it; then it is carried out. Whoever comes behind one that
 * was cut short finishes it if it was decided, and else forgets it (instance_dirty()); whoever only reads sees it by
 * config.change as a whole, or not at all.
 */
#ifndef FWD_USER_RULES_H
#define FWD_USER_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "fwd/counters.h"
#include "fwd/rule.h"
#include "state/instance.h"

/* Sums over the CPUs, in the layout of struct fwd_rule_stats. */
#define FWD_RULE_STATS_WORDS (sizeof(struct fwd_rule_stats) / sizeof(__u64))

/* The places that were ever in use, FREE ones included; those behind them are FREE. */
struct rules {
	struct fwd_rule *at;
	__u32 end;
	__u32 room; /* places that there is memory for */
	bool live;  /* `at` is the map itself: what is written there the programs see */
};

#define for_each_rule(rule, rules) for (struct fwd_rule *rule = (rules)->at; rule < (rules)->at + (rules)->end; rule++)

/* A copy, as they were at one moment. Prints why not; rules_close() must follow whatever it returns, as behind
 * rules_open(). */
enum fwd_exit rules_read(const struct instance *in, struct rules *rules);

/* The places themselves, for who is going to change them, under the lock, with room for `more` maps. What a killed
 * process left has been repaired, and places are free whose last connection has ended. */
enum fwd_exit rules_open(const struct instance *in, struct rules *rules, size_t more);

void rules_close(struct rules *rules);

/* A map to be added, and the line of standard input that it is on; 0: the command line. */
struct new_rule {
	struct fwd_rule rule;
	unsigned int line;
};

/* Adds all of them or none: prints why not, and then nothing has changed. */
enum fwd_exit rules_add(const struct instance *in, struct rules *rules, const struct new_rule *added, size_t count);

/* Removes all those at once for whose place changes[rules->end] says FWD_CHANGE_END or FWD_CHANGE_KEEP. */
enum fwd_exit rules_remove(const struct instance *in, struct rules *rules, const __u8 *changes);

/* Chooses the source address of every `--snat auto` map anew, as routes are now. */
enum fwd_exit rules_refresh_sources(struct rules *rules);

int rule_stats_read(const struct instance *in, __u32 index, struct fwd_rule_stats *stats);
__u64 rule_stats_live(const struct fwd_rule_stats *stats);

/* Forgets connections that are gone with the table that held them. */
enum fwd_exit rules_forget_connections(const struct instance *in, const struct rules *rules);

#endif
