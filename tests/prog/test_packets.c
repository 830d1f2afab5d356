/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Single packets: input, verdict and output, counter.
 */
#include "check.h"

#define CLIENT  "54.147.66.132:40000"
#define CLIENT6 "[2001:db8:54::132]:40000"
#define PUBLIC  "93.184.216.34"
#define PUBLIC6 "[2001:db8:93::34]"

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC ":8000", "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, PUBLIC ":8000", "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_TCP, PUBLIC6 ":8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, PUBLIC6 ":8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_TCP, "0.0.0.0:9000", "10.172.16.2:90", "10.172.16.1"},
	{PROTO_UDP, "[::]:9000", "[fd10:172:16::2]:90", "fd10:172:16::1"},
	{PROTO_TCP, PUBLIC ":5000", "10.172.16.2:6000", "10.172.16.1", .last = 5010},
	{PROTO_UDP, PUBLIC6 ":5000", "[fd10:172:16::2]:1", "fd10:172:16::1", .last = 5010},
	{PROTO_TCP, PUBLIC ":7000", "10.172.16.2:7000", NULL},
	{PROTO_UDP, PUBLIC6 ":7000", "[fd10:172:16::2]:7000", NULL},
	{PROTO_TCP, PUBLIC ":7001", "10.172.16.2:7001", "10.172.16.1,10.172.16.11,10.172.16.12"},
	{PROTO_TCP, PUBLIC ":7002", "10.172.16.2:7002", ""},
	{PROTO_TCP, PUBLIC ":7010", "10.99.0.1:80", "10.172.16.1"},
	{PROTO_TCP, PUBLIC ":7011", "10.99.1.1:80", "10.172.16.1"},
	{PROTO_TCP, PUBLIC ":7012", "10.99.2.1:80", "10.172.16.1"},
	{PROTO_TCP, PUBLIC ":7013", "10.99.3.1:80", "10.172.16.1"},
	{PROTO_UDP, PUBLIC6 ":7010", "[fd99::1]:80", "fd10:172:16::1"},
	{PROTO_TCP, PUBLIC ":7014", "192.168.8.2:80", "192.168.8.1"},
	{PROTO_TCP, PUBLIC ":7015", "10.172.16.1:80", "10.172.16.1"},
	{PROTO_TCP, PUBLIC ":8080", "192.168.7.2:80", "192.168.7.1"},
	{PROTO_UDP, PUBLIC6 ":8080", "[fd07::2]:80", "fd07::1"},
	{PROTO_TCP, PUBLIC ":8081", "192.168.7.3:80", "192.168.7.1"},
	{PROTO_TCP, PUBLIC ":7020", "10.172.16.2:7020", "10.172.16.1", .state = FWD_RULE_DRAINING},
	{PROTO_TCP, PUBLIC ":7021", "10.172.16.2:7021", "10.172.16.1"}, /* DELETED */
	{PROTO_UDP, PUBLIC ":0", "10.172.16.2:0", "10.172.16.1"},
	{PROTO_UDP, PUBLIC6 ":7011", "[fd99:1::1]:80", "fd10:172:16::1"},
	{PROTO_UDP, PUBLIC6 ":7012", "[fd99:2::1]:80", "fd10:172:16::1"},
	{PROTO_TCP, "240.1.2.3:80", "10.172.16.2:8000", "10.172.16.1"},
};
#define DELETED 23

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
	rule_delete(DELETED);
}

TestSuite(packets, .init = start, .timeout = 30);

struct row {
	const char *what;
	enum device in;
	struct packet packet;
	struct fate fate;
};

static void check_row(const struct row *row)
{
	struct fwd_counters before = counters_read(), after;
	bool opens = row->fate.type == FATE_LEAVES;
	struct entry conn;

	arrives(row->what, row->in, row->packet, row->fate);
	after = counters_read();
	cr_expect(after.value[FWD_COUNTER_CREATED] - before.value[FWD_COUNTER_CREATED] == opens, "%s: created %llu",
		  row->what, after.value[FWD_COUNTER_CREATED] - before.value[FWD_COUNTER_CREATED]);
	cr_expect(check_table() == opens, "%s: connections", row->what);
	if (opens) {
		cr_expect(conn_get(row->packet.flow, row->packet.proto, &conn), "%s: key", row->what);
		cr_expect(conn.flow.packets == (row->packet.gso_segs ? row->packet.gso_segs : 1U), "%s: packets",
			  row->what);
		if (row->fate.flow)
			cr_expect(conn_exists(reverse_of(row->fate.flow), row->packet.proto), "%s: key of the reply",
				  row->what);
	}
	table_flush();
}

