/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of an instance: `rules` and what follows from it (`rule_index`, `ports`, the prefix
 * lengths in `config`). A change is marked before it begins (instance_dirty_set()); whoever finds
 * the mark of one that was cut short makes all that follows from `rules` anew.
 */
#ifndef FWD_USER_RULES_H
#define FWD_USER_RULES_H

#include "err.h"
#include "fwd_abi.h"
#include "instance.h"

/* Sums over the CPUs, in the layout of struct fwd_rule_stats. */
#define FWD_RULE_STATS_WORDS (sizeof(struct fwd_rule_stats) / sizeof(__u64))

/* All FWD_RULES_MAX places, FREE ones included; all of them FREE if there is no instance. Returns
 * an array for free(), or NULL after printing why. */
struct fwd_rule *rules_read(const struct instance *in);

/* The same for who is going to change them, under the lock: repairs what a killed process left, and
 * frees places whose last connection has ended. */
struct fwd_rule *rules_open(const struct instance *in);

/* Adds one; *added becomes its place. Prints why not, and then nothing has changed. */
enum fwd_exit rules_add(const struct instance *in, struct fwd_rule *rules,
			const struct fwd_rule *rule);

/* What becomes of the connections of a map that is removed. */
enum fwd_rules_removal {
	FWD_REMOVE_END,  /* they end at once */
	FWD_REMOVE_KEEP, /* they go on to their own end */
};

/* Removes those whose place is marked in gone[FWD_RULES_MAX], in one go. */
enum fwd_exit rules_remove(const struct instance *in, struct fwd_rule *rules, const bool *gone,
			   enum fwd_rules_removal how);

/* Chooses the source address of every `--snat auto` map anew, as routes are now. */
enum fwd_exit rules_refresh_sources(const struct instance *in, struct fwd_rule *rules);

int rule_stats_read(const struct instance *in, __u32 index, struct fwd_rule_stats *stats);
__u64 rule_stats_live(const struct fwd_rule_stats *stats);

/* Forgets connections that are gone with the table that held them. */
enum fwd_exit rules_forget_connections(const struct instance *in, const struct fwd_rule *rules);

#endif
