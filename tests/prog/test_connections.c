/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: replies, states, source ports, the gateway's own sockets, ends, routes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>
#include "check.h"

#define CLIENT   "54.147.66.132:40000"
#define CLIENT6  "[2001:db8:54::132]:40000"
#define PUBLIC   "93.184.216.34:8000"
#define PUBLIC6  "[2001:db8:93::34]:8000"
#define IN       CLIENT " > " PUBLIC
#define OUT      "10.172.16.1:40000 > 10.172.16.2:8000"
#define IN6      CLIENT6 " > " PUBLIC6
#define OUT6     "[fd10:172:16::1]:40000 > [fd10:172:16::2]:8000"
#define RULE     0
#define RULE_UDP 1

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_TCP, PUBLIC6, "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, PUBLIC6, "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_TCP, "93.184.216.34:8001", "10.172.16.2:8000", "10.172.16.1"}, /* same target */
	{PROTO_TCP, "93.184.216.34:8002", "10.172.16.2:8002", "10.172.16.1,10.172.16.11"},
	{PROTO_TCP, "93.184.216.34:8080", "192.168.7.2:80", "192.168.7.1"},
	{PROTO_TCP, "93.184.216.34:8003", "10.172.16.2:8003", NULL},
	{PROTO_TCP, "93.184.216.34:8004", "10.172.16.2:8004", "10.172.16.11"},
	{PROTO_UDP, "93.184.216.34:8003", "10.172.16.2:8003", NULL},
};

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
}

TestSuite(connections, .init = start, .fini = check_table_at_end, .timeout = 30);

#define SERVER_SEQ 9000

/* The handshake of a visitor whose packets arrive as `in` and leave as `out`. */
static void handshake(const char *in, const char *out)
{
	arrives("SYN", ETH0, TCP(in, SYN, .seq = 1), LEAVES_BY(WG0, out));
	arrives("SYN-ACK", WG0, TCP(reverse_of(out), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(in)));
	arrives("ACK", ETH0, TCP(in, ACK, .seq = 2, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, out));
}

