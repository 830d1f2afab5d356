/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens when there is no room, and when time is up.
 */
#include <time.h>
#include "check.h"

#define PUBLIC     "93.184.216.34:8000"
#define TARGET     "10.172.16.2:8000"
#define SERVER_SEQ 9000

#define CONNECTIONS 8
#define HALF_OPEN   16

static const struct rule rules[] = {
    {PROTO_TCP, PUBLIC, TARGET, "10.172.16.1"},
    {PROTO_UDP, PUBLIC, TARGET, "10.172.16.1"},
};

static void start_with(__u32 connections, __u32 half_open)
{
	gateway_start(connections, half_open);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rule_put(i, &rules[i]);
}

static void start(void)
{
	start_with(CONNECTIONS, HALF_OPEN);
}

/* A visitor by number, each with a port of its own, which is then kept. */
struct visitor {
	char in[80], out[80];
};

static struct visitor visitor(int n)
{
	struct visitor v;

	snprintf(v.in, sizeof(v.in), "54.147.%d.%d:%d > " PUBLIC, n >> 8 & 255, n & 255,
		 20000 + n % 40000);
	snprintf(v.out, sizeof(v.out), "10.172.16.1:%d > " TARGET, 20000 + n % 40000);
	return v;
}

static void syn(int n)
{
	struct visitor v = visitor(n);

	arrives("SYN", ETH0, TCP(v.in, SYN), LEAVES_BY(WG0, v.out));
}

static void syn_ack(int n)
{
	struct visitor v = visitor(n);

	arrives("SYN-ACK", WG0, TCP(way_back(v.out), SYN | ACK, .seq = SERVER_SEQ),
		LEAVES_BY(ETH0, way_back(v.in)));
}

static void from_client(int n, __u8 flags)
{
	struct visitor v = visitor(n);

	arrives("client", ETH0, TCP(v.in, flags, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, v.out));
}

static void from_target(int n, __u8 flags)
{
	struct visitor v = visitor(n);

	arrives("target", WG0, TCP(way_back(v.out), flags), LEAVES_BY(ETH0, way_back(v.in)));
}

static void establish(int n)
{
	syn(n);
	syn_ack(n);
	from_client(n, ACK);
}

static bool is_there(int n, __u8 proto)
{
	return conn_exists(visitor(n).in, proto);
}

static __u32 slot_of(int n)
{
	struct fwd_conn conn;

	cr_assert(conn_get(visitor(n).in, PROTO_TCP, &conn));
	return conn.slot;
}

TestSuite(limits, .init = start, .fini = check_table_at_end, .timeout = 30);

Test(limits, ring_turns)
{
	for (int n = 0; n < HALF_OPEN; n++)
		syn(n);
	cr_expect(counters_read().evicted == 0);
	cr_expect(check_table() == HALF_OPEN);
	syn(100);
	cr_expect(counters_read().evicted == 1);
	cr_expect(!is_there(0, PROTO_TCP) && is_there(1, PROTO_TCP), "the oldest goes");
	cr_expect(check_table() == HALF_OPEN);
}

/* A flood pushes out only its own kind. */
Test(limits, flood)
{
	struct fwd_counters c;

	establish(1);
	for (int n = 0; n < 10 * HALF_OPEN; n++)
		syn(1000 + n);
	c = counters_read();
	cr_expect(c.created == 1 + 10 * HALF_OPEN);
	/* The place in the ring that the established one had was empty by then. */
	cr_expect(c.evicted == 9 * HALF_OPEN, "%llu", c.evicted);
	cr_expect(c.ended == c.evicted && c.expired == 0 && c.failed == 0);
	expect_state("through the flood", visitor(1).in, PROTO_TCP, "ESTABLISHED");
	from_client(1, ACK);
	from_target(1, ACK);
	cr_expect(check_table() == 1 + HALF_OPEN);
}

