/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The routes that packets take, and those that they do not: `ip rule`s, marks, tunnels that are gone, rp_filter; and
 * the priority that packets leave with.
 */
#include "check.h"

#define PUBLIC  "93.184.216.34:8000"
#define PUBLIC6 "[2001:db8:93::34]:8000"
#define VISITOR "54.147.66.132:40000"
#define IN      VISITOR " > " PUBLIC
#define OUT     "10.172.16.1:40000 > 10.172.16.2:9000"
#define IN6     "[2001:db8:54::132]:40000 > " PUBLIC6
#define OUT6    "[fd10:172:16::1]:40000 > [fd10:172:16::2]:9000"
#define NONE    VISITOR " > 10.172.16.2:9001"

#define SERVER_SEQ 9000

/* LISTEN and TARGET have different ports, so that it shows which one an `ip rule` matches. */
static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "10.172.16.2:9000", "10.172.16.1,10.172.16.1"},
	{PROTO_UDP, PUBLIC, "10.172.16.2:9000", "10.172.16.1,10.172.16.1"},
	{PROTO_TCP, PUBLIC6, "[fd10:172:16::2]:9000", "fd10:172:16::1,fd10:172:16::1"},
	{PROTO_UDP, PUBLIC6, "[fd10:172:16::2]:9000", "fd10:172:16::1,fd10:172:16::1"},
	{PROTO_TCP, "93.184.216.34:8001", "10.172.16.2:9001", NULL},
	{PROTO_UDP, "93.184.216.34:8003", "192.168.7.2:80", "192.168.7.1"},
};

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
}

TestSuite(routes, .init = start, .fini = check_table_at_end, .timeout = 60);

static void device_set(enum device dev, enum fwd_rp_filter filter)
{
	__u32 ifindex = gw.ifindex[dev];
	struct fwd_device d;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(devices), &ifindex, &d));
	d.rp_filter = filter;
	map_put(MAP_FD(devices), &ifindex, &d);
}

/* ---- the question is the kernel's: after DNAT, before SNAT ----------------------------------- */

