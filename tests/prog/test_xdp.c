/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets that XDP forwards and those that it passes to tc. All other tests of this layer, run with FWD_TEST_XDP=1,
 * show that its output equals tc's.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "check.h"

#define PUBLIC "93.184.216.34:8080"
#define IN     "54.147.66.132:40000 > " PUBLIC
#define OUT    "192.168.7.1:40000 > 192.168.7.2:80"
#define IN6    "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8080"
#define OUT6   "[fd07::1]:40000 > [fd07::2]:80"
#define IN_WG  "54.147.66.132:40000 > 93.184.216.34:8000"
#define OUT_WG "10.172.16.1:40000 > 10.172.16.2:8000"

#define SERVER_SEQ 9000

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "192.168.7.2:80", "192.168.7.1"},
	{PROTO_UDP, PUBLIC, "192.168.7.2:80", "192.168.7.1"},
	{PROTO_TCP, "[2001:db8:93::34]:8080", "[fd07::2]:80", "fd07::1"},
	{PROTO_UDP, "[2001:db8:93::34]:8080", "[fd07::2]:80", "fd07::1"},
	{PROTO_TCP, "93.184.216.34:8000", "10.172.16.2:8000", "10.172.16.1"},
};

static void start_mode(enum fwd_mode mode)
{
	unsetenv("FWD_TEST_XDP");
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
	xdp_start(mode);
}

static void start(void)
{
	start_mode(FWD_MODE_XDP);
}

TestSuite(xdp, .init = start, .fini = check_table_at_end, .timeout = 60);

/* True if XDP redirects the frame. If not, run_xdp() checks that the frame is unchanged. */
static bool takes_frame(enum device in, const struct frame *f)
{
	static struct result r;

	r.in = *f;
	return run_xdp(in, &r) == TC_ACT_REDIRECT;
}

static bool takes(enum device in, struct packet p)
{
	struct frame f;

	packet_build(&f, &p, devices[in].mac, devices[in].peer);
	return takes_frame(in, &f);
}

static void handshake(const char *in, const char *out, enum device dev)
{
	arrives("SYN", ETH0, TCP(in, SYN, .seq = 1), LEAVES_BY(dev, out));
	arrives("SYN-ACK", dev, TCP(reverse_of(out), SYN | ACK, .seq = SERVER_SEQ, .ack = 2),
		LEAVES_BY(ETH0, reverse_of(in)));
	arrives("ACK", ETH0, TCP(in, ACK, .seq = 2, .ack = SERVER_SEQ + 1), LEAVES_BY(dev, out));
}

static void stream(const char *in, const char *out)
{
	arrives("request", ETH0, UDP(in), LEAVES_BY(ETH1, out));
	arrives("reply", ETH1, UDP(reverse_of(out)), LEAVES_BY(ETH0, reverse_of(in)));
	arrives("request", ETH0, UDP(in), LEAVES_BY(ETH1, out));
}

/* All packets of a connection from the third on, also unusual ones. */
Test(xdp, forwards_known_connections)
{
	handshake(IN, OUT, ETH1);
	handshake(IN6, OUT6, ETH1);
	stream(IN, OUT);
	stream(IN6, OUT6);
	for (int size = 0; size <= 1400; size += 7) {
		cr_expect(takes(ETH0, TCP(IN, ACK | PSH, .data = size)), "%d bytes", size);
		cr_expect(takes(ETH1, UDP(reverse_of(OUT6), .data = size)), "%d bytes", size);
	}
	cr_expect(takes(ETH1, TCP(reverse_of(OUT), ACK, .padding = 6)), "padding");
	cr_expect(takes(ETH0, TCP(IN6, ACK, .ext = "h")), "an extension header");
	cr_expect(takes(ETH0, TCP(IN, ACK, .options = 8)), "options");
	cr_expect(takes(ETH0, UDP(IN, .no_checksum = true)), "no checksum");
	cr_expect(takes(ETH0, TCP(IN, ACK, .tags = 1)), "a priority tag");
	cr_expect(takes(ETH1, UDP(reverse_of(OUT6), .data = 5, .tags = 2)), "two priority tags");
	cr_expect(takes(ETH0, TCP(IN, ACK | FIN, .seq = 2, .ack = SERVER_SEQ + 1)), "FIN");
	expect_state("by the FIN that XDP saw", IN, PROTO_TCP, "FIN_WAIT");
	cr_expect(takes(ETH1, TCP(reverse_of(OUT6), RST, .seq = SERVER_SEQ + 1)), "RST");
	expect_state("by the RST that XDP saw", IN6, PROTO_TCP, "CLOSE");
}