/* So does one of UDP; a stream that was answered is established. */
Test(limits, flood_of_udp)
{
	struct visitor v = visitor(1);

	arrives("UDP", ETH0, UDP(v.in), LEAVES_BY(WG0, v.out));
	arrives("answer", WG0, UDP(way_back(v.out)), LEAVES_BY(ETH0, way_back(v.in)));
	arrives("UDP", ETH0, UDP(v.in), LEAVES_BY(WG0, v.out));
	for (int n = 0; n < 10 * HALF_OPEN; n++) {
		struct visitor f = visitor(1000 + n);

		arrives("flood", ETH0, UDP(f.in, .data = 8), LEAVES_BY(WG0, f.out));
	}
	expect_state("through the flood", v.in, PROTO_UDP, "ASSURED");
	arrives("answer", WG0, UDP(way_back(v.out)), LEAVES_BY(ETH0, way_back(v.in)));
	cr_expect(check_table() == 1 + HALF_OPEN);
}

/* A flood that sends ACKs, too, but can't know the target's number. */
Test(limits, flood_with_blind_acks)
{
	establish(1);
	for (int n = 0; n < 5 * HALF_OPEN; n++) {
		struct visitor f = visitor(1000 + n);

		syn(1000 + n);
		syn_ack(1000 + n);
		arrives("blind", ETH0, TCP(f.in, ACK, .ack = 0x40000000), LEAVES_BY(WG0, f.out));
	}
	cr_expect(sweeper_read().confirmed == 1);
	from_client(1, ACK);
	check_table();
}

/* An evicted visitor who is real comes again, and nothing is left of the first time. */
Test(limits, evicted_and_back)
{
	syn(1);
	for (int n = 0; n < HALF_OPEN; n++)
		syn(1000 + n);
	cr_expect(!is_there(1, PROTO_TCP));
	arrives("answer, too late", WG0, TCP(way_back(visitor(1).out), SYN | ACK), IS_LEFT_ALONE);
	arrives("ACK", ETH0, TCP(visitor(1).in, ACK), IS_PASSED("no_connection"));
	establish(1);
	expect_state("again", visitor(1).in, PROTO_TCP, "ESTABLISHED");
}

Test(limits, full)
{
	struct fwd_counters c;

	for (int n = 0; n < CONNECTIONS; n++)
		establish(n);
	cr_expect(sweeper_read().confirmed == CONNECTIONS);
	for (int n = 0; n < CONNECTIONS; n++)
		cr_expect(slot_of(n) >= HALF_OPEN);
	arrives("one more", ETH0, TCP(visitor(100).in, SYN), IS_DROPPED("table_full"));
	c = counters_read();
	cr_expect(c.failed == 1 && c.evicted == 0 && c.created == CONNECTIONS);
	cr_expect(check_table() == CONNECTIONS);
	for (int n = 0; n < CONNECTIONS; n++)
		from_client(n, ACK);

	/* One ends: there is room for one. */
	from_client(3, RST);
	syn(3);
	syn_ack(3);
	from_client(3, ACK);
	cr_expect(slot_of(3) >= HALF_OPEN);
	cr_expect(sweeper_read().high_water == CONNECTIONS, "the place was used again");
	arrives("one more", ETH0, TCP(visitor(100).in, SYN), IS_DROPPED("table_full"));
}

/* Confirmed when there was no place left: it stays in the ring, and no flood takes it. */
Test(limits, confirmed_without_a_place)
{
	for (int n = 0; n < CONNECTIONS + 1; n++) {
		syn(n);
		syn_ack(n);
	}
	for (int n = 0; n < CONNECTIONS + 1; n++)
		from_client(n, ACK);
	cr_expect(slot_of(CONNECTIONS) < HALF_OPEN);
	cr_expect(check_table() == CONNECTIONS + 1);
	/* Two take a place in the ring again, and give back their own: one of these is for it. */
	for (int n = 0; n < 2; n++) {
		from_client(n, RST);
		syn(n);
	}
	for (int n = 0; n < 3 * HALF_OPEN; n++)
		syn(1000 + n);
	cr_expect(slot_of(CONNECTIONS) >= HALF_OPEN);
	expect_state("through the flood", visitor(CONNECTIONS).in, PROTO_TCP, "ESTABLISHED");
	cr_expect(check_table() == CONNECTIONS - 1 + HALF_OPEN);
}

