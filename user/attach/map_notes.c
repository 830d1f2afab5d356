/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <net/if.h>
#include <netinet/in.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attach/map_notes.h"
#include "host/sockets.h"
#include "model/rule.h"

/* ---- LISTEN ---- */

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fwd_addr));
}

/* False: it is in the tree already, or there is no memory for it. The tree points to the addresses. */
static bool is_new(void **tree, const struct fwd_addr *addr)
{
	return !tfind(addr, tree, by_address) && tsearch(addr, tree, by_address);
}

static void keep(void *addr)
{
}

static void note_foreign_listen(struct map_additions *all, const struct new_rule *new, struct fwd_report *report)
{
	char listen[FWD_ENDPOINT_TEXT], port[FWD_ENDPOINT_TEXT], fix[FWD_FIX_TEXT], name[IF_NAMESIZE];
	const struct fwd_rule *rule = &new->rule;

	if (address_is_own(&all->targets, &rule->listen, name))
		return;
	snprintf(fix, sizeof(fix), "behind a provider's NAT give the address that `ip -br addr` shows, or %s",
		 endpoint_format(NULL, rule->listen_low, rule->listen_high, port));
	report_note(report, ABOUT(.line = new->line, .object = rule_listen_text(rule, listen), .fix = fix),
		    "is no address of this host: the map matches only packets that are routed here");
}

static void note_listens(struct map_additions *all, struct fwd_report *report)
{
	void *tree = NULL;

	for (size_t i = 0; i < all->count; i++)
		if (!all->rule[i].rule.any_listen && is_new(&tree, &all->rule[i].rule.listen))
			note_foreign_listen(all, &all->rule[i], report);
	tdestroy(tree, keep);
}

/* ---- TARGET ---- */

/* The records of devices that are gone remain until the next attach. */
static const struct device *attached_at(struct device_list *list, __u32 ifindex)
{
	const struct device *device = device_at(list, ifindex);

	return device && device->live ? device : NULL;
}

static size_t attached_count(const struct device_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->device[i].live && !device_is_loopback(&list->device[i]);
	return count;
}

/* The tunnel alone is attached: visitors arrive by another device. One Ethernet device may be both. */
static bool is_lone_tunnel(const struct device_list *list, const struct device *device)
{
	return device->entry.link == FWD_LINK_IP && attached_count(list) == 1;
}

/* `name`: the device by which packets leave. Without any device one note is enough, whatever the target. */
static void note_not_attached(const struct device_list *list, const struct fwd_about *target, const char *name,
			      bool *none_noted, struct fwd_report *report)
{
	const bool none = !attached_count(list);
	struct fwd_about about = *target;
	char fix[FWD_FIX_TEXT];

	snprintf(fix, sizeof(fix), "fwdctl attach %s%s", none ? "UPLINK " : "", name);
	about.fix = fix;
	if (!none)
		report_note(report, &about, "packets to it leave by %s, which is not attached", name);
	else if (!*none_noted)
		report_note(report, ABOUT(.fix = fix), "no device is attached");
	*none_noted |= none;
}

static void note_route(struct device_list *list, struct target *target, const struct new_rule *new, bool *none_noted,
		       struct fwd_report *report)
{
	char text[FWD_ENDPOINT_TEXT], name[IF_NAMESIZE];
	struct fwd_about about = {.line = new->line, .object = rule_target_text(&new->rule, text)};
	const struct route *route = &target->route;
	const struct device *device = attached_at(list, route->ifindex);

	target_note_no_source(target, &new->rule, new->line, report);
	if (target->noted || !target->has_route)
		return;
	target->noted = true;
	if (route->kind == ROUTE_NONE)
		target_note_no_route(&about, report);
	if (route->kind != ROUTE_UNICAST || !if_indextoname(route->ifindex, name))
		return;
	if (route->is_default) {
		about.fix = "if it is behind a tunnel, bring that up";
		report_note(report, &about, "only the default route leads to it, by %s", name);
	} else if (!device) {
		note_not_attached(list, &about, name, none_noted, report);
	} else if (is_lone_tunnel(list, device)) {
		about.fix = "attach the device by which visitors arrive, too";
		report_note(report, &about, "packets to it leave by %s, and no other device is attached", name);
	}
}

