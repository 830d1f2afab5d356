/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors of others that the programs forward, ICMP errors that they send, fragmentation, MSS clamping.
 */
#include "check.h"

#define IN   "54.147.66.132:40000 > 93.184.216.34:8000"
#define OUT  "10.172.16.1:40000 > 10.172.16.2:8000"
#define IN6  "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000"
#define OUT6 "[fd10:172:16::1]:40000 > [fd10:172:16::2]:8000"

static const struct rule rules[] = {
	{PROTO_TCP, "93.184.216.34:8000", "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, "93.184.216.34:8000", "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_TCP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_TCP, "93.184.216.34:8080", "192.168.7.2:80", "192.168.7.1"},
};

/* Errors towards home are tested on ETH1: BPF_PROG_RUN takes the first bytes of WG0's packets for an Ethernet header,
 * so that the kernel does not know their protocol, and inserts no header. */
#define IN_LAN  "54.147.66.132:40000 > 93.184.216.34:8080"
#define OUT_LAN "192.168.7.1:40000 > 192.168.7.2:80"

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
}

TestSuite(errors, .init = start, .fini = check_table_at_end, .timeout = 30);

/* The error `before` arrives by `in` and leaves as `after` by `out`; after: NULL: it is passed unchanged. */
static void check_error(const char *what, enum device in, const struct error *before, enum device out,
			const struct error *after)
{
	bool ethernet_in = devices[in].link == FWD_LINK_ETHERNET;
	__u64 reasons[FWD_REASON_MAX];
	const char *difference;
	struct frame want;
	struct result r;

	reasons_read(reasons);
	error_build(&r.in, before, ethernet_in ? devices[in].mac : NULL, devices[in].peer);
	run_frame(in, INGRESS, 0, false, &r);
	want = r.in;
	if (after && devices[out].link == FWD_LINK_ETHERNET)
		error_build(&want, after, devices[out].peer, devices[out].mac);
	else if (after)
		error_build(&want, after, ethernet_in ? devices[in].mac : NULL, devices[in].peer);
	cr_expect(r.verdict == (after ? TC_ACT_REDIRECT : TC_ACT_UNSPEC), "%s: %s", what, verdict_name(r.verdict));
	difference = frame_difference(r.out.data, r.out.len, want.data, want.len);
	cr_expect(!difference, "%s: %s", what, difference);
	check_reasons(what, reasons, NULL);
}