/* ns that the program takes for this packet, on average. It must leave the packet alone. */
static __u32 cost_of(const struct packet *p)
{
	struct __sk_buff ctx = {.ifindex = gw.ifindex[ETH0], .ingress_ifindex = gw.ifindex[ETH0]};
	struct frame f;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.data, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 20000);

	packet_build(&f, p, devices[ETH0].mac, devices[ETH0].peer);
	opts.data_size_in = f.len;
	cr_assert(!bpf_prog_test_run_opts(program_fd(ETH0, INGRESS), &opts));
	return opts.duration;
}

/* All source ports towards the target are taken: refused, counted, at bounded cost, no trace. */
Test(ports, none_left, .fini = check_table_at_end, .timeout = 30)
{
	static struct fwd_tuple keys[65536];
	static struct fwd_conn values[65536];
	struct fwd_tuple pattern = tuple_of(TARGET " > 10.172.16.1:0", PROTO_TCP);
	__u32 count = 65536;
	struct fwd_counters c;

	start_with(20000, 20000);
	for (__u32 port = 0; port < 65536; port++) {
		keys[port] = pattern;
		keys[port].dport = __builtin_bswap16(port);
		values[port].dir = FWD_DIR_REPLY;
		values[port].rule = FWD_RULE_NONE;
	}
	cr_assert(!bpf_map_update_batch(MAP_FD(conns), keys, values, &count, NULL));
	arrives("no port", ETH0, TCP(visitor(1).in, SYN), IS_DROPPED("no_port"));
	arrives("UDP has", ETH0, UDP(visitor(1).in), LEAVES_BY(WG0, visitor(1).out));
	c = counters_read();
	cr_expect(c.failed == 1 && c.created == 1);
	cr_expect(!is_there(1, PROTO_TCP));
	/* Who goes on trying. */
	cr_expect(cost_of(&TCP(visitor(2).in, SYN)) < 3 * cost_of(&TCP(visitor(2).in, ACK)),
		  "a refused packet costs %u ns, one without a connection %u",
		  cost_of(&TCP(visitor(2).in, SYN)), cost_of(&TCP(visitor(2).in, ACK)));
	/* Half of them are free again: 32 tries at random find one of these. */
	for (__u32 port = 16384; port < 49152; port++)
		cr_assert(!bpf_map_delete_elem(MAP_FD(conns), &keys[port]));
	for (int n = 0; n < 5; n++) {
		struct visitor v = visitor(100 + n);
		const char *out;

		out =
		    way_out(arrives("some", ETH0, TCP(v.in, SYN), LEAVES_BY(WG0, NULL)), ETH0, WG0);
		cr_expect(atoi(out + strlen("10.172.16.1:")) >= 16384 &&
			      atoi(out + strlen("10.172.16.1:")) < 49152,
			  "%s", out);
	}
	for (__u32 port = 0; port < 65536; port++)
		if (port < 16384 || port >= 49152)
			bpf_map_delete_elem(MAP_FD(conns), &keys[port]);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void start_sweeper(void)
{
	start();
	cr_assert(control(FWD_REQUEST_START_SWEEPER, NULL) == 0);
}

TestSuite(expiry, .init = start_sweeper, .fini = check_table_at_end, .timeout = 30);

/* Two rounds of the sweeper, and a bit. */
static void let_sweep(void)
{
	usleep(1150 * 1000);
}

static void wait_for(__u32 connections)
{
	struct fwd_counters c;
	__u32 left = 0;

	for (int i = 0; i < 60; i++) {
		c = counters_read();
		left = c.created - c.ended;
		if (left <= connections)
			break;
		usleep(50 * 1000);
	}
	cr_expect(left == connections, "%u connections instead of %u", left, connections);
	usleep(20 * 1000); /* the end of a connection is counted before it is done */
	cr_expect(check_table() == connections);
}

static void udp(int n)
{
	struct visitor v = visitor(n);

	arrives("UDP", ETH0, UDP(v.in), LEAVES_BY(WG0, v.out));
}

static void udp_answer(int n)
{
	struct visitor v = visitor(n);

	arrives("UDP", WG0, UDP(way_back(v.out)), LEAVES_BY(ETH0, way_back(v.in)));
}

/* One connection in each state; the number is the visitor. */
enum {
	CLOSE = 1,
	LAST_ACK,
	UNREPLIED,
	REPLIED,
	SYN_RECV,
	CLOSE_WAIT,
	SYN_SENT,
	FIN_WAIT,
	TIME_WAIT,
	ASSURED,
	ESTABLISHED,
};

static void make_each_state(void)
{
	static const int tcp[] = {CLOSE, LAST_ACK, CLOSE_WAIT, FIN_WAIT, TIME_WAIT, ESTABLISHED};

	for (size_t i = 0; i < sizeof(tcp) / sizeof(tcp[0]); i++)
		establish(tcp[i]);
	from_client(CLOSE, RST);
	from_client(LAST_ACK, FIN | ACK);
	from_target(LAST_ACK, FIN | ACK);
	from_client(CLOSE_WAIT, FIN | ACK);
	from_target(CLOSE_WAIT, ACK);
	from_client(FIN_WAIT, FIN | ACK);
	from_client(TIME_WAIT, FIN | ACK);
	from_target(TIME_WAIT, FIN | ACK);
	from_client(TIME_WAIT, ACK);
	syn(SYN_SENT);
	syn(SYN_RECV);
	syn_ack(SYN_RECV);
	udp(UNREPLIED);
	udp(REPLIED);
	udp_answer(REPLIED);
	udp(ASSURED);
	udp_answer(ASSURED);
	udp(ASSURED);
}

static bool lives(int state)
{
	bool is_udp = state == UNREPLIED || state == REPLIED || state == ASSURED;

	return is_there(state, is_udp ? PROTO_UDP : PROTO_TCP);
}

/* Seconds that the tables' clock has gone since `start`, what the test itself takes included. */
static void clock_at(const struct timespec *start, unsigned int second)
{
	struct fwd_config c = config_read();
	struct timespec now;
	__u64 gone;

	clock_gettime(CLOCK_MONOTONIC, &now);
	gone = (now.tv_sec - start->tv_sec) * FWD_NSEC + now.tv_nsec - start->tv_nsec;
	c.clock_offset = FWD_TICKS(second) - (__u32)(gone >> FWD_TICK_SHIFT);
	config_write(&c);
}

Test(expiry, each_state_has_its_time)
{
	static const struct {
		unsigned int second; /* since they were made */
		int gone;            /* all states up to this one */
	} steps[] = {
	    {9, 0},
	    {11, CLOSE},
	    {29, CLOSE},
	    {31, REPLIED},
	    {59, REPLIED},
	    {61, CLOSE_WAIT},
	    {117, CLOSE_WAIT},
	    {121, ASSURED},
	    {431990, ASSURED},
	    {432001, ESTABLISHED},
	};
	struct fwd_counters c;
	struct timespec begin;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	make_each_state();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		bool more = i == 0 || steps[i].gone > steps[i - 1].gone;

		clock_at(&begin, steps[i].second);
		if (more && steps[i].gone)
			wait_for(ESTABLISHED - steps[i].gone);
		else
			usleep(550 * 1000);
		for (int state = CLOSE; state <= ESTABLISHED; state++)
			cr_expect(lives(state) == (state > steps[i].gone), "state %d after %u s",
				  state, steps[i].second);
	}
	c = counters_read();
	cr_expect(c.expired == ESTABLISHED && c.ended == ESTABLISHED && c.evicted == 0);
	cr_expect(sweeper_read().confirmed == 0);
}