#define CHECK(...)                                                                \
	do {                                                                      \
		const struct row rows[] = {__VA_ARGS__};                          \
		for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) \
			check_row(&rows[row]);                                    \
	} while (0)

#define TO(port)       CLIENT " > " PUBLIC ":" port
#define TO6(port)      CLIENT6 " > " PUBLIC6 ":" port
#define AT_HOME(port)  "10.172.16.1:40000 > 10.172.16.2:" port
#define AT_HOME6(port) "[fd10:172:16::1]:40000 > [fd10:172:16::2]:" port

Test(packets, new_connections)
{
	CHECK({"TCP", ETH0, TCP(TO("8000"), SYN, .seq = 77), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"UDP", ETH0, UDP(TO("8000"), .data = 100), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"TCP, IPv6", ETH0, TCP(TO6("8000"), SYN), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"UDP, IPv6", ETH0, UDP(TO6("8000"), .data = 7), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"UDP without payload", ETH0, UDP(TO("8000")), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"UDP without checksum", ETH0, UDP(TO("8000"), .data = 9, .no_checksum = true),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"SYN with data (Fast Open)", ETH0, TCP(TO("8000"), SYN, .data = 200), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"SYN with ECN bits", ETH0, TCP(TO("8000"), SYN | 0xc0), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"IPv4 options", ETH0, TCP(TO("8000"), SYN, .options = 8), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"all of them", ETH0, UDP(TO("8000"), .options = 40, .data = 5), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"hop-by-hop options", ETH0, TCP(TO6("8000"), SYN, .ext = "h"), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"destination options, too", ETH0, UDP(TO6("8000"), .ext = "hdD", .data = 33),
	       LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"large", ETH0, UDP(TO("8000"), .data = 1400), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"link padding", ETH0, UDP(TO("8000"), .data = 1, .padding = 17), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"a train of segments", ETH0, UDP(TO("8000"), .data = 3000, .gso_segs = 3),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"TTL 2 becomes 1", ETH0, TCP(TO("8000"), SYN, .ttl = 2), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"hop limit 255", ETH0, TCP(TO6("8000"), SYN, .ttl = 255), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"well-known source port is kept", ETH0, UDP("54.147.66.132:53 > " PUBLIC ":8000", .data = 2),
	       LEAVES_BY(WG0, "10.172.16.1:53 > 10.172.16.2:8000")},
	      {"source port 0 is replaced", ETH0, UDP("54.147.66.132:0 > " PUBLIC ":8000", .data = 2),
	       LEAVES_BY(WG0, NULL)});
}

/* wg0 is a TUN device here: packets begin with the IP header. */
Test(packets, devices)
{
	CHECK({"from wg0, to itself", WG0, TCP("10.172.16.3:40000 > " PUBLIC ":8000", SYN),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"from wg0, to the LAN", WG0, TCP("10.172.16.3:40000 > " PUBLIC ":8080", SYN),
	       LEAVES_BY(ETH1, "192.168.7.1:40000 > 192.168.7.2:80")},
	      {"IPv6, from wg0 to the LAN", WG0, UDP("[fd10:172:16::3]:40000 > " PUBLIC6 ":8080", .data = 5),
	       LEAVES_BY(ETH1, "[fd07::1]:40000 > [fd07::2]:80")},
	      {"from eth0 to the LAN", ETH0, TCP(TO("8080"), SYN),
	       LEAVES_BY(ETH1, "192.168.7.1:40000 > 192.168.7.2:80")},
	      {"IPv6, from eth0 to the LAN", ETH0, UDP(TO6("8080"), .data = 5, .ext = "d"),
	       LEAVES_BY(ETH1, "[fd07::1]:40000 > [fd07::2]:80")},
	      {"from the LAN", ETH1, TCP("192.168.7.9:40000 > " PUBLIC ":8000", SYN), LEAVES_BY(WG0, AT_HOME("8000"))});
}

