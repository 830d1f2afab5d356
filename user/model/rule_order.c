/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "model/rule.h"
#include "model/rule_order.h"

static int compare_address(const struct fwd_rule *a, const struct fwd_rule *b)
{
	if (a->proto != b->proto)
		return a->proto - b->proto;
	if (a->family != b->family)
		return a->family - b->family;
	return memcmp(&a->listen, &b->listen, sizeof(a->listen));
}

static int by_listen(const void *a, const void *b)
{
	const struct fwd_rule *const *left = a, *const *right = b;
	int address = compare_address(*left, *right);

	return address ? address : (*left)->listen_low - (*right)->listen_low;
}

/* Equal: they share an address and a port. */
static int by_overlap(const void *like, const void *at)
{
	const struct fwd_rule *a = like, *b = *(const struct fwd_rule *const *)at;
	int address = compare_address(a, b);

	if (address)
		return address;
	return a->listen_high < b->listen_low ? -1 : a->listen_low > b->listen_high;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct fwd_rule *const *)a)->name, (*(const struct fwd_rule *const *)b)->name);
}

void rule_order_sort(struct rule_order *order)
{
	qsort(order->rule, order->count, sizeof(*order->rule), by_listen);
}

const struct fwd_rule *rule_order_find(const struct rule_order *order, const struct fwd_rule *like)
{
	const struct fwd_rule **found = bsearch(like, order->rule, order->count, sizeof(*order->rule), by_overlap);

	return found ? *found : NULL;
}

/* The wildcard rule that shares a port with a rule of one address. */
static const struct fwd_rule *find_wildcard(const struct rule_order *order, const struct fwd_rule *rule)
{
	struct fwd_rule like = *rule;

	like.listen = addr_unspecified(rule->family);
	return rule->any_listen ? NULL : rule_order_find(order, &like);
}

bool rule_order_overlap(const struct rule_order *order, const struct fwd_rule **a, const struct fwd_rule **b)
{
	for (size_t i = 1; i < order->count; i++) {
		*a = order->rule[i - 1];
		*b = order->rule[i];
		if (rule_overlap(*a, *b))
			return true;
	}
	for (size_t i = 0; i < order->count; i++) {
		*a = order->rule[i];
		*b = find_wildcard(order, *a);
		if (*b)
			return true;
	}
	return false;
}

bool rule_order_same_name(struct rule_order *order, const struct fwd_rule **a, const struct fwd_rule **b)
{
	size_t named = 0;

	for (size_t i = 0; i < order->count; i++)
		if (*order->rule[i]->name)
			order->rule[named++] = order->rule[i];
	order->count = named;
	qsort(order->rule, order->count, sizeof(*order->rule), by_name);
	for (size_t i = 1; i < order->count; i++) {
		*a = order->rule[i - 1];
		*b = order->rule[i];
		if (!strcmp((*a)->name, (*b)->name))
			return true;
	}
	return false;
}
