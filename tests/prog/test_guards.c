/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Regressions: packets that must be passed unchanged, and events that must not end or leak connections.
 */
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

/* UDP to a port that a socket of the gateway is bound to belongs to the socket: a reply to its resolver, WireGuard. */
Test(guards, own_udp_socket, .timeout = 60)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(51913)};
	int sock;

	gateway_start(64, 64);
	rule_put(0, &(struct rule){PROTO_UDP, "93.184.216.34:51913", "10.172.16.2:51913", "10.172.16.1"});
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert(!bind(sock, (struct sockaddr *)&any, sizeof(any)));
	arrives("to the socket", ETH0, UDP("203.0.113.7:4444 > 93.184.216.34:51913"), IS_PASSED("own_socket"));
	close(sock);
	arrives("to the map", ETH0, UDP("203.0.113.7:4444 > 93.184.216.34:51913"),
		LEAVES_BY(WG0, "10.172.16.1:4444 > 10.172.16.2:51913"));
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
