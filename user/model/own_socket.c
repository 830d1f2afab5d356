/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <netinet/in.h>
#include <stdlib.h>
#include "model/addr.h"
#include "model/own_socket.h"

static bool shares_address(const struct own_socket *sock, const struct fwd_rule *rule)
{
	if (addr_family(&sock->addr) != rule->family)
		return sock->dual;
	return rule->any_listen || addr_is_unspecified(&sock->addr) || addr_equal(&sock->addr, &rule->listen);
}

enum socket_effect own_socket_effect(const struct own_socket *sock, const struct fwd_rule *rule)
{
	if (sock->proto != rule->proto || sock->port < rule->listen_low || sock->port > rule->listen_high ||
	    !shares_address(sock, rule))
		return SOCKET_APART;
	if (sock->proto == IPPROTO_TCP)
		return SOCKET_LOSES;
	if (sock->connected)
		return SOCKET_KEEPS_PEER;
	if (addr_is_unspecified(&sock->addr) && !rule->any_listen && rule->listen_low == rule->listen_high)
		return SOCKET_LOSES;
	return SOCKET_KEEPS;
}

static int by_port(const void *a, const void *b)
{
	const struct own_socket *left = a, *right = b;

	return left->proto != right->proto ? left->proto - right->proto : left->port - right->port;
}

void own_sockets_sort(struct own_sockets *sockets)
{
	if (sockets->count)
		qsort(sockets->at, sockets->count, sizeof(*sockets->at), by_port);
}

const struct own_socket *own_sockets_from(const struct own_sockets *sockets, __u8 proto, __u16 port)
{
	const struct own_socket like = {.proto = proto, .port = port};
	size_t low = 0, high = sockets->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (by_port(&sockets->at[middle], &like) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return sockets->at + low;
}
