/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <net/if.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "host/target.h"
#include "model/rule.h"

static int by_address(const void *a, const void *b)
{
	const struct target *left = a, *right = b;

	return memcmp(&left->addr, &right->addr, sizeof(left->addr));
}

struct target *target_find(struct targets *targets, const struct fwd_addr *addr, __u16 port, struct fwd_report *report)
{
	struct target *target, like = {.addr = *addr}, **found = tfind(&like, &targets->tree, by_address);

	if (found)
		return *found;
	target = malloc(sizeof(*target));
	if (target) {
		*target = like;
		target->has_source = iface_source_towards(addr, port, &target->source);
	}
	if (target && tsearch(target, &targets->tree, by_address))
		return target;
	free(target);
	report_no_memory(report);
	return NULL;
}

void targets_free(struct targets *targets)
{
	tdestroy(targets->tree, free);
	iface_addrs_free(&targets->own);
	ipsec_free(&targets->ipsec);
}

enum fwd_exit target_check(struct targets *targets, struct target *target, struct fwd_report *report)
{
	char text[FWD_ADDR_TEXT], name[IF_NAMESIZE];

	if (target->checked)
		return FWD_DONE;
	target->checked = true;
	addr_format(&target->addr, text);
	if (iface_of_address(&targets->own, &target->addr, name))
		return report_error(report, ABOUT(.object = text),
				    "is an address of this host (%s): a map leads to another host", name);
	if (iface_is_broadcast(&target->addr))
		return report_error(report, ABOUT(.object = text), "is a broadcast address");
	return FWD_DONE;
}

enum fwd_exit target_check_ipsec(struct targets *targets, const struct fwd_rule *rule, unsigned int line,
				 struct fwd_report *report)
{
	char text[FWD_ENDPOINT_TEXT];

	if (!ipsec_applies(&targets->ipsec, rule))
		return FWD_DONE;
	return report_error(report,
			    ABOUT(.line = line, .object = rule_target_text(rule, text),
				  .fix = "ip xfrm policy shows it; use netfilter's DNAT for this target"),
			    "an IPsec policy applies to packets to it, and fwdctl would send them in clear");
}

void target_note_no_source(struct target *target, const struct fwd_rule *rule, unsigned int line,
			   struct fwd_report *report)
{
	char text[FWD_ENDPOINT_TEXT];

	if (rule->snat != FWD_SNAT_AUTO || rule->snat_count || target->noted)
		return;
	target->noted = true;
	report_note(report, ABOUT(.line = line, .object = rule_target_text(rule, text)),
		    "no route to it now: its source address is chosen at the next attach");
}
