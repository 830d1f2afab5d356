/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Behaviour at the limits: the half-open ring, the connection table, source ports, timeouts.
 */
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define PUBLIC     "93.184.216.34:8000"
#define TARGET     "10.172.16.2:8000"
#define SERVER_SEQ 9000

#define CONNECTIONS 8
#define HALF_OPEN   16
#define REST        1024

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, TARGET, "10.172.16.1", .last = 8001},
	{PROTO_UDP, PUBLIC, TARGET, "10.172.16.1"},
	/* Two maps of one target, with --snat none. */
	{PROTO_TCP, "93.184.216.34:8100", "10.172.16.2:8100", NULL},
	{PROTO_TCP, "93.184.216.34:8101", "10.172.16.2:8100", NULL},
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

/* A visitor by number, each with a port of its own, which is kept as source port. */
struct visitor {
	char in[80], out[80];
};

static struct visitor visitor(int n)
{
	struct visitor v;

	snprintf(v.in, sizeof(v.in), "54.147.%d.%d:%d > " PUBLIC, n >> 8 & 255, n & 255, 20000 + n % 40000);
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

	arrives("SYN-ACK", WG0, TCP(reverse_of(v.out), SYN | ACK, .seq = SERVER_SEQ, .ack = 1),
		LEAVES_BY(ETH0, reverse_of(v.in)));
}

static void from_client(int n, __u8 flags)
{
	struct visitor v = visitor(n);

	arrives("client", ETH0, in_order((struct packet)TCP(v.in, flags)), LEAVES_BY(WG0, v.out));
}

static void from_target(int n, __u8 flags)
{
	struct visitor v = visitor(n);

	arrives("target", WG0, in_order((struct packet)TCP(reverse_of(v.out), flags)),
		LEAVES_BY(ETH0, reverse_of(v.in)));
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

static struct entry connection_of(int n)
{
	struct entry entry;

	cr_assert(conn_get(visitor(n).in, PROTO_TCP, &entry));
	return entry;
}

static bool is_confirmed(int n)
{
	return connection_of(n).state == FWD_SLOT_CONFIRMED;
}

TestSuite(limits, .init = start, .fini = check_table_at_end, .timeout = 30);

Test(limits, ring_turns)
{
	for (int n = 0; n < HALF_OPEN; n++)
		syn(n);
	cr_expect(counters_read().value[FWD_COUNTER_EVICTED] == 0);
	cr_expect(check_table() == HALF_OPEN);
	syn(100);
	cr_expect(counters_read().value[FWD_COUNTER_EVICTED] == 1);
	cr_expect(!is_there(0, PROTO_TCP) && is_there(1, PROTO_TCP), "the oldest is evicted");
	cr_expect(check_table() == HALF_OPEN);
}

/* A flood evicts half-open connections only. */
Test(limits, flood)
{
	struct fwd_counters c;

	establish(1);
	for (int n = 0; n < 10 * HALF_OPEN; n++)
		syn(1000 + n);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_CREATED] == 1 + 10 * HALF_OPEN);
	/* The ring slot of the established one was vacant. */
	cr_expect(c.value[FWD_COUNTER_EVICTED] == 9 * HALF_OPEN, "%llu", c.value[FWD_COUNTER_EVICTED]);
	cr_expect(c.value[FWD_COUNTER_ENDED] == c.value[FWD_COUNTER_EVICTED] && c.value[FWD_COUNTER_EXPIRED] == 0 &&
		  c.value[FWD_COUNTER_FAILED] == 0);
	expect_state("through the flood", visitor(1).in, PROTO_TCP, "ESTABLISHED");
	from_client(1, ACK);
	from_target(1, ACK);
	cr_expect(check_table() == 1 + HALF_OPEN);
}

