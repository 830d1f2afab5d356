/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: answers, states, source ports, the gateway's own sockets, and how they end.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
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

/* A visitor's handshake with the service behind `in`, which leaves as `out`. */
static void handshake(const char *in, const char *out)
{
	arrives("SYN", ETH0, TCP(in, SYN, .seq = 1), LEAVES_BY(WG0, out));
	arrives("SYN-ACK", WG0, TCP(way_back(out), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, way_back(in)));
	arrives("ACK", ETH0, TCP(in, ACK, .seq = 2, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, out));
}

Test(connections, answers)
{
	handshake(IN, OUT);
	arrives("request", ETH0, TCP(IN, ACK | PSH, .data = 333), LEAVES_BY(WG0, OUT));
	arrives("answer", WG0, TCP(way_back(OUT), ACK, .data = 1361, .ttl = 9), LEAVES_BY(ETH0, way_back(IN)));
	arrives("answer with options", WG0, TCP(way_back(OUT), ACK, .options = 8, .data = 5),
		LEAVES_BY(ETH0, way_back(IN)));
	cr_expect(check_table() == 1);

	handshake(IN6, OUT6);
	arrives("request, IPv6", ETH0, TCP(IN6, ACK | PSH, .data = 1, .ext = "d"), LEAVES_BY(WG0, OUT6));
	arrives("answer, IPv6", WG0, TCP(way_back(OUT6), ACK, .data = 1361, .ext = "h"),
		LEAVES_BY(ETH0, way_back(IN6)));
	cr_expect(check_table() == 2);
}

Test(connections, udp)
{
	arrives("request", ETH0, UDP(IN, .data = 30), LEAVES_BY(WG0, OUT));
	expect_state("request", IN, PROTO_UDP, "UNREPLIED");
	arrives("answer", WG0, UDP(way_back(OUT), .data = 500), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("answer", IN, PROTO_UDP, "REPLIED");
	arrives("answer without checksum", WG0, UDP(way_back(OUT), .data = 5, .no_checksum = true),
		LEAVES_BY(ETH0, way_back(IN)));
	arrives("more", ETH0, UDP(IN, .data = 31), LEAVES_BY(WG0, OUT));
	expect_state("more", IN, PROTO_UDP, "ASSURED");
	arrives("request, IPv6", ETH0, UDP(IN6, .data = 30), LEAVES_BY(WG0, OUT6));
	arrives("answer, IPv6", WG0, UDP(way_back(OUT6), .data = 500), LEAVES_BY(ETH0, way_back(IN6)));
	cr_expect(check_table() == 2);
}

/* TCP and UDP between the same ports are two things. */
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
	arrives("answer", ETH1, TCP(way_back(out), SYN | ACK), LEAVES_BY(ETH0, way_back(in)));
	arrives("padded ACK", ETH0, TCP(in, ACK, .padding = 6), LEAVES_BY(ETH1, out));
}

/* What belongs to a connection is held to the same rules as what opens one. */
Test(connections, what_stays_with_the_stack)
{
	handshake(IN, OUT);
	arrives("odd fragment", ETH0, TCP(IN, ACK, .data = 1, .fragment = 0x2000), IS_PASSED("malformed"));
	arrives("broadcast", ETH0, TCP(IN, ACK, .to = "ff:ff:ff:ff:ff:ff"), IS_LEFT_ALONE);
	arrives("VLAN", ETH0, TCP(IN, ACK, .ether_type = 0x8100), IS_LEFT_ALONE);
	arrives("cut short", ETH0, TCP(IN, ACK, .data = 20, .cut = 1), IS_PASSED("malformed"));
	arrives("answer from another port", WG0, TCP("10.172.16.2:8001 > 10.172.16.1:40000", ACK), IS_LEFT_ALONE);
	arrives("answer to another", WG0, TCP("10.172.16.2:8000 > 10.172.16.11:40000", ACK), IS_LEFT_ALONE);
	arrives("from another port", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, ACK), IS_PASSED("no_connection"));
}

