/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets of this host that are bound to the ports of a map, and whether the map or the socket receives the packets.
 *
 * TCP: a map takes the port from a listening socket, as DNAT does. UDP: a socket that is bound to the address of the
 * packet, or connected to its sender, keeps its packets. One that is bound to any address loses them to a map of one
 * address and one port, and keeps them from a range and from a map of any address (bpf/policy/admit.h).
 */
#ifndef FWD_USER_OWN_SOCKET_H
#define FWD_USER_OWN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include "fwd/rule.h"

struct own_socket {
	struct fwd_addr addr; /* unspecified: every address of its family */
	__u16 port;           /* host order */
	__u8 proto;
	bool dual;      /* of IPv6 and bound to any address: receives IPv4, too (no IPV6_V6ONLY) */
	bool connected; /* UDP: receives from its peer only. Of TCP there are only listening ones here */
	__u32 ifindex;  /* of the device that it is bound to; 0: none */
	__u32 inode;    /* the N of "socket:[N]" in /proc/PID/fd */
};

enum socket_effect {
	SOCKET_APART,      /* no packet is for both */
	SOCKET_LOSES,      /* the map receives the packets */
	SOCKET_KEEPS,      /* the socket receives the packets */
	SOCKET_KEEPS_PEER, /* the socket receives those of its peer */
	SOCKET_EFFECTS,
};

enum socket_effect own_socket_effect(const struct own_socket *sock, const struct fwd_rule *rule);

struct own_sockets {
	struct own_socket *at;
	size_t count;
};

/* By protocol, then port. */
void own_sockets_sort(struct own_sockets *sockets);

/* Of sorted sockets: the first of this protocol with at least this port; sockets->at + count if there is none. */
const struct own_socket *own_sockets_from(const struct own_sockets *sockets, __u8 proto, __u16 port);

#endif