/* The same with UDP: a stream with replies is confirmed. */
Test(limits, flood_of_udp)
{
	struct visitor v = visitor(1);

	arrives("UDP", ETH0, UDP(v.in), LEAVES_BY(WG0, v.out));
	arrives("reply", WG0, UDP(reverse_of(v.out)), LEAVES_BY(ETH0, reverse_of(v.in)));
	arrives("UDP", ETH0, UDP(v.in), LEAVES_BY(WG0, v.out));
	for (int n = 0; n < 10 * HALF_OPEN; n++) {
		struct visitor f = visitor(1000 + n);

		arrives("flood", ETH0, UDP(f.in, .data = 8), LEAVES_BY(WG0, f.out));
	}
	expect_state("through the flood", v.in, PROTO_UDP, "ASSURED");
	arrives("reply", WG0, UDP(reverse_of(v.out)), LEAVES_BY(ETH0, reverse_of(v.in)));
	cr_expect(check_table() == 1 + HALF_OPEN);
}

/* A flood that also sends ACKs, but does not know the target's sequence number. */
Test(limits, flood_with_blind_acks)
{
	establish(1);
	for (int n = 0; n < 5 * HALF_OPEN; n++) {
		struct visitor f = visitor(1000 + n);

		syn(1000 + n);
		syn_ack(1000 + n);
		arrives("blind", ETH0, TCP(f.in, ACK, .ack = 0x40000000), LEAVES_BY(WG0, f.out));
	}
	cr_expect(gc_read().confirmed == 1);
	from_client(1, ACK);
	check_table();
}

static void slot_put(__u32 index, enum fwd_slot_state state)
{
	struct fwd_slot slot = *slot_at(index);

	slot.gen_state = (slot.gen_state & ~FWD_SLOT_STATE_MASK) | state;
	cr_assert(!bpf_map_update_elem(MAP_FD(slots), &index, &slot, BPF_ANY));
}

/* A connection that is still being inserted when the ring has turned keeps its ring slot. Without that, nothing could
 * evict it later. */
Test(limits, reserved_ring_slot)
{
	__u32 index;

	syn(0);
	index = connection_of(0).index;
	slot_put(index, FWD_SLOT_RESERVED);
	for (int n = 1; n <= HALF_OPEN; n++)
		syn(n);
	slot_put(index, FWD_SLOT_HALF_OPEN);
	cr_expect(is_there(0, PROTO_TCP) && !is_there(1, PROTO_TCP), "the reserved slot was not skipped");
	for (int n = 0; n < HALF_OPEN; n++)
		syn(100 + n);
	cr_expect(!is_there(0, PROTO_TCP), "it was not evicted afterwards");
	cr_expect(check_table() == HALF_OPEN);
}

/* A real visitor whose connection was evicted connects again; the first connection leaves no trace. */
Test(limits, evicted_and_back)
{
	syn(1);
	for (int n = 0; n < HALF_OPEN; n++)
		syn(1000 + n);
	cr_expect(!is_there(1, PROTO_TCP));
	arrives("late reply", WG0, TCP(reverse_of(visitor(1).out), SYN | ACK), IS_UNTOUCHED);
	arrives("ACK", ETH0, TCP(visitor(1).in, ACK), IS_PASSED("no_connection"));
	establish(1);
	expect_state("again", visitor(1).in, PROTO_TCP, "ESTABLISHED");
}

Test(limits, full)
{
	struct fwd_counters c;

	for (int n = 0; n < CONNECTIONS; n++)
		establish(n);
	cr_expect(gc_read().confirmed == CONNECTIONS);
	for (int n = 0; n < CONNECTIONS; n++)
		cr_expect(is_confirmed(n));
	arrives("one more", ETH0, TCP(visitor(100).in, SYN), IS_DROPPED("table_full"));
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_FAILED] == 1 && c.value[FWD_COUNTER_EVICTED] == 0 &&
		  c.value[FWD_COUNTER_CREATED] == CONNECTIONS);
	cr_expect(check_table() == CONNECTIONS);
	for (int n = 0; n < CONNECTIONS; n++)
		from_client(n, ACK);

	/* One ends: there is room for one more. */
	from_client(3, RST);
	syn(3);
	syn_ack(3);
	from_client(3, ACK);
	cr_expect(is_confirmed(3));
	arrives("one more", ETH0, TCP(visitor(100).in, SYN), IS_DROPPED("table_full"));
}

