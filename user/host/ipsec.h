/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPsec policies of the current network namespace (xfrm). The programs bypass them: bpf_fib_lookup() does not look at
 * policies, and a redirected packet never reaches xfrm4_route_forward(). */
#ifndef FWD_USER_IPSEC_H
#define FWD_USER_IPSEC_H

#include "base/err.h"
#include "model/ipsec_policy.h"

/* The policies of direction `out` at one moment. Zeroed: not read yet. */
struct ipsec_policies {
	struct ipsec_policy *policy;
	size_t count;
	bool read;
};

/* Reads them if that was not done yet. None if the kernel has no IPsec, and without those for a mark or an xfrm
 * interface. Fails if the kernel has it and cannot be asked. */
enum fwd_exit ipsec_read(struct ipsec_policies *all, struct fwd_report *report);
void ipsec_free(struct ipsec_policies *all);

#endif