/* Packets of either direction keep it alive. */
Test(expiry, packets_keep_alive)
{
	udp(1);
	udp_answer(1);
	udp(1);
	udp(2);
	for (int i = 0; i < 3; i++) {
		clock_advance(100);
		udp_answer(1);
		if (i == 0)
			wait_for(1);
	}
	let_sweep();
	cr_expect(is_there(1, PROTO_UDP) && !is_there(2, PROTO_UDP));
	clock_advance(125);
	wait_for(0);
}

/* Half-open ones that nobody confirms: many are a flood, and go within seconds; few have their time. */
Test(expiry, flood)
{
	establish(1);
	let_sweep();
	for (int n = 0; n < HALF_OPEN; n++)
		syn(1000 + n);
	let_sweep();
	cr_expect(check_table() == 1 + HALF_OPEN, "not at once");
	clock_advance(6);
	wait_for(1);
	cr_expect(counters_read().expired == HALF_OPEN);
	expect_state("through the flood", visitor(1).in, PROTO_TCP, "ESTABLISHED");
	clock_advance(6);
	let_sweep();
	for (int n = 0; n < HALF_OPEN / 4; n++)
		syn(2000 + n);
	let_sweep();
	clock_advance(115);
	let_sweep();
	cr_expect(check_table() == 1 + HALF_OPEN / 4, "those are no flood");
}

