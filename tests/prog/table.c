/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <sys/mman.h>
#include <bpf/libbpf.h>
#include "fwd/maps.h"
#include "table.h"

static void percpu_sum(int fd, __u32 key, size_t words, __u64 *sum)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 values[cpus * words];

	cr_assert(!bpf_map_lookup_elem(fd, &key, values));
	memset(sum, 0, words * sizeof(*sum));
	for (int cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < words; i++)
			sum[i] += values[cpu * words + i];
}

struct fwd_counters counters_read(void)
{
	struct fwd_counters c;

	percpu_sum(MAP_FD(counters), 0, sizeof(c) / sizeof(__u64), (__u64 *)&c);
	return c;
}

struct fwd_rule_stats rule_stats_read(__u32 index)
{
	struct fwd_rule_stats s;

	percpu_sum(MAP_FD(rule_stats), index, sizeof(s) / sizeof(__u64), (__u64 *)&s);
	return s;
}

void reasons_read(__u64 reasons[FWD_REASON_MAX])
{
	for (__u32 i = 0; i < FWD_REASON_MAX; i++)
		percpu_sum(MAP_FD(reasons), i, 1, &reasons[i]);
}

__u64 device_packets(enum fwd_link link)
{
	struct fwd_device_stats stats;

	percpu_sum(MAP_FD(device_stats), link, sizeof(stats) / sizeof(__u64), (__u64 *)&stats);
	return stats.packets;
}

/* Maps an array of the table into memory. */
static const void *array_view(int fd, size_t size)
{
	const void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	cr_assert(view != MAP_FAILED);
	return view;
}

const struct fwd_conn *record_at(__u32 index)
{
	static const struct fwd_conn *records;

	if (!records)
		records = array_view(MAP_FD(conns), gateway_records() * sizeof(*records));
	return &records[index];
}

const struct fwd_slot *slot_at(__u32 index)
{
	static const struct fwd_slot *slots;

	if (!slots)
		slots = array_view(MAP_FD(slots), gateway_records() * sizeof(*slots));
	return &slots[index];
}

static struct fwd_tuple tuple_make(const struct fwd_addr *saddr, const struct fwd_addr *daddr, __be16 sport,
				   __be16 dport, __u8 proto)
{
	return (struct fwd_tuple){*saddr, *daddr, sport, dport, proto, {}};
}

bool entry_read(__u32 index, enum fwd_dir dir, struct entry *entry)
{
	const struct fwd_addrs *ends = &record_at(index)->addrs[dir], *other = &record_at(index)->addrs[!dir];
	const struct fwd_flow *flow = &record_at(index)->flow[dir];
	__u8 proto = fwd_ct_proto(flow->ct_state);

	*entry = (struct entry){
		.key = tuple_make(&ends->saddr, &ends->daddr, flow->sport, flow->dport, proto),
		.translated = tuple_make(&other->daddr, &other->saddr, flow->to_sport, flow->to_dport, proto),
		.flow = *flow,
		.dir = dir,
		.index = index,
		.state = slot_at(index)->gen_state & FWD_SLOT_STATE_MASK,
	};
	return entry->state >= FWD_SLOT_HALF_OPEN;
}

static bool entry_get(const struct fwd_tuple *key, struct entry *entry)
{
	for (__u32 i = 0; i < gateway_records(); i++)
		for (int dir = 0; dir < FWD_DIR_MAX; dir++)
			if (entry_read(i, dir, entry) && tuple_same(&entry->key, key))
				return true;
	return false;
}

bool conn_get(const char *flow, __u8 proto, struct entry *entry)
{
	struct fwd_tuple key = tuple_of(flow, proto);

	return entry_get(&key, entry);
}

bool conn_exists(const char *flow, __u8 proto)
{
	struct entry entry;

	return conn_get(flow, proto, &entry);
}

struct packet in_order(struct packet p)
{
	struct entry conn;

	cr_assert(conn_get(p.flow, PROTO_TCP, &conn), "no connection %s", p.flow);
	p.seq = conn.flow.end;
	p.ack = record_at(conn.index)->flow[dir_reverse(conn.dir)].end;
	return p;
}

void expect_state(const char *what, const char *flow, __u8 proto, const char *want)
{
	static const char *const names[] = {
#define X(symbol, name, timeout) [FWD_STATE_##symbol] = name,
		FWD_STATES(X)
#undef X
	};
	struct entry conn;
	const char *state = conn_get(flow, proto, &conn) ? names[fwd_state(conn.flow.ct_state)] : "gone";

	cr_expect(!strcmp(state, want), "%s: %s instead of %s", what, state, want);
}