/* A connection confirmed while the table is full stays in the ring, where no flood evicts it. */
Test(limits, confirmed_while_full)
{
	for (int n = 0; n < CONNECTIONS + 1; n++) {
		syn(n);
		syn_ack(n);
	}
	for (int n = 0; n < CONNECTIONS + 1; n++)
		from_client(n, ACK);
	cr_expect(!is_confirmed(CONNECTIONS));
	cr_expect(check_table() == CONNECTIONS + 1);
	/* Two become half-open again and free their confirmed slots: the connection gets one of these. */
	for (int n = 0; n < 2; n++) {
		from_client(n, RST);
		syn(n);
	}
	for (int n = 0; n < 3 * HALF_OPEN; n++)
		syn(1000 + n);
	cr_expect(is_confirmed(CONNECTIONS));
	expect_state("through the flood", visitor(CONNECTIONS).in, PROTO_TCP, "ESTABLISHED");
	cr_expect(check_table() == CONNECTIONS - 1 + HALF_OPEN);
}

/* ---- the index ------------------------------------------------------------------------------ */

/*
 * Buckets that overflow into one another until nothing fits: inserted connections are found in both directions, refused
 * ones leave no trace, and ended ones make room.
 */
static void fill_buckets(__u32 buckets)
{
	__u32 room = buckets * FWD_BUCKET_CELLS / 2;
	static struct result r;

	gw.buckets = buckets;
	start_with(64, 64);
	for (int round = 0; round < 3; round++) {
		__u32 opened = 0, failed = counters_read().value[FWD_COUNTER_FAILED];

		for (int n = 0; n < 64; n++) {
			struct visitor v = visitor(n);
			struct packet p = TCP(v.in, SYN);

			run(ETH0, INGRESS, &p, &r);
			if (r.verdict == TC_ACT_SHOT) {
				cr_expect(!conn_exists(v.in, PROTO_TCP));
				continue;
			}
			opened++;
			/* Possibly from another source port, whose tuple found room. */
			arrives("reply", WG0, TCP(reverse_of(flow_out(&r, ETH0, WG0)), SYN | ACK),
				LEAVES_BY(ETH0, reverse_of(v.in)));
		}
		cr_expect(check_table() == opened && opened > room / 3 && opened <= room, "%u of %u", opened, room);
		cr_expect(counters_read().value[FWD_COUNTER_FAILED] - failed == 64 - opened);
		table_flush();
	}
}

TestSuite(index, .fini = check_table_at_end, .timeout = 30);

Test(index, two_buckets)
{
	fill_buckets(2);
}

Test(index, some_buckets)
{
	fill_buckets(4);
}

/* A SYN of a connection that another CPU is ending: the entry is found, but no longer used. */
Test(index, syn_while_ending)
{
	struct fwd_rule rule;
	__u32 index;

	start();
	establish(1);
	from_client(1, RST);
	index = connection_of(1).index;
	slot_put(index, FWD_SLOT_RESERVED);
	arrives("closed", ETH0, TCP(visitor(1).in, SYN), IS_DROPPED("race"));
	slot_put(index, FWD_SLOT_CONFIRMED);
	syn(1);
	index = connection_of(1).index;
	slot_put(index, FWD_SLOT_RESERVED);
	rule_put(0, &(struct rule){PROTO_TCP, PUBLIC, "10.172.16.3:8000", "10.172.16.1"});
	rule_read(0, &rule);
	rule.gen++;
	rule_write(0, &rule);
	arrives("of a map that was replaced", ETH0, TCP(visitor(1).in, SYN), IS_DROPPED("race"));
	slot_put(index, FWD_SLOT_HALF_OPEN);
	arrives("ended", ETH0, TCP(visitor(1).in, SYN), LEAVES_BY(WG0, "10.172.16.1:20001 > 10.172.16.3:8000"));
	cr_expect(check_table() == 1);
}