/* XDP counts a packet where tc counts it. */
Test(xdp, counts_as_tc_does)
{
	struct fwd_rule_stats before, after;
	struct entry conn;

	stream(IN, OUT);
	cr_assert(conn_get(IN, PROTO_UDP, &conn));
	before = rule_stats_read(1);
	for (int i = 0; i < 10; i++) {
		cr_expect(takes(ETH0, UDP(IN, .data = 100)));
		arrives("one more", ETH0, UDP(IN, .data = 100), LEAVES_BY(ETH1, OUT));
	}
	after = rule_stats_read(1);
	cr_expect(after.packets[FWD_DIR_FORWARD] - before.packets[FWD_DIR_FORWARD] == 20);
	cr_expect(after.bytes[FWD_DIR_FORWARD] - before.bytes[FWD_DIR_FORWARD] == 20 * 128);
	cr_assert(conn_get(IN, PROTO_UDP, &conn));
	cr_expect(conn.flow.packets == 22);
}

Test(xdp, passes_to_tc)
{
	struct frame f;

	cr_expect(!takes(ETH0, TCP(IN, SYN)), "a SYN");
	cr_expect(!takes(ETH0, UDP(IN)), "UDP without a connection");
	handshake(IN, OUT, ETH1);
	handshake(IN_WG, OUT_WG, WG0);
	stream(IN, OUT);
	cr_expect(takes(ETH0, TCP(IN, ACK)));
	cr_expect(!takes(ETH0, TCP(IN, SYN)), "a repeated SYN");
	cr_expect(!takes(ETH1, TCP(reverse_of(OUT), SYN | ACK, .mss = 1460)), "a SYN-ACK");
	cr_expect(!takes(ETH0, TCP(IN_WG, ACK)), "to a device without Ethernet header");
	cr_expect(!takes(ETH0, TCP(IN, ACK, .ttl = 1)), "TTL 1");
	cr_expect(!takes(ETH0, TCP(IN, ACK, .data = 1500)), "too big");
	cr_expect(!takes(ETH0, UDP(IN, .data = 64, .fragment = 0x2000)), "a first fragment");
	cr_expect(!takes(ETH0, UDP(IN, .data = 64, .fragment = 9)), "a later fragment");
	cr_expect(!takes(ETH0, TCP(IN, ACK, .tags = 1, .vlan = 7)), "of a VLAN");
	cr_expect(!takes(ETH0, TCP(IN, ACK, .poke_at = 10, .poke = 0x55)), "a wrong header checksum");
	cr_expect(!takes(ETH0, TCP("54.147.66.132:40001 > " PUBLIC, ACK)), "no connection");

	/* To another address of the link. */
	packet_build(&f, &TCP(IN, ACK), devices[ETH1].mac, devices[ETH0].peer);
	cr_expect(!takes_frame(ETH0, &f));
	/* The NIC is to compute the checksum: the field holds the sum of the pseudo header. */
	packet_build(&f, &TCP(IN, ACK), devices[ETH0].mac, devices[ETH0].peer);
	put16(f.data + ETHER_LEN + 20 + 16, sum_pseudo(f.data + ETHER_LEN + 12, 8, PROTO_TCP, f.len - ETHER_LEN - 20));
	cr_expect(!takes_frame(ETH0, &f), "CHECKSUM_PARTIAL");
}

/* Packets to a device that is not in xdp_devices are forwarded by tc. */
Test(xdp, only_to_xdp_devices)
{
	int fd = xdp_devices_fd();
	__u32 ifindex = gw.ifindex[ETH1];

	stream(IN, OUT);
	cr_expect(takes(ETH0, UDP(IN)));
	cr_assert(!bpf_map_delete_elem(fd, &ifindex));
	cr_expect(!takes(ETH0, UDP(IN)));
	arrives("by tc", ETH0, UDP(IN), LEAVES_BY(ETH1, OUT));
	cr_expect(takes(ETH1, UDP(reverse_of(OUT))), "reply");
}

/* XDP asks the FIB once a second, too. Every 30 seconds a packet is passed to tc, which uses the neighbour entry. */
Test(xdp, route_is_refreshed)
{
	stream(IN, OUT);
	for (int i = 2; i < 30; i += 2) {
		clock_advance(2);
		cr_expect(takes(ETH0, UDP(IN)), "after %d s", i);
	}
	clock_advance(3);
	cr_expect(!takes(ETH0, UDP(IN)));
	arrives("by tc", ETH0, UDP(IN), LEAVES_BY(ETH1, OUT));
	cr_expect(takes(ETH0, UDP(IN)), "after tc");

	ip_batch("route add blackhole 192.168.7.2/32\n");
	cr_expect(takes(ETH0, UDP(IN)), "the route is cached for a second");
	clock_advance(2);
	cr_expect(!takes(ETH0, UDP(IN)), "no route");
	arrives("counted by tc", ETH0, UDP(IN), IS_DROPPED("blackhole"));
}

/* The kernel resolves the neighbour with the packets of tc. */
Test(xdp, neighbour_unknown)
{
	struct result r;

	ip_batch("neigh del 192.168.7.2 dev eth1\n");
	for (int i = 0; i < 3; i++) {
		cr_expect(!takes(ETH0, UDP(IN)));
		run(ETH0, INGRESS, &UDP(IN), &r);
		cr_expect(r.verdict == TC_ACT_REDIRECT);
	}
	ip_batch("neigh replace 192.168.7.2 lladdr 02:00:00:00:07:02 nud permanent dev eth1\n");
	arrives("resolved", ETH0, UDP(IN), LEAVES_BY(ETH1, OUT));
	cr_expect(takes(ETH0, UDP(IN)));
}