Test(packets, listen_addresses)
{
	CHECK({"wildcard, own address", ETH0, TCP(TO("9000"), SYN), LEAVES_BY(WG0, AT_HOME("90"))},
	      {"wildcard, another own address", ETH0, TCP(CLIENT " > 192.168.7.1:9000", SYN),
	       LEAVES_BY(WG0, AT_HOME("90"))},
	      {"wildcard, IPv6", ETH0, UDP(TO6("9000"), .data = 3), LEAVES_BY(WG0, AT_HOME6("90"))},
	      {"wildcard, transit", ETH0, TCP(CLIENT " > 192.168.7.2:9000", SYN), IS_UNTOUCHED},
	      {"wildcard, transit, IPv6", ETH0, UDP(CLIENT6 " > [fd07::2]:9000"), IS_UNTOUCHED},
	      {"wildcard of the other family", ETH0, TCP(TO6("9000"), SYN), IS_UNTOUCHED},
	      {"another of the gateway's addresses", ETH0, TCP(CLIENT " > 192.168.7.1:8000", SYN), IS_UNTOUCHED},
	      {"another port", ETH0, TCP(TO("8001"), SYN), IS_UNTOUCHED},
	      {"the other protocol", ETH0, UDP(TO("9000"), .data = 4), IS_UNTOUCHED},
	      {"ssh", ETH0, TCP(TO("22"), SYN), IS_UNTOUCHED},
	      {"WireGuard's own", ETH0, UDP(TO("51913"), .data = 148), IS_UNTOUCHED},
	      {"transit to the target's port", ETH0, TCP(CLIENT " > 10.172.16.2:8000", SYN), IS_UNTOUCHED},
	      {"port 0", ETH0, UDP(TO("1"), .data = 4), IS_UNTOUCHED});
}

/* 240.0.0.0/4 is unicast, as in the kernel: as LISTEN, and as the client's address. */
Test(packets, class_e)
{
	CHECK({"class E", ETH0, TCP("241.4.5.6:40000 > 240.1.2.3:80", SYN), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"class E client", ETH0, TCP("255.255.255.254:40000 > " PUBLIC ":8000", SYN),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"broadcast source", ETH0, TCP("255.255.255.255:40000 > " PUBLIC ":8000", SYN), IS_PASSED("martian")},
	      {"multicast source", ETH0, TCP("239.255.255.255:40000 > " PUBLIC ":8000", SYN), IS_PASSED("martian")});
}

Test(packets, ranges)
{
	CHECK({"first", ETH0, TCP(TO("5000"), SYN), LEAVES_BY(WG0, AT_HOME("6000"))},
	      {"second", ETH0, TCP(TO("5001"), SYN), LEAVES_BY(WG0, AT_HOME("6001"))},
	      {"end of the first prefix", ETH0, TCP(TO("5007"), SYN), LEAVES_BY(WG0, AT_HOME("6007"))},
	      {"of the second", ETH0, TCP(TO("5008"), SYN), LEAVES_BY(WG0, AT_HOME("6008"))},
	      {"last", ETH0, TCP(TO("5010"), SYN), LEAVES_BY(WG0, AT_HOME("6010"))},
	      {"one below", ETH0, TCP(TO("4999"), SYN), IS_UNTOUCHED},
	      {"one above", ETH0, TCP(TO("5011"), SYN), IS_UNTOUCHED},
	      {"IPv6, shifted far down", ETH0, UDP(TO6("5010"), .data = 4), LEAVES_BY(WG0, AT_HOME6("11"))});
}

Test(packets, source_addresses)
{
	CHECK({"none: the visitor's own", ETH0, TCP(TO("7000"), SYN), LEAVES_BY(WG0, CLIENT " > 10.172.16.2:7000")},
	      {"none, IPv6", ETH0, UDP(TO6("7000"), .data = 12), LEAVES_BY(WG0, CLIENT6 " > [fd10:172:16::2]:7000")},
	      {"not known yet", ETH0, TCP(TO("7002"), SYN), IS_PASSED("no_source")},
	      {"a pool", ETH0, TCP(TO("7001"), SYN), LEAVES_BY(WG0, NULL)});
}

