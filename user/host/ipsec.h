/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPsec policies of the current network namespace (xfrm). The programs bypass them: bpf_fib_lookup() does not look at
 * policies, and a redirected packet never reaches xfrm4_route_forward(). */
#ifndef FWD_USER_IPSEC_H
#define FWD_USER_IPSEC_H

#include <stdbool.h>
#include <stddef.h>
#include "fwd/rule.h"

struct ipsec_policy;

/* The policies at one moment. Zeroed: not read yet. */
struct ipsec_policies {
	struct ipsec_policy *policy; /* sorted by priority */
	size_t count;
	bool read;
};

/* Packets to the rule's target have to be encrypted, or are blocked: the policy of direction `out` with the best
 * priority that matches target, protocol and a port of the rule does not let them pass in clear. Policies for a mark or
 * an xfrm interface do not count, and policies for one source count only if it is the rule's. False also if the kernel
 * has no IPsec. */
bool ipsec_applies(struct ipsec_policies *all, const struct fwd_rule *rule);
void ipsec_free(struct ipsec_policies *all);

#endif
