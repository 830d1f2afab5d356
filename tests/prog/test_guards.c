/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Regressions: packets that must be passed unchanged, and events that must not end or leak connections.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fwd/neigh.h"
#include "check.h"

#define PUBLIC     "93.184.216.34:8000"
#define SERVER_SEQ 9000
#define IN         "54.147.66.132:40000 > " PUBLIC
#define OUT        "10.172.16.1:40000 > 10.172.16.2:8000"

#define OUT_LAN "192.168.7.1:40000 > 192.168.7.2:8000"

static const struct rule tcp_rule = {PROTO_TCP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"};
static const struct rule lan_rule = {PROTO_TCP, PUBLIC, "192.168.7.2:8000", "192.168.7.1"};

static int send_one(enum device device, enum hook hook, struct packet packet)
{
	static struct result r;

	run(device, hook, &packet, &r);
	return r.verdict;
}

static void handshake(const char *in, const char *out)
{
	send_one(ETH0, INGRESS, (struct packet)TCP(in, SYN));
	send_one(WG0, INGRESS, (struct packet)TCP(reverse_of(out), SYN | ACK, .seq = SERVER_SEQ));
	send_one(ETH0, INGRESS, (struct packet)TCP(in, ACK, .ack = SERVER_SEQ + 1));
}

/* An off-path attacker does not know the sequence numbers: forged segments change no state. */
Test(guards, forged_segments, .timeout = 60)
{
	gateway_start(16, 16);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	send_one(WG0, INGRESS, (struct packet)TCP(reverse_of(OUT), ACK, .seq = SERVER_SEQ + 1, .ack = 500));
	expect_state("opened", IN, PROTO_TCP, "ESTABLISHED");
	arrives("RST", ETH0, TCP(IN, RST, .seq = 0xdead0000), LEAVES_BY(WG0, OUT));
	expect_state("after a forged RST", IN, PROTO_TCP, "ESTABLISHED");
	arrives("FIN", ETH0, TCP(IN, FIN | ACK, .seq = 0xdead0000, .ack = 1), LEAVES_BY(WG0, OUT));
	expect_state("after a forged FIN", IN, PROTO_TCP, "ESTABLISHED");
	arrives("RST", ETH0, TCP(IN, RST, .seq = 500), LEAVES_BY(WG0, OUT));
	expect_state("after a true RST", IN, PROTO_TCP, "CLOSE");
}

/* A map of any address matches the gateway's own addresses, and nothing else that is delivered locally. */
Test(guards, wildcard, .timeout = 60)
{
	static const char *const to[] = {"224.0.0.251", "255.255.255.255", "239.1.1.1",
					 "127.0.0.1",   "0.0.0.0",         "198.51.100.200"};
	char flow[100];

	gateway_start(64, 64);
	rule_put(0, &(struct rule){PROTO_UDP, "0.0.0.0:5353", "10.172.16.2:5353", "10.172.16.1"});
	rule_put(1, &(struct rule){PROTO_UDP, "[::]:5353", "[fd10:172:16::2]:5353", "fd10:172:16::1"});
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		snprintf(flow, sizeof(flow), "10.172.16.9:5353 > %s:5353", to[i]);
		arrives(to[i], WG0, UDP(flow), IS_UNTOUCHED);
	}
	arrives("IPv6 multicast", WG0, UDP("[fd10:172:16::9]:5353 > [ff02::fb]:5353"), IS_UNTOUCHED);
	arrives("from the gateway's own address", ETH0, UDP("93.184.216.34:1111 > 93.184.216.34:5353"),
		IS_PASSED("martian"));
	arrives("the gateway's own", ETH0, UDP("54.147.66.132:5353 > 93.184.216.34:5353"),
		LEAVES_BY(WG0, "10.172.16.1:5353 > 10.172.16.2:5353"));
}