struct fwd_gc gc_read(void)
{
	struct fwd_gc s;
	__u32 zero = 0;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(gc), &zero, &s));
	return s;
}

static void check_connection(const struct entry *forward)
{
	struct fwd_tuple back = tuple_reverse(forward->translated);
	struct entry reply;

	entry_read(forward->index, FWD_DIR_REPLY, &reply);
	cr_expect(tuple_same(&back, &reply.key), "FORWARD is not translated to the reverse of REPLY");
	back = tuple_reverse(reply.translated);
	cr_expect(tuple_same(&back, &forward->key), "REPLY is not translated to the reverse of FORWARD");
	cr_expect(!((forward->flow.ct_state ^ reply.flow.ct_state) & ~FWD_CT_ARRIVAL_MASK), "ct_state %x and %x",
		  forward->flow.ct_state, reply.flow.ct_state);
	cr_expect(forward->flow.rule == reply.flow.rule && forward->flow.rule_gen == reply.flow.rule_gen,
		  "the directions belong to two maps");
}

/* Each direction of each connection has one cell, and there are no others. */
static void check_index(void)
{
	const __u32 count = gateway_buckets(), tag = fwd_cell_tag(gateway_records());
	const struct fwd_bucket *buckets = array_view(MAP_FD(buckets), count * sizeof(*buckets));
	__u32 *cells = calloc(2 * gateway_records(), sizeof(*cells));
	__u32 moved = 0, live = 0;
	struct entry entry;

	for (__u32 i = 0; i < count; i++)
		moved += buckets[i].overflow;
	for (__u32 i = 0; i < count * FWD_BUCKET_CELLS; i++) {
		__u32 cell = buckets[i / FWD_BUCKET_CELLS].cell[i % FWD_BUCKET_CELLS];

		if (!cell)
			continue;
		cr_expect(!(cell & FWD_CELL_CLAIM), "a claim was left");
		cells[2 * (((cell & ~tag) >> FWD_CELL_SHIFT) - 1) + !!(cell & FWD_CELL_DIR)]++;
	}
	for (__u32 i = 0; i < 2 * gateway_records(); i++) {
		bool lives = entry_read(i / 2, i % 2, &entry);

		live += lives;
		cr_expect(cells[i] == lives, "%u cells of a slot that is %s", cells[i], lives ? "in use" : "free");
	}
	cr_expect(live ? moved < live : !moved, "%u of %u cells are counted as overflowed", moved, live);
	munmap((void *)buckets, count * sizeof(*buckets));
	free(cells);
}

__u32 check_table(void)
{
	struct fwd_counters c = counters_read();
	struct fwd_gc s = gc_read();
	__u32 live = 0, confirmed = 0;
	struct entry entry;

	each_connection(entry)
	{
		check_connection(&entry);
		confirmed += entry.state == FWD_SLOT_CONFIRMED;
		live++;
	}
	for (__u32 i = 0; i < gateway_records(); i++)
		cr_expect((slot_at(i)->gen_state & FWD_SLOT_STATE_MASK) != FWD_SLOT_RESERVED,
			  "slot %u is still reserved", i);
	cr_expect(c.value[FWD_COUNTER_CREATED] - c.value[FWD_COUNTER_ENDED] == live,
		  "created %llu, ended %llu, but %u live", c.value[FWD_COUNTER_CREATED], c.value[FWD_COUNTER_ENDED],
		  live);
	cr_expect(c.value[FWD_COUNTER_ENDED] == counters_of_ends(&c), "%llu ended, but %llu with a reason",
		  c.value[FWD_COUNTER_ENDED], counters_of_ends(&c));
	cr_expect(s.used == live, "%u slots in use, %u counted", live, s.used);
	cr_expect(confirmed == s.confirmed, "%u confirmed, %u counted", confirmed, s.confirmed);
	cr_expect(s.high_water <= gateway_records(), "high water %u", s.high_water);
	check_index();
	return live;
}

void check_table_at_end(void)
{
	check_table();
}

void table_flush(void)
{
	struct entry entry;

	each_connection(entry) cr_expect(control(FWD_REQUEST_END_CONNECTION, &entry.key) == 0);
	cr_expect(check_table() == 0, "connections outlive their end");
}