Test(packets, ttl)
{
	CHECK({"TTL 2", ETH0, TCP(TO("8000"), SYN, .ttl = 2), LEAVES_BY(WG0, NULL)},
	      {"TTL 1 of no map", ETH0, TCP(TO("22"), SYN, .ttl = 1), IS_UNTOUCHED});
}

Test(packets, no_connection)
{
	CHECK({"ACK", ETH0, TCP(TO("8000"), ACK), IS_PASSED("no_connection")},
	      {"data", ETH0, TCP(TO("8000"), ACK | PSH, .data = 100), IS_PASSED("no_connection")},
	      {"SYN-ACK", ETH0, TCP(TO("8000"), SYN | ACK), IS_PASSED("no_connection")},
	      {"RST", ETH0, TCP(TO("8000"), RST), IS_PASSED("no_connection")},
	      {"FIN", ETH0, TCP(TO("8000"), FIN), IS_PASSED("no_connection")},
	      {"no flags", ETH0, TCP(TO("8000"), 0), IS_PASSED("no_connection")},
	      {"all flags", ETH0, TCP(TO("8000"), 0xff), IS_PASSED("no_connection")},
	      {"IPv6", ETH0, TCP(TO6("8000"), ACK), IS_PASSED("no_connection")},
	      {"of no map", ETH0, TCP(TO("22"), ACK), IS_UNTOUCHED},
	      {"a reply without a request", WG0, TCP("10.172.16.2:8000 > 10.172.16.1:40000", ACK), IS_UNTOUCHED},
	      {"a UDP reply without a request", WG0, UDP("10.172.16.2:8000 > 10.172.16.1:40000", .data = 5),
	       IS_UNTOUCHED});
}

Test(packets, fragments)
{
	CHECK({"before the first", ETH0, UDP(TO("9999"), .data = 64, .fragment = 0x2010), IS_PASSED("fragment_early")},
	      {"a first of no map", ETH0, UDP(TO("9999"), .data = 64, .fragment = 0x2000), IS_UNTOUCHED},
	      {"behind that", ETH0, UDP(TO("9999"), .data = 64, .fragment = 0x0009), IS_UNTOUCHED},
	      {"of TCP in mid-stream", ETH0, TCP(TO("8000"), ACK, .fragment = 0x2000), IS_PASSED("no_connection")},
	      {"of TCP, without the flags", ETH0, TCP(TO("8000"), SYN, .l4_cut = 24, .fragment = 0x2000),
	       IS_DROPPED("fragment_tiny")},
	      {"of TCP, without the last bytes", ETH0, TCP(TO("8000"), SYN, .l4_cut = 8, .fragment = 0x2000),
	       IS_DROPPED("fragment_tiny")},
	      {"the same of no map", ETH0, TCP(TO("22"), SYN, .l4_cut = 24, .fragment = 0x2000), IS_UNTOUCHED},
	      {"not in units of 8", ETH0, UDP(TO("8000"), .data = 63, .fragment = 0x2000), IS_PASSED("malformed")});
}

