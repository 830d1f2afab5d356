/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether an IPsec policy (xfrm) keeps the packets of a map from leaving in clear. */
#ifndef FWD_USER_IPSEC_POLICY_H
#define FWD_USER_IPSEC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/xfrm.h>
#include "fwd/rule.h"

/* A policy of direction `out`, without a mark and an xfrm interface. */
struct ipsec_policy {
	struct xfrm_selector selector;
	__u32 priority; /* of the policies that match a packet, that with the lowest one applies */
	bool clear;     /* packets pass in clear; otherwise they are encrypted or blocked */
};

/* Whether packets to the rule's target have to be encrypted, or are blocked: a policy that matches some of them demands
 * it, and no policy with a lower priority lets all of them pass in clear. Their source is an address of the pool and
 * any port; without a pool it is unknown. */
bool ipsec_policies_apply(const struct ipsec_policy *policy, size_t count, const struct fwd_rule *rule);

#endif