/* A removed map: the packet is passed to tc. */
Test(xdp, removed_map)
{
	stream(IN, OUT);
	cr_expect(takes(ETH0, UDP(IN)));
	rule_delete(1);
	cr_expect(!takes(ETH0, UDP(IN)));
	cr_expect(!conn_exists(IN, PROTO_UDP));
}

/* One client takes all source ports towards the target. */
static void start_exhausted(void)
{
	static struct result r;
	char flow[80];

	unsetenv("FWD_TEST_XDP");
	gateway_start(16, 3 * 65536);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rule_put(i, &rules[i]);
	xdp_start(FWD_MODE_XDP);
	for (int port = 1; port < 65536; port++) {
		snprintf(flow, sizeof(flow), "54.200.0.1:%d > " PUBLIC, port);
		run(ETH0, INGRESS, &UDP(flow), &r);
		run(ETH0, INGRESS, &TCP(flow, SYN), &r);
	}
	cr_assert(counters_read().value[FWD_COUNTER_CREATED] == 2 * 65535);
}

/* Bound to LISTEN's address: a map of one address overrides sockets that are bound to all. */
static int socket_at(__u16 port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x5db8d822)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

#define RUNS 50

static void is_refused(const struct packet *p)
{
	static struct result r;

	run(ETH0, INGRESS, p, &r);
	cr_assert(r.verdict == TC_ACT_SHOT);
}

/* How many of RUNS such packets XDP drops, each right after others were refused; the backoff lasts one tick, which may
 * end in between. port: a socket of the gateway is bound to it meanwhile; 0: none. */
static int drops(struct packet p, __u16 port)
{
	static struct result r;
	int count = 0;

	for (int i = 0; i < RUNS; i++) {
		int fd = -1;

		/* One failed search is not enough (PORT_BACKOFF_SEARCHES). */
		for (int n = 0; n < 4; n++) {
			is_refused(&UDP(IN));
			is_refused(&TCP(IN, SYN));
		}
		if (port)
			fd = socket_at(port);
		packet_build(&r.in, &p, devices[ETH0].mac, devices[ETH0].peer);
		count += run_xdp(ETH0, &r) == TC_ACT_SHOT;
		if (port)
			close(fd);
	}
	return count;
}

/* XDP drops packets that tc would refuse because no source port is free, and no others. */
Test(xdp_exhausted, is_refused, .init = start_exhausted, .fini = check_table_at_end, .timeout = 60)
{
	__u64 before[FWD_REASON_MAX], after[FWD_REASON_MAX];

	reasons_read(before);
	cr_expect(drops(UDP(IN), 0) > RUNS / 2);
	cr_expect(drops(TCP(IN, SYN), 0) > RUNS / 2);
	reasons_read(after);
	cr_expect(after[FWD_NO_PORT] - before[FWD_NO_PORT] == counters_read().value[FWD_COUNTER_FAILED]);
	cr_expect(counters_read().value[FWD_COUNTER_CREATED] == 2 * 65535);
	cr_expect(!conn_exists(IN, PROTO_UDP) && !conn_exists(IN, PROTO_TCP));

	cr_expect(!drops(UDP("54.200.0.1:7 > " PUBLIC), 0), "a known connection");
	cr_expect(!drops(TCP("54.200.0.1:7 > " PUBLIC, SYN), 0), "its SYN once more");
	cr_expect(!drops(TCP(IN, ACK), 0), "no connection");
	cr_expect(!drops(UDP("54.147.66.132:40000 > 93.184.216.34:8081"), 0), "no map");
	cr_expect(!drops(UDP(IN6), 0), "another map");
	cr_expect(!drops(UDP(IN, .ttl = 1), 0));
	cr_expect(!drops(UDP("224.0.0.1:40000 > " PUBLIC), 0), "a martian source");
	cr_expect(!drops(UDP(IN), 8080), "a socket of the gateway");
	clock_advance(1);
	cr_expect(!takes(ETH0, UDP(IN)), "dropped after the tick");
}

static void start_generic(void)
{
	start_mode(FWD_MODE_XDP_GENERIC);
}

/* Generic XDP redirects to any Ethernet device. */
Test(xdp_generic, sends_to_any, .init = start_generic, .fini = check_table_at_end, .timeout = 60)
{
	handshake(IN, OUT, ETH1);
	handshake(IN_WG, OUT_WG, WG0);
	cr_expect(takes(ETH0, TCP(IN, ACK)));
	cr_expect(takes(ETH1, TCP(reverse_of(OUT), ACK)));
	cr_expect(!takes(ETH0, TCP(IN_WG, ACK)));
}