/* Tags of VLAN ID 0 belong to no VLAN: the frame is the device's own, and leaves without them. */
Test(packets, priority_tags)
{
	CHECK({"a tag", ETH0, TCP(TO("8000"), SYN, .tags = 1), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"two tags", ETH0, TCP(TO("8000"), SYN, .tags = 2), LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"IPv6", ETH0, UDP(TO6("8000"), .data = 5, .tags = 1), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"two tags, IPv6", ETH0, TCP(TO6("8000"), SYN, .ext = "h", .tags = 2), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"to the LAN", ETH0, TCP(TO("8080"), SYN, .options = 8, .tags = 2),
	       LEAVES_BY(ETH1, "192.168.7.1:40000 > 192.168.7.2:80")},
	      {"link padding", ETH0, UDP(TO("8000"), .data = 1, .padding = 13, .tags = 1),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"TTL 1", ETH0, TCP(TO("8000"), SYN, .ttl = 1, .tags = 2), GETS_ICMP_ERROR("ttl_exceeded", 11, 0)},
	      {"TTL 1, IPv6", ETH0, UDP(TO6("8000"), .ttl = 1, .tags = 1), GETS_ICMP_ERROR("ttl_exceeded", 3, 0)},
	      {"left to the stack", ETH0, TCP(TO("8000"), ACK, .tags = 2), IS_PASSED("no_connection")},
	      {"of no map", ETH0, TCP(TO("22"), SYN, .tags = 1), IS_UNTOUCHED},
	      {"of a VLAN", ETH0, TCP(TO("8000"), SYN, .tags = 1, .vlan = 7), IS_UNTOUCHED},
	      {"of a VLAN, behind a priority tag", ETH0, TCP(TO("8000"), SYN, .tags = 2, .vlan = 7), IS_UNTOUCHED},
	      {"more tags than anybody needs", ETH0, TCP(TO("8000"), SYN, .tags = 3), IS_UNTOUCHED},
	      {"the tag and nothing behind it", ETH0, TCP(TO("8000"), SYN, .tags = 1, .cut = 52), IS_UNTOUCHED});
}

/* A fragment header of a whole packet (RFC 6946) is skipped. Hosts refuse a second one. */
Test(packets, fragment_headers)
{
	CHECK({"of a whole packet", ETH0, UDP(TO6("8000"), .data = 5, .ext = "F"), LEAVES_BY(WG0, AT_HOME6("8000"))},
	      {"two of them", ETH0, UDP(TO6("8000"), .data = 5, .ext = "FF"), IS_PASSED("extension_header")},
	      {"behind one of a fragment", ETH0, UDP(TO6("8000"), .data = 8, .ext = "fF"),
	       IS_PASSED("extension_header")},
	      {"two of fragments", ETH0, UDP(TO6("8000"), .data = 8, .ext = "ff"), IS_PASSED("extension_header")});
}

Test(packets, malformed)
{
	CHECK({"total length beyond the end", ETH0, TCP(TO("8000"), SYN, .poke_at = 3, .poke = 99),
	       IS_PASSED("malformed")},
	      {"total length 0", ETH0, TCP(TO("8000"), SYN, .poke_at = 3), IS_PASSED("malformed")},
	      {"TCP header too short", ETH0, TCP(TO("8000"), SYN, .poke_at = 32, .poke = 0x40), IS_PASSED("malformed")},
	      {"TCP header too long", ETH0, TCP(TO("8000"), SYN, .poke_at = 32, .poke = 0xf0), IS_PASSED("malformed")},
	      {"UDP length too long", ETH0, UDP(TO("8000"), .data = 4, .poke_at = 25, .poke = 13),
	       IS_PASSED("malformed")},
	      {"UDP length too short", ETH0, UDP(TO("8000"), .data = 4, .poke_at = 25, .poke = 7),
	       IS_PASSED("malformed")},
	      {"payload length beyond the end", ETH0, TCP(TO6("8000"), SYN, .poke_at = 5, .poke = 99),
	       IS_PASSED("malformed")},
	      {"extension header beyond the end", ETH0, UDP(TO6("8000"), .ext = "d", .poke_at = 41, .poke = 9),
	       IS_PASSED("malformed")},
	      {"mapped addresses in an IPv6 packet", ETH0,
	       TCP("[::ffff:54.147.66.132]:40000 > [::ffff:93.184.216.34]:8000", SYN), IS_PASSED("malformed")},
	      {"too many extension headers", ETH0, UDP(TO6("8000"), .ext = "hdddd"), IS_PASSED("extension_header")},
	      {"routing header", ETH0, UDP(TO6("8000"), .ext = "r"), IS_PASSED("extension_header")});
}