static void note_routes(struct device_list *list, struct map_additions *all, struct fwd_report *report)
{
	bool none_noted = false;

	for (size_t i = 0; i < all->count; i++) {
		const struct new_rule *new = &all->rule[i];
		struct target *target = target_find(&all->targets, &new->rule.target, new->rule.target_low, report);

		if (target)
			note_route(list, target, new, &none_noted, report);
	}
}

/* ---- sockets ---- */

#define PORTS_SHOWN 5  /* of a range */
#define MAPS_SHOWN  16 /* of many maps in one command */
#define DEVICE_TEXT (IF_NAMESIZE + 8)

/* The sockets that are in the way of maps. */
struct in_way {
	struct own_sockets sockets;
	struct socket_owner *owners; /* of all of them, in another order; NULL: not looked for yet, or no memory */
	size_t maps;                 /* that were reported */
};

/* NULL: the kernel's own socket, or one of a process that this one cannot see in /proc. */
static const struct socket_owner *owner_of(struct in_way *way, const struct own_socket *sock)
{
	const size_t count = way->sockets.count;

	if (!way->owners) {
		way->owners = calloc(count, sizeof(*way->owners));
		for (size_t i = 0; way->owners && i < count; i++)
			way->owners[i].inode = way->sockets.at[i].inode;
		if (way->owners)
			socket_owners_find(way->owners, count);
	}
	for (size_t i = 0; way->owners && i < count; i++)
		if (way->owners[i].inode == sock->inode && way->owners[i].pid)
			return &way->owners[i];
	return NULL;
}

/* The sockets with one effect on one map, one for each port. */
struct group {
	enum socket_effect effect;
	size_t ports;
	const struct own_socket *sock[PORTS_SHOWN];
};

/* Sockets of one port are neighbours. In a range the ports of services count, not those of connected sockets, which
 * come and go. */
static struct group find_group(const struct in_way *way, const struct fwd_rule *rule, enum socket_effect effect)
{
	const struct own_socket *end = way->sockets.at + way->sockets.count, *last = NULL;
	const struct own_socket *sock = own_sockets_from(&way->sockets, rule->proto, rule->listen_low);
	struct group group = {.effect = effect};

	if (effect == SOCKET_KEEPS_PEER && rule->listen_low != rule->listen_high)
		return group;
	for (; sock < end && sock->proto == rule->proto && sock->port <= rule->listen_high; sock++) {
		if (own_socket_effect(sock, rule) != effect || (last && last->port == sock->port))
			continue;
		if (group.ports < PORTS_SHOWN)
			group.sock[group.ports] = sock;
		group.ports++;
		last = sock;
	}
	return group;
}

/* "visitors will reach 10.172.16.2 instead", and the fix. */
static void group_outcome(const struct fwd_rule *rule, const struct group *group, char text[FWD_REASON_TEXT],
			  char fix[FWD_FIX_TEXT])
{
	char target[FWD_ADDR_TEXT], listen[FWD_ENDPOINT_TEXT];

	addr_format(&rule->target, target);
	switch (group->effect) {
	case SOCKET_LOSES:
		snprintf(text, FWD_REASON_TEXT, "visitors will reach %s instead", target);
		snprintf(fix, FWD_FIX_TEXT, "fwdctl map del %s %s undoes it", proto_name(rule->proto),
			 rule_listen_text(rule, listen));
		break;
	case SOCKET_KEEPS:
		snprintf(text, FWD_REASON_TEXT, "visitors will not reach %s there", target);
		snprintf(fix, FWD_FIX_TEXT,
			 addr_is_unspecified(&group->sock[0]->addr)
				 ? "give LISTEN one address and one port, or stop that service"
				 : "map another port, or stop that service");
		break;
	default:
		snprintf(text, FWD_REASON_TEXT, "packets of its peer will not reach %s", target);
		*fix = '\0';
		break;
	}
}

/* " of eth1", for a socket that is bound to a device. */
static const char *bound_to(const struct own_socket *sock, char text[DEVICE_TEXT])
{
	char name[IF_NAMESIZE];

	*text = '\0';
	if (sock->ifindex && if_indextoname(sock->ifindex, name))
		snprintf(text, DEVICE_TEXT, " of %s", name);
	return text;
}