/* A cell of the index. */
struct cell {
	__u32 bucket, at;
	struct fwd_bucket content; /* of the bucket */
};

static struct cell cell_of(__u32 index, enum fwd_dir dir)
{
	const __u32 tag = fwd_cell_tag(gateway_records());
	const __u32 named = (index + 1) << FWD_CELL_SHIFT | (dir == FWD_DIR_REPLY ? FWD_CELL_DIR : 0);
	struct cell c = {};

	for (c.bucket = 0; c.bucket < gateway_buckets(); c.bucket++) {
		cr_assert(!bpf_map_lookup_elem(MAP_FD(buckets), &c.bucket, &c.content));
		for (c.at = 0; c.at < FWD_BUCKET_CELLS; c.at++)
			if ((c.content.cell[c.at] & ~tag) == named)
				return c;
	}
	cr_assert_fail("record %u is not in the index", index);
	return c;
}

static __u32 cell_read(const struct cell *c, __u32 at)
{
	struct fwd_bucket bucket;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(buckets), &c->bucket, &bucket));
	return bucket.cell[at];
}

/* As if another CPU had just claimed visitor 1's tuple for the last record, with cell `at`. Returns the cell. */
static __u32 claim_at(const struct cell *c, __u32 index, __u32 at)
{
	const __u32 last = gateway_records() - 1, tag = fwd_cell_tag(gateway_records());
	const __u32 claim = (c->content.cell[c->at] & tag) | (last + 1) << FWD_CELL_SHIFT | FWD_CELL_CLAIM;
	struct fwd_bucket bucket = {};
	struct fwd_conn record = *record_at(index);

	bucket.cell[at] = claim;
	cr_assert(!bpf_map_update_elem(MAP_FD(conns), &last, &record, BPF_ANY));
	cr_assert(!bpf_map_update_elem(MAP_FD(buckets), &c->bucket, &bucket, BPF_ANY));
	return claim;
}

/* Of two claims of one tuple, the one in the lower cell wins and removes the other. */
Test(index, claims_collide)
{
	struct visitor v = visitor(1);
	struct packet p = TCP(v.in, SYN);
	struct fwd_bucket empty = {};
	static struct result r;
	struct entry entry;
	struct cell cell;
	__u32 claim;

	start();
	syn(1);
	entry = connection_of(1);
	cell = cell_of(entry.index, FWD_DIR_FORWARD);
	table_flush();
	claim = claim_at(&cell, entry.index, 0);
	run(ETH0, INGRESS, &p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "not forwarded by the winner's record");
	cr_expect(counters_read().value[FWD_COUNTER_CREATED] == 1 && cell_read(&cell, 0) == claim);
	cr_assert(!bpf_map_update_elem(MAP_FD(buckets), &cell.bucket, &empty, BPF_ANY));
	cr_expect(check_table() == 0);
	claim_at(&cell, entry.index, FWD_BUCKET_CELLS - 1);
	syn(1);
	cr_expect(counters_read().value[FWD_COUNTER_CREATED] == 2 && !cell_read(&cell, FWD_BUCKET_CELLS - 1));
	cr_expect(check_table() == 1);
}

/* Average run time in ns for this packet, which the program must not change. */
static __u32 cost_of(const struct packet *p)
{
	struct __sk_buff ctx = {.ifindex = gw.ifindex[ETH0], .ingress_ifindex = gw.ifindex[ETH0]};
	struct frame f;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.data, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = 20000);

	packet_build(&f, p, devices[ETH0].mac, devices[ETH0].peer);
	opts.data_size_in = f.len;
	cr_assert(!bpf_prog_test_run_opts(program_fd(ETH0, INGRESS), &opts));
	return opts.duration;
}

#define PORTS_BETWEEN(low, high) for (int port = (low); port < (high); port++)

