/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Several CPUs on one table. BPF_PROG_RUN runs a program with softirqs off, as the kernel does, and each thread is
 * bound to one CPU, so that two threads race as two CPUs do.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>
#include "check.h"

#define PUBLIC     "93.184.216.34:8000"
#define OUT        "10.172.16.1:40000 > 10.172.16.2:8000"
#define CPUS_MAX   8
#define SERVER_SEQ 9000

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
};

static void start_with(__u32 connections, __u32 half_open)
{
	gateway_start(connections, half_open);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rule_put(i, &rules[i]);
}

struct worker {
	pthread_t thread;
	int number;
	unsigned long forwarded, passed, dropped;
};

static int workers;
static atomic_uint turn_arrived;
static void (*work)(struct worker *w);

/* Waits until all workers have reached the same turn, so that they collide. */
static void turn(unsigned int n)
{
	atomic_fetch_add(&turn_arrived, 1);
	while (atomic_load(&turn_arrived) < (n + 1) * workers)
		;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->number, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	work(w);
	return NULL;
}

static void in_parallel(void (*what)(struct worker *w), struct worker *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	workers = cpus > CPUS_MAX ? CPUS_MAX : cpus;
	work = what;
	atomic_store(&turn_arrived, 0);
	memset(w, 0, CPUS_MAX * sizeof(*w));
	for (int i = 0; i < workers; i++) {
		w[i].number = i;
		cr_assert(!pthread_create(&w[i].thread, NULL, worker_main, &w[i]));
	}
	for (int i = 0; i < workers; i++)
		pthread_join(w[i].thread, NULL);
}

static void send_packet(struct worker *w, enum device dev, enum hook hook, const struct packet *p)
{
	struct result r;

	run(dev, hook, p, &r);
	w->forwarded += r.verdict == TC_ACT_REDIRECT;
	w->passed += r.verdict == TC_ACT_UNSPEC;
	w->dropped += r.verdict == TC_ACT_SHOT;
}

/* Clients by number; all use port 40000. */
static void send_from_client(struct worker *w, int client, __u8 proto, __u8 flags)
{
	struct packet p = {.proto = proto, .flags = flags, .ack = SERVER_SEQ + 1};
	char flow[100];

	snprintf(flow, sizeof(flow), "100.%d.%d.%d:40000 > " PUBLIC, client >> 16, client >> 8 & 255, client & 255);
	p.flow = flow;
	send_packet(w, ETH0, INGRESS, &p);
}

static int tuple_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fwd_tuple));
}

/* No two connections have the same tuple towards the target. Returns their number. */
static __u32 check_translated(__u32 room)
{
	struct fwd_tuple *tuples = calloc(room, sizeof(*tuples));
	struct entry entry;
	__u32 count = 0;

	each_connection(entry)
	{
		cr_assert(count < room);
		tuples[count++] = entry.translated;
	}
	qsort(tuples, count, sizeof(*tuples), tuple_compare);
	for (__u32 i = 1; i < count; i++)
		cr_expect(!tuple_same(&tuples[i - 1], &tuples[i]), "two connections share a port");
	free(tuples);
	return count;
}

TestSuite(parallel, .timeout = 60);

#define CLIENTS 2000

static void open_own_clients(struct worker *w)
{
	for (int i = 0; i < CLIENTS; i++) {
		turn(i);
		send_from_client(w, w->number << 16 | i, i & 1 ? PROTO_UDP : PROTO_TCP, SYN);
	}
}

/* Many clients, one source port, one source address: each gets a port of its own. */
Test(parallel, one_source_port)
{
	struct worker w[CPUS_MAX];
	struct fwd_counters c;

	start_with(1024, CPUS_MAX * CLIENTS);
	in_parallel(open_own_clients, w);
	for (int i = 0; i < workers; i++)
		cr_expect(w[i].forwarded == CLIENTS, "%lu", w[i].forwarded);
	cr_expect(check_translated(CPUS_MAX * CLIENTS) == (__u32)workers * CLIENTS);
	cr_expect(check_table() == (__u32)workers * CLIENTS);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_FAILED] == 0 && c.value[FWD_COUNTER_EVICTED] == 0, "%llu failed, %llu evicted",
		  c.value[FWD_COUNTER_FAILED], c.value[FWD_COUNTER_EVICTED]);
}

static void open_same_clients(struct worker *w)
{
	for (int i = 0; i < CLIENTS; i++) {
		turn(i);
		send_from_client(w, i, i & 1 ? PROTO_UDP : PROTO_TCP, SYN);
	}
}