Test(errors, from_the_target_side)
{
	struct error before = {"10.172.16.2:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT, .data = 9)};
	struct error after = {"93.184.216.34:0 > 54.147.66.132:0", 3, 3, .quoted = UDP(IN, .data = 9), .ttl = 63};

	check_error("of no connection", WG0, &before, 0, NULL);
	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	check_error("port unreachable", WG0, &before, ETH0, &after);
	before.quoted_len = after.quoted_len = 28;
	check_error("8 bytes quoted", WG0, &before, ETH0, &after);
	before.flow = "10.172.16.9:0 > 10.172.16.1:0";
	check_error("from a router", WG0, &before, ETH0, &after);

	arrives("TCP", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	before.quoted = TCP(OUT, SYN, .options = 8);
	after.quoted = TCP(IN, SYN, .options = 8);
	before.quoted_len = after.quoted_len = 0;
	check_error("options in the quote", WG0, &before, ETH0, &after);
	before.quoted_len = after.quoted_len = 36;
	check_error("options and 8 bytes quoted", WG0, &before, ETH0, &after);
}

Test(errors, ipv6)
{
	struct error before = {"[fd10:172:16::2]:0 > [fd10:172:16::1]:0", 2, 0, 1280, .quoted = UDP(OUT6, .data = 9)};
	struct error after = {
		"[2001:db8:93::34]:0 > [2001:db8:54::132]:0", 2, 0, 1280, .quoted = UDP(IN6, .data = 9), .ttl = 63};

	check_error("of no connection", WG0, &before, 0, NULL);
	arrives("UDP", ETH0, UDP(IN6), LEAVES_BY(WG0, OUT6));
	check_error("packet too big", WG0, &before, ETH0, &after);
	before.quoted_len = after.quoted_len = 48;
	check_error("8 bytes quoted", WG0, &before, ETH0, &after);
}

Test(errors, from_the_client_side)
{
	const char *reply = "93.184.216.34:8000 > 54.147.66.132:40000";
	struct error before = {"54.147.66.132:0 > 93.184.216.34:0", 3, 4, 1400, .quoted = TCP(reply, ACK, .data = 20)};
	struct error after = {"10.172.16.1:0 > 10.172.16.2:0",
			      3,
			      4,
			      1400,
			      .quoted = TCP("10.172.16.2:8000 > 10.172.16.1:40000", ACK, .data = 20),
			      .ttl = 63};

	check_error("of no connection", ETH0, &before, 0, NULL);
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	check_error("fragmentation needed", ETH0, &before, WG0, &after);
	before.flow = "192.0.2.77:0 > 93.184.216.34:0";
	check_error("from a router far away", ETH0, &before, WG0, &after);
	before.type = 8;
	check_error("echo", ETH0, &before, 0, NULL);
}

/* An `ip rule` that matches the connection's packets but not the error: the error has its own route and does not
 * replace the connection's. */
Test(errors, route_by_a_rule)
{
	struct error before = {"54.147.66.132:0 > 93.184.216.34:0", 3, 4, 1400,
			       .quoted = TCP("93.184.216.34:8000 > 54.147.66.132:40000", ACK, .data = 20)};
	struct error after = {"10.172.16.1:0 > 10.172.16.2:0",
			      3,
			      4,
			      1400,
			      .quoted = TCP("10.172.16.2:8000 > 10.172.16.1:40000", ACK, .data = 20),
			      .ttl = 63};

	ip_batch("rule add ipproto tcp dport 8000 lookup 100\n"
		 "route add 10.172.16.2 via 192.168.7.2 dev eth1 table 100\n");
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(ETH1, OUT));
	clock_advance(2);
	check_error("after the cached route expired", ETH0, &before, WG0, &after);
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(ETH1, OUT));
}