static struct packet syn_from(int port)
{
	static char flow[80];

	snprintf(flow, sizeof(flow), "54.200.0.1:%d > " PUBLIC, port);
	return (struct packet)TCP(flow, SYN);
}

/* Ends the connections of syn_from() from these ports. */
static void end_between(int low, int high)
{
	struct fwd_tuple key = tuple_of("54.200.0.1:1 > " PUBLIC, PROTO_TCP);

	PORTS_BETWEEN(low, high)
	{
		key.sport = htons(port);
		cr_assert(!control(FWD_REQUEST_END_CONNECTION, &key));
	}
}

/* One visitor takes all source ports towards the target. */
static void exhaust_with(__u32 half_open)
{
	static struct result r;
	struct fwd_counters c;

	start_with(16, half_open);
	PORTS_BETWEEN(1, 65536)
	{
		struct packet p = syn_from(port);

		run(ETH0, INGRESS, &p, &r);
	}
	c = counters_read();
	cr_assert(c.value[FWD_COUNTER_CREATED] == 65535 && !c.value[FWD_COUNTER_FAILED]);
}

static void exhaust(void)
{
	exhaust_with(2 * 65536);
}

/* Repeats a refused packet until the programs no longer search a port for it. */
static void insist(const struct packet *p)
{
	static struct result r;

	for (int i = 0; i < 8; i++) {
		run(ETH0, INGRESS, p, &r);
		cr_assert(r.verdict == TC_ACT_SHOT);
	}
}

/* Repetitions of a check right after insist(): the backoff lasts one tick, which may end in between. */
#define TURNS 20

TestSuite(ports, .fini = check_table_at_end, .timeout = 60);

/* All source ports towards the target are taken: refused, counted, at bounded cost, no trace. */
Test(ports, exhausted)
{
	struct fwd_counters c;

	exhaust();
	arrives("no port", ETH0, TCP(visitor(1).in, SYN), IS_DROPPED("no_port"));
	arrives("UDP has ports", ETH0, UDP(visitor(1).in), LEAVES_BY(WG0, visitor(1).out));
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_FAILED] == 1 && c.value[FWD_COUNTER_CREATED] == 65536);
	cr_expect(!is_there(1, PROTO_TCP));
	/* Repeated attempts. */
	cr_expect(cost_of(&TCP(visitor(2).in, SYN)) < 3 * cost_of(&TCP(visitor(2).in, ACK)),
		  "a refused packet costs %u ns, one without a connection %u", cost_of(&TCP(visitor(2).in, SYN)),
		  cost_of(&TCP(visitor(2).in, ACK)));
	/* Half of the ports are free again: 32 random tries find one. */
	end_between(16384, 49152);
	for (int n = 0; n < 5; n++) {
		struct visitor v = visitor(100 + n);
		const char *out;

		out = flow_out(arrives("some", ETH0, TCP(v.in, SYN), LEAVES_BY(WG0, NULL)), ETH0, WG0);
		cr_expect(atoi(out + strlen("10.172.16.1:")) >= 16384 && atoi(out + strlen("10.172.16.1:")) < 49152,
			  "%s", out);
	}
}

/* A connection that finds no port evicts none from the full half-open ring. */
Test(ports, exhausted_evicts_none)
{
	exhaust_with(65535);
	for (int n = 0; n < TURNS; n++)
		insist(&TCP(visitor(1).in, SYN));
	cr_expect(counters_read().value[FWD_COUNTER_EVICTED] == 0, "%llu were evicted",
		  counters_read().value[FWD_COUNTER_EVICTED]);
	cr_expect(check_table() == 65535);
}