/* The first packets of one client on all CPUs: one connection, the other claims are rolled back. */
Test(parallel, one_client)
{
	struct worker w[CPUS_MAX];

	start_with(1024, CPUS_MAX * CLIENTS);
	in_parallel(open_same_clients, w);
	for (int i = 0; i < workers; i++)
		cr_expect(w[i].forwarded == CLIENTS, "%lu", w[i].forwarded);
	cr_expect(check_translated(CPUS_MAX * CLIENTS) == CLIENTS);
	cr_expect(check_table() == CLIENTS);
	cr_expect(counters_read().value[FWD_COUNTER_CREATED] == CLIENTS);
}

#define REOPENED 4
#define ROUNDS   20000

static void open_and_reset(struct worker *w)
{
	for (int i = 0; i < ROUNDS * 2 * REOPENED; i++) {
		turn(i);
		send_from_client(w, i % REOPENED, PROTO_TCP, i / REOPENED & 1 ? SYN : RST);
	}
}

/* The same connections opened, reset and reopened on all CPUs at once. */
Test(parallel, reopened)
{
	struct worker w[CPUS_MAX];

	start_with(1024, 4096);
	in_parallel(open_and_reset, w);
	cr_expect(check_translated(4096) == REOPENED);
	cr_expect(check_table() == REOPENED);
}

#define RING 256

static void flood(struct worker *w)
{
	for (int i = 0; i < 10 * RING; i++)
		send_from_client(w, 1 << 20 | w->number << 16 | i, PROTO_TCP, SYN);
}

/* A flood on all CPUs: established connections stay, and the ring is consistent. */
Test(parallel, flood)
{
	const char *in = "54.147.66.132:40000 > " PUBLIC;
	struct worker w[CPUS_MAX];
	struct fwd_counters c;

	start_with(64, RING);
	arrives("SYN", ETH0, TCP(in, SYN), LEAVES_BY(WG0, OUT));
	arrives("SYN-ACK", WG0, TCP(reverse_of(OUT), SYN | ACK, .seq = SERVER_SEQ), LEAVES_BY(ETH0, reverse_of(in)));
	arrives("ACK", ETH0, TCP(in, ACK, .ack = SERVER_SEQ + 1), LEAVES_BY(WG0, OUT));
	in_parallel(flood, w);
	arrives("through the flood", ETH0, TCP(in, ACK), LEAVES_BY(WG0, OUT));
	arrives("and back", WG0, TCP(reverse_of(OUT), ACK), LEAVES_BY(ETH0, reverse_of(in)));
	cr_expect(check_table() == 1 + RING);
	c = counters_read();
	cr_expect(c.value[FWD_COUNTER_EVICTED] == c.value[FWD_COUNTER_ENDED] && c.value[FWD_COUNTER_FAILED] == 0);
}

static void both_sides(struct worker *w)
{
	char in[100];

	for (int i = 0; i < CLIENTS; i++) {
		struct packet p = UDP(NULL);

		/* Each has a port of its own, so that the reply's tuple is known. */
		if (w->number)
			snprintf(in, sizeof(in), "10.172.16.2:8000 > 10.172.16.1:%d", 20000 + i);
		else
			snprintf(in, sizeof(in), "54.147.66.132:%d > " PUBLIC, 20000 + i);
		p.flow = in;
		for (int k = 0; k < 3; k++) {
			turn(3 * i + k);
			if (w->number < 2)
				send_packet(w, w->number ? WG0 : ETH0, INGRESS, &p);
		}
	}
}

/* Both directions of a connection at once, while it is confirmed: the entries agree. */
Test(parallel, both_directions)
{
	struct worker w[CPUS_MAX];

	start_with(CLIENTS, CLIENTS);
	in_parallel(both_sides, w);
	cr_expect(w[0].forwarded == CLIENTS * 3, "%lu", w[0].forwarded);
	cr_expect(check_table() == CLIENTS);
}

static void own_and_visitors(struct worker *w)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct packet p = UDP(NULL);
		char flow[100];

		if (w->number & 1)
			snprintf(flow, sizeof(flow), "10.172.16.1:%d > 10.172.16.2:8000", 20000 + i);
		else
			snprintf(flow, sizeof(flow), "54.147.66.%d:%d > " PUBLIC, w->number, 20000 + i);
		p.flow = flow;
		turn(i);
		send_packet(w, w->number & 1 ? WG0 : ETH0, w->number & 1 ? EGRESS : INGRESS, &p);
	}
}

/* The gateway's own packets leave while visitors claim the same ports. */
Test(parallel, own_packets)
{
	struct worker w[CPUS_MAX];

	start_with(1024, CPUS_MAX * CLIENTS);
	program_fd(WG0, EGRESS); /* loads it, which several threads must not do at once */
	in_parallel(own_and_visitors, w);
	check_translated(CPUS_MAX * CLIENTS);
	check_table();
}
