/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps in the order of what they listen on: protocol, family, address, ports. Two that overlap on one address are
 * neighbours then, and of maps that don't overlap any one is found by bisection, however many there are.
 */
#ifndef FWD_USER_ORDER_H
#define FWD_USER_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "fwd/rule.h"
#include "state/rules.h"

struct order {
	const struct fwd_rule **rule;
	size_t count;
};

/* The active ones of `rules`, not in order yet, and room for `more`. Prints why not. order_free() must follow whatever it
 * returns. */
enum fwd_exit order_init(struct order *order, const struct rules *rules, size_t more);
void order_free(struct order *order);

void order_add(struct order *order, const struct fwd_rule *rule);
void order_sort(struct order *order);

/* For maps that are in order: one that has ports of `like` on the very address that it listens on, the wildcard being
 * an address like any other. NULL: there is none. */
const struct fwd_rule *order_find(const struct order *order, const struct fwd_rule *like);

/* Two of those in order that can't be both there: into *a and *b. False: there are none. */
bool order_overlap(const struct order *order, const struct fwd_rule **a, const struct fwd_rule **b);

/* Two that have the same name. Leaves only those that have one, in the order of the names. */
bool order_namesakes(struct order *order, const struct fwd_rule **a, const struct fwd_rule **b);

#endif
