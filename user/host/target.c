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
	routes_close(&targets->routes);
	ipsec_free(&targets->ipsec);
}

bool address_is_own(struct targets *targets, const struct fwd_addr *addr, char *name)
{
	struct route route;

	if (iface_of_address(&targets->own, addr, name))
		return true;
	/* Without an address on a device: AnyIP, `ip route add local ...`. */
	if (!route_get(&targets->routes, addr, &route) || route.kind != ROUTE_LOCAL)
		return false;
	if (!if_indextoname(route.ifindex, name))
		strcpy(name, "lo");
	return true;
}

enum fwd_exit source_check(struct targets *targets, const struct fwd_addr *source, bool force,
			   struct fwd_report *report)
{
	char text[FWD_ADDR_TEXT], name[IF_NAMESIZE];
	struct fwd_about about = {.option = "--snat", .object = addr_format(source, text)};
	struct route route;

	if (address_is_own(targets, source, name))
		return FWD_DONE;
	if (route_get(&targets->routes, source, &route) && route.kind == ROUTE_BROADCAST)
		return report_error(report, &about, "is the broadcast address of a network, or its first address");
	about.fix = "add it to a device first, or use --force if it is routed here";
	return force ? FWD_DONE : report_error(report, &about, "is no address of this host: replies would not return");
}

enum fwd_exit target_check(struct targets *targets, struct target *target, const struct fwd_rule *rule,
			   struct fwd_report *report)
{
	char text[FWD_ADDR_TEXT], name[IF_NAMESIZE], other[IF_NAMESIZE];
	struct fwd_about about = {.object = addr_format(&target->addr, text)};

	if (target->checked)
		return FWD_DONE;
	target->checked = true;
	if (address_is_own(targets, &target->addr, name)) {
		if (!rule->any_listen && !address_is_own(targets, &rule->listen, other))
			about.fix = "are they swapped? LISTEN comes first, then TARGET";
		return report_error(report, &about, "is an address of this host (%s): a map leads to another host",
				    name);
	}
	target->has_route = route_get(&targets->routes, &target->addr, &target->route);
	if (target->has_route && target->route.kind == ROUTE_BROADCAST)
		return report_error(report, &about, "is the broadcast address of a network, or its first address");
	return FWD_DONE;
}

enum fwd_exit target_has_ipsec(struct targets *targets, const struct fwd_rule *rule, bool *applies,
			       struct fwd_report *report)
{
	if (ipsec_read(&targets->ipsec, report))
		return FWD_NOT_DONE;
	*applies = ipsec_policies_apply(targets->ipsec.policy, targets->ipsec.count, rule);
	return FWD_DONE;
}

enum fwd_exit target_check_ipsec(struct targets *targets, const struct fwd_rule *rule, unsigned int line,
				 struct fwd_report *report)
{
	char text[FWD_ENDPOINT_TEXT];
	bool applies;

	if (target_has_ipsec(targets, rule, &applies, report))
		return FWD_NOT_DONE;
	if (!applies)
		return FWD_DONE;
	return report_error(report,
			    ABOUT(.line = line, .object = rule_target_text(rule, text), .fix = TARGET_IPSEC_FIX),
			    "an IPsec policy applies to packets to it, and fwdctl would send them in clear");
}

/* Not only for a map whose source address is chosen by the route: attach chooses that of ICMP errors, too. */
void target_note_no_route(const struct fwd_about *target, struct fwd_report *report)
{
	struct fwd_about about = *target;

	about.fix = "bring the tunnel up, then fwdctl attach again";
	report_note(report, &about, "no route to it now");
}

void target_note_no_source(struct target *target, const struct fwd_rule *rule, unsigned int line,
			   struct fwd_report *report)
{
	char text[FWD_ENDPOINT_TEXT];

	if (rule->snat != FWD_SNAT_AUTO || rule->snat_count || target->noted)
		return;
	target->noted = true;
	target_note_no_route(ABOUT(.line = line, .object = rule_target_text(rule, text)), report);
}