/* With a tenth of the ports free, some searches fail (0.9 ^ 32), but these do not prevent the next search. */
Test(ports, nearly_exhausted)
{
	static struct result r;

	exhaust();
	end_between(2000, 8500);
	for (int n = 0; n < 1000; n++) {
		struct visitor v = visitor(n);
		struct packet p = TCP(v.in, SYN);

		run(ETH0, INGRESS, &p, &r);
	}
	cr_expect(counters_read().value[FWD_COUNTER_FAILED] < 80, "%llu of 1000 were refused",
		  counters_read().value[FWD_COUNTER_FAILED]);
}

/* Other target ports of the same map still have source ports. */
Test(ports, exhausted_for_one_target)
{
	exhaust();
	for (int n = 0; n < TURNS; n++) {
		char in[80], out[80];

		insist(&TCP(visitor(1).in, SYN));
		snprintf(in, sizeof(in), "54.147.1.1:%d > 93.184.216.34:8001", 30000 + n);
		snprintf(out, sizeof(out), "10.172.16.1:%d > 10.172.16.2:8001", 30000 + n);
		arrives("another target", ETH0, TCP(in, SYN), LEAVES_BY(WG0, out));
	}
}

/* With --snat none, other visitors still have source ports. */
Test(ports, exhausted_for_one_visitor)
{
	static struct result r;
	char flow[80];

	start_with(16, 2 * 65536);
	PORTS_BETWEEN(1, 65536)
	{
		snprintf(flow, sizeof(flow), "54.200.0.1:%d > 93.184.216.34:8100", port);
		run(ETH0, INGRESS, &TCP(flow, SYN), &r);
	}
	for (int n = 0; n < TURNS; n++) {
		char in[80], out[80];

		insist(&TCP("54.200.0.1:7 > 93.184.216.34:8101", SYN));
		snprintf(in, sizeof(in), "54.147.1.1:%d > 93.184.216.34:8101", 30000 + n);
		snprintf(out, sizeof(out), "54.147.1.1:%d > 10.172.16.2:8100", 30000 + n);
		arrives("another visitor", ETH0, TCP(in, SYN), LEAVES_BY(WG0, out));
	}
}

/* A visitor that connects again gets its own port. */
Test(ports, exhausted_but_own_port)
{
	exhaust();
	end_between(20001, 20002);
	for (int n = 0; n < TURNS; n++) {
		establish(1);
		from_client(1, RST);
		insist(&TCP(visitor(2).in, SYN));
	}
}

/* ---- time ---------------------------------------------------------------------------------- */

static void start_gc(void)
{
	start();
	cr_assert(control(FWD_REQUEST_START_GC, NULL) == 0);
}

TestSuite(expiry, .init = start_gc, .fini = check_table_at_end, .timeout = 30);

/* Two rounds of the garbage collector, and a margin. */
static void wait_gc_rounds(void)
{
	usleep(1150 * 1000);
}

static void wait_for(__u32 connections)
{
	struct fwd_counters c;
	__u32 left = 0;

	for (int i = 0; i < 60; i++) {
		c = counters_read();
		left = c.value[FWD_COUNTER_CREATED] - c.value[FWD_COUNTER_ENDED];
		if (left <= connections)
			break;
		usleep(50 * 1000);
	}
	cr_expect(left == connections, "%u connections instead of %u", left, connections);
	usleep(20 * 1000); /* the end is counted before the entries are removed */
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

	arrives("UDP", WG0, UDP(reverse_of(v.out)), LEAVES_BY(ETH0, reverse_of(v.in)));
}

/* One connection in each state, in the order of their timeouts; the number is the visitor. */
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

static void end_by_fin(int n)
{
	from_client(n, FIN | ACK);
	from_target(n, FIN | ACK);
	from_client(n, ACK);
}

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
	end_by_fin(TIME_WAIT);
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

