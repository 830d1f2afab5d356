/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups about the targets of maps, once for each address, because thousands of maps may lead to one. */
#ifndef FWD_USER_TARGET_H
#define FWD_USER_TARGET_H

#include <stdbool.h>
#include "base/err.h"
#include "fwd/addr.h"
#include "fwd/rule.h"
#include "host/iface.h"
#include "host/ipsec.h"

struct target {
	struct fwd_addr addr;
	struct fwd_addr source; /* this host's source address towards it, if has_source */
	bool has_source;
	bool checked; /* by target_check() */
	bool noted;   /* by target_note_no_source() */
};

/* Zeroed: empty. A snapshot: to be used for one command. */
struct targets {
	void *tree; /* of struct target, tsearch(3) */
	struct iface_addrs own;
	struct ipsec_policies ipsec;
};

/* Port in host order: rules of `ip rule` may depend on it, but the first port that is looked up stands for all. NULL:
 * no memory, reported. */
struct target *target_find(struct targets *targets, const struct fwd_addr *addr, __u16 port, struct fwd_report *report);
void targets_free(struct targets *targets);

/* Fails if the target is this host itself, or a broadcast address. */
enum fwd_exit target_check(struct targets *targets, struct target *target, struct fwd_report *report);

/* Fails if an IPsec policy applies to packets that the rule would forward to its target. `line`: of the input, 0:
 * none. */
enum fwd_exit target_check_ipsec(struct targets *targets, const struct fwd_rule *rule, unsigned int line,
				 struct fwd_report *report);

/* Notes, once for each target, that the rule's source address is not known because there is no route, if so. `line`: of
 * the input, 0: none. */
void target_note_no_source(struct target *target, const struct fwd_rule *rule, unsigned int line,
			   struct fwd_report *report);

#endif