/* Truncated at every length, on either kind of device: passed unchanged. */
static void check_truncated(enum device in, struct packet p)
{
	struct frame whole;
	struct result r;
	/* BPF_PROG_RUN refuses less; tests/host tests that. */
	size_t least = ETHER_LEN + 1;

	packet_build(&whole, &p, devices[in].link == FWD_LINK_ETHERNET ? devices[in].mac : NULL, devices[in].peer);
	if (devices[in].link == FWD_LINK_ETHERNET)
		least = ETHER_LEN + (p.flow[0] == '[' ? 40 : 20);
	for (size_t len = least; len < whole.len; len++) {
		const char *difference;

		memcpy(r.in.data, whole.data, len);
		r.in.len = len;
		run_frame(in, INGRESS, 0, false, &r);
		cr_expect(r.verdict == TC_ACT_UNSPEC, "%s truncated to %zu: %s", p.flow, len, verdict_name(r.verdict));
		difference = frame_difference(r.out.data, r.out.len, r.in.data, r.in.len);
		cr_expect(!difference, "%s truncated to %zu: %s", p.flow, len, difference);
	}
	cr_expect(check_table() == 0);
}

Test(packets, cut_short)
{
	for (enum device in = ETH0; in <= WG0; in++) {
		check_truncated(in, TCP(TO("8000"), SYN));
		check_truncated(in, TCP(TO("8000"), SYN, .options = 40));
		check_truncated(in, UDP(TO("8000"), .data = 20));
		check_truncated(in, TCP(TO6("8000"), SYN));
		check_truncated(in, UDP(TO6("8000"), .data = 20, .ext = "hDd"));
	}
}

Test(packets, other_protocols)
{
	CHECK({"ICMP", ETH0, {TO("8000"), 1, .data = 20}, IS_UNTOUCHED},
	      {"ICMPv6", ETH0, {TO6("8000"), 58, .data = 20}, IS_UNTOUCHED},
	      {"SCTP", ETH0, {TO("8000"), 132, .data = 20}, IS_UNTOUCHED},
	      {"GRE", WG0, {TO("8000"), 47, .data = 20}, IS_UNTOUCHED},
	      {"ESP, IPv6", WG0, {TO6("8000"), 50, .data = 20}, IS_UNTOUCHED},
	      {"authentication header", ETH0, UDP(TO6("8000"), .ext = "a"), IS_UNTOUCHED},
	      {"ARP", ETH0, UDP(TO("8000"), .data = 20, .ether_type = 0x0806), IS_UNTOUCHED},
	      {"VLAN", ETH0, TCP(TO("8000"), SYN, .ether_type = 0x8100), IS_UNTOUCHED},
	      {"service VLAN", ETH0, TCP(TO("8000"), SYN, .ether_type = 0x88a8), IS_UNTOUCHED},
	      {"Ethernet type 6", ETH0, TCP(TO("8000"), SYN, .ether_type = 0x0600), IS_UNTOUCHED},
	      {"802.3 length", ETH0, TCP(TO("8000"), SYN, .ether_type = 52), IS_UNTOUCHED});
}

Test(packets, not_for_this_host)
{
	CHECK({"broadcast", ETH0, UDP(TO("8000"), .data = 5, .to = "ff:ff:ff:ff:ff:ff"), IS_UNTOUCHED},
	      {"multicast", ETH0, UDP(TO("8000"), .data = 5, .to = "01:00:5e:00:00:01"), IS_UNTOUCHED},
	      {"another host's", ETH0, TCP(TO("8000"), SYN, .to = "02:00:00:00:00:99"), IS_UNTOUCHED},
	      {"another device's", ETH0, TCP(TO("8000"), SYN, .to = "02:00:00:00:07:01"), IS_UNTOUCHED});
}

Test(packets, unusable_routes)
{
	CHECK({"blackhole", ETH0, TCP(TO("7010"), SYN), IS_DROPPED("blackhole")},
	      {"unreachable", ETH0, TCP(TO("7011"), SYN), GETS_ICMP_ERROR("unreachable", 3, 1)},
	      {"prohibited", ETH0, TCP(TO("7012"), SYN), GETS_ICMP_ERROR("prohibited", 3, 13)},
	      {"no route", ETH0, TCP(TO("7013"), SYN), IS_PASSED("no_route")},
	      {"blackhole, IPv6", ETH0, UDP(TO6("7010"), .data = 2), IS_DROPPED("blackhole")},
	      {"unreachable, IPv6", ETH0, UDP(TO6("7011"), .data = 2), GETS_ICMP_ERROR("unreachable", 1, 0)},
	      {"prohibited, IPv6", ETH0, UDP(TO6("7012"), .data = 2), GETS_ICMP_ERROR("prohibited", 1, 1)},
	      {"a device fwdctl isn't attached to", ETH0, TCP(TO("7014"), SYN), IS_PASSED("not_attached")},
	      {"the target is the gateway", ETH0, TCP(TO("7015"), SYN), IS_PASSED("no_route")});
}