/* Sets the tables' clock to so many seconds after `start`, compensating the run time of the test. */
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
		int gone;            /* the states up to this one have expired */
	} steps[] = {
		{9, 0},           {11, CLOSE},       {29, CLOSE},    {31, REPLIED},     {59, REPLIED},
		{61, CLOSE_WAIT}, {117, CLOSE_WAIT}, {121, ASSURED}, {431990, ASSURED}, {432001, ESTABLISHED},
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
			cr_expect(lives(state) == (state > steps[i].gone), "state %d after %u s", state,
				  steps[i].second);
	}
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_EXPIRED] == ESTABLISHED && c.value[FWD_COUNTER_ENDED] == ESTABLISHED &&
		  c.value[FWD_COUNTER_EVICTED] == 0);
	cr_expect(gc_read().confirmed == 0);
}

/* Each end is counted under one reason, whatever ends the connection: those and the existing ones add up
 * (check_table()). */
Test(expiry, each_end_has_its_reason)
{
	struct fwd_tuple tuple;
	struct fwd_counters c;
	struct fwd_config config;

	establish(1);
	from_client(1, RST);
	syn(1);
	cr_expect(counters_read().value[FWD_COUNTER_REPLACED] == 1);
	udp(2);
	tuple = tuple_of(visitor(2).in, PROTO_UDP);
	cr_expect(control(FWD_REQUEST_END_CONNECTION, &tuple) == 0 && counters_read().value[FWD_COUNTER_FLUSHED] == 1);
	for (int n = 0; n < HALF_OPEN + 1; n++)
		syn(1000 + n);
	cr_expect(counters_read().value[FWD_COUNTER_EVICTED] > 0);
	udp(3);
	rule_delete(0);
	/* Ended by a packet, the others by the collector. */
	arrives("of a removed map", ETH0, TCP(visitor(1000 + HALF_OPEN).in, SYN), IS_UNTOUCHED);
	cr_expect(counters_read().value[FWD_COUNTER_REMOVED] == 1);
	config = config_read();
	config.gc_all++;
	config_write(&config);
	wait_for(1);
	clock_advance(31);
	wait_for(0);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_EXPIRED] == 1 && c.value[FWD_COUNTER_REPLACED] == 1 &&
		  c.value[FWD_COUNTER_FLUSHED] == 1 && c.value[FWD_COUNTER_REMOVED] > 1);
	cr_expect(counters_of_ends(&c) == c.value[FWD_COUNTER_CREATED] && c.value[FWD_COUNTER_CREATED] == HALF_OPEN + 5,
		  "%llu created, %llu ended", c.value[FWD_COUNTER_CREATED], counters_of_ends(&c));
}

/* Packets of either direction refresh a connection. */
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
	wait_gc_rounds();
	cr_expect(is_there(1, PROTO_UDP) && !is_there(2, PROTO_UDP));
	clock_advance(125);
	wait_for(0);
}

/* A packet of another CPU that is newer than the collector's clock is not one of 52 days ago. */
Test(expiry, packet_newer_than_the_clock)
{
	struct fwd_config c;

	udp(1);
	udp_answer(1);
	udp(1);
	for (int i = 0; i < 2; i++) { /* each within the timeout, because gc may run at any time; together beyond it */
		clock_advance(100);
		udp_answer(1);
	}
	c = config_read();
	c.clock_offset -= FWD_TICKS(1) / 2;
	c.gc_all++;
	config_write(&c);
	usleep(700 * 1000); /* a round, before the clock has caught up */
	cr_expect(is_there(1, PROTO_UDP));
}

/* Half-open connections: many are a flood and expire within seconds, few have their ordinary timeout. */
Test(expiry, flood)
{
	establish(1);
	wait_gc_rounds();
	for (int n = 0; n < HALF_OPEN; n++)
		syn(1000 + n);
	wait_gc_rounds();
	cr_expect(check_table() == 1 + HALF_OPEN, "expired at once");
	clock_advance(6);
	wait_for(1);
	cr_expect(counters_read().value[FWD_COUNTER_EXPIRED] == HALF_OPEN);
	expect_state("through the flood", visitor(1).in, PROTO_TCP, "ESTABLISHED");
	clock_advance(6);
	wait_gc_rounds();
	for (int n = 0; n < HALF_OPEN / 4; n++)
		syn(2000 + n);
	wait_gc_rounds();
	clock_advance(115);
	wait_gc_rounds();
	cr_expect(check_table() == 1 + HALF_OPEN / 4, "a few expired like a flood");
}