/* The visitor's address is the source while the packet is routed. */
Test(routes, rule_from_the_visitor)
{
	arrives("before", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("before, IPv6", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	ip_batch("rule add from 54.147.66.132 blackhole\n"
		 "rule add from 54.147.66.133 prohibit\n");
	ip6_batch("rule add from 2001:db8:54::132 lookup 100\n"
		  "route add blackhole default table 100\n"
		  "rule add from 2001:db8:54::133 lookup 101\n"
		  "route add prohibit default table 101\n");
	clock_advance(2);
	arrives("of a connection", ETH0, TCP(IN, ACK), IS_DROPPED("blackhole"));
	arrives("of a connection, IPv6", ETH0, TCP(IN6, ACK), IS_DROPPED("blackhole"));
	arrives("UDP", ETH0, UDP(IN), IS_DROPPED("blackhole"));
	arrives("UDP, IPv6", ETH0, UDP(IN6), IS_DROPPED("blackhole"));
	arrives("--snat none", ETH0, TCP(VISITOR " > 93.184.216.34:8001", SYN), IS_DROPPED("blackhole"));
	arrives("prohibited", ETH0, TCP("54.147.66.133:40000 > " PUBLIC, SYN), GETS_ICMP_ERROR("prohibited", 3, 13));
	arrives("prohibited, IPv6", ETH0, TCP("[2001:db8:54::133]:40000 > " PUBLIC6, SYN),
		GETS_ICMP_ERROR("prohibited", 1, 1));
	arrives("another visitor", ETH0, TCP("54.147.66.134:40001 > " PUBLIC, SYN),
		LEAVES_BY(WG0, "10.172.16.1:40001 > 10.172.16.2:9000"));
}

/* The addresses after SNAT are no subject of a route: rules that match them have no effect. */
Test(routes, rule_from_the_source_address)
{
	ip_batch("rule add from 10.172.16.1 iif eth0 blackhole\n"
		 "rule add from 93.184.216.34 iif wg0 blackhole\n");
	arrives("request", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
}

/* The target's port is the destination port, and the visitor's port the source port. */
Test(routes, rule_of_ports)
{
	ip_batch("rule add ipproto tcp dport 8000 blackhole\n"
		 "rule add ipproto udp dport 9000 sport 40000 lookup 100\n"
		 "route add 10.172.16.2 via 192.168.7.2 dev eth1 table 100\n");
	ip6_batch("rule add ipproto udp dport 9000 sport 40000 lookup 100\n"
		  "rule add ipproto tcp dport 8000 lookup 101\n"
		  "route add blackhole default table 101\n"
		  "route add fd10:172:16::2 via fd07::2 dev eth1 table 100\n");
	arrives("LISTEN's port", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("LISTEN's port, IPv6", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	arrives("TARGET's port", ETH0, UDP(IN), LEAVES_BY(ETH1, OUT));
	arrives("TARGET's port, IPv6", ETH0, UDP(IN6), LEAVES_BY(ETH1, OUT6));
	arrives("another source port", ETH0, UDP("54.147.66.132:40001 > " PUBLIC),
		LEAVES_BY(WG0, "10.172.16.1:40001 > 10.172.16.2:9000"));
}

/* A reply is routed with the target's address and port as source and the visitor's as destination. */
Test(routes, rule_of_replies)
{
	arrives("request", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("request, IPv6", ETH0, UDP(IN6), LEAVES_BY(WG0, OUT6));
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	ip_batch("rule add from 10.172.16.2 to 54.147.66.132 ipproto udp sport 9000 dport 40000 blackhole\n");
	ip6_batch("rule add from fd10:172:16::2 ipproto udp sport 9000 dport 40000 lookup 100\n"
		  "route add blackhole default table 100\n");
	clock_advance(2);
	arrives("reply, later", WG0, UDP(reverse_of(OUT)), IS_DROPPED("blackhole"));
	arrives("reply, IPv6", WG0, UDP(reverse_of(OUT6)), IS_DROPPED("blackhole"));
	arrives("request, later", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
}

/* The device of the request is the reply's, if an `ip rule` for the public address leads there; but not if the reply's
 * own route denies it. */
Test(routes, uplink_of_the_request)
{
	ip_batch("rule add from 93.184.216.34 lookup 200\n"
		 "route add default via 192.168.7.2 dev eth1 table 200\n");
	ip6_batch("rule add from 2001:db8:93::34 lookup 200\n"
		  "route add default via fd07::2 dev eth1 table 200\n");
	for (int i = 0; i < 3; i++) {
		arrives("request", ETH1, UDP(IN), LEAVES_BY(WG0, OUT));
		arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH1, reverse_of(IN)));
		arrives("request, IPv6", ETH1, UDP(IN6), LEAVES_BY(WG0, OUT6));
		arrives("reply, IPv6", WG0, UDP(reverse_of(OUT6)), LEAVES_BY(ETH1, reverse_of(IN6)));
		clock_advance(2);
	}
	ip_batch("rule add from 10.172.16.2 blackhole\n");
	arrives("denied", WG0, UDP(reverse_of(OUT)), IS_DROPPED("blackhole"));
}

/* The TOS, and the traffic class. */
Test(routes, rule_of_tos)
{
	ip_batch("rule add tos 0x08 lookup 100\n"
		 "route add blackhole default table 100\n");
	ip6_batch("rule add tos 0x08 lookup 100\n"
		  "route add blackhole default table 100\n");
	arrives("IPv4", ETH0, UDP(IN, .tos = 0x08), IS_DROPPED("blackhole"));
	arrives("IPv4, another", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("IPv6", ETH0, UDP(IN6, .poke_at = 1, .poke = 0x80), IS_DROPPED("blackhole"));
	arrives("IPv6, another", ETH0, UDP(IN6), LEAVES_BY(WG0, OUT6));
}

/* A mark that another program at tc has set. Kernels before 6.10 do not let a program ask with one. */
Test(routes, rule_of_a_mark)
{
	ip_batch("rule add fwmark 7 lookup 100\n"
		 "route add blackhole default table 100\n");
	ip6_batch("rule add fwmark 7 lookup 100\n"
		  "route add blackhole default table 100\n");
	run_mark = 8;
	arrives("another mark", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	run_mark = 7;
	clock_advance(2);
	arrives("of a connection", ETH0, UDP(IN), IS_DROPPED("blackhole"));
	arrives("TCP", ETH0, TCP(IN, SYN), IS_DROPPED("blackhole"));
	arrives("IPv6", ETH0, UDP(IN6), IS_DROPPED("blackhole"));
	run_mark = 0;
}

/* ---- tunnels that are gone ------------------------------------------------------------------- */

/* The default route leads to the target: nothing that was meant for the tunnel leaves in clear, with a source address
 * that still exists or with the visitor's own. */
Test(routes, tunnel_is_gone)
{
	const char *none = VISITOR " > 93.184.216.34:8001";

	arrives("SNAT", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("SNAT, IPv6", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	arrives("--snat none", ETH0, TCP(none, SYN), LEAVES_BY(WG0, NONE));
	ip_batch("route del 10.172.16.0/24\n");
	ip6_batch("route del fd10:172:16::/64 dev wg0\n");
	clock_advance(2);
	arrives("of a connection", ETH0, TCP(IN, ACK), GETS_ICMP_ERROR("route_lost", 3, 0));
	arrives("of a connection, IPv6", ETH0, TCP(IN6, ACK), GETS_ICMP_ERROR("route_lost", 1, 0));
	arrives("of one without SNAT", ETH0, TCP(none, ACK), GETS_ICMP_ERROR("route_lost", 3, 0));
	arrives("a new one", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, SYN), IS_PASSED("tunnel_gone"));
	arrives("a new one, IPv6", ETH0, TCP("[2001:db8:54::132]:40001 > " PUBLIC6, SYN), IS_PASSED("tunnel_gone"));
	arrives("a new one without SNAT", ETH0, TCP("54.147.66.132:40001 > 93.184.216.34:8001", SYN),
		IS_PASSED("tunnel_gone"));
	/* Another map has had no route yet. */
	arrives("a map without a past", ETH0, UDP(IN), LEAVES_BY(ETH0, OUT));
	ip_batch("route add 10.172.16.0/24 dev wg0\n");
	ip6_batch("route add fd10:172:16::/64 dev wg0\n");
	clock_advance(2);
	arrives("the tunnel is back", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	arrives("the tunnel is back, IPv6", ETH0, TCP(IN6, ACK), LEAVES_BY(WG0, OUT6));
}

/* `map del` and `map add`, after the target has moved to the LAN. */
Test(routes, tunnel_is_left_on_purpose)
{
	arrives("by the tunnel", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	ip_batch("route del 10.172.16.0/24\n"
		 "route add 10.172.16.2 via 192.168.7.2 dev eth1\n");
	rule_delete(1);
	rule_put(1, &rules[1]);
	table_flush();
	arrives("by the LAN", ETH0, UDP(IN), LEAVES_BY(ETH1, OUT));
}

/* A target that was never behind a tunnel may change its device, to a tunnel and back. */
Test(routes, from_lan_to_tunnel)
{
	const char *in = VISITOR " > 93.184.216.34:8003", *out = "192.168.7.1:40000 > 192.168.7.2:80";

	arrives("by the LAN", ETH0, UDP(in), LEAVES_BY(ETH1, out));
	ip_batch("route add 192.168.7.2 dev wg0\n");
	clock_advance(2);
	arrives("by a tunnel", ETH0, UDP(in), LEAVES_BY(WG0, out));
	ip_batch("route del 192.168.7.2 dev wg0\n");
	clock_advance(2);
	arrives("by the LAN again", ETH0, UDP(in), LEAVES_BY(ETH1, out));
}

/* attach has found an IPsec policy: nothing is forwarded. */
Test(routes, ipsec_policy)
{
	struct fwd_rule r;

	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	rule_read(0, &r);
	r.path = FWD_PATH_IPSEC;
	rule_write(0, &r);
	clock_advance(2);
	arrives("of a connection", ETH0, TCP(IN, ACK), GETS_ICMP_ERROR("route_lost", 3, 0));
	arrives("a new one", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, SYN), IS_PASSED("ipsec"));
	arrives("another map", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
}

/* ---- rp_filter ------------------------------------------------------------------------------- */

#define SPOOFED "10.172.16.9:40000 > " PUBLIC

/* A visitor's packet with a source that is behind the tunnel. */
Test(routes, rp_filter_of_visitors)
{
	device_set(ETH0, FWD_RP_STRICT);
	arrives("strict", ETH0, TCP(SPOOFED, SYN), IS_DROPPED("rp_filter"));
	arrives("strict, UDP", ETH0, UDP(SPOOFED), IS_DROPPED("rp_filter"));
	arrives("strict, another visitor", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	ip_batch("route del default\n"
		 "route add 54.147.66.0/24 via 93.184.216.1\n");
	device_set(ETH0, FWD_RP_LOOSE);
	arrives("loose", ETH0, UDP("10.172.16.9:40001 > " PUBLIC),
		LEAVES_BY(WG0, "10.172.16.1:40001 > 10.172.16.2:9000"));
	arrives("loose, without a route", ETH0, UDP("203.0.113.5:40000 > " PUBLIC), IS_DROPPED("rp_filter"));
	device_set(ETH0, FWD_RP_OFF);
	arrives("off, without a route", ETH0, UDP("203.0.113.5:40000 > " PUBLIC), IS_PASSED("martian"));
	arrives("off", ETH0, TCP(SPOOFED, SYN), LEAVES_BY(WG0, OUT));
}

/* A reply that does not come from home: source HOME, received by eth0. */
Test(routes, rp_filter_of_replies)
{
	struct entry conn;

	device_set(ETH0, FWD_RP_STRICT);
	arrives("request", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("forged before the first", ETH0, UDP(reverse_of(OUT)), IS_DROPPED("rp_filter"));
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("forged", ETH0, UDP(reverse_of(OUT)), IS_DROPPED("rp_filter"));
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	cr_assert(conn_get(reverse_of(OUT), PROTO_UDP, &conn));
	cr_expect(conn.flow.packets == 2, "%llu replies", conn.flow.packets);
	arrives("the visitor's, by the tunnel", WG0, UDP(IN), LEAVES_BY(WG0, OUT));
	device_set(WG0, FWD_RP_STRICT);
	arrives("the visitor's, by eth0", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("forged, by the tunnel", WG0, UDP(IN), IS_DROPPED("rp_filter"));
	device_set(ETH0, FWD_RP_LOOSE);
	arrives("loose", ETH0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	device_set(ETH0, FWD_RP_OFF);
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("off", ETH0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
}

/* An ICMP error about a connection may come from any router, but not from one behind another device. */
Test(routes, rp_filter_of_errors)
{
	struct error e = {"10.172.16.9:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT, .data = 9)};
	__u64 reasons[FWD_REASON_MAX];
	struct result r;

	device_set(ETH0, FWD_RP_STRICT);
	arrives("request", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	error_build(&r.in, &e, devices[ETH0].mac, devices[ETH0].peer);
	reasons_read(reasons);
	run_frame(ETH0, INGRESS, 0, false, &r);
	cr_expect(r.verdict == TC_ACT_SHOT, "%s", verdict_name(r.verdict));
	check_reasons("an error", reasons, "rp_filter");
	device_set(ETH0, FWD_RP_OFF);
	error_build(&r.in, &e, devices[ETH0].mac, devices[ETH0].peer);
	run_frame(ETH0, INGRESS, 0, false, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "off: %s", verdict_name(r.verdict));
}

/* With a multipath route the kernel accepts packets from any of its devices. */
Test(routes, rp_filter_of_multipath)
{
	char in[100];
	int refused = 0;

	ip_batch("route replace default nexthop via 93.184.216.1 dev eth0 nexthop via 192.168.7.2 dev eth1\n");
	device_set(ETH0, FWD_RP_STRICT);
	device_set(ETH1, FWD_RP_STRICT);
	for (int i = 0; i < 30; i++) {
		static struct result r;
		struct packet p = UDP(in);

		snprintf(in, sizeof(in), "54.147.66.%d:%d > " PUBLIC, 100 + i, 41000 + i);
		run(i & 1 ? ETH1 : ETH0, INGRESS, &p, &r);
		refused += r.verdict != TC_ACT_REDIRECT;
	}
	/* The lookups miss one in 128 times. */
	cr_expect(refused <= 2, "%d of 30 visitors are refused", refused);
}

/* ---- the priority ---------------------------------------------------------------------------- */

/* ip_forward() sets skb->priority by the TOS; ip6_forward() does not. */
Test(routes, priority)
{
	static const struct {
		__u8 tos;
		__u32 want; /* TC_PRIO_* of linux/pkt_sched.h */
	} rows[] = {{0x03, 0}, {0x04, 0}, {0x08, 2}, {0x0a, 2}, {0x10, 6}, {0x14, 6}, {0x18, 4},
		    {0x1c, 4}, {0xb8, 4}, {0x88, 2}, {0xe0, 0}, {0x02, 0}, {0xb0, 6}, {0x48, 2}};
	static struct result r;
	struct packet p;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = (struct packet)UDP(IN, .tos = rows[i].tos);
		run(ETH0, INGRESS, &p, &r);
		cr_expect(r.verdict == TC_ACT_REDIRECT);
		cr_expect(r.priority == rows[i].want, "TOS %#x: priority %u instead of %u", rows[i].tos, r.priority,
			  rows[i].want);
	}
	p = (struct packet)UDP(IN6, .poke_at = 1, .poke = 0x80);
	run(ETH0, INGRESS, &p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT);
	cr_expect(r.priority == 0, "IPv6: priority %u", r.priority);
}