Test(packets, forwarding_off)
{
	write_file("/proc/sys/net/ipv4/conf/eth0/forwarding", "0");
	CHECK({"on the device it came in by", ETH0, TCP(TO("8000"), SYN), IS_PASSED("no_forwarding")},
	      {"a wildcard's", ETH0, TCP(TO("9000"), SYN), IS_PASSED("no_forwarding")},
	      {"on that device only", WG0, TCP("10.172.16.3:40000 > " PUBLIC ":8000", SYN),
	       LEAVES_BY(WG0, AT_HOME("8000"))},
	      {"in that family only", ETH0, TCP(TO6("8000"), SYN), LEAVES_BY(WG0, AT_HOME6("8000"))});
	forwarding_set(false);
	CHECK({"everywhere", WG0, TCP("10.172.16.3:40000 > " PUBLIC ":8000", SYN), IS_PASSED("no_forwarding")},
	      {"everywhere, IPv6", ETH0, TCP(TO6("8000"), SYN), IS_PASSED("no_forwarding")},
	      {"of no map", ETH0, TCP(TO("22"), SYN), IS_UNTOUCHED});
}

Test(packets, inactive_maps)
{
	CHECK({"draining", ETH0, TCP(TO("7020"), SYN), IS_UNTOUCHED},
	      {"deleted, its ports still marked", ETH0, TCP(TO("7021"), SYN), IS_UNTOUCHED});
}

/* Without a neighbour entry each packet leaves through the kernel's neighbour table, and the route is not cached, so
 * that the next packet asks the FIB again. */
Test(packets, no_neighbour_yet)
{
	struct packet p = TCP(TO("8081"), SYN);
	struct entry conn;
	struct result r;

	run(ETH0, INGRESS, &p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT);
	cr_assert(conn_get(TO("8081"), PROTO_TCP, &conn));
	cr_expect(route_ifindex(&conn.flow.route) == (__u32)gw.ifindex[ETH1] && !conn.flow.route.refreshed);

	ip_batch("neigh add 192.168.7.3 lladdr 02:00:00:00:07:03 nud permanent dev eth1\n");
	run(ETH0, INGRESS, &p, &r);
	cr_assert(conn_get(TO("8081"), PROTO_TCP, &conn));
	cr_expect(conn.flow.route.refreshed && conn.flow.route.dmac[5] == 3);
	cr_expect(r.out.data[5] == 3, "destination MAC address");
	check_table();
}

Test(packets, counted_by_map)
{
	struct fwd_rule_stats s;

	arrives("SYN", ETH0, TCP(TO("8000"), SYN), LEAVES_BY(WG0, AT_HOME("8000")));
	arrives("three", ETH0, TCP(TO("8000"), ACK, .data = 2500, .gso_segs = 3), LEAVES_BY(WG0, AT_HOME("8000")));
	arrives("reply", WG0, TCP(reverse_of(AT_HOME("8000")), SYN | ACK, .data = 10),
		LEAVES_BY(ETH0, reverse_of(TO("8000"))));
	s = rule_stats_read(0);
	cr_expect(s.created == 1 && s.ended == 0);
	cr_expect(s.packets[FWD_DIR_FORWARD] == 4 && s.packets[FWD_DIR_REPLY] == 1);
	cr_expect(s.bytes[FWD_DIR_FORWARD] == 52 + 52 + 2500 && s.bytes[FWD_DIR_REPLY] == 62);
	s = rule_stats_read(1);
	cr_expect(!s.created && !s.packets[0] && !s.packets[1], "another map's");
	table_flush();
	s = rule_stats_read(0);
	cr_expect(s.ended == 1);
}
