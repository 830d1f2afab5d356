/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requirements of the RFCs on NAT that no other test shows; docs/rfc.md refers to these tests. The requirement is above
 * each test.
 */
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define PUBLIC     "93.184.216.34:8000"
#define OTHER      "93.184.216.34:8002"
#define IN         "54.147.66.132:40000 > " PUBLIC
#define OUT        "10.172.16.1:40000 > 10.172.16.2:8000"
#define IN6        "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000"
#define OUT6       "[fd10:172:16::1]:40000 > [fd10:172:16::2]:8000"
#define SERVER_SEQ 0x20000000

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_TCP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_TCP, OTHER, "10.172.16.2:8002", "10.172.16.1"},
	{PROTO_UDP, OTHER, "10.172.16.2:8002", "10.172.16.1"},
};

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
	cr_assert(control(FWD_REQUEST_START_GC, NULL) == 0);
}

TestSuite(rfc, .init = start, .fini = check_table_at_end, .timeout = 60);

static void handshake(const char *in, const char *out)
{
	arrives("SYN", ETH0, TCP(in, SYN, .seq = 1), LEAVES_BY(WG0, out));
	arrives("SYN-ACK", WG0, TCP(reverse_of(out), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(in)));
	arrives("ACK", ETH0, TCP(in, ACK, .seq = 2, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, out));
}

static void stream(const char *in, const char *out)
{
	arrives("request", ETH0, UDP(in), LEAVES_BY(WG0, out));
	arrives("reply", WG0, UDP(reverse_of(out)), LEAVES_BY(ETH0, reverse_of(in)));
	arrives("request", ETH0, UDP(in), LEAVES_BY(WG0, out));
}

/* The error `before` arrives by `in` and leaves by `out` as `after`. */
static void check_error(const char *what, enum device in, const struct error *before, enum device out,
			const struct error *after)
{
	bool ethernet_in = devices[in].link == FWD_LINK_ETHERNET;
	const char *difference;
	struct frame want;
	struct result r;

	error_build(&r.in, before, ethernet_in ? devices[in].mac : NULL, devices[in].peer);
	if (devices[out].link == FWD_LINK_ETHERNET)
		error_build(&want, after, devices[out].peer, devices[out].mac);
	else
		error_build(&want, after, ethernet_in ? devices[in].mac : NULL, devices[in].peer);
	run_frame(in, INGRESS, 0, false, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "%s: %s", what, verdict_name(r.verdict));
	difference = frame_difference(r.out.data, r.out.len, want.data, want.len);
	cr_expect(!difference, "%s: %s", what, difference);
}

/* ---- mappings ------------------------------------------------------------------------------ */