Test(connections, replies)
{
	handshake(IN, OUT);
	arrives("request", ETH0, TCP(IN, ACK | PSH, .data = 333), LEAVES_BY(WG0, OUT));
	arrives("reply", WG0, TCP(reverse_of(OUT), ACK, .data = 1361, .ttl = 9), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("reply with options", WG0, TCP(reverse_of(OUT), ACK, .options = 8, .data = 5),
		LEAVES_BY(ETH0, reverse_of(IN)));
	cr_expect(check_table() == 1);

	handshake(IN6, OUT6);
	arrives("request, IPv6", ETH0, TCP(IN6, ACK | PSH, .data = 1, .ext = "d"), LEAVES_BY(WG0, OUT6));
	arrives("reply, IPv6", WG0, TCP(reverse_of(OUT6), ACK, .data = 1361, .ext = "h"),
		LEAVES_BY(ETH0, reverse_of(IN6)));
	cr_expect(check_table() == 2);
}

Test(connections, udp)
{
	arrives("request", ETH0, UDP(IN, .data = 30), LEAVES_BY(WG0, OUT));
	expect_state("request", IN, PROTO_UDP, "UNREPLIED");
	arrives("reply", WG0, UDP(reverse_of(OUT), .data = 500), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("reply", IN, PROTO_UDP, "REPLIED");
	arrives("reply without checksum", WG0, UDP(reverse_of(OUT), .data = 5, .no_checksum = true),
		LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("more", ETH0, UDP(IN, .data = 31), LEAVES_BY(WG0, OUT));
	expect_state("more", IN, PROTO_UDP, "ASSURED");
	arrives("request, IPv6", ETH0, UDP(IN6, .data = 30), LEAVES_BY(WG0, OUT6));
	arrives("reply, IPv6", WG0, UDP(reverse_of(OUT6), .data = 500), LEAVES_BY(ETH0, reverse_of(IN6)));
	cr_expect(check_table() == 2);
}

/* TCP and UDP between the same ports are two connections. */
Test(connections, protocols_apart)
{
	arrives("TCP", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_expect(check_table() == 2);
}

Test(connections, between_ethernets)
{
	const char *in = CLIENT " > 93.184.216.34:8080";
	const char *out = "192.168.7.1:40000 > 192.168.7.2:80";

	arrives("SYN", ETH0, TCP(in, SYN), LEAVES_BY(ETH1, out));
	arrives("reply", ETH1, TCP(reverse_of(out), SYN | ACK), LEAVES_BY(ETH0, reverse_of(in)));
	arrives("padded ACK", ETH0, TCP(in, ACK, .padding = 6), LEAVES_BY(ETH1, out));
}

/* Packets of a connection are checked by the same rules as packets that open one. */
Test(connections, passed_to_the_stack)
{
	handshake(IN, OUT);
	arrives("odd fragment", ETH0, TCP(IN, ACK, .data = 1, .fragment = 0x2000), IS_PASSED("malformed"));
	arrives("broadcast", ETH0, TCP(IN, ACK, .to = "ff:ff:ff:ff:ff:ff"), IS_UNTOUCHED);
	arrives("VLAN", ETH0, TCP(IN, ACK, .ether_type = 0x8100), IS_UNTOUCHED);
	arrives("cut short", ETH0, TCP(IN, ACK, .data = 20, .cut = 1), IS_PASSED("malformed"));
	arrives("reply from another port", WG0, TCP("10.172.16.2:8001 > 10.172.16.1:40000", ACK), IS_UNTOUCHED);
	arrives("reply to another", WG0, TCP("10.172.16.2:8000 > 10.172.16.11:40000", ACK), IS_UNTOUCHED);
	arrives("from another port", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, ACK), IS_PASSED("no_connection"));
}

Test(connections, tcp_states)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	expect_state("SYN", IN, PROTO_TCP, "SYN_SENT");
	arrives("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ, .ack = 1),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("SYN-ACK", IN, PROTO_TCP, "SYN_RECV");
	arrives("a blind ACK", ETH0, TCP(IN, ACK, .ack = 12345678), LEAVES_BY(WG0, OUT));
	expect_state("a blind ACK", IN, PROTO_TCP, "SYN_RECV");
	arrives("ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	expect_state("ACK", IN, PROTO_TCP, "ESTABLISHED");
	arrives("RST", WG0, in_order((struct packet)TCP(reverse_of(OUT), RST)), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("RST", IN, PROTO_TCP, "CLOSE");
	arrives("data of the client", ETH0, in_order((struct packet)TCP(IN, ACK)), LEAVES_BY(WG0, OUT));
	expect_state("data of the client", IN, PROTO_TCP, "CLOSE");
	arrives("the RST was forged", WG0, in_order((struct packet)TCP(reverse_of(OUT), ACK)),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("the RST was forged", IN, PROTO_TCP, "ESTABLISHED");
	arrives("FIN", ETH0, in_order((struct packet)TCP(IN, FIN | ACK)), LEAVES_BY(WG0, OUT));
	expect_state("FIN", IN, PROTO_TCP, "FIN_WAIT");
	arrives("ACK", WG0, in_order((struct packet)TCP(reverse_of(OUT), ACK)), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("ACK of the FIN", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("data, half-closed", WG0, in_order((struct packet)TCP(reverse_of(OUT), ACK, .data = 9)),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("data, half-closed", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("other FIN", WG0, in_order((struct packet)TCP(reverse_of(OUT), FIN | ACK)),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("other FIN", IN, PROTO_TCP, "LAST_ACK");
	arrives("last ACK", ETH0, in_order((struct packet)TCP(IN, ACK)), LEAVES_BY(WG0, OUT));
	expect_state("last ACK", IN, PROTO_TCP, "TIME_WAIT");
}

/* ---- forged segments: an off-path attacker knows addresses and ports, but no sequence number --------------- */

#define FORGED_STEP (1U << 22) /* of a sweep over all sequence numbers */

/* A sweep of that segment in the client's name, each followed by a SYN. The client's numbers are at 2. */
static void sweep(__u8 flags)
{
	for (__u32 n = 0; n < 1024; n++) {
		arrives("forged", ETH0, TCP(IN, flags, .seq = 3 + n * FORGED_STEP, .ack = 0x40000000),
			LEAVES_BY(WG0, OUT));
		arrives("forged SYN", ETH0, TCP(IN, SYN, .seq = 1 + n * FORGED_STEP), LEAVES_BY(WG0, OUT));
	}
}

static void check_established(const char *what)
{
	struct fwd_counters c = counters_read();

	expect_state(what, IN, PROTO_TCP, "ESTABLISHED");
	cr_expect(c.value[FWD_COUNTER_CREATED] == 1 && c.value[FWD_COUNTER_ENDED] == 0, "%s: another record", what);
	cr_expect(check_table() == 1, "%s", what);
}

Test(connections, forged_resets)
{
	handshake(IN, OUT);
	sweep(RST);
	check_established("RST");
	sweep(RST | ACK);
	check_established("RST|ACK");
	arrives("the client's", ETH0, TCP(IN, RST, .seq = 2), LEAVES_BY(WG0, OUT));
	expect_state("the client's", IN, PROTO_TCP, "CLOSE");
}

Test(connections, forged_fins)
{
	handshake(IN, OUT);
	sweep(FIN | ACK);
	check_established("FIN");
	arrives("the client's", ETH0, TCP(IN, FIN | ACK, .seq = 2, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	expect_state("the client's", IN, PROTO_TCP, "FIN_WAIT");
	arrives("a blind ACK", ETH0, TCP(IN, ACK, .seq = 3, .ack = 0x40000000), LEAVES_BY(WG0, OUT));
	arrives("an ACK of less", WG0, TCP(reverse_of(OUT), ACK, .seq = SERVER_SEQ + 1, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("not acknowledged", IN, PROTO_TCP, "FIN_WAIT");
	arrives("the target's ACK", WG0, TCP(reverse_of(OUT), ACK, .seq = SERVER_SEQ + 1, .ack = 3),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("acknowledged", IN, PROTO_TCP, "CLOSE_WAIT");
}

/* The other way round: data in flight, 30 MiB of it, and then the end. */
Test(connections, reset_far_ahead_of_the_last_ack)
{
	const __u32 step = 1400, sent = 30 << 20;
	__u32 seq = 2;

	handshake(IN, OUT);
	for (; seq < sent; seq += step)
		if (!(seq & 0xff000) || seq + step >= sent) /* the others are lost before they arrive here */
			arrives("data", ETH0, TCP(IN, ACK, .seq = seq, .ack = SERVER_SEQ + 1, .data = step),
				LEAVES_BY(WG0, OUT));
	arrives("RST", ETH0, TCP(IN, RST, .seq = seq), LEAVES_BY(WG0, OUT));
	expect_state("RST", IN, PROTO_TCP, "CLOSE");
}

Test(connections, fin_far_ahead_of_the_last_ack)
{
	const __u32 seq = 2 + (30 << 20);

	handshake(IN, OUT);
	arrives("data", ETH0, TCP(IN, ACK, .seq = seq - 1400, .ack = SERVER_SEQ + 1, .data = 1400),
		LEAVES_BY(WG0, OUT));
	arrives("FIN", ETH0, TCP(IN, FIN | ACK, .seq = seq, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	expect_state("FIN", IN, PROTO_TCP, "FIN_WAIT");
}

/* A port that is used again while the target has not forgotten the connection: both ends open another one. */
Test(connections, reopened_while_closing)
{
	handshake(IN, OUT);
	arrives("FIN", WG0, TCP(reverse_of(OUT), FIN | ACK, .seq = SERVER_SEQ + 1, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("ACK", ETH0, TCP(IN, ACK, .seq = 2, .ack = SERVER_SEQ + 2), LEAVES_BY(WG0, OUT));
	expect_state("half-closed", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("a SYN-ACK of long ago", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("a SYN-ACK of long ago", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("SYN", ETH0, TCP(IN, SYN, .seq = 500000), LEAVES_BY(WG0, OUT));
	expect_state("SYN", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = 800000, .ack = 500001),
		LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("ACK", ETH0, TCP(IN, ACK, .seq = 500001, .ack = 800001), LEAVES_BY(WG0, OUT));
	check_established("reopened");
	arrives("RST of the old one", ETH0, TCP(IN, RST, .seq = 2), LEAVES_BY(WG0, OUT));
	check_established("RST of the old one");
	arrives("RST", ETH0, TCP(IN, RST, .seq = 500001), LEAVES_BY(WG0, OUT));
	expect_state("RST", IN, PROTO_TCP, "CLOSE");
}

/* Home still has an old connection from the same source port: its challenge ACK has the numbers of that one. The new
 * client does not get them; the stack resets the old connection. */
Test(connections, reply_of_an_earlier_connection)
{
	arrives("SYN", ETH0, TCP(IN, SYN, .seq = 1), LEAVES_BY(WG0, OUT));
	arrives("challenge ACK", WG0, TCP(reverse_of(OUT), ACK, .seq = 123456, .ack = 654321),
		IS_PASSED("no_connection"));
	arrives("data", WG0, TCP(reverse_of(OUT), ACK | PSH, .seq = 123456, .ack = 654321, .data = 9),
		IS_PASSED("no_connection"));
	arrives("RST", WG0, TCP(reverse_of(OUT), RST | ACK, .ack = 2), LEAVES_BY(ETH0, reverse_of(IN)));
}

/* A later fragment has no sequence numbers: those of the packet before it on the same CPU do not count. */
Test(connections, later_fragment_has_no_numbers)
{
	struct packet first = TCP(IN, ACK, .seq = 2, .ack = SERVER_SEQ + 1, .data = 8, .fragment = 0x2000);
	struct packet later = TCP(IN, ACK, .data = 8, .fragment = 0x0005);
	struct result r;

	handshake(IN, OUT);
	run(ETH0, INGRESS, &first, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "the first fragment");
	arrives("ACK", ETH0, TCP(IN, ACK, .seq = 10, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	run(ETH0, INGRESS, &later, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "the later fragment");
	arrives("RST", ETH0, TCP(IN, RST, .seq = 10), LEAVES_BY(WG0, OUT));
	expect_state("RST", IN, PROTO_TCP, "CLOSE");
}

/* A stream that only the target feeds, after one datagram of the client. */
Test(connections, udp_stream_of_the_target)
{
	arrives("request", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	for (int i = 0; i < 3; i++)
		arrives("stream", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("at first", IN, PROTO_UDP, "REPLIED");
	clock_advance(3);
	arrives("stream", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	expect_state("after three seconds", IN, PROTO_UDP, "ASSURED");
}

/* A SYN in a closed state: the old record is freed, a new one is allocated. */
static void check_reopened(const char *what)
{
	struct fwd_counters before = counters_read(), after;

	arrives(what, ETH0, TCP(IN, SYN, .seq = 70000), LEAVES_BY(WG0, OUT));
	after = counters_read();
	cr_expect(after.value[FWD_COUNTER_CREATED] - before.value[FWD_COUNTER_CREATED] == 1 &&
			  after.value[FWD_COUNTER_ENDED] - before.value[FWD_COUNTER_ENDED] == 1,
		  "%s", what);
	expect_state(what, IN, PROTO_TCP, "SYN_SENT");
	cr_expect(check_table() == 1, "%s", what);
}

Test(connections, reopened)
{
	handshake(IN, OUT);
	arrives("RST", ETH0, in_order((struct packet)TCP(IN, RST)), LEAVES_BY(WG0, OUT));
	check_reopened("after the client's RST");
	arrives("refused", WG0, in_order((struct packet)TCP(reverse_of(OUT), RST | ACK)),
		LEAVES_BY(ETH0, reverse_of(IN)));
	check_reopened("after a refusal");
	handshake(IN, OUT);
	arrives("FIN", ETH0, in_order((struct packet)TCP(IN, FIN | ACK)), LEAVES_BY(WG0, OUT));
	arrives("FIN", WG0, in_order((struct packet)TCP(reverse_of(OUT), FIN | ACK)), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("ACK", ETH0, in_order((struct packet)TCP(IN, ACK)), LEAVES_BY(WG0, OUT));
	expect_state("closed", IN, PROTO_TCP, "TIME_WAIT");
	check_reopened("in TIME_WAIT");
}

Test(connections, not_reopened)
{
	struct fwd_counters c;

	handshake(IN, OUT);
	arrives("SYN in an established connection", ETH0, TCP(IN, SYN, .seq = 70000), LEAVES_BY(WG0, OUT));
	expect_state("SYN", IN, PROTO_TCP, "ESTABLISHED");
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_CREATED] == 1 && c.value[FWD_COUNTER_ENDED] == 0);
}

static bool is_confirmed(const char *flow, __u8 proto)
{
	struct entry conn;

	cr_assert(conn_get(flow, proto, &conn));
	return conn.state == FWD_SLOT_CONFIRMED;
}

Test(connections, confirmed)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("ACK without SYN-ACK", ETH0, TCP(IN, ACK, .ack = 1), LEAVES_BY(WG0, OUT));
	cr_expect(!is_confirmed(IN, PROTO_TCP));
	arrives("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("wrong ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ), LEAVES_BY(WG0, OUT));
	arrives("ACK beyond the window", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1 + 65536), LEAVES_BY(WG0, OUT));
	cr_expect(!is_confirmed(IN, PROTO_TCP));
	arrives("ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	cr_expect(is_confirmed(IN, PROTO_TCP));
	cr_expect(gc_read().confirmed == 1);

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("more, without a reply", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_expect(!is_confirmed(IN, PROTO_UDP));
	arrives("reply", WG0, UDP(reverse_of(OUT)), LEAVES_BY(ETH0, reverse_of(IN)));
	cr_expect(!is_confirmed(IN, PROTO_UDP));
	arrives("reply to that", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_expect(is_confirmed(IN, PROTO_UDP));
	check_table();
}

/* A target that replies to a repeated SYN with another sequence number: the last one counts. */
Test(connections, confirmed_by_the_last_syn)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("another", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = 0xffffffff), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("the first one's ACK", ETH0, TCP(IN, ACK, .ack = 0x80000000), LEAVES_BY(WG0, OUT));
	cr_expect(!is_confirmed(IN, PROTO_TCP));
	arrives("ACK across zero", ETH0, TCP(IN, ACK, .ack = 0), LEAVES_BY(WG0, OUT));
	cr_expect(is_confirmed(IN, PROTO_TCP));
}

/* ---- source ports -------------------------------------------------------------------------- */

static int port_of_source(const char *flow)
{
	struct endpoint src, dst;

	flow_parse(flow, &src, &dst);
	return src.port;
}

/* The packet leaves from another port than 40000, and its reply is translated back. */
static void check_other_port(const char *what, struct packet p)
{
	const struct result *r = arrives(what, ETH0, p, LEAVES_BY(WG0, NULL));
	struct packet reply = p;
	char out[200];

	strcpy(out, flow_out(r, ETH0, WG0));
	cr_expect(port_of_source(out) != 40000, "%s: two connections share a port", what);
	cr_expect(port_of_source(out) >= 1024, "%s: port %d", what, port_of_source(out));
	reply.flow = reverse_of(out);
	reply.flags = SYN | ACK;
	arrives(what, WG0, reply, LEAVES_BY(ETH0, reverse_of(p.flow)));
	arrives(what, ETH0, p, LEAVES_BY(WG0, out));
	check_table();
}

Test(connections, port_taken)
{
	arrives("first", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	check_other_port("another client", TCP("54.147.66.133:40000 > " PUBLIC, SYN));
	check_other_port("another map", TCP(CLIENT " > 93.184.216.34:8001", SYN));
	arrives("UDP's port is free", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	check_other_port("UDP", UDP("54.147.66.133:40000 > " PUBLIC));
	arrives("first, IPv6", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	check_other_port("IPv6", TCP("[2001:db8:54::133]:40000 > " PUBLIC6, SYN));
	arrives("the first is still there", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	cr_expect(check_table() == 7);
}

/* `--snat none`: the source is the visitor's address, so that visitors do not collide. */
Test(connections, port_with_snat_none)
{
	arrives("one", ETH0, TCP(CLIENT " > 93.184.216.34:8003", SYN), LEAVES_BY(WG0, CLIENT " > 10.172.16.2:8003"));
	arrives("another", ETH0, TCP("54.147.66.133:40000 > 93.184.216.34:8003", SYN),
		LEAVES_BY(WG0, "54.147.66.133:40000 > 10.172.16.2:8003"));
	arrives("reply", WG0, TCP("10.172.16.2:8003 > " CLIENT, SYN | ACK),
		LEAVES_BY(ETH0, "93.184.216.34:8003 > " CLIENT));
}

/* The source that a visitor at this address and port gets from the pool; valid until the next call. */
static const char *pool_source(const char *visitor, int port)
{
	struct packet p = TCP(NULL, SYN);
	char in[80];

	snprintf(in, sizeof(in), "%s:%d > 93.184.216.34:8002", visitor, port);
	p.flow = in;
	return flow_out(arrives("pool", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0);
}

static bool is_second(const char *flow)
{
	return !strncmp(flow, "10.172.16.11:", 13);
}

/* One visitor has one address of a pool (RFC 4787 REQ-2), and its ports. */
Test(connections, pool_is_paired)
{
	for (int visitor = 1; visitor < 5; visitor++) {
		bool second = false;
		char addr[32];

		snprintf(addr, sizeof(addr), "54.147.66.%d", visitor);
		for (int i = 0; i < 8; i++) {
			const char *out = pool_source(addr, 41000 + 10 * visitor + i);

			cr_expect(port_of_source(out) == 41000 + 10 * visitor + i, "%s", out);
			cr_expect(!i || is_second(out) == second, "%s: a second address", out);
			second = is_second(out);
		}
	}
}

/* A pool distributes visitors that could all have one address. */
Test(connections, pool_is_spread)
{
	int second = 0;

	for (int i = 0; i < 60; i++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "54.147.66.%d", i + 1);
		second += is_second(pool_source(addr, 41000));
	}
	cr_expect(second >= 15 && second <= 45, "%d of 60", second);
}

/* A visitor from a privileged port gets one, as with netfilter (nf_nat_l4proto_unique_tuple). */
Test(connections, privileged_ports)
{
	static const struct {
		int visitor, low, high;
	} rows[] = {{1, 1, 511}, {511, 1, 511}, {512, 600, 1023}, {1023, 600, 1023}, {1024, 1024, 65535}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int n = 1; n <= 10; n++) {
			struct packet p = TCP(NULL, SYN);
			char in[80];
			int port;

			snprintf(in, sizeof(in), "54.147.66.%d:%d > " PUBLIC, n, rows[i].visitor);
			p.flow = in;
			port = port_of_source(flow_out(arrives(in, ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0));
			if (n == 1)
				cr_expect(port == rows[i].visitor, "%s: %d", in, port);
			else
				cr_expect(port >= rows[i].low && port <= rows[i].high, "%s: %d", in, port);
		}
		table_flush();
	}
}

/* A TCP connection that ended without its ends' consent: home may still hold it, so another client does not get its
 * port. The same one does. */
static void check_quarantine(const char *in, const char *out, const char *other)
{
	handshake(in, out);
	table_flush();
	arrives("the same client", ETH0, TCP(in, SYN), LEAVES_BY(WG0, out));
	table_flush();
	handshake(in, out);
	table_flush();
	check_other_port("another client", TCP(other, SYN));
	table_flush();
	/* Two hours and four minutes later. */
	clock_advance(7441);
	arrives("another client, later", ETH0, TCP(other, SYN), LEAVES_BY(WG0, out));
	table_flush();
}

Test(connections, port_quarantine)
{
	check_quarantine(IN, OUT, "54.147.66.133:40000 > " PUBLIC);
	check_quarantine(IN6, OUT6, "[2001:db8:54::133]:40000 > " PUBLIC6);
}

Test(connections, no_quarantine)
{
	const char *other = "54.147.66.133:40000 > " PUBLIC;

	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	table_flush();
	arrives("after a half-open one", ETH0, TCP(other, SYN), LEAVES_BY(WG0, OUT));
	table_flush();
	handshake(IN, OUT);
	arrives("RST", ETH0, in_order(TCP(IN, RST)), LEAVES_BY(WG0, OUT));
	table_flush();
	arrives("after a RST", ETH0, TCP(other, SYN), LEAVES_BY(WG0, OUT));
	table_flush();
	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	table_flush();
	arrives("UDP of another client", ETH0, UDP("54.147.66.133:40000 > " PUBLIC), LEAVES_BY(WG0, OUT));
}

/* ---- the gateway's own sockets ------------------------------------------------------------- */

static struct sockaddr_storage sockaddr_of(const char *text, socklen_t *len)
{
	struct endpoint e = endpoint_parse(text, strlen(text));
	struct sockaddr_storage s = {};

	if (e.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)&s;

		in->sin_family = AF_INET;
		in->sin_port = htons(e.port);
		memcpy(&in->sin_addr, e.addr, 4);
		*len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(e.port);
		memcpy(&in6->sin6_addr, e.addr, 16);
		*len = sizeof(*in6);
	}
	return s;
}

/* A socket bound to `from` and, unless `to` is NULL, connected or (TCP) connecting to it. */
static int socket_make(int type, const char *from, const char *to)
{
	socklen_t len;
	struct sockaddr_storage addr = sockaddr_of(from, &len);
	int fd = socket(addr.ss_family, type | SOCK_NONBLOCK, 0);

	cr_assert(!bind(fd, (void *)&addr, len), "bind %s: %s", from, strerror(errno));
	if (!to)
		return fd;
	addr = sockaddr_of(to, &len);
	cr_assert(!connect(fd, (void *)&addr, len) || errno == EINPROGRESS, "connect %s: %s", to, strerror(errno));
	return fd;
}

Test(connections, port_of_own_tcp_socket)
{
	int fd = socket_make(SOCK_STREAM, "10.172.16.1:40000", "10.172.16.2:8000");

	check_other_port("a socket's", TCP(IN, SYN));
	close(fd);
}

Test(connections, port_of_own_udp_socket)
{
	int fd = socket_make(SOCK_DGRAM, "10.172.16.1:40000", "10.172.16.2:8000");

	check_other_port("a connected socket's", UDP(IN, .data = 4));
	close(fd);
	fd = socket_make(SOCK_DGRAM, "0.0.0.0:40000", NULL);
	check_other_port("a bound socket's", UDP("54.147.66.140:40000 > " PUBLIC, .data = 4));
	close(fd);
}

Test(connections, port_of_own_sockets_ipv6)
{
	int tcp = socket_make(SOCK_STREAM, "[fd10:172:16::1]:40000", "[fd10:172:16::2]:8000");
	int udp = socket_make(SOCK_DGRAM, "[fd10:172:16::1]:40000", "[fd10:172:16::2]:8000");

	check_other_port("TCP", TCP(IN6, SYN));
	check_other_port("UDP", UDP(IN6, .data = 4));
	close(tcp);
	close(udp);
}

/* A socket bound to any address does not conflict with a visitor's address. */
Test(connections, port_with_snat_none_beside_own_socket)
{
	int fd = socket_make(SOCK_DGRAM, "0.0.0.0:40000", NULL);

	arrives("UDP", ETH0, UDP(CLIENT " > 93.184.216.34:8003"), LEAVES_BY(WG0, CLIENT " > 10.172.16.2:8003"));
	arrives("reply", WG0, UDP("10.172.16.2:8003 > " CLIENT), LEAVES_BY(ETH0, "93.184.216.34:8003 > " CLIENT));
	close(fd);
}

/* Sockets that do not conflict: connected to another target, or listening. */
Test(connections, port_beside_own_sockets)
{
	int other = socket_make(SOCK_STREAM, "10.172.16.1:40000", "10.172.16.2:8001");
	int udp = socket_make(SOCK_DGRAM, "10.172.16.1:40000", "10.172.16.2:8001");
	int listening = socket_make(SOCK_STREAM, "10.172.16.11:40000", NULL);

	cr_assert(!listen(listening, 1));
	arrives("to another port", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("to another port, UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("listening", ETH0, TCP(CLIENT " > 93.184.216.34:8004", SYN),
		LEAVES_BY(WG0, "10.172.16.11:40000 > 10.172.16.2:8004"));
	close(other);
	close(udp);
	close(listening);
}

/* ---- the gateway's own packets, at egress -------------------------------------------------- */

static const struct result *departs(const char *what, enum device dev, struct packet p, struct fate fate)
{
	return packet_at(what, dev, EGRESS, p, fate);
}

static void check_local(const char *in, const char *out, struct packet first)
{
	char moved[200];
	struct packet p = first;
	struct entry conn;

	/* The visitor is first. */
	p.flow = in;
	arrives("visitor", ETH0, p, LEAVES_BY(WG0, out));
	/* Then the gateway's own connection, from the same port. */
	p.flow = out;
	p.ttl = 64;
	strcpy(moved, flow_out(departs("own", WG0, p, CONTINUES_AS(NULL)), WG0, WG0));
	cr_expect(port_of_source(moved) != 40000 && port_of_source(moved) >= 1024, "%s", moved);
	cr_assert(conn_get(out, p.proto, &conn));
	cr_expect(conn.flow.rule == FWD_RULE_NONE);
	departs("own, again", WG0, p, CONTINUES_AS(moved));
	/* Its reply reaches the stack with the original port. */
	p.flow = reverse_of(moved);
	p.flags = SYN | ACK;
	arrives("reply to the own", WG0, p, CONTINUES_AS(reverse_of(out)));
	p.ttl = 1;
	arrives("TTL 1, which is not decremented", WG0, p, CONTINUES_AS(reverse_of(out)));
	/* The visitor's reply is forwarded to the visitor. */
	p.flow = reverse_of(out);
	p.ttl = 64;
	arrives("reply to the visitor", WG0, p, LEAVES_BY(ETH0, reverse_of(in)));
	cr_expect(check_table() == 2);
}

Test(connections, own_packets_change_port)
{
	check_local(IN, OUT, TCP(NULL, SYN));
	table_flush();
	check_local(IN, OUT, UDP(NULL, .data = 12));
	table_flush();
	check_local(IN6, OUT6, TCP(NULL, SYN));
	table_flush();
	check_local(IN6, OUT6, UDP(NULL, .data = 12));
}

Test(connections, own_packets_on_ethernet)
{
	const char *own = "192.168.7.1:40000 > 192.168.7.2:80";
	const struct result *r;

	arrives("visitor", ETH0, TCP(CLIENT " > 93.184.216.34:8080", SYN), LEAVES_BY(ETH1, own));
	r = departs("own", ETH1, TCP(own, SYN), CONTINUES_AS(NULL));
	cr_expect(port_of_source(flow_out(r, ETH1, ETH1)) != 40000);
	check_table();
}

Test(connections, other_packets_leave_unchanged)
{
	handshake(IN, OUT);
	departs("from another port", WG0, TCP("10.172.16.1:40001 > 10.172.16.2:8000", SYN), IS_UNTOUCHED);
	departs("to another port", WG0, TCP("10.172.16.1:40000 > 10.172.16.2:22", SYN), IS_UNTOUCHED);
	departs("in mid-stream", WG0, TCP(OUT, ACK), IS_UNTOUCHED);
	departs("ICMP", WG0, (struct packet){OUT, 1, .data = 9}, IS_UNTOUCHED);
	departs("cut short", WG0, TCP(OUT, SYN, .cut = 1), IS_UNTOUCHED);
	departs("fragment", WG0, UDP(OUT, .fragment = 0x2000), IS_UNTOUCHED);
	departs("UDP from the port", WG0, UDP(OUT, .data = 3), IS_UNTOUCHED);
	departs("the gateway's reply to the client", ETH0, TCP(reverse_of(IN), ACK), IS_UNTOUCHED);
	packet_at("forwarded, from another port", WG0, EGRESS_FORWARDED,
		  TCP("10.172.16.1:40001 > 10.172.16.2:8000", SYN), IS_UNTOUCHED);
	packet_at("forwarded, in mid-stream", WG0, EGRESS_FORWARDED, TCP(OUT, ACK), IS_UNTOUCHED);
	cr_expect(check_table() == 1);
}

/* ---- ends ---------------------------------------------------------------------------------- */

/* The removal of a map ends its connections with their next packet from either side, also UDP. */
Test(connections, map_removed)
{
	struct fwd_counters c;

	handshake(IN, OUT);
	arrives("another map's", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_delete(RULE);
	arrives("from the client", ETH0, TCP(IN, ACK), IS_UNTOUCHED);
	cr_expect(!conn_exists(IN, PROTO_TCP) && !conn_exists(reverse_of(OUT), PROTO_TCP), "an entry is left");
	arrives("from the target", WG0, TCP(reverse_of(OUT), ACK), IS_UNTOUCHED);
	arrives("another map's, again", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_delete(RULE_UDP);
	arrives("UDP, from the target", WG0, UDP(reverse_of(OUT)), IS_UNTOUCHED);
	cr_expect(check_table() == 0);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_ENDED] == 2 && c.value[FWD_COUNTER_EXPIRED] == 0 &&
		  c.value[FWD_COUNTER_EVICTED] == 0);
}

/* Another map at the same index: the old map's connections do not become the new map's. */
Test(connections, map_replaced)
{
	struct fwd_rule r;

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_read(RULE_UDP, &r);
	r.gen++;
	r.target_low = 9999;
	rule_write(RULE_UDP, &r);
	arrives("to the new target", ETH0, UDP(IN), LEAVES_BY(WG0, "10.172.16.1:40000 > 10.172.16.2:9999"));
	arrives("the old target's reply", WG0, UDP(reverse_of(OUT)), IS_UNTOUCHED);
	cr_expect(check_table() == 1);
}

Test(connections, map_draining)
{
	struct fwd_rule r;

	handshake(IN, OUT);
	rule_read(RULE, &r);
	r.state = FWD_RULE_DRAINING;
	rule_write(RULE, &r);
	arrives("request", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	arrives("reply", WG0, TCP(reverse_of(OUT), ACK), LEAVES_BY(ETH0, reverse_of(IN)));
	arrives("no new ones", ETH0, TCP("54.147.66.133:40000 > " PUBLIC, SYN), IS_UNTOUCHED);
}

/* The gateway's own connection stays translated when the map that caused the translation is removed. */
Test(connections, map_removed_own_connection_stays)
{
	char moved[200];

	arrives("visitor", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	strcpy(moved, flow_out(departs("own", WG0, TCP(OUT, SYN), CONTINUES_AS(NULL)), WG0, WG0));
	rule_delete(RULE);
	departs("own", WG0, TCP(OUT, ACK), CONTINUES_AS(moved));
	arrives("reply", WG0, TCP(reverse_of(moved), SYN | ACK), CONTINUES_AS(reverse_of(OUT)));
}

Test(connections, ended_by_command)
{
	struct fwd_tuple forward = tuple_of(IN, PROTO_TCP), reply = tuple_reverse(tuple_of(OUT, 6));

	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == -ENOENT);
	handshake(IN, OUT);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &reply) == -ENOENT, "ended by the tuple of REPLY");
	cr_expect(check_table() == 1);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == 0);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == -ENOENT);
	cr_expect(check_table() == 0);
	cr_expect(control(99, NULL) == -EINVAL);
}

/* A connection follows changes of routes and neighbours within a second. */
Test(connections, route_follows_changes)
{
	struct packet reply = TCP(reverse_of(OUT), ACK, .data = 5);
	struct entry conn;
	struct result r;

	handshake(IN, OUT);
	ip_batch("neigh change 93.184.216.1 lladdr 02:00:00:00:00:fd nud permanent dev eth0\n");
	clock_advance(2);
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "not to the router's new MAC address");

	/* No effect while there is a route by the device that the requests arrive by. */
	ip_batch("route replace 54.147.66.0/24 via 192.168.7.2 dev eth1\n");
	clock_advance(2);
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "not by the device of the request");
	ip_batch("route del default\n");
	clock_advance(2);
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[4] == 7 && r.out.data[10] == 7, "not by the other device");
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &conn));
	cr_expect(route_ifindex(&conn.flow.route) == (__u32)gw.ifindex[ETH1]);

	ip_batch("route replace blackhole 54.147.66.0/24\n"
		 "route add default via 93.184.216.1\n");
	clock_advance(2);
	arrives("blackhole", WG0, reply, IS_DROPPED("blackhole"));
	ip_batch("route replace 54.147.66.0/24 via 192.168.8.2 dev eth2\n"
		 "route del default\n");
	/* No ICMP error here: BPF_PROG_RUN has no packets without an Ethernet header. */
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_SHOT, "forwarded by a device that is not attached");
	ip_batch("route del 54.147.66.0/24\nroute add default via 93.184.216.1\n");
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "not by the restored route");
}

/* Replies leave by another device while only that has a route to the client, and requests do not change that; once the
 * device of the requests has a route, replies leave by it. */
Test(connections, reply_route_by_another_device)
{
	struct packet reply = TCP(reverse_of(OUT), SYN | ACK, .data = 5);
	struct entry before, after;
	struct result r;

	ip_batch("route add 54.147.66.0/24 via 192.168.7.2 dev eth1\nroute del default\n");
	arrives("SYN", ETH0, TCP(IN, SYN, .seq = 1), LEAVES_BY(WG0, OUT));
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[4] == 7, "by another device");
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &before));
	clock_advance(2);
	arrives("request", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &after));
	cr_expect(!memcmp(&before.flow.route, &after.flow.route, sizeof(before.flow.route)),
		  "the request changed the reply's route");
	ip_batch("route add default via 93.184.216.1\n");
	clock_advance(2);
	arrives("request", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	run(WG0, INGRESS, &reply, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfe, "not by the device of the request");
}

/* A visitor's request does not change the reply route of another visitor with the same port. */
Test(connections, route_of_the_same_port)
{
	struct entry before, after;

	handshake(IN, OUT);
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &before));
	ip_batch("route add 203.0.113.0/24 via 192.168.7.2 dev eth1\n");
	arrives("with the same port", ETH1, TCP("203.0.113.9:40000 > " PUBLIC, SYN), LEAVES_BY(WG0, NULL));
	cr_assert(conn_get(reverse_of(OUT), PROTO_TCP, &after));
	cr_expect(route_ifindex(&after.flow.route) == route_ifindex(&before.flow.route) &&
			  after.flow.route.refreshed == before.flow.route.refreshed,
		  "device %u instead of %u", route_ifindex(&after.flow.route), route_ifindex(&before.flow.route));
}

/* Within a second the FIB is not asked again. */
Test(connections, route_is_cached_for_a_second)
{
	handshake(IN, OUT);
	ip_batch("route add blackhole 54.147.66.0/24\n");
	arrives("reply", WG0, TCP(reverse_of(OUT), ACK), LEAVES_BY(ETH0, reverse_of(IN)));
}
