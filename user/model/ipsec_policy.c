/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include "model/ipsec_policy.h"
#include "model/rule.h"

/* Packets of the rule that a selector matches. */
enum share {
	SHARE_NONE,
	SHARE_SOME, /* or all: it is not known */
	SHARE_ALL,
};

/* Of the share of two conditions. */
static enum share both(enum share a, enum share b)
{
	return a < b ? a : b;
}

static enum share all_or_none(bool all)
{
	return all ? SHARE_ALL : SHARE_NONE;
}

static enum share of_count(size_t matching, size_t count)
{
	return matching == count ? SHARE_ALL : matching ? SHARE_SOME : SHARE_NONE;
}

static bool prefix_has(const xfrm_address_t *prefix, __u8 bits, const struct fwd_addr *addr)
{
	const __u8 *of = (const __u8 *)prefix, *in = addr_is_v4(addr) ? (const __u8 *)&addr->w[3] : (const __u8 *)addr;
	__u8 rest = bits % 8;

	return !memcmp(of, in, bits / 8) && (!rest || !((of[bits / 8] ^ in[bits / 8]) >> (8 - rest)));
}

/* The source addresses: visitors' with --snat none, and not chosen yet without a route. */
static enum share share_of_sources(const struct xfrm_selector *selector, const struct fwd_rule *rule)
{
	size_t matching = 0;

	if (!selector->prefixlen_s)
		return SHARE_ALL;
	if (rule->snat == FWD_SNAT_NONE || !rule->snat_count)
		return SHARE_SOME;
	for (size_t i = 0; i < rule->snat_count; i++)
		matching += prefix_has(&selector->saddr, selector->prefixlen_s, &rule->pool[i]);
	return of_count(matching, rule->snat_count);
}

static enum share share_of_ports(const struct xfrm_selector *selector, const struct fwd_rule *rule)
{
	const __u32 low = rule->target_low, high = rule_target_high(rule);
	size_t matching = 0;

	if (!selector->dport_mask)
		return SHARE_ALL;
	for (__u32 port = low; port <= high; port++)
		matching += !((port ^ ntohs(selector->dport)) & ntohs(selector->dport_mask));
	return of_count(matching, high - low + 1);
}

/* As __xfrm4_selector_match() and __xfrm6_selector_match() compare (net/xfrm/xfrm_policy.c). The device may change, and
 * so may the source port. */
static enum share share_of(const struct xfrm_selector *selector, const struct fwd_rule *rule)
{
	const bool v4 = rule->family == FWD_FAMILY_IPV4;
	enum share share = selector->ifindex || selector->sport_mask ? SHARE_SOME : SHARE_ALL;

	if (selector->family && selector->family != (v4 ? AF_INET : AF_INET6))
		return SHARE_NONE;
	if (!prefix_has(&selector->daddr, selector->prefixlen_d, &rule->target))
		return SHARE_NONE;
	share = both(share, all_or_none(!selector->proto || selector->proto == rule->proto));
	share = both(share, share_of_sources(selector, rule));
	return both(share, share_of_ports(selector, rule));
}

/* Of equal priorities the older policy applies, which is not known here: then the one that demands encryption does. */
bool ipsec_policies_apply(const struct ipsec_policy *policy, size_t count, const struct fwd_rule *rule)
{
	const struct ipsec_policy *demand = NULL, *passes = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct ipsec_policy **best = policy[i].clear ? &passes : &demand;
		enum share share = share_of(&policy[i].selector, rule);

		if (share < (policy[i].clear ? SHARE_ALL : SHARE_SOME))
			continue;
		if (!*best || policy[i].priority < (*best)->priority)
			*best = &policy[i];
	}
	return demand && (!passes || demand->priority <= passes->priority);
}
