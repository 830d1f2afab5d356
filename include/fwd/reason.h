/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outcome of a packet. One vocabulary for the programs, the counters and the user: `stats` prints these names,
 * docs/journey.md explains them.
 */
#ifndef FWD_REASON_H
#define FWD_REASON_H

/*
 * X(symbol, value, name, class, text). Values index the map `reasons`: they are dense, and new ones are appended.
 *   SILENT      not counted: forwarded, or nothing that a map or a connection is about
 *   PASS        left to the stack, although a map or a connection is about it, or could be
 *   DROP        dropped
 *   ICMP_ERROR  dropped, and an ICMP error sent; `stats` shows it among the drops
 */
#define FWD_REASONS(X)                                                                                   \
	X(OK, 0, "ok", SILENT, "translated and forwarded")                                               \
	X(NOT_OURS, 1, "not_ours", SILENT, "no map and no connection")                                   \
	X(MALFORMED, 2, "malformed", PASS, "a truncated or contradictory header, or a wrong checksum")   \
	X(FRAGMENT_EARLY, 3, "fragment_early", PASS, "fragment before the first: a copy is kept")        \
	X(FRAGMENT_OVERFLOW, 4, "fragment_overflow", PASS, "the same, and no room for a copy")           \
	X(IP_OPTIONS, 5, "ip_options", PASS, "IPv4 options: a source route, or malformed ones")          \
	X(EXTENSION_HEADER, 6, "extension_header", PASS, "IPv6 extension headers not supported")         \
	X(MARTIAN, 7, "martian", PASS, "invalid source address, or no route back to it")                 \
	X(NO_CONNECTION, 8, "no_connection", PASS, "no known connection, and the packet opens none")     \
	X(OWN_SOCKET, 9, "own_socket", PASS, "UDP to a port of a socket of the gateway")                 \
	X(NO_SOURCE, 10, "no_source", PASS, "the map's source address is unknown or not local")          \
	X(NO_FORWARDING, 11, "no_forwarding", PASS, "forwarding is off on the incoming device")          \
	X(NOT_ATTACHED, 12, "not_attached", PASS, "the outgoing device is not attached")                 \
	X(NO_ROUTE, 13, "no_route", PASS, "no route to the target or to the client")                     \
	X(ROUTE_LOST, 14, "route_lost", ICMP_ERROR, "the route of a known connection is gone")           \
	X(UNREACHABLE, 15, "unreachable", ICMP_ERROR, "an unreachable route")                            \
	X(PROHIBITED, 16, "prohibited", ICMP_ERROR, "a prohibit route")                                  \
	X(BLACKHOLE, 17, "blackhole", DROP, "a blackhole route")                                         \
	X(TTL_EXCEEDED, 18, "ttl_exceeded", ICMP_ERROR, "TTL or hop limit of 1 or 0")                    \
	X(TOO_BIG, 19, "too_big", ICMP_ERROR, "larger than the MTU of the route")                        \
	X(FRAGMENT_OVERLAP, 20, "fragment_overlap", DROP, "fragment overlaps an earlier one")            \
	X(FRAGMENT_TINY, 21, "fragment_tiny", DROP, "first fragment without the whole header")           \
	X(NO_PORT, 22, "no_port", DROP, "no free source port towards the target")                        \
	X(RACE, 23, "race", DROP, "another CPU was opening or ending its connection")                    \
	X(TABLE_FULL, 24, "table_full", DROP, "no room for a connection: --connections, --half-open")    \
	X(REWRITE_FAILED, 25, "rewrite_failed", DROP, "the kernel refused to rewrite the packet")        \
	X(NETFILTER, 26, "netfilter", PASS, "of a connection that netfilter forwards: masquerade, DNAT") \
	X(NO_NEIGHBOUR, 27, "no_neighbour", ICMP_ERROR, "the next hop does not answer ARP or NDP")       \
	X(TUNNEL_GONE, 28, "tunnel_gone", PASS, "the route left the tunnel that the map led through")    \
	X(RP_FILTER, 29, "rp_filter", DROP, "no route to its source by the device that received it")     \
	X(IPSEC, 30, "ipsec", PASS, "an IPsec policy applies to packets to the target")

/* FWD_OK also means "go on" where a step of the pipeline returns it. */
enum fwd_reason {
#define X(symbol, value, name, class, text) FWD_##symbol = value,
	FWD_REASONS(X)
#undef X
	FWD_REASON_MAX,
};

enum fwd_reason_class {
	FWD_CLASS_SILENT,
	FWD_CLASS_PASS,
	FWD_CLASS_DROP,
	FWD_CLASS_ICMP_ERROR,
};

#endif