static int socket_bound(int family, const char *address, __u16 port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr *at = family == AF_INET ? (void *)&v4 : (void *)&v6;
	int sock = socket(family, SOCK_DGRAM, 0);

	inet_pton(family, address, family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	cr_assert(!bind(sock, at, family == AF_INET ? sizeof(v4) : sizeof(v6)), "%s", address);
	return sock;
}

static void connect_to(int sock, int family, const char *address, __u16 port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(family, address, family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	cr_assert(!connect(sock, family == AF_INET ? (void *)&v4 : (void *)&v6,
			   family == AF_INET ? sizeof(v4) : sizeof(v6)));
}

#define STRANGER  "203.0.113.7:4444 > 93.184.216.34:"
#define STRANGER6 "[2001:db8:54::7]:4444 > [2001:db8:93::34]:"

/* Three kinds of maps: of one address and port, of a range, of any address. A socket that is bound to all addresses is
 * overridden by the first kind alone. */
static void check_wildcard_socket(const char *what)
{
	arrives(what, ETH0, UDP(STRANGER "53"), LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:53"));
	arrives(what, ETH0, UDP(STRANGER "1054"), IS_PASSED("own_socket"));
	arrives(what, ETH0, UDP(STRANGER "55"), IS_PASSED("own_socket"));
	arrives(what, ETH0, UDP(STRANGER6 "53"), LEAVES_BY(WG0, "[fd10:172:16::1]:4444 > [fd10:172:16::2]:53"));
	arrives(what, ETH0, UDP(STRANGER6 "1054"), IS_PASSED("own_socket"));
	arrives(what, ETH0, UDP(STRANGER6 "55"), IS_PASSED("own_socket"));
	table_flush();
}

static const struct rule socket_rules[] = {
	{PROTO_UDP, "93.184.216.34:53", "10.172.16.2:53", "10.172.16.1"},
	{PROTO_UDP, "93.184.216.34:1054", "10.172.16.2:1054", "10.172.16.1", .last = 1055},
	{PROTO_UDP, "0.0.0.0:55", "10.172.16.2:55", "10.172.16.1"},
	{PROTO_UDP, "[2001:db8:93::34]:53", "[fd10:172:16::2]:53", "fd10:172:16::1"},
	{PROTO_UDP, "[2001:db8:93::34]:1054", "[fd10:172:16::2]:1054", "fd10:172:16::1", .last = 1055},
	{PROTO_UDP, "[::]:55", "[fd10:172:16::2]:55", "fd10:172:16::1"},
};

Test(guards, wildcard_udp_socket, .timeout = 60)
{
	static const __u16 ports[] = {53, 1054, 55};
	int sock[3], sock4[3];

	gateway_start_with(socket_rules, sizeof(socket_rules) / sizeof(socket_rules[0]));
	for (int i = 0; i < 3; i++)
		sock[i] = socket_bound(AF_INET6, "::", ports[i]);
	check_wildcard_socket("a socket of both families");
	for (int i = 0; i < 3; i++) {
		const int on = 1;

		close(sock[i]);
		sock4[i] = socket_bound(AF_INET, "0.0.0.0", ports[i]);
		sock[i] = socket(AF_INET6, SOCK_DGRAM, 0);
		cr_assert(!setsockopt(sock[i], IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
		cr_assert(!bind(sock[i],
				(struct sockaddr *)&(struct sockaddr_in6){.sin6_family = AF_INET6,
									  .sin6_port = htons(ports[i])},
				sizeof(struct sockaddr_in6)));
	}
	check_wildcard_socket("a socket of each family");
	for (int i = 0; i < 3; i++) {
		close(sock[i]);
		close(sock4[i]);
	}
	arrives("no socket", ETH0, UDP(STRANGER "1054"), LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:1054"));
}

/* UDP to an address and port that a socket of the gateway is bound to belongs to the socket, and so do the packets of
 * the peer that a socket is connected to: replies to a resolver. */
Test(guards, own_udp_socket, .timeout = 60)
{
	int sock, sock6, connected, connected6;

	gateway_start_with(socket_rules, sizeof(socket_rules) / sizeof(socket_rules[0]));
	connected = socket_bound(AF_INET, "0.0.0.0", 53);
	connected6 = socket_bound(AF_INET6, "2001:db8:93::34", 1054);
	connect_to(connected, AF_INET, "203.0.113.7", 4444);
	connect_to(connected6, AF_INET6, "2001:db8:54::7", 4444);
	arrives("of its peer", ETH0, UDP(STRANGER "53"), IS_PASSED("own_socket"));
	arrives("of its peer, IPv6", ETH0, UDP(STRANGER6 "1054"), IS_PASSED("own_socket"));
	arrives("of another", ETH0, UDP("203.0.113.8:4444 > 93.184.216.34:53"),
		LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:53"));
	close(connected);
	sock = socket_bound(AF_INET, "93.184.216.34", 53);
	sock6 = socket_bound(AF_INET6, "2001:db8:93::34", 53);
	arrives("to the socket", ETH0, UDP(STRANGER "53"), IS_PASSED("own_socket"));
	arrives("to the socket, IPv6", ETH0, UDP(STRANGER6 "53"), IS_PASSED("own_socket"));
	close(sock);
	close(sock6);
	close(connected6);
	table_flush();
	arrives("to the map", ETH0, UDP(STRANGER "53"), LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:53"));
}

/* WireGuard restarts: its socket is closed for a moment, and a handshake of home opens a connection through a range
 * that contains its port. Once the socket is back, handshakes go to it, unless the target has answered. */
Test(guards, udp_socket_comes_back, .timeout = 60)
{
	const char *answered = "203.0.113.8:4445 > 93.184.216.34:1054", *out = "10.172.16.1:4445 > 10.172.16.2:1054";
	int sock;

	gateway_start_with(socket_rules, sizeof(socket_rules) / sizeof(socket_rules[0]));
	arrives("IPv4", ETH0, UDP(STRANGER "1054"), LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:1054"));
	arrives("IPv6", ETH0, UDP(STRANGER6 "1054"), LEAVES_BY(WG0, "[fd10:172:16::1]:4444 > [fd10:172:16::2]:1054"));
	arrives("another", ETH0, UDP(answered), LEAVES_BY(WG0, out));
	arrives("its answer", WG0, UDP(reverse_of(out)), LEAVES_BY(ETH0, reverse_of(answered)));
	sock = socket_bound(AF_INET6, "::", 1054);
	clock_advance(2);
	arrives("IPv4, to the socket", ETH0, UDP(STRANGER "1054"), IS_PASSED("own_socket"));
	arrives("IPv6, to the socket", ETH0, UDP(STRANGER6 "1054"), IS_PASSED("own_socket"));
	arrives("answered by the target", ETH0, UDP(answered), LEAVES_BY(WG0, out));
	cr_expect(!conn_exists(STRANGER "1054", PROTO_UDP) && !conn_exists(STRANGER6 "1054", PROTO_UDP));
	cr_expect(check_table() == 1);
	close(sock);
}

/* A packet of a live connection is never passed to the stack, which would reset it. */
Test(guards, route_lost, .timeout = 60)
{
	gateway_start(64, 64);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	ip_batch("route del 10.172.16.0/24\n"
		 "route add unreachable 10.172.16.0/24 metric 9\n");
	clock_advance(2);
	arrives("unreachable", ETH0, TCP(IN, ACK), GETS_ICMP_ERROR("unreachable", 3, 1));
	ip_batch("route del unreachable 10.172.16.0/24 metric 9\n"
		 "route add 10.172.16.0/24 dev wg0\n");
	clock_advance(2);
	arrives("back", ETH0, TCP(IN, ACK), LEAVES_BY(WG0, OUT));
}

/* A SYN that is not forwarded does not end a closed connection, because no new one replaces it. */
Test(guards, refused_syn, .timeout = 60)
{
	gateway_start(64, 64);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	arrives("RST", ETH0, in_order((struct packet)TCP(IN, RST)), LEAVES_BY(WG0, OUT));
	arrives("SYN", ETH0, TCP(IN, SYN, .ttl = 1), GETS_ICMP_ERROR("ttl_exceeded", 11, 0));
	cr_expect(conn_exists(IN, PROTO_TCP));
	arrives("SYN", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
	expect_state("reopened", IN, PROTO_TCP, "SYN_SENT");
	cr_expect(check_table() == 1);
}

/* The tunnel's address is gone, and with it the route: no packet leaves unencrypted by the default route. */
Test(guards, tunnel_down, .timeout = 60)
{
	gateway_start(64, 64);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	ip_batch("addr flush dev wg0\n");
	clock_advance(2);
	arrives("of the connection", ETH0, TCP(IN, ACK), GETS_ICMP_ERROR("route_lost", 3, 0));
	arrives("a new one", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, SYN), IS_PASSED("no_source"));
}

/* The cached check of the source address does not apply once another device leads to the target. */
Test(guards, tunnel_down_just_now, .timeout = 60)
{
	gateway_start(64, 64);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	clock_advance(2);
	handshake("54.147.66.132:40001 > " PUBLIC, "10.172.16.1:40001 > 10.172.16.2:8000");
	ip_batch("addr flush dev wg0\n");
	arrives("of a connection", ETH0, TCP(IN, ACK), GETS_ICMP_ERROR("route_lost", 3, 0));
	arrives("a new one", ETH0, TCP("54.147.66.132:40002 > " PUBLIC, SYN), IS_PASSED("no_source"));
}

/* The tick of the last packet that used the kernel's neighbour entry of the LAN target; 0: none did. */
static __u32 neighbour_used(void)
{
	const struct fwd_tuple home = tuple_of(reverse_of(OUT_LAN), PROTO_TCP);

	for (__u32 i = 0; i < FWD_NEIGHS_MAX; i++) {
		struct fwd_neigh n;

		cr_assert(!bpf_map_lookup_elem(MAP_FD(neighs), &i, &n));
		if (n.addr.w[0] == home.saddr.w[3] && n.ifindex == (__u32)gw.ifindex[ETH1])
			return n.used;
	}
	return 0;
}

/* All connections together use the kernel's neighbour entry of a next hop once a second. */
Test(guards, neighbour_entry_is_used, .timeout = 60)
{
	__u32 first;

	gateway_start(64, 64);
	rule_put(0, &lan_rule);
	arrives("a first one", ETH0, TCP(IN, SYN), LEAVES_BY(ETH1, OUT_LAN));
	first = neighbour_used();
	cr_expect(first);
	usleep(5000);
	arrives("another", ETH0, TCP("54.147.66.132:40001 > " PUBLIC, SYN),
		LEAVES_BY(ETH1, "192.168.7.1:40001 > 192.168.7.2:8000"));
	cr_expect(neighbour_used() == first);
	clock_advance(2);
	arrives("later", ETH0, TCP(IN, SYN), LEAVES_BY(ETH1, OUT_LAN));
	cr_expect(neighbour_used() != first);
}

/* One packet of a host without a neighbour entry: the kernel gets it, and asks for the address. */
static void asks(const char *what, enum device in, struct packet p)
{
	__u64 reasons[FWD_REASON_MAX];

	reasons_read(reasons);
	cr_expect(send_one(in, INGRESS, p) == TC_ACT_REDIRECT, "%s: not given to the kernel", what);
	check_reasons(what, reasons, NULL);
}

static void next_hop_dies(enum device in, struct packet p, __u8 type, __u8 code)
{
	struct fate error = GETS_ICMP_ERROR("no_neighbour", type, code);

	asks("the first", in, p);
	clock_advance(1);
	asks("while the kernel asks", in, p);
	clock_advance(2);
	arrives("the kernel has given up", in, p, error);
	asks("to ask again", in, p);
	clock_advance(1);
	arrives("a second later", in, p, error);
	arrives("another", in, p, error);
	clock_advance(2);
	asks("once in two seconds", in, p);
	clock_advance(10);
	asks("after a pause, in which it may have come back", in, p);
	clock_advance(1);
	asks("while the kernel asks anew", in, p);
	clock_advance(2);
	arrives("the kernel has given up again", in, p, error);
	clock_advance(61);
	asks("after a long one", in, p);
}

/* The next hop to the target does not answer. The kernel gets the packets while it asks; then the visitor is told. */
Test(guards, target_does_not_answer, .timeout = 60)
{
	struct rule rule = {PROTO_TCP, PUBLIC, "192.168.7.77:8000", "192.168.7.1"};
	struct rule rule6 = {PROTO_UDP, "[2001:db8:93::34]:8000", "[fd07::77]:8000", "fd07::1"};

	gateway_start(64, 64);
	rule_put(0, &rule);
	rule_put(1, &rule6);
	next_hop_dies(ETH0, TCP(IN, SYN), 3, 1);
	next_hop_dies(ETH0, UDP("[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000", .data = 9), 1, 3);
}

/* The same for the next hop to the visitor: home is told. Once it answers, nothing is left of that. */
Test(guards, router_does_not_answer, .timeout = 60)
{
	gateway_start(64, 64);
	rule_put(0, &lan_rule);
	send_one(ETH0, INGRESS, (struct packet)TCP(IN, SYN));
	send_one(ETH1, INGRESS, (struct packet)TCP(reverse_of(OUT_LAN), SYN | ACK, .seq = SERVER_SEQ));
	ip_batch("neigh del 93.184.216.1 dev eth0\n");
	clock_advance(2);
	next_hop_dies(ETH1, TCP(reverse_of(OUT_LAN), ACK, .data = 9), 3, 1);
	clock_advance(3);
	arrives("not yet", ETH1, TCP(reverse_of(OUT_LAN), ACK), GETS_ICMP_ERROR("no_neighbour", 3, 1));
	ip_batch("neigh add 93.184.216.1 lladdr 02:00:00:00:00:fe nud permanent dev eth0\n");
	arrives("it answers", ETH1, TCP(reverse_of(OUT_LAN), ACK), LEAVES_BY(ETH0, reverse_of(IN)));
	clock_advance(2);
	ip_batch("neigh del 93.184.216.1 dev eth0\n");
	asks("it is gone again", ETH1, TCP(reverse_of(OUT_LAN), ACK));
}

/* No error about an ICMP error: the kernel gets it. */
Test(guards, no_error_about_an_error_to_a_dead_host, .timeout = 60)
{
	static struct result r;
	const struct error e = {.flow = "198.51.100.1:0 > 93.184.216.34:0",
				.type = 3,
				.code = 1,
				.quoted = TCP("93.184.216.34:8000 > 54.147.66.132:40000", ACK)};

	gateway_start(64, 64);
	rule_put(0, &lan_rule);
	asks("the first", ETH0, TCP(IN, SYN));
	ip_batch("neigh del 192.168.7.2 dev eth1\n");
	clock_advance(2);
	asks("without an address", ETH0, TCP(IN, SYN));
	clock_advance(3);
	arrives("the kernel has given up", ETH0, TCP(IN, SYN), GETS_ICMP_ERROR("no_neighbour", 3, 1));
	asks("to ask again", ETH0, TCP(IN, SYN));
	clock_advance(1);
	error_build(&r.in, &e, devices[ETH0].mac, devices[ETH0].peer);
	run_frame(ETH0, INGRESS, 0, false, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "%s", verdict_name(r.verdict));
}

/* Connections that were confirmed while the table was full get a confirmed slot as soon as there is one. */
Test(guards, ring_after_full_table, .timeout = 60)
{
	char in[100], out[100];
	int let_in = 0;

#define VISITOR(n)                                                            \
	(snprintf(in, sizeof(in), "54.147.66.132:%d > " PUBLIC, 20000 + (n)), \
	 snprintf(out, sizeof(out), "10.172.16.1:%d > 10.172.16.2:8000", 20000 + (n)))
	gateway_start(16, 16);
	rule_put(0, &tcp_rule);
	for (int i = 0; i < 15; i++) {
		VISITOR(i);
		handshake(in, out);
	}
	for (int i = 15; i < 31; i++) {
		VISITOR(i);
		send_one(ETH0, INGRESS, (struct packet)TCP(in, SYN));
		send_one(WG0, INGRESS, (struct packet)TCP(reverse_of(out), SYN | ACK, .seq = SERVER_SEQ));
	}
	for (int i = 15; i < 31; i++) {
		VISITOR(i);
		send_one(ETH0, INGRESS, (struct packet)TCP(in, ACK, .ack = SERVER_SEQ + 1));
	}
	for (int i = 0; i < 15; i++) {
		struct fwd_tuple key;

		VISITOR(i);
		key = tuple_of(in, PROTO_TCP);
		cr_assert(!control(FWD_REQUEST_END_CONNECTION, &key));
	}
	for (int i = 100; i < 101; i++) {
		VISITOR(i);
		let_in += send_one(ETH0, INGRESS, (struct packet)TCP(in, SYN)) == TC_ACT_REDIRECT;
	}
	cr_expect(let_in == 1);
	check_table();
#undef VISITOR
}

/* The gateway's own connection is translated until it ends, also when the map that caused it is removed. */
Test(guards, own_connection_outlives_the_map, .timeout = 60)
{
	static struct result r;
	struct packet own = TCP(OUT, SYN);
	char with[100];

	gateway_start(16, 16);
	rule_put(0, &tcp_rule);
	handshake(IN, OUT);
	run(WG0, EGRESS, &own, &r);
	snprintf(with, sizeof(with), "%s", frame_flow(&r.out, 0));
	cr_expect(strcmp(with, OUT), "two connections share a port");
	rule_delete(0);
	own = (struct packet)TCP(OUT, ACK);
	run(WG0, EGRESS, &own, &r);
	cr_expect_str_eq(frame_flow(&r.out, 0), with);
}

/* ---- many CPUs in a small ring -------------------------------------------------------------- */

#define FLOOD 200000

static void *flood(void *arg)
{
	static __thread struct result r;
	struct packet packet = {.flow = "100.0.0.1:40000 > " PUBLIC, .proto = PROTO_UDP};
	long cpu = (long)arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	run(ETH0, INGRESS, &packet, &r);
	for (int i = 0; i < FLOOD; i++) {
		__u8 *ip = r.in.data + 14;

		ip[13] = cpu + 1;
		ip[14] = i >> 8;
		ip[15] = i;
		ip[20] = 0x40 | (i >> 16 & 0x3f);
		ip[26] = ip[27] = 0; /* no checksum */
		run_frame(ETH0, INGRESS, 0, false, &r);
	}
	return NULL;
}

/* Each connection has one slot, and each slot one connection, although CPUs race for them. */
Test(guards, ring_slots_have_one_owner, .timeout = 110, .fini = check_table_at_end)
{
	pthread_t thread[2];

	gateway_start(64, 16);
	rule_put(0, &(struct rule){PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"});
	for (long i = 0; i < 2; i++)
		cr_assert(!pthread_create(&thread[i], NULL, flood, (void *)i));
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

static void live_set(enum device device, bool live)
{
	__u32 ifindex = gw.ifindex[device];

	if (live)
		map_put(MAP_FD(live_devices), &ifindex, &ifindex);
	else
		cr_assert(!bpf_map_delete_elem(MAP_FD(live_devices), &ifindex));
}

/* The kernel deletes a device from `live_devices` when it goes or is moved to another network namespace. Packets do not
 * leave by one that has its ifindex now, and packets of the moved one are another namespace's. */
Test(guards, device_gone_or_moved, .timeout = 60)
{
	gateway_start(16, 16);
	rule_put(0, &tcp_rule);
	live_set(WG0, false);
	arrives("out by a device that is gone", ETH0, TCP(IN, SYN), IS_PASSED("not_attached"));
	live_set(WG0, true);
	live_set(ETH0, false);
	arrives("in by a device that was moved", ETH0, TCP(IN, SYN), IS_UNTOUCHED);
	cr_expect(check_table() == 0);
	live_set(ETH0, true);
	handshake(IN, OUT);
	expect_state("opened", IN, PROTO_TCP, "ESTABLISHED");
	live_set(ETH0, false);
	clock_advance(2);
	arrives("of the connection", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), IS_UNTOUCHED);
	live_set(ETH0, true);
	arrives("of the connection", ETH0, TCP(IN, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
}

/* A moved device may have the ifindex of another attached one. */
Test(guards, moved_to_the_index_of_another, .timeout = 60)
{
	struct fwd_device d = {.link = FWD_LINK_ETHERNET, .index = 7};
	__u32 ifindex;

	gateway_start(16, 16);
	rule_put(0, &tcp_rule);
	ifindex = gw.ifindex[ETH0];
	map_put(MAP_FD(devices), &ifindex, &d);
	arrives("in by another device", ETH0, TCP(IN, SYN), IS_UNTOUCHED);
	cr_expect(check_table() == 0);
}
