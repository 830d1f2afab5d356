/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's routing tables, in the current network namespace, asked over one netlink socket, because there may be
 * thousands of addresses to ask for.
 */
#ifndef FWD_USER_ROUTE_H
#define FWD_USER_ROUTE_H

#include <stdbool.h>
#include "fwd/addr.h"

/* The meaning of an address on this host. */
enum route_kind {
	ROUTE_NONE,      /* no route leads to it, or one that refuses */
	ROUTE_UNICAST,   /* another host's */
	ROUTE_LOCAL,     /* this host's: of a device, or by a route of type local */
	ROUTE_BROADCAST, /* a network's broadcast address, or its first address on a link that has broadcast */
};

struct route {
	enum route_kind kind;
	__u32 ifindex;   /* of ROUTE_UNICAST: the device by which packets leave, with several routes the first. Of
			  * ROUTE_LOCAL: the device that has the address. 0: not known */
	bool is_default; /* the prefix is /0, or one of the two halves /1 by which wg-quick and others replace it */
};

/* Zeroed: not opened yet. */
struct routes {
	struct mnl_socket *sock;
};

/* The route for packets to the address that this host sends. False: the kernel can't be asked. */
bool route_get(struct routes *routes, const struct fwd_addr *to, struct route *route);
void routes_close(struct routes *routes);

#endif
