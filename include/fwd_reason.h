/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a packet left fwdctl the way it did. One vocabulary for the programs, the counters and the
 * user: `stats` prints these names, docs/journey.md explains them.
 */
#ifndef FWD_REASON_H
#define FWD_REASON_H

/*
 * X(symbol, name, class, text)
 *   SILENT  not counted: forwarded, or never ours
 *   PASS    handed to the stack though it looked like ours
 *   DROP    dropped
 *   ANSWER  dropped, and its sender got an ICMP error; users see it among the drops
 */
#define FWD_REASONS(X)                                                                             \
	X(FORWARDED, "forwarded", SILENT, "translated and sent on")                                \
	X(NOT_OURS, "not_ours", SILENT, "no map and no connection: the stack's")                   \
	X(MALFORMED, "malformed", PASS, "a header that is cut short or contradicts itself")        \
	X(FRAGMENT_EARLY, "fragment_early", PASS, "a fragment before its first: a copy is kept")   \
	X(FRAGMENT_OVERFLOW, "fragment_overflow", PASS, "the same, and no room to keep it")        \
	X(IP_OPTIONS, "ip_options", PASS, "IPv4 options: a source route, or broken ones")          \
	X(EXTENSION_HEADER, "extension_header", PASS, "IPv6 extension headers beyond reason")      \
	X(MARTIAN, "martian", PASS, "a source address that nobody can have")                       \
	X(NO_CONNECTION, "no_connection", PASS, "TCP in mid-stream, of no known connection")       \
	X(OWN_SOCKET, "own_socket", PASS, "UDP to a port that a socket of the gateway has")        \
	X(NO_SOURCE, "no_source", PASS, "the map's source address is not known, or not here")      \
	X(NO_FORWARDING, "no_forwarding", PASS, "forwarding is off on the device it came in by")   \
	X(NOT_ATTACHED, "not_attached", PASS, "the way out is a device fwdctl isn't attached to")  \
	X(NO_ROUTE, "no_route", PASS, "no route to the target, or to the client")                  \
	X(WAY_LOST, "way_lost", ANSWER, "of a known connection, whose way out is gone")            \
	X(UNREACHABLE, "unreachable", ANSWER, "an unreachable route: its sender was told")         \
	X(PROHIBITED, "prohibited", ANSWER, "a prohibit route: its sender was told")               \
	X(BLACKHOLE, "blackhole", DROP, "a blackhole route")                                       \
	X(TTL, "ttl", ANSWER, "TTL or hop limit used up: its sender was told")                     \
	X(TOO_BIG, "too_big", ANSWER, "larger than the way's MTU: its sender was told")              \
	X(FRAGMENT_OVERLAP, "fragment_overlap", DROP, "a fragment of what has come already")       \
	X(FRAGMENT_TINY, "fragment_tiny", DROP, "a first fragment without the whole header")       \
	X(NO_PORT, "no_port", DROP, "no free source port towards the target")                      \
	X(RACE, "race", DROP, "its connection was being begun or ended on another CPU")            \
	X(TABLE_FULL, "table_full", DROP, "as many confirmed connections as --connections allows") \
	X(TRANSLATE, "translate", DROP, "the kernel refused to rewrite the packet")

enum fwd_reason {
#define X(symbol, name, class, text) FWD_##symbol,
	FWD_REASONS(X)
#undef X
		FWD_REASON_MAX,
};

enum fwd_reason_class {
	FWD_CLASS_SILENT,
	FWD_CLASS_PASS,
	FWD_CLASS_DROP,
	FWD_CLASS_ANSWER,
};

#endif