/* RFC 4787 REQ-3, RFC 5382 REQ-7, RFC 7857 3: two visitors share a source port only towards different targets. */
Test(rfc, ports_overlap_towards_different_targets)
{
	const char *in = "54.147.66.133:40000 > " OTHER;
	const char *out = "10.172.16.1:40000 > 10.172.16.2:8002";
	struct packet same_target = UDP("54.147.66.134:40000 > " OTHER);
	const char *other;

	arrives("one", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("another, to another target", ETH0, UDP(in), LEAVES_BY(WG0, out));
	arrives("reply to the one", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("reply to the other", WG0, UDP(reverse_of(out)), LEAVES_BY(ETH0, reverse_of(in)));
	other = flow_out(arrives("a third, to the same", ETH0, same_target, LEAVES_BY(WG0, NULL)), ETH0, WG0);
	cr_expect(strcmp(other, out), "%s of two connections", other);
}

/* RFC 7857 9 (RFC 6056 4): a port that can't be kept is replaced by an unpredictable one. */
Test(rfc, ports_are_random)
{
	int below = 0, ascending = 0, last = 0;

	arrives("the port's owner", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	for (int i = 0; i < 60; i++) {
		struct packet p = UDP(NULL);
		char in[80];
		int port;

		snprintf(in, sizeof(in), "54.147.67.%d:40000 > " PUBLIC, i + 1);
		p.flow = in;
		port = atoi(strchr(flow_out(arrives("next", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0), ':') + 1);
		below += port < 32768;
		ascending += port > last;
		last = port;
	}
	/* The mean is 30; the probability of a value outside these bounds is 1e-9. */
	cr_expect(below > 5 && below < 55, "%d of 60 are in the lower half", below);
	cr_expect(ascending > 5 && ascending < 55, "%d of 60 are higher than the one before", ascending);
}

static void wait_for(__u32 connections)
{
	for (int i = 0; i < 60; i++) {
		struct fwd_counters c = counters_read();

		if (c.value[FWD_COUNTER_CREATED] - c.value[FWD_COUNTER_ENDED] <= connections)
			break;
		usleep(50 * 1000);
	}
	usleep(20 * 1000); /* the end is counted before the entries are removed */
	cr_expect(check_table() == connections);
}

/* RFC 4787 REQ-6: packets of either direction alone refresh a mapping; without packets it expires. */
Test(rfc, either_direction_refreshes)
{
	const char *quiet = "54.147.66.134:40002 > " PUBLIC, *from_target = "54.147.66.133:40001 > " PUBLIC;
	const char *out = "10.172.16.1:40001 > 10.172.16.2:8000";

	arrives("of the visitor alone", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("of the target alone", ETH0, UDP(from_target), LEAVES_BY(WG0, out));
	arrives("without further packets", ETH0, UDP(quiet), LEAVES_BY(WG0, NULL));
	for (int i = 0; i < 3; i++) {
		clock_advance(25);
		arrives("visitor", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
		arrives("target", WG0, UDP(reverse_of(out)), LEAVES_BY(ETH0, reverse_of(from_target)));
		wait_for(i ? 2 : 3);
	}
	cr_expect(conn_exists(IN, PROTO_UDP) && conn_exists(from_target, PROTO_UDP));
}

/* RFC 7857 7: a packet that is not forwarded refreshes no mapping. */
Test(rfc, refused_packets_refresh_nothing)
{
	struct entry before[2], after[2];
	struct result r;

	handshake(IN, OUT);
	cr_assert(conn_get(IN, PROTO_TCP, &before[0]));
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &before[1]));
	clock_advance(5);
	run(WG0, INGRESS, &TCP(reverse_of(OUT), ACK, .ttl = 1), &r);
	run(ETH0, INGRESS, &TCP(IN, ACK, .ttl = 1), &r);
	run(ETH0, INGRESS, &TCP(IN, ACK, .data = 1500), &r);
	run(ETH0, INGRESS, &TCP(IN, ACK, .data = 20, .cut = 1), &r);
	run(WG0, INGRESS, &TCP("10.172.16.2:8001 > 10.172.16.1:40000", ACK), &r);
	run(WG0, INGRESS, &TCP("10.172.16.3:8000 > 10.172.16.1:40000", ACK), &r);
	cr_assert(conn_get(IN, PROTO_TCP, &after[0]));
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &after[1]));
	for (int i = 0; i < 2; i++)
		cr_expect(after[i].flow.last_seen == before[i].flow.last_seen &&
			  after[i].flow.packets == before[i].flow.packets);
}

/* RFC 5382 REQ-2 a: both sides send a SYN, and then a SYN-ACK. */
Test(rfc, simultaneous_open)
{
	arrives("SYN", ETH0, TCP(IN, SYN, .seq = 1), LEAVES_BY(WG0, OUT));
	arrives("the target's SYN", WG0, TCP(reverse_of(OUT), SYN, .seq = SERVER_SEQ), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("half open", IN, PROTO_TCP, "SYN_RECV");
	arrives("SYN-ACK", ETH0, TCP(IN, SYN | ACK, .seq = 1, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	arrives("the target's SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("data", ETH0, TCP(IN, ACK, .seq = 2, .ack = SERVER_SEQ + 1, .data = 7), LEAVES_BY(WG0, OUT));
	expect_state("both are open", IN, PROTO_TCP, "ESTABLISHED");
	cr_expect(check_table() == 1);
}

/* ---- hairpinning --------------------------------------------------------------------------- */

static void check_hairpin(const char *in, const char *out)
{
	struct packet tcp = TCP(NULL, SYN), udp = UDP(NULL, .data = 9);
	struct packet *packets[] = {&tcp, &udp};

	for (int i = 0; i < 2; i++) {
		struct packet *p = packets[i];

		p->flow = in;
		arrives(in, WG0, *p, LEAVES_BY(WG0, out));
		p->flow = reverse_of(out);
		p->flags = p->proto == PROTO_TCP ? SYN | ACK : 0;
		arrives(p->flow, WG0, *p, LEAVES_BY(WG0, reverse_of(in)));
	}
}

/* RFC 4787 REQ-9, RFC 5382 REQ-8: a peer in the tunnel and the target itself connect to the public address; the target
 * sees an address of the gateway, and replies have the public address as source. */
Test(rfc, hairpin)
{
	check_hairpin("10.172.16.3:40000 > " PUBLIC, OUT);
	check_hairpin("10.172.16.2:40001 > " PUBLIC, "10.172.16.1:40001 > 10.172.16.2:8000");
	check_hairpin("[fd10:172:16::3]:40000 > [2001:db8:93::34]:8000", OUT6);
	check_hairpin("[fd10:172:16::2]:40001 > [2001:db8:93::34]:8000",
		      "[fd10:172:16::1]:40001 > [fd10:172:16::2]:8000");
	cr_expect(check_table() == 8);
}

/* RFC 5508 REQ-7: ICMP errors are hairpinned, too. */
Test(rfc, hairpinned_errors)
{
	const char *in = "10.172.16.3:40000 > " PUBLIC;
	struct error before = {"10.172.16.2:0 > 10.172.16.1:0", 3, 3, .quoted = UDP(OUT, .data = 9)};
	struct error after = {"93.184.216.34:0 > 10.172.16.3:0", 3, 3, .quoted = UDP(in, .data = 9), .ttl = 63};

	arrives("request", WG0, UDP(in), LEAVES_BY(WG0, OUT));
	check_error("the target's", WG0, &before, WG0, &after);
	before = (struct error){"10.172.16.3:0 > 93.184.216.34:0", 3, 3,
				.quoted = UDP("93.184.216.34:8000 > 10.172.16.3:40000")};
	after = (struct error){"10.172.16.1:0 > 10.172.16.2:0", 3, 3,
			       .quoted = UDP("10.172.16.2:8000 > 10.172.16.1:40000"), .ttl = 63};
	check_error("the caller's", WG0, &before, WG0, &after);
}

/* ---- ICMP ---------------------------------------------------------------------------------- */

static const struct {
	__u8 type, codes;
} errors4[] = {{3, 16}, {11, 2}, {12, 3}}, errors6[] = {{1, 8}, {2, 1}, {3, 2}, {4, 4}};

/* All ICMP errors about the packet that left as `out`, to the visitor of `in`; then about the reply, to the target. */
static void check_every_error(const char *in, const char *out, const struct packet *quoted)
{
	bool v6 = in[0] == '[';
	size_t count = v6 ? sizeof(errors6) / 2 : sizeof(errors4) / 2;
	struct error to_visitor = {v6 ? "[fd10:172:16::9]:0 > [fd10:172:16::1]:0" : "10.172.16.9:0 > 10.172.16.1:0",
				   .quoted = *quoted};
	struct error to_target = {v6 ? "[2001:db8:77::1]:0 > [2001:db8:93::34]:0" : "192.0.2.77:0 > 93.184.216.34:0",
				  .quoted = *quoted};
	struct error error_in = {v6 ? "[2001:db8:93::34]:0 > [2001:db8:54::132]:0"
				    : "93.184.216.34:0 > 54.147.66.132:0",
				 .quoted = *quoted, .ttl = 63};
	struct error error_back = {v6 ? "[fd10:172:16::1]:0 > [fd10:172:16::2]:0" : "10.172.16.1:0 > 10.172.16.2:0",
				   .quoted = *quoted, .ttl = 63};

	to_visitor.quoted.flow = out;
	error_in.quoted.flow = in;
	to_target.quoted.flow = reverse_of(in);
	error_back.quoted.flow = reverse_of(out);
	for (size_t i = 0; i < count; i++) {
		__u8 type = v6 ? errors6[i].type : errors4[i].type;

		for (__u8 code = 0; code < (v6 ? errors6[i].codes : errors4[i].codes); code++) {
			to_visitor.type = error_in.type = to_target.type = error_back.type = type;
			to_visitor.code = error_in.code = to_target.code = error_back.code = code;
			check_error(in, WG0, &to_visitor, ETH0, &error_in);
			check_error(out, ETH0, &to_target, WG0, &error_back);
		}
	}
}

/* RFC 4787 REQ-12, RFC 5382 REQ-10: no ICMP error ends the connection that it is about. */
Test(rfc, no_error_ends_a_connection)
{
	struct fwd_counters c;

	handshake(IN, OUT);
	handshake(IN6, OUT6);
	stream(IN, OUT);
	stream(IN6, OUT6);
	check_every_error(IN, OUT, &TCP(NULL, ACK, .data = 9));
	check_every_error(IN6, OUT6, &TCP(NULL, ACK, .data = 9));
	check_every_error(IN, OUT, &UDP(NULL, .data = 9));
	check_every_error(IN6, OUT6, &UDP(NULL, .data = 9));
	expect_state("TCP", IN, PROTO_TCP, "ESTABLISHED");
	expect_state("TCP, IPv6", IN6, PROTO_TCP, "ESTABLISHED");
	expect_state("UDP", IN, PROTO_UDP, "ASSURED");
	expect_state("UDP, IPv6", IN6, PROTO_UDP, "ASSURED");
	arrives("TCP still works", ETH0, TCP(IN, ACK, .data = 1), LEAVES_BY(WG0, OUT));
	arrives("UDP still works", WG0, UDP(reverse_of(OUT6)), LEAVES_BY(ETH0, reverse_of(IN6)));
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_ENDED] == 0 && check_table() == 4);
}

/* RFC 5508 REQ-3 c, d: a quote with a wrong transport checksum is forwarded; the extensions behind a quote (RFC 4884)
 * are not changed. */
Test(rfc, quotes_are_not_verified)
{
	/* 172 bytes of quoted packet, of which the length field (in 32-bit words) declares 128 as the quote; the rest
	 * stands for the extensions. */
	struct error before = {"10.172.16.2:0 > 10.172.16.1:0", 11, 0, 32 << 16, .quoted = UDP(OUT, .data = 144)};
	struct error after = {"93.184.216.34:0 > 54.147.66.132:0", 11,       0, 32 << 16,
			      .quoted = UDP(IN, .data = 144),      .ttl = 63};

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	check_error("extensions", WG0, &before, ETH0, &after);
	before.quoted.poke_at = after.quoted.poke_at = 40;
	before.quoted.poke = after.quoted.poke = 0x55;
	check_error("wrong checksum", WG0, &before, ETH0, &after);
}

/* RFC 5508 REQ-10 f (RFC 1812 4.3.2.8): ICMP errors are rate limited. */
Test(rfc, icmp_errors_are_rate_limited)
{
	int errors_sent = 0, dropped = 0, most;
	__u64 reasons[FWD_REASON_MAX], before;
	struct packet p = UDP(IN, .ttl = 1);
	time_t begin = time(NULL);
	struct result r;

	reasons_read(reasons);
	before = reasons[FWD_TTL_EXCEEDED];
	for (int i = 0; i < 1500; i++) {
		run(ETH0, INGRESS, &p, &r);
		errors_sent += r.verdict == TC_ACT_REDIRECT;
		dropped += r.verdict == TC_ACT_SHOT;
	}
	reasons_read(reasons);
	most = 1000 * (1 + time(NULL) - begin); /* for each second that the test took */
	cr_expect(errors_sent >= 1000 && errors_sent <= most && errors_sent + dropped == 1500, "%d errors, %d drops",
		  errors_sent, dropped);
	cr_expect(reasons[FWD_TTL_EXCEEDED] - before == 1500, "not all are counted");
	clock_advance(1);
	run(ETH0, INGRESS, &p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "a second later: %s", verdict_name(r.verdict));
}

/* ---- fragments ----------------------------------------------------------------------------- */

static const struct packet first_fragment = UDP(IN, .data = 64, .fragment = 0x2000);
static const struct packet second_fragment = UDP(IN, .data = 64, .fragment = 0x0009);

/* RFC 6146 3.4: the other fragments of a datagram may arrive within two seconds. */
Test(rfc, fragment_timeout)
{
	static const __u32 waits[] = {FWD_TICKS(2) - FWD_TICKS(1) / 4, FWD_TICKS(2) + 1};
	struct result r;

	for (int late = 0; late < 2; late++) {
		struct fwd_config c = config_read();

		arrives("first", ETH0, first_fragment, LEAVES_BY(WG0, OUT));
		c.clock_offset += waits[late];
		config_write(&c);
		run(ETH0, INGRESS, &second_fragment, &r);
		cr_expect(r.verdict == (late ? TC_ACT_UNSPEC : TC_ACT_REDIRECT), "second, %s: %s",
			  late ? "late" : "in time", verdict_name(r.verdict));
	}
}

/* Fragments without a first one, each of another datagram. */
static void flood_of_fragments(int count)
{
	struct packet p = UDP(NULL, .data = 64, .fragment = 0x2010);
	struct result r;
	char flow[80];

	p.flow = flow;
	for (int i = 0; i < count; i++) {
		snprintf(flow, sizeof(flow), "100.%d.%d.%d:1 > " PUBLIC, 64 + (i >> 16), i >> 8 & 255, i & 255);
		run(ETH0, INGRESS, &p, &r);
	}
}

/* RFC 4787 REQ-14 a: unfragmented packets, and fragments in order, are forwarded during a flood of fragments. */
Test(rfc, flood_of_fragments)
{
	struct result r;

	handshake(IN, OUT);
	flood_of_fragments(5000);
	arrives("of a connection", ETH0, TCP(IN, ACK, .data = 9), LEAVES_BY(WG0, OUT));
	arrives("a new one", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	arrives("first", ETH0, first_fragment, LEAVES_BY(WG0, OUT));
	run(ETH0, INGRESS, &second_fragment, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "second: %s", verdict_name(r.verdict));
	cr_expect(!memcmp(r.out.data + ETHER_LEN + 12, "\x0a\xac\x10\x01\x0a\xac\x10\x02", 8),
		  "from the gateway to the target");
	arrives("the next datagram", ETH0, first_fragment, LEAVES_BY(WG0, OUT));
	flood_of_fragments(5000);
	run(ETH0, INGRESS, &second_fragment, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "during the flood: %s", verdict_name(r.verdict));
}