Test(connections, tcp_states)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	expect_state("SYN", IN, PROTO_TCP, "SYN_SENT");
	arrives("SYN-ACK", WG0, TCP(way_back(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("SYN-ACK", IN, PROTO_TCP, "SYN_RECV");
	arrives("a blind ACK", ETH0, TCP(IN, ACK, .ack = 12345678), LEAVES_BY(WG0, OUT));
	expect_state("a blind ACK", IN, PROTO_TCP, "SYN_RECV");
	arrives("ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	expect_state("ACK", IN, PROTO_TCP, "ESTABLISHED");
	arrives("RST", WG0, TCP(way_back(OUT), RST), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("RST", IN, PROTO_TCP, "CLOSE");
	arrives("the client goes on", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	expect_state("the client goes on", IN, PROTO_TCP, "CLOSE");
	arrives("the RST was forged", WG0, TCP(way_back(OUT), ACK), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("the RST was forged", IN, PROTO_TCP, "ESTABLISHED");
	arrives("FIN", ETH0, TCP(IN, FIN | ACK), LEAVES_BY(WG0, OUT));
	expect_state("FIN", IN, PROTO_TCP, "FIN_WAIT");
	arrives("ACK", WG0, TCP(way_back(OUT), ACK), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("ACK of the FIN", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("data, half-closed", WG0, TCP(way_back(OUT), ACK, .data = 9), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("data, half-closed", IN, PROTO_TCP, "CLOSE_WAIT");
	arrives("other FIN", WG0, TCP(way_back(OUT), FIN | ACK), LEAVES_BY(ETH0, way_back(IN)));
	expect_state("other FIN", IN, PROTO_TCP, "LAST_ACK");
	arrives("last ACK", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	expect_state("last ACK", IN, PROTO_TCP, "TIME_WAIT");
}

/* A SYN in a state in which it begins a new life: the old record goes, a new one comes. */
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
	arrives("RST", ETH0, TCP(IN, RST), LEAVES_BY(WG0, OUT));
	check_reopened("after the client's RST");
	arrives("refused", WG0, TCP(way_back(OUT), RST | ACK), LEAVES_BY(ETH0, way_back(IN)));
	check_reopened("after a refusal");
	handshake(IN, OUT);
	arrives("FIN", ETH0, TCP(IN, FIN | ACK), LEAVES_BY(WG0, OUT));
	arrives("FIN", WG0, TCP(way_back(OUT), FIN | ACK), LEAVES_BY(ETH0, way_back(IN)));
	arrives("ACK", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
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

/* Which place a connection has: the ring's, or one of its own. */
static bool has_own_slot(const char *route, __u8 proto)
{
	struct entry conn;

	cr_assert(conn_get(route, proto, &conn));
	return conn.state == FWD_SLOT_CONFIRMED;
}

Test(connections, confirmed)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("ACK without SYN-ACK", ETH0, TCP(IN, ACK, .ack = 1), LEAVES_BY(WG0, OUT));
	cr_expect(!has_own_slot(IN, PROTO_TCP));
	arrives("SYN-ACK", WG0, TCP(way_back(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, way_back(IN)));
	arrives("wrong ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ), LEAVES_BY(WG0, OUT));
	arrives("wilder ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1 + 65536), LEAVES_BY(WG0, OUT));
	cr_expect(!has_own_slot(IN, PROTO_TCP));
	arrives("ACK", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	cr_expect(has_own_slot(IN, PROTO_TCP));
	cr_expect(sweeper_read().confirmed == 1);

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("more, unanswered", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_expect(!has_own_slot(IN, PROTO_UDP));
	arrives("answer", WG0, UDP(way_back(OUT)), LEAVES_BY(ETH0, way_back(IN)));
	cr_expect(!has_own_slot(IN, PROTO_UDP));
	arrives("answer to that", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	cr_expect(has_own_slot(IN, PROTO_UDP));
	check_table();
}

/* A target that answers a repeated SYN with another number: the last one counts. */
Test(connections, confirmed_by_the_last_syn)
{
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	arrives("SYN-ACK", WG0, TCP(way_back(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, way_back(IN)));
	arrives("another", WG0, TCP(way_back(OUT), SYN | ACK, .seq = 0xffffffff), LEAVES_BY(ETH0, way_back(IN)));
	arrives("the first one's ACK", ETH0, TCP(IN, ACK, .ack = 0x80000000), LEAVES_BY(WG0, OUT));
	cr_expect(!has_own_slot(IN, PROTO_TCP));
	arrives("ACK across zero", ETH0, TCP(IN, ACK, .ack = 0), LEAVES_BY(WG0, OUT));
	cr_expect(has_own_slot(IN, PROTO_TCP));
}

/* ---- source ports -------------------------------------------------------------------------- */

static int port_of_source(const char *route)
{
	struct endpoint src, dst;

	way_parse(route, &src, &dst);
	return src.port;
}

/* The packet leaves from another port than 40000, and its answer finds back. */
static void check_other_port(const char *what, struct packet p)
{
	const struct result *r = arrives(what, ETH0, p, LEAVES_BY(WG0, NULL));
	struct packet answer = p;
	char out[200];

	strcpy(out, way_out(r, ETH0, WG0));
	cr_expect(port_of_source(out) != 40000, "%s: one port for two", what);
	cr_expect(port_of_source(out) >= 1024, "%s: port %d", what, port_of_source(out));
	answer.route = way_back(out);
	answer.flags = SYN | ACK;
	arrives(what, WG0, answer, LEAVES_BY(ETH0, way_back(p.route)));
	arrives(what, ETH0, p, LEAVES_BY(WG0, out));
	check_table();
}

Test(connections, port_taken)
{
	arrives("first", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	check_other_port("another client", TCP("54.147.66.133:40000 > " PUBLIC, SYN));
	check_other_port("another map", TCP(CLIENT " > 93.184.216.34:8001", SYN));
	arrives("UDP's is free", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	check_other_port("UDP", UDP("54.147.66.133:40000 > " PUBLIC));
	arrives("first, IPv6", ETH0, TCP(IN6, SYN), LEAVES_BY(WG0, OUT6));
	check_other_port("IPv6", TCP("[2001:db8:54::133]:40000 > " PUBLIC6, SYN));
	arrives("the first is still there", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	cr_expect(check_table() == 7);
}

/* `--snat none`: the visitor's address, and so no collision among visitors. */
Test(connections, port_with_own_address)
{
	arrives("one", ETH0, TCP(CLIENT " > 93.184.216.34:8003", SYN), LEAVES_BY(WG0, CLIENT " > 10.172.16.2:8003"));
	arrives("another", ETH0, TCP("54.147.66.133:40000 > 93.184.216.34:8003", SYN),
		LEAVES_BY(WG0, "54.147.66.133:40000 > 10.172.16.2:8003"));
	arrives("answer", WG0, TCP("10.172.16.2:8003 > " CLIENT, SYN | ACK),
		LEAVES_BY(ETH0, "93.184.216.34:8003 > " CLIENT));
}

/* A pool gives each address the port, before another port is taken. */
Test(connections, port_on_each_address)
{
	bool seen[2] = {};

	for (int i = 0; i < 2; i++) {
		struct packet p = TCP(NULL, SYN);
		const char *out;
		char in[80];

		snprintf(in, sizeof(in), "54.147.66.%d:40000 > 93.184.216.34:8002", i + 1);
		p.route = in;
		out = way_out(arrives("pool", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0);
		cr_expect(port_of_source(out) == 40000, "%s", out);
		seen[!strncmp(out, "10.172.16.11:", 13)] = true;
	}
	cr_expect(seen[0] && seen[1], "an address of the pool isn't used");
	check_other_port("both are taken", TCP("54.147.66.3:40000 > 93.184.216.34:8002", SYN));
}

/* A pool spreads what could all go by one address. */
Test(connections, pool_is_spread)
{
	int second = 0;

	for (int i = 0; i < 40; i++) {
		struct packet p = TCP(NULL, SYN);
		char in[80];

		snprintf(in, sizeof(in), "54.147.66.132:%d > 93.184.216.34:8002", 41000 + i);
		p.route = in;
		second += !strncmp(way_out(arrives("pool", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0),
				   "10.172.16.11:", 13);
	}
	cr_expect(second > 0 && second < 40, "%d of 40", second);
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

/* A socket bound to `from`, connected (or, TCP, trying to) to `to` unless that is NULL. */
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

/* A socket bound to any address is none of a visitor's, who keeps his own. */
Test(connections, port_with_own_address_beside_own_socket)
{
	int fd = socket_make(SOCK_DGRAM, "0.0.0.0:40000", NULL);

	arrives("UDP", ETH0, UDP(CLIENT " > 93.184.216.34:8003"), LEAVES_BY(WG0, CLIENT " > 10.172.16.2:8003"));
	arrives("answer", WG0, UDP("10.172.16.2:8003 > " CLIENT), LEAVES_BY(ETH0, "93.184.216.34:8003 > " CLIENT));
	close(fd);
}

/* Sockets that are in nobody's way: to another target, or listening. */
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

	/* The visitor was first. */
	p.route = in;
	arrives("visitor", ETH0, p, LEAVES_BY(WG0, out));
	/* Then the gateway's own, from the very port. */
	p.route = out;
	p.ttl = 64;
	strcpy(moved, way_out(departs("own", WG0, p, GOES_ON_AS(NULL)), WG0, WG0));
	cr_expect(port_of_source(moved) != 40000 && port_of_source(moved) >= 1024, "%s", moved);
	cr_assert(conn_get(out, p.proto, &conn));
	cr_expect(conn.flow.rule == FWD_RULE_NONE);
	departs("own, again", WG0, p, GOES_ON_AS(moved));
	/* Its answer goes up the stack as if nothing had been. */
	p.route = way_back(moved);
	p.flags = SYN | ACK;
	arrives("answer to the own", WG0, p, GOES_ON_AS(way_back(out)));
	p.ttl = 1;
	arrives("no router here: TTL 1 will do", WG0, p, GOES_ON_AS(way_back(out)));
	/* And the visitor's to the visitor. */
	p.route = way_back(out);
	p.ttl = 64;
	arrives("answer to the visitor", WG0, p, LEAVES_BY(ETH0, way_back(in)));
	cr_expect(check_table() == 2);
}

Test(connections, own_packets_give_way)
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
	r = departs("own", ETH1, TCP(own, SYN), GOES_ON_AS(NULL));
	cr_expect(port_of_source(way_out(r, ETH1, ETH1)) != 40000);
	check_table();
}

Test(connections, other_packets_go_out_untouched)
{
	handshake(IN, OUT);
	departs("from another port", WG0, TCP("10.172.16.1:40001 > 10.172.16.2:8000", SYN), IS_LEFT_ALONE);
	departs("to another port", WG0, TCP("10.172.16.1:40000 > 10.172.16.2:22", SYN), IS_LEFT_ALONE);
	departs("in mid-stream", WG0, TCP(OUT, ACK), IS_LEFT_ALONE);
	departs("ICMP", WG0, (struct packet){OUT, 1, .data = 9}, IS_LEFT_ALONE);
	departs("cut short", WG0, TCP(OUT, SYN, .cut = 1), IS_LEFT_ALONE);
	departs("fragment", WG0, UDP(OUT, .fragment = 0x2000), IS_LEFT_ALONE);
	departs("UDP from the port", WG0, UDP(OUT, .data = 3), IS_LEFT_ALONE);
	departs("the gateway's answer to the client", ETH0, TCP(way_back(IN), ACK), IS_LEFT_ALONE);
	packet_at("the visitor's own, forwarded", WG0, EGRESS_FORWARDED, TCP(OUT, SYN), IS_LEFT_ALONE);
	cr_expect(check_table() == 1);
}

/* ---- ends ---------------------------------------------------------------------------------- */

/* A map's removal ends its connections with the next packet, from either side, UDP's too: nothing
 * keeps going to a removed target. */
Test(connections, map_removed)
{
	struct fwd_counters c;

	handshake(IN, OUT);
	arrives("another map's", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_give_up(RULE);
	arrives("from the client", ETH0, TCP(IN, ACK), IS_LEFT_ALONE);
	cr_expect(!conn_exists(IN, PROTO_TCP) && !conn_exists(way_back(OUT), PROTO_TCP), "both entries are gone");
	arrives("from the target", WG0, TCP(way_back(OUT), ACK), IS_LEFT_ALONE);
	arrives("another map's goes on", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_give_up(RULE_UDP);
	arrives("UDP, from the target", WG0, UDP(way_back(OUT)), IS_LEFT_ALONE);
	cr_expect(check_table() == 0);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_ENDED] == 2 && c.value[FWD_COUNTER_EXPIRED] == 0 &&
		  c.value[FWD_COUNTER_EVICTED] == 0);
}

/* Another map in the same place: the old one's connections are still the old one's. */
Test(connections, map_replaced)
{
	struct fwd_rule r;

	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	rule_read(RULE_UDP, &r);
	r.gen++;
	r.target_low = 9999;
	rule_write(RULE_UDP, &r);
	arrives("goes to the new target", ETH0, UDP(IN), LEAVES_BY(WG0, "10.172.16.1:40000 > 10.172.16.2:9999"));
	arrives("the old one's answer", WG0, UDP(way_back(OUT)), IS_LEFT_ALONE);
	cr_expect(check_table() == 1);
}

Test(connections, map_draining)
{
	struct fwd_rule r;

	handshake(IN, OUT);
	rule_read(RULE, &r);
	r.state = FWD_RULE_DRAINING;
	rule_write(RULE, &r);
	arrives("goes on", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	arrives("and its answers", WG0, TCP(way_back(OUT), ACK), LEAVES_BY(ETH0, way_back(IN)));
	arrives("no new ones", ETH0, TCP("54.147.66.133:40000 > " PUBLIC, SYN), IS_LEFT_ALONE);
}

/* The gateway's own connection outlives the map that it made way for. */
Test(connections, map_removed_but_not_the_gateways_own)
{
	char moved[200];

	arrives("visitor", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	strcpy(moved, way_out(departs("own", WG0, TCP(OUT, SYN), GOES_ON_AS(NULL)), WG0, WG0));
	rule_give_up(RULE);
	departs("own", WG0, TCP(OUT, ACK), GOES_ON_AS(moved));
	arrives("answer", WG0, TCP(way_back(moved), ACK), GOES_ON_AS(way_back(OUT)));
}

Test(connections, ended_by_command)
{
	struct fwd_tuple forward = tuple_of(IN, PROTO_TCP), reply = tuple_turned(tuple_of(OUT, 6));

	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == -ENOENT);
	handshake(IN, OUT);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &reply) == -ENOENT, "not FORWARD");
	cr_expect(check_table() == 1);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == 0);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &forward) == -ENOENT);
	cr_expect(check_table() == 0);
	cr_expect(control(99, NULL) == -EINVAL);
}

/* Routes and neighbours change under a connection; within a second it follows. */
Test(connections, way_follows_the_routes)
{
	struct packet answer = TCP(way_back(OUT), ACK, .data = 5);
	struct entry conn;
	struct result r;

	handshake(IN, OUT);
	ip_batch("neigh change 93.184.216.1 lladdr 02:00:00:00:00:fd nud permanent dev eth0\n");
	clock_advance(2);
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "router exchanged");

	/* Not as long as there is any route by the device that the requests come in by. */
	ip_batch("route replace 54.147.66.0/24 via 192.168.7.2 dev eth1\n");
	clock_advance(2);
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "where it came in by");
	ip_batch("route del default\n");
	clock_advance(2);
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[4] == 7 && r.out.data[10] == 7, "by another device");
	cr_assert(conn_get(way_back(OUT), PROTO_TCP, &conn));
	cr_expect(route_ifindex(&conn.flow.route) == (__u32)gw.ifindex[ETH1]);

	ip_batch("route replace blackhole 54.147.66.0/24\n"
		 "route add default via 93.184.216.1\n");
	clock_advance(2);
	arrives("nowhere", WG0, answer, IS_DROPPED("blackhole"));
	ip_batch("route replace 54.147.66.0/24 via 192.168.8.2 dev eth2\n"
		 "route del default\n");
	/* BPF_PROG_RUN has no packets without Ethernet header, so nothing can be said about this one. */
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_SHOT, "by a device that isn't fwdctl's");
	ip_batch("route del 54.147.66.0/24\nroute add default via 93.184.216.1\n");
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfd, "and back");
}

/* Where only another device leads back, requests don't call the answers off it; as soon as a route does, they follow. */
Test(connections, way_back_by_another_device)
{
	struct packet answer = TCP(way_back(OUT), ACK, .data = 5);
	struct entry before, after;
	struct result r;

	ip_batch("route add 54.147.66.0/24 via 192.168.7.2 dev eth1\nroute del default\n");
	arrives("SYN", ETH0, TCP(IN, SYN, .seq = 1), LEAVES_BY(WG0, OUT));
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[4] == 7, "by another device");
	cr_assert(conn_get(way_back(OUT), PROTO_TCP, &before));
	clock_advance(2);
	arrives("request", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	cr_assert(conn_get(way_back(OUT), PROTO_TCP, &after));
	cr_expect(!memcmp(&before.flow.route, &after.flow.route, sizeof(before.flow.route)), "nothing has changed");
	ip_batch("route add default via 93.184.216.1\n");
	clock_advance(2);
	arrives("request", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
	run(WG0, INGRESS, &answer, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT && r.out.data[5] == 0xfe, "where it came in by");
}

/* One visitor's request says nothing about where another's answers leave, whatever their ports. */
Test(connections, way_of_a_namesake)
{
	struct entry before, after;

	handshake(IN, OUT);
	cr_assert(conn_get(way_back(OUT), PROTO_TCP, &before));
	ip_batch("route add 203.0.113.0/24 via 192.168.7.2 dev eth1\n");
	arrives("with the same port", ETH1, TCP("203.0.113.9:40000 > " PUBLIC, SYN), LEAVES_BY(WG0, NULL));
	cr_assert(conn_get(way_back(OUT), PROTO_TCP, &after));
	cr_expect(route_ifindex(&after.flow.route) == route_ifindex(&before.flow.route) &&
			  after.flow.route.refreshed == before.flow.route.refreshed,
		  "device %u instead of %u", route_ifindex(&after.flow.route), route_ifindex(&before.flow.route));
}

/* Within that second the FIB isn't asked. */
Test(connections, way_is_kept_for_a_second)
{
	handshake(IN, OUT);
	ip_batch("route add blackhole 54.147.66.0/24\n");
	arrives("answer", WG0, TCP(way_back(OUT), ACK), LEAVES_BY(ETH0, way_back(IN)));
}