Test(expiry, place_is_used_again)
{
	__u32 slot;

	establish(1);
	slot = slot_of(1);
	from_client(1, RST);
	clock_advance(12);
	wait_for(0);
	cr_expect((slot_read(slot).use & FWD_SLOT_STATE) == FWD_SLOT_FREE);
	establish(2);
	cr_expect(slot_of(2) == slot);
	cr_expect(sweeper_read().high_water == 1);
}

/* A changed timeout counts for those that are there, as soon as they are looked at. */
Test(expiry, timeouts_are_settings)
{
	struct fwd_config c = config_read();

	c.timeout[FWD_TIMEOUT_UDP] = FWD_TICKS(1000);
	config_write(&c);
	udp(1);
	clock_advance(500);
	let_sweep();
	cr_expect(is_there(1, PROTO_UDP));
	c = config_read();
	c.timeout[FWD_TIMEOUT_UDP] = FWD_TICKS(5);
	c.sweep_all++;
	config_write(&c);
	wait_for(0);
}

/* A removed map's connections go without any packet, and no other's. */
Test(expiry, removed_map)
{
	struct fwd_config c;

	establish(1);
	syn(2);
	udp(3);
	rule_give_up(0);
	c = config_read();
	c.sweep_all++;
	config_write(&c);
	wait_for(1);
	cr_expect(is_there(3, PROTO_UDP));
	cr_expect(counters_read().expired == 0);
}

/* The clock of 32 bits wraps; nothing may live for ever, or die at once. */
Test(expiry, clock_wraps)
{
	struct fwd_config c = config_read();
	struct timespec ts;
	__u32 now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (ts.tv_sec * FWD_NSEC + ts.tv_nsec) >> FWD_TICK_SHIFT;
	c.clock_offset = -now - FWD_TICKS(40); /* 40 s before zero */
	config_write(&c);
	syn(1);
	udp(2);
	establish(3);
	clock_advance(25);
	let_sweep();
	cr_expect(check_table() == 3);
	from_client(3, ACK);
	clock_advance(35);
	wait_for(2);
	cr_expect(is_there(1, PROTO_TCP) && is_there(3, PROTO_TCP));
	clock_advance(70);
	wait_for(1);
	from_client(3, ACK);
}

Test(expiry, sweeper_starts_once)
{
	cr_expect(control(FWD_REQUEST_START_SWEEPER, NULL) == 0);
	udp(1);
	clock_advance(31);
	wait_for(0);
	cr_expect(counters_read().expired == 1);
}