/* In a nearly full table, closed connections expire within seconds, too. */
Test(expiry, nearly_full)
{
	establish(0);
	for (int n = 1; n < CONNECTIONS; n++) {
		establish(n);
		end_by_fin(n);
	}
	arrives("one more", ETH0, TCP(visitor(100).in, SYN), IS_DROPPED("table_full"));
	wait_gc_rounds();
	cr_expect(check_table() == CONNECTIONS, "expired at once");
	clock_advance(6);
	wait_for(1);
	expect_state("live", visitor(0).in, PROTO_TCP, "ESTABLISHED");
	for (int n = 1; n < CONNECTIONS / 2; n++) {
		establish(n);
		end_by_fin(n);
	}
	clock_advance(110);
	wait_gc_rounds();
	cr_expect(check_table() == CONNECTIONS / 2, "expired although the table is not nearly full");
}

/* Connections that close while the table is nearly full, too. */
Test(expiry, nearly_full_before_the_end)
{
	for (int n = 0; n < CONNECTIONS; n++)
		establish(n);
	wait_gc_rounds();
	cr_expect(gc_read().nearly_full);
	for (int n = 1; n < CONNECTIONS; n++)
		end_by_fin(n);
	clock_advance(6);
	wait_for(1);
}

/* A freed record is reused only after max(half_open, 1024) others were freed: a packet may still be reading it. */
Test(expiry, freed_record_is_quarantined)
{
	__u32 first;

	establish(1);
	first = connection_of(1).index;
	from_client(1, RST);
	clock_advance(12);
	wait_for(0);
	for (int n = 2; n < REST + 2; n++) {
		struct entry entry;

		syn(n);
		entry = connection_of(n);
		cr_expect(entry.index != first || n == REST + 1, "after %d others", n - 2);
		cr_assert(!control(FWD_REQUEST_END_CONNECTION, &entry.key));
	}
	cr_expect(gc_read().high_water == REST);
	syn(1);
	cr_expect(gc_read().high_water == REST, "freed records are not reused");
}

/* A changed timeout applies to existing connections as soon as the collector checks them. */
Test(expiry, timeouts_are_settings)
{
	struct fwd_config c = config_read();

	c.timeout[FWD_TIMEOUT_UDP] = FWD_TICKS(1000);
	config_write(&c);
	udp(1);
	clock_advance(500);
	wait_gc_rounds();
	cr_expect(is_there(1, PROTO_UDP));
	c = config_read();
	c.timeout[FWD_TIMEOUT_UDP] = FWD_TICKS(5);
	c.gc_all++;
	config_write(&c);
	wait_for(0);
}

/* The connections of a removed map end without any packet, and no others. */
Test(expiry, removed_map)
{
	struct fwd_config c;

	establish(1);
	syn(2);
	udp(3);
	rule_delete(0);
	c = config_read();
	c.gc_all++;
	config_write(&c);
	wait_for(1);
	cr_expect(is_there(3, PROTO_UDP));
	cr_expect(counters_read().value[FWD_COUNTER_EXPIRED] == 0);
}

/* The 32-bit clock wraps: no connection may live for ever or expire at once. */
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
	wait_gc_rounds();
	cr_expect(check_table() == 3);
	from_client(3, ACK);
	clock_advance(35);
	wait_for(2);
	cr_expect(is_there(1, PROTO_TCP) && is_there(3, PROTO_TCP));
	clock_advance(70);
	wait_for(1);
	from_client(3, ACK);
}

Test(expiry, gc_starts_once)
{
	cr_expect(control(FWD_REQUEST_START_GC, NULL) == 0);
	udp(1);
	clock_advance(31);
	wait_for(0);
	cr_expect(counters_read().value[FWD_COUNTER_EXPIRED] == 1);
}
