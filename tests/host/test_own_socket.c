/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a map or a socket of the gateway receives the packets of a port. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include "host/sockets.h"
#include "model/rule.h"

#define V6ONLY    0
#define DUAL      1
#define CONNECTED 2

static struct own_socket bound(__u8 proto, const char *text, int flags)
{
	struct fwd_endpoint endpoint;

	cr_assert_null(endpoint_parse(text, &endpoint), "%s", text);
	return (struct own_socket){
		.addr = endpoint.addr,
		.port = endpoint.low,
		.proto = proto,
		.dual = flags & DUAL,
		.connected = flags & CONNECTED,
	};
}

static enum socket_effect effect(__u8 proto, const char *sock, int flags, const char *proto_text, const char *listen)
{
	struct fwd_report nowhere = report_nowhere();
	struct fwd_endpoint endpoint;
	struct own_socket own = bound(proto, sock, flags);
	struct fwd_rule_words words = {.proto = proto_text, .listen = listen};
	struct fwd_rule rule;

	cr_assert_null(endpoint_parse(listen, &endpoint), "%s", listen);
	words.target = endpoint.family == FWD_FAMILY_IPV6 ? "fd00::2" : "10.0.0.2";
	cr_assert_eq(rule_parse(&words, &rule, &nowhere), FWD_DONE, "%s", listen);
	return own_socket_effect(&own, &rule);
}

static enum socket_effect tcp(const char *sock, int flags, const char *listen)
{
	return effect(IPPROTO_TCP, sock, flags, "tcp", listen);
}

static enum socket_effect udp(const char *sock, int flags, const char *listen)
{
	return effect(IPPROTO_UDP, sock, flags, "udp", listen);
}

Test(own_socket, tcp)
{
	cr_assert_eq(tcp("0.0.0.0:22", 0, ":22"), SOCKET_LOSES);
	cr_assert_eq(tcp("0.0.0.0:22", 0, "1.2.3.4:22"), SOCKET_LOSES);
	cr_assert_eq(tcp("1.2.3.4:22", 0, ":1-65535"), SOCKET_LOSES);
	cr_assert_eq(tcp("1.2.3.4:22", 0, "1.2.3.4:22"), SOCKET_LOSES);
	cr_assert_eq(tcp("1.2.3.5:22", 0, "1.2.3.4:22"), SOCKET_APART);
	cr_assert_eq(tcp("0.0.0.0:22", 0, ":23-24"), SOCKET_APART);
	cr_assert_eq(tcp("0.0.0.0:22", 0, ":20-21"), SOCKET_APART);
	cr_assert_eq(udp("0.0.0.0:22", 0, ":20-22"), SOCKET_KEEPS);
	cr_assert_eq(effect(IPPROTO_UDP, "0.0.0.0:22", 0, "tcp", ":22"), SOCKET_APART);
}

Test(own_socket, families)
{
	cr_assert_eq(tcp("[::]:22", V6ONLY, ":22"), SOCKET_APART);
	cr_assert_eq(tcp("[::]:22", DUAL, ":22"), SOCKET_LOSES);
	cr_assert_eq(tcp("[::]:22", DUAL, "1.2.3.4:22"), SOCKET_LOSES);
	cr_assert_eq(tcp("[::]:22", V6ONLY, "[::]:22"), SOCKET_LOSES);
	cr_assert_eq(tcp("[2001:db8::1]:22", 0, "[::]:22"), SOCKET_LOSES);
	cr_assert_eq(tcp("0.0.0.0:22", 0, "[::]:22"), SOCKET_APART);
	cr_assert_eq(tcp("[2001:db8::1]:22", 0, ":22"), SOCKET_APART);
}

Test(own_socket, udp)
{
	/* One address and one port beat a socket that is bound to any address, and no other. */
	cr_assert_eq(udp("0.0.0.0:53", 0, "1.2.3.4:53"), SOCKET_LOSES);
	cr_assert_eq(udp("[::]:53", DUAL, "1.2.3.4:53"), SOCKET_LOSES);
	cr_assert_eq(udp("[::]:53", 0, "[2001:db8::1]:53"), SOCKET_LOSES);
	cr_assert_eq(udp("0.0.0.0:53", 0, "1.2.3.4:53-54"), SOCKET_KEEPS);
	cr_assert_eq(udp("0.0.0.0:53", 0, ":53"), SOCKET_KEEPS);
	cr_assert_eq(udp("[::]:53", 0, "[::]:53"), SOCKET_KEEPS);
	cr_assert_eq(udp("1.2.3.4:53", 0, "1.2.3.4:53"), SOCKET_KEEPS);
	cr_assert_eq(udp("1.2.3.4:53", 0, ":53"), SOCKET_KEEPS);
	cr_assert_eq(udp("[2001:db8::1]:53", 0, "[2001:db8::1]:53"), SOCKET_KEEPS);
	cr_assert_eq(udp("1.2.3.5:53", 0, "1.2.3.4:53"), SOCKET_APART);
	cr_assert_eq(udp("1.2.3.4:53", CONNECTED, "1.2.3.4:53"), SOCKET_KEEPS_PEER);
	cr_assert_eq(udp("1.2.3.4:53", CONNECTED, ":53"), SOCKET_KEEPS_PEER);
}

Test(own_socket, sorted)
{
	struct own_socket at[] = {
		bound(IPPROTO_UDP, "0.0.0.0:53", 0),
		bound(IPPROTO_TCP, "0.0.0.0:443", 0),
		bound(IPPROTO_TCP, "0.0.0.0:22", 0),
		bound(IPPROTO_TCP, "[::]:22", 0),
	};
	struct own_sockets sockets = {at, 4}, none = {};

	own_sockets_sort(&sockets);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_TCP, 1), at);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_TCP, 22), at);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_TCP, 23), at + 2);
	cr_assert_eq(at[2].port, 443);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_TCP, 444), at + 3);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_UDP, 53), at + 3);
	cr_assert_eq(own_sockets_from(&sockets, IPPROTO_UDP, 54), at + 4);
	own_sockets_sort(&none);
	cr_assert_eq(own_sockets_from(&none, IPPROTO_TCP, 1), none.at);
}

/* The reason is that of the failure, not of what closes the socket after it. */
Test(own_socket, unreadable)
{
	struct own_sockets sockets;
	struct rlimit before, none;
	int ret;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = own_sockets_read(&sockets);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(ret, -EMFILE);
	cr_assert_eq(sockets.count, 0);
	own_sockets_free(&sockets);
}
