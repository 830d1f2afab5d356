/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups about the targets of maps, once for each address, because thousands of maps may lead to one; and about the
 * other addresses of maps. */
#ifndef FWD_USER_TARGET_H
#define FWD_USER_TARGET_H

#include <stdbool.h>
#include "base/err.h"
#include "fwd/addr.h"
#include "fwd/rule.h"
#include "host/iface.h"
#include "host/route.h"
#include "host/ipsec.h"

struct target {
	struct fwd_addr addr;
	struct fwd_addr source; /* this host's source address towards it, if has_source */
	bool has_source;
	bool checked;       /* by target_check() */
	bool noted;         /* a note about its route was reported, or none is necessary */
	bool ipsec_noted;   /* a note about an IPsec policy was reported */
	bool has_route;     /* the kernel was asked, by target_check() */
	struct route route; /* if has_route */
};

/* Zeroed: empty. A snapshot: to be used for one command. */
struct targets {
	void *tree; /* of struct target, tsearch(3) */
	struct iface_addrs own;
	struct routes routes;
	struct ipsec_policies ipsec;
};

/* Port in host order: rules of `ip rule` may depend on it, but the first port that is looked up stands for all. NULL:
 * no memory, reported. */
struct target *target_find(struct targets *targets, const struct fwd_addr *addr, __u16 port, struct fwd_report *report);
void targets_free(struct targets *targets);

/* Whether the address is this host's: a device has it, in name[IF_NAMESIZE], or a route of type local leads to it. */
bool address_is_own(struct targets *targets, const struct fwd_addr *addr, char *name);

/* Fails if the address of --snat is a network's broadcast address or its first one; or, unless `force`, if it is not
 * this host's, because replies to it come back only if they are routed here. */
enum fwd_exit source_check(struct targets *targets, const struct fwd_addr *source, bool force,
			   struct fwd_report *report);

/* Fails if the target of the rule is this host itself, or a broadcast address. */
enum fwd_exit target_check(struct targets *targets, struct target *target, const struct fwd_rule *rule,
			   struct fwd_report *report);

/* *applies: an IPsec policy demands that packets of the rule to its target are encrypted, or blocks them. Fails if the
 * policies cannot be read. */
enum fwd_exit target_has_ipsec(struct targets *targets, const struct fwd_rule *rule, bool *applies,
			       struct fwd_report *report);

#define TARGET_IPSEC_FIX "ip xfrm policy shows it; use netfilter's DNAT for this target"

/* Fails if an IPsec policy applies to packets that the rule would forward to its target. `line`: of the input, 0:
 * none. */
enum fwd_exit target_check_ipsec(struct targets *targets, const struct fwd_rule *rule, unsigned int line,
				 struct fwd_report *report);

/* Notes that no route leads to the target. */
void target_note_no_route(const struct fwd_about *target, struct fwd_report *report);

/* Notes, once for each target, that the rule's source address is not known because there is no route, if so. `line`: of
 * the input, 0: none. */
void target_note_no_source(struct target *target, const struct fwd_rule *rule, unsigned int line,
			   struct fwd_report *report);

#endif
