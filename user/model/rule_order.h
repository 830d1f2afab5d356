/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules sorted by LISTEN: protocol, family, address, ports. Rules that overlap on one address are neighbours then, and
 * one of many that do not overlap is found by bisection.
 */
#ifndef FWD_USER_RULE_ORDER_H
#define FWD_USER_RULE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include "fwd/rule.h"

/* An array of pointers that the caller fills and owns. */
struct rule_order {
	const struct fwd_rule **rule;
	size_t count;
};

void rule_order_sort(struct rule_order *order);

/* Of sorted rules that do not overlap: one that shares a port with `like` and listens on exactly the same address, the
 * wildcard being an address like any other. NULL: none. */
const struct fwd_rule *rule_order_find(const struct rule_order *order, const struct fwd_rule *like);

/* Of sorted rules: two that overlap, in *a and *b. False: none do. */
bool rule_order_overlap(const struct rule_order *order, const struct fwd_rule **a, const struct fwd_rule **b);

/* Two that have the same name. Drops rules without a name from the array, and sorts the rest by name. */
bool rule_order_same_name(struct rule_order *order, const struct fwd_rule **a, const struct fwd_rule **b);

#endif