/* "22 (sshd, pid 812), 53 of eth1 (dnsmasq, pid 900) and 3 more" */
static void list_ports(struct in_way *way, const struct group *group, char text[FWD_REASON_TEXT])
{
	char device[DEVICE_TEXT];
	size_t used = 0;

	for (size_t i = 0; i < group->ports && i < PORTS_SHOWN; i++) {
		const struct socket_owner *owner = owner_of(way, group->sock[i]);

		used += snprintf(text + used, FWD_REASON_TEXT - used, "%s%u%s", i ? ", " : "", group->sock[i]->port,
				 bound_to(group->sock[i], device));
		if (owner)
			used += snprintf(text + used, FWD_REASON_TEXT - used, " (%s, pid %d)", owner->comm, owner->pid);
	}
	if (group->ports > PORTS_SHOWN)
		snprintf(text + used, FWD_REASON_TEXT - used, " and %zu more", group->ports - PORTS_SHOWN);
}

static void note_group(struct in_way *way, const struct new_rule *new, const struct group *group,
		       struct fwd_report *report)
{
	const struct fwd_rule *rule = &new->rule;
	const bool tcp = rule->proto == IPPROTO_TCP;
	char listen[FWD_ENDPOINT_TEXT], outcome[FWD_REASON_TEXT], ports[FWD_REASON_TEXT], fix[FWD_FIX_TEXT];
	const char *verb = tcp ? "listens" : "receives";
	const struct fwd_about *about = ABOUT(.line = new->line, .object = rule_listen_text(rule, listen), .fix = fix);
	const struct socket_owner *owner = owner_of(way, group->sock[0]);
	char device[DEVICE_TEXT];

	bound_to(group->sock[0], device);
	group_outcome(rule, group, outcome, fix);
	if (rule->listen_low != rule->listen_high) {
		list_ports(way, group, ports);
		report_note(report, about, "sockets of this host use %zu of these ports: %s: %s", group->ports, ports,
			    outcome);
	} else if (owner) {
		report_note(report, about, "%s (pid %d) %s on port %u%s here: %s", owner->comm, owner->pid, verb,
			    group->sock[0]->port, device, outcome);
	} else {
		report_note(report, about, "a socket %s on port %u%s here (%sits process is not visible to fwdctl): %s",
			    verb, group->sock[0]->port, device, tcp ? "" : "WireGuard's or another of the kernel, or ",
			    outcome);
	}
}

static void note_sockets_of(struct in_way *way, const struct new_rule *new, struct fwd_report *report)
{
	bool any = false;

	for (enum socket_effect effect = SOCKET_APART + 1; effect < SOCKET_EFFECTS; effect++) {
		struct group group = find_group(way, &new->rule, effect);

		if (group.ports && way->maps < MAPS_SHOWN)
			note_group(way, new, &group, report);
		any |= group.ports;
	}
	way->maps += any;
}

/* No packet that arrives by another device is for a socket that is bound to one. */
static void drop_apart(struct own_sockets *sockets, struct device_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < sockets->count; i++)
		if (!sockets->at[i].ifindex || attached_at(list, sockets->at[i].ifindex))
			sockets->at[kept++] = sockets->at[i];
	sockets->count = kept;
}

static void note_sockets(struct device_list *list, struct map_additions *all, struct fwd_report *report)
{
	struct in_way way = {};
	int ret = own_sockets_read(&way.sockets);

	if (ret)
		report_note(report, NULL, "can't see whether sockets of this host use the same ports: %s",
			    strerror(-ret));
	drop_apart(&way.sockets, list);
	for (size_t i = 0; way.sockets.count && i < all->count; i++)
		note_sockets_of(&way, &all->rule[i], report);
	if (way.maps > MAPS_SHOWN)
		report_note(report, NULL, "sockets of this host use the ports of %zu more maps", way.maps - MAPS_SHOWN);
	free(way.owners);
	own_sockets_free(&way.sockets);
}

void map_notes(struct device_list *list, struct map_additions *all, struct fwd_report *report)
{
	note_routes(list, all, report);
	note_listens(all, report);
	note_sockets(list, all, report);
}