/* RFC 5508 REQ-3: an error with a wrong checksum is passed to the stack, which drops it. */
Test(errors, wrong_checksum)
{
	struct error e = {"10.172.16.2:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT, .data = 99)};
	struct error e6 = {"[fd10:172:16::2]:0 > [fd10:172:16::1]:0", 1, 4, .quoted = UDP(OUT6)};
	const struct error *errors[] = {&e, &e6};
	__u64 reasons[FWD_REASON_MAX];
	struct result r;

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("UDP, IPv6", ETH0, UDP(IN6), LEAVES_BY(WG0, OUT6));
	for (int i = 0; i < 2; i++) {
		error_build(&r.in, errors[i], NULL, NULL);
		r.in.data[r.in.len - 1] ^= 1;
		reasons_read(reasons);
		run_frame(WG0, INGRESS, 0, false, &r);
		cr_expect(r.verdict == TC_ACT_UNSPEC, "%s", verdict_name(r.verdict));
		cr_expect(!frame_difference(r.out.data, r.out.len, r.in.data, r.in.len));
		check_reasons("wrong checksum", reasons, "malformed");
	}
}

/* An error does not refresh a connection, count as its packet, or open one. */
Test(errors, do_not_count_as_packets)
{
	struct error e = {"10.172.16.2:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT)};
	struct entry before, after;
	struct result r;

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_assert(conn_get(reverse_of(OUT), PROTO_UDP, &before));
	error_build(&r.in, &e, NULL, NULL);
	clock_advance(5);
	run_frame(WG0, INGRESS, 0, false, &r);
	cr_assert(conn_get(reverse_of(OUT), PROTO_UDP, &after));
	cr_expect(after.flow.packets == before.flow.packets && after.flow.last_seen == before.flow.last_seen &&
		  after.flow.ct_state == before.flow.ct_state);
}

/* ---- too big ------------------------------------------------------------------------------- */

static void check_too_big(const char *what, const struct packet *p, __u32 mtu)
{
	bool v6 = p->flow[0] == '[';

	check_icmp_error(what, ETH0, p, &(struct icmp_error){v6 ? 2 : 3, v6 ? 0 : 4, mtu, "too_big"});
}

Test(errors, too_big)
{
	ip_batch("link set wg0 mtu 1380\n");
	for (int odd = 0; odd < 2; odd++) {
		check_too_big("UDP", &UDP(IN, .data = 1353 + odd), 1380);
		check_too_big("TCP", &TCP(IN, SYN, .data = 1400 + odd), 1380);
		check_too_big("options", &UDP(IN, .data = 1353 + odd, .options = 40), 1380);
		check_too_big("UDP, IPv6", &UDP(IN6, .data = 1333 + odd), 1380);
		check_too_big("TCP, IPv6", &TCP(IN6, SYN, .data = 1400 + odd), 1380);
	}
	check_too_big("another TOS", &UDP(IN, .data = 1400, .tos = 0xe5), 1380);
	arrives("fits", ETH0, UDP(IN, .data = 1352), LEAVES_BY(WG0, OUT));
	arrives("fits, IPv6", ETH0, UDP(IN6, .data = 1332), LEAVES_BY(WG0, OUT6));
	arrives("segments that fit", ETH0, UDP(IN, .data = 3000, .gso_segs = 3), LEAVES_BY(WG0, OUT));
}

/* ---- fragmentation ------------------------------------------------------------------------- */

/* A packet without DF is fragmented. BPF_PROG_RUN returns only the last fragment of `p`; tests/net/46-mtu.sh captures
 * all. Each has at most `piece` bytes of payload. start: offset of p in its datagram, in units of 8 bytes. */
static void check_fragmentation(const char *what, struct packet p, size_t piece, int start, bool more)
{
	size_t header = 20 + p.options, len, left;
	struct packet whole = p;
	struct frame f;
	struct result r;
	const __u8 *ip = r.out.data + ETHER_LEN;

	/* struct packet takes 0 for the default, which has DF; the reserved bit has no effect. */
	p.fragment = start | (more ? 0x2000 : start ? 0 : 0x8000);
	run(ETH0, INGRESS, &p, &r);
	cr_assert(r.verdict == TC_ACT_REDIRECT, "%s: %s", what, verdict_name(r.verdict));
	whole.flow = OUT;
	whole.fragment = p.fragment;
	whole.ttl = TTL_NORMAL - 1;
	packet_build(&f, &whole, NULL, NULL);
	left = (f.len - header) % piece ? (f.len - header) % piece : piece;
	len = header + left;
	cr_assert(r.out.len == ETHER_LEN + len, "%s: %zu bytes", what, r.out.len - ETHER_LEN);
	cr_expect(get16(ip + 2) == len, "%s: length", what);
	cr_expect(get16(ip + 6) == (start + (f.len - header - left) / 8) + (more ? 0x2000 : 0), "%s: offset %x", what,
		  get16(ip + 6));
	cr_expect(sum16(0, ip, header) == 0xffff, "%s: header checksum", what);
	cr_expect(!memcmp(ip, f.data, 2) && !memcmp(ip + 4, f.data + 4, 2) && !memcmp(ip + 8, f.data + 8, 2) &&
			  !memcmp(ip + 12, f.data + 12, header - 12),
		  "%s: header", what);
	cr_expect(!memcmp(ip + header, f.data + f.len - left, left), "%s: payload", what);
}

Test(errors, fragmentation)
{
	ip_batch("link set wg0 mtu 1380\n");
	check_fragmentation("two pieces", UDP(IN, .data = 1400), 1360, 0, false);
	check_fragmentation("one byte more than fits", UDP(IN, .data = 1353), 1360, 0, false);
	check_fragmentation("two of full size", UDP(IN, .data = 2712), 1360, 0, false);
	check_fragmentation("options", UDP(IN, .data = 2712, .options = 40), 1320, 0, false);
	check_fragmentation("a first fragment", UDP(IN, .data = 1400), 1360, 0, true);
	check_fragmentation("a later fragment", UDP(IN, .data = 1392), 1360, 177, true);
	ip_batch("link set wg0 mtu 220\nlink set eth1 mtu 200\n");
	clock_advance(2); /* the route is cached for a second */
	check_fragmentation("small fragments", UDP(IN, .data = 900), 200, 0, false);
	check_too_big("too many fragments", &TCP(IN_LAN, SYN, .data = 3000, .fragment = 0x8000), 200);
}

/* ---- time exceeded ------------------------------------------------------------------------- */

static const struct icmp_error exceeded = {11, 0, 0, "ttl_exceeded"}, exceeded6 = {3, 0, 0, "ttl_exceeded"};

Test(errors, time_exceeded)
{
	check_icmp_error("TTL 1", ETH0, &TCP(IN, SYN, .ttl = 1), &exceeded);
	check_icmp_error("TTL 0", ETH0, &TCP(IN, SYN, .ttl = -1), &exceeded);
	check_icmp_error("UDP", ETH0, &UDP(IN, .ttl = 1, .data = 33), &exceeded);
	check_icmp_error("hop limit 1", ETH0, &UDP(IN6, .ttl = 1), &exceeded6);
	cr_expect(check_table() == 0, "a connection was opened");
	arrives("SYN", ETH0, TCP(IN_LAN, SYN), LEAVES_BY(ETH1, OUT_LAN));
	check_icmp_error("of a connection", ETH0, &TCP(IN_LAN, ACK, .ttl = 1), &exceeded);
	check_icmp_error("the target's", ETH1, &TCP(reverse_of(OUT_LAN), SYN | ACK, .ttl = 1), &exceeded);
}

/* RFC 1812 4.3.2.7: no ICMP error about an ICMP error, nor about a fragment other than the first. */
Test(errors, never_about_errors_or_fragments)
{
	struct error e = {"10.172.16.2:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT), .ttl = 1};
	__u64 reasons[FWD_REASON_MAX];
	struct result r;

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	error_build(&r.in, &e, NULL, NULL);
	reasons_read(reasons);
	run_frame(WG0, INGRESS, 0, false, &r);
	cr_expect(r.verdict == TC_ACT_SHOT, "an error: %s", verdict_name(r.verdict));
	check_reasons("an error", reasons, "ttl_exceeded");
	arrives("a first fragment", ETH0, UDP(IN, .data = 64, .fragment = 0x2000), LEAVES_BY(WG0, OUT));
	arrives("a later fragment", ETH0, UDP(IN, .data = 64, .fragment = 9, .ttl = 1), IS_DROPPED("ttl_exceeded"));
}

/* RFC 1122 3.2.2, RFC 1812 4.3.2.7: no ICMP error to a broadcast or multicast address, nor to the gateway itself. */
Test(errors, never_to_others_than_hosts)
{
	static const char *const dropped[] = {
		"93.184.216.255",    /* broadcast address of the device that received it */
		"192.168.7.255",     /* of another device */
		"10.172.16.1",       /* own */
		"93.184.216.34",     /* LISTEN: a LAND packet */
		"[2001:db8:93::34]", /* the same */
		"[fd10:172:16::1]",  /* own */
		"10.99.0.9",         /* a blackhole */
		"[fd99:1::9]",       /* unreachable */
	};
	static const char *const passed[] = {"255.255.255.255", "127.0.0.1", "0.0.0.1",
					     "224.0.0.1",       "[ff02::1]", "[::1]"};
	char flow[100];

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
		snprintf(flow, sizeof(flow), "%s:8000 > %s", dropped[i],
			 *dropped[i] == '[' ? "[2001:db8:93::34]:8000" : "93.184.216.34:8000");
		arrives(dropped[i], ETH0, TCP(flow, SYN, .ttl = 1), IS_DROPPED("ttl_exceeded"));
		arrives(dropped[i], ETH0, UDP(flow, .ttl = 1, .data = 100), IS_DROPPED("ttl_exceeded"));
	}
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		snprintf(flow, sizeof(flow), "%s:8000 > %s", passed[i],
			 *passed[i] == '[' ? "[2001:db8:93::34]:8000" : "93.184.216.34:8000");
		arrives(passed[i], ETH0, TCP(flow, SYN, .ttl = 1), IS_PASSED("martian"));
	}
}

/* The number of errors that `count` packets with a used-up TTL from one address get. */
static int errors_to(const char *host, int count)
{
	const char *to = *host == '[' ? "[2001:db8:93::34]:8000" : "93.184.216.34:8000";
	static struct result r;
	char flow[100];
	int sent = 0;

	for (int i = 0; i < count; i++) {
		struct packet p = UDP(flow, .ttl = 1);

		snprintf(flow, sizeof(flow), "%s:%d > %s", host, 10000 + i, to);
		run(ETH0, INGRESS, &p, &r);
		sent += r.verdict == TC_ACT_REDIRECT;
	}
	return sent;
}

static void icmp_limits(__u32 interval, __u32 per_second)
{
	struct fwd_config c = config_read();

	c.icmp_interval[FWD_ICMP_IPV4] = c.icmp_interval[FWD_ICMP_IPV6] = interval;
	c.icmp_per_second = per_second;
	config_write(&c);
}

/* One address gets one error a second after a burst of six, as by the kernel's icmp_ratelimit. */
Test(errors, rate_limit_of_a_receiver)
{
	icmp_limits(FWD_TICKS(10), 1000);
	cr_expect(errors_to("54.147.66.132", 300) == 6);
	cr_expect(errors_to("[2001:db8:54::132]", 300) == 6);
	cr_expect(errors_to("54.147.66.133", 1) == 1, "another address");
	check_icmp_error("too big", ETH0, &UDP(IN, .data = 1500), &(struct icmp_error){3, 4, 1500, "too_big"});
	clock_advance(11);
	cr_expect(errors_to("54.147.66.132", 300) == 1, "a period later");
	clock_advance(21);
	cr_expect(errors_to("54.147.66.132", 300) == 2, "two periods later");
	clock_advance(1000);
	cr_expect(errors_to("54.147.66.132", 300) == 6, "long after");
	icmp_limits(0, 1000);
	cr_expect(errors_to("54.147.66.132", 30) == 30, "no limit");
}

/* "Fragmentation needed" and "packet too big" are exempt: a flood of packets with TTL 1 does not starve them. */
Test(errors, flood_does_not_starve_too_big)
{
	char host[40];

	icmp_limits(FWD_TICKS(1), 50);
	ip_batch("link set wg0 mtu 1380\n");
	for (int i = 0; i < 200; i++) {
		snprintf(host, sizeof(host), "54.147.67.%d", i);
		errors_to(host, 1);
	}
	for (int i = 0; i < 20; i++) {
		check_icmp_error("too big", ETH0, &UDP(IN, .data = 1400), &(struct icmp_error){3, 4, 1380, "too_big"});
		check_icmp_error("too big, IPv6", ETH0, &UDP(IN6, .data = 1400),
				 &(struct icmp_error){2, 0, 1380, "too_big"});
	}
}

/* ---- --snat none --------------------------------------------------------------------------- */

/* Home sends to the visitors' addresses; it receives errors from the addresses of the gateway and of routers. */
Test(errors, snat_none)
{
	const char *out = "54.147.66.132:40000 > 192.168.7.2:80";
	struct error before = {"192.0.2.77:0 > 93.184.216.34:0", 11, 0, .quoted = TCP(reverse_of(IN_LAN), ACK)};
	struct error after = {"192.0.2.77:0 > 192.168.7.2:0", 11, 0, .quoted = TCP(reverse_of(out), ACK), .ttl = 63};
	struct error to_visitor = {"93.184.216.34:0 > 54.147.66.132:0", 11, 0, .quoted = TCP(IN_LAN, ACK), .ttl = 63};
	struct icmp_error to_home = {11, 0, 0, "ttl_exceeded", .from = "192.168.7.1"};
	struct fwd_rule r;

	rule_read(4, &r);
	r.snat = FWD_SNAT_NONE; /* as fwdctl stores it: the pool has the gateway's address towards home */
	rule_write(4, &r);
	arrives("SYN", ETH0, TCP(IN_LAN, SYN), LEAVES_BY(ETH1, out));
	check_error("a router's, to home", ETH0, &before, ETH1, &after);
	before = (struct error){"192.168.7.9:0 > 54.147.66.132:0", 11, 0, .quoted = TCP(out, ACK)};
	check_error("a router's, to the visitor", ETH1, &before, ETH0, &to_visitor);
	check_icmp_error("the gateway's, to home", ETH1, &TCP(reverse_of(out), SYN | ACK, .ttl = 1), &to_home);
	check_icmp_error("the gateway's, to the visitor", ETH0, &TCP(IN_LAN, ACK, .ttl = 1), &exceeded);
}

/* ---- the MSS ------------------------------------------------------------------------------- */

/* A SYN leaves with the MSS `want`, with the option at an even and at an odd offset; no other byte changes. */
static void check_mss(const char *what, enum device in, struct packet p, __u16 want, enum device out, const char *flow)
{
	struct packet after = p;
	const char *difference;
	struct frame f;
	struct result r;

	after.flow = flow;
	after.ttl = TTL_NORMAL - 1;
	after.mss = want;
	for (int odd = 0; odd < 2; odd++) {
		p.mss_odd = after.mss_odd = odd;
		run(in, INGRESS, &p, &r);
		cr_expect(r.verdict == TC_ACT_REDIRECT, "%s: %s", what, verdict_name(r.verdict));
		if (devices[out].link == FWD_LINK_ETHERNET)
			packet_build(&f, &after, devices[out].peer, devices[out].mac);
		else
			packet_build(&f, &after, devices[in].mac, devices[in].peer);
		difference = frame_difference(r.out.data, r.out.len, f.data, f.len);
		cr_expect(!difference, "%s, %s offset: %s", what, odd ? "odd" : "even", difference);
	}
}

static void rule_mss(__u32 index, __u16 mss)
{
	struct fwd_rule r;

	rule_read(index, &r);
	r.mss = mss;
	rule_write(index, &r);
	table_flush();
}

Test(errors, mss)
{
	ip_batch("link set wg0 mtu 1420\n");
	check_mss("SYN", ETH0, TCP(IN, SYN, .mss = 1460), 1380, WG0, OUT);
	check_mss("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .mss = 8960), 1380, ETH0, reverse_of(IN));
	check_mss("the MSS that fits", ETH0, TCP(IN, SYN, .mss = 1380), 1380, WG0, OUT);
	check_mss("one more", ETH0, TCP(IN, SYN, .mss = 1381), 1380, WG0, OUT);
	check_mss("less", ETH0, TCP(IN, SYN, .mss = 536), 536, WG0, OUT);
	check_mss("the maximum", ETH0, TCP(IN, SYN, .mss = 0xffff), 1380, WG0, OUT);
	check_mss("after IP options", ETH0, TCP(IN, SYN, .mss = 1460, .options = 40), 1380, WG0, OUT);
	check_mss("without a SYN", ETH0, TCP(IN, ACK, .mss = 1460), 1460, WG0, OUT);
	check_mss("IPv6", ETH0, TCP(IN6, SYN, .mss = 1440), 1360, WG0, OUT6);
	check_mss("IPv6, with extension headers", ETH0, TCP(IN6, SYN, .mss = 1440, .ext = "hd"), 1360, WG0, OUT6);
	rule_mss(0, FWD_MSS_OFF);
	check_mss("off", ETH0, TCP(IN, SYN, .mss = 1460), 1460, WG0, OUT);
	rule_mss(0, 1000);
	check_mss("a fixed MSS", ETH0, TCP(IN, SYN, .mss = 1460), 1000, WG0, OUT);
}
