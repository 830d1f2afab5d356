/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is held against the programs: a packet's fate, the counters, and the table's own order.
 */
#ifndef CHECK_H
#define CHECK_H

#include <sys/mman.h>
#include "gateway.h"

static const char *const reason_names[FWD_REASON_MAX] = {
#define X(symbol, value, name, class, text) [FWD_##symbol] = name,
	FWD_REASONS(X)
#undef X
};

/* ---- counters ------------------------------------------------------------------------------ */

static inline void percpu_sum(int fd, __u32 key, size_t words, __u64 *sum)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 values[cpus * words];

	cr_assert(!bpf_map_lookup_elem(fd, &key, values));
	memset(sum, 0, words * sizeof(*sum));
	for (int cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < words; i++)
			sum[i] += values[cpu * words + i];
}

static inline struct fwd_counters counters_read(void)
{
	struct fwd_counters c;

	percpu_sum(MAP_FD(counters), 0, sizeof(c) / sizeof(__u64), (__u64 *)&c);
	return c;
}

static inline struct fwd_rule_stats rule_stats_read(__u32 index)
{
	struct fwd_rule_stats s;

	percpu_sum(MAP_FD(rule_stats), index, sizeof(s) / sizeof(__u64), (__u64 *)&s);
	return s;
}

static inline void reasons_read(__u64 *reasons)
{
	for (__u32 i = 0; i < FWD_REASON_MAX; i++)
		percpu_sum(MAP_FD(reasons), i, 1, &reasons[i]);
}

static inline __u64 device_packets(enum fwd_link link)
{
	struct fwd_device_stats stats;

	percpu_sum(MAP_FD(device_stats), link, sizeof(stats) / sizeof(__u64), (__u64 *)&stats);
	return stats.packets;
}

/* ---- the table ----------------------------------------------------------------------------- */

static inline bool tuple_same(const struct fwd_tuple *a, const struct fwd_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* One direction of a connection. */
struct entry {
	struct fwd_tuple key;     /* what its packets look like when they arrive */
	struct fwd_tuple outside; /* and when they leave */
	struct fwd_flow flow;
	enum fwd_dir dir;
	__u32 index;
	enum fwd_slot_state state;
};

/* The elements of an array of the table, as memory. */
static inline const void *array_view(int fd, size_t size)
{
	const void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	cr_assert(view != MAP_FAILED);
	return view;
}

static inline const struct fwd_conn *record_at(__u32 index)
{
	static const struct fwd_conn *records;

	if (!records)
		records = array_view(MAP_FD(conns), gateway_records() * sizeof(*records));
	return &records[index];
}

static inline const struct fwd_slot *slot_at(__u32 index)
{
	static const struct fwd_slot *slots;

	if (!slots)
		slots = array_view(MAP_FD(slots), gateway_records() * sizeof(*slots));
	return &slots[index];
}

static inline struct fwd_tuple tuple_make(const struct fwd_addr *saddr, const struct fwd_addr *daddr, __be16 sport,
					  __be16 dport, __u8 proto)
{
	return (struct fwd_tuple){*saddr, *daddr, sport, dport, proto, {}};
}

/* False: nobody lives in that place. */
static inline bool entry_read(__u32 index, enum fwd_dir dir, struct entry *entry)
{
	const struct fwd_addrs *ends = &record_at(index)->addrs[dir], *other = &record_at(index)->addrs[!dir];
	const struct fwd_flow *flow = &record_at(index)->flow[dir];
	__u8 proto = fwd_ct_proto(flow->ct_state);

	*entry = (struct entry){
		.key = tuple_make(&ends->saddr, &ends->daddr, flow->sport, flow->dport, proto),
		.outside = tuple_make(&other->daddr, &other->saddr, flow->to_sport, flow->to_dport, proto),
		.flow = *flow,
		.dir = dir,
		.index = index,
		.state = slot_at(index)->gen_state & FWD_SLOT_STATE_MASK,
	};
	return entry->state >= FWD_SLOT_HALF_OPEN;
}

/* Goes through all connections, FORWARD; `entry` is a struct entry. */
#define each_connection(entry)                           \
	for (__u32 i_ = 0; i_ < gateway_records(); i_++) \
		if (entry_read(i_, FWD_DIR_FORWARD, &(entry)))

static inline bool entry_get(const struct fwd_tuple *key, struct entry *entry)
{
	for (__u32 i = 0; i < gateway_records(); i++)
		for (int dir = 0; dir < FWD_DIR_MAX; dir++)
			if (entry_read(i, dir, entry) && tuple_same(&entry->key, key))
				return true;
	return false;
}

/* The entry of packets that go this way. */
static inline bool conn_get(const char *route, __u8 proto, struct entry *entry)
{
	struct fwd_tuple key = tuple_of(route, proto);

	return entry_get(&key, entry);
}

static inline bool conn_exists(const char *route, __u8 proto)
{
	struct entry entry;

	return conn_get(route, proto, &entry);
}

static inline struct fwd_gc sweeper_read(void)
{
	struct fwd_gc s;
	__u32 zero = 0;

	cr_assert(bpf_map__value_size(gw.maps->maps.gc) == sizeof(s));
	cr_assert(!bpf_map_lookup_elem(MAP_FD(gc), &zero, &s));
	return s;
}

static inline void check_connection(const struct entry *forward)
{
	struct fwd_tuple back = tuple_turned(forward->outside);
	struct entry reply;

	entry_read(forward->index, FWD_DIR_REPLY, &reply);
	cr_expect(tuple_same(&back, &reply.key), "the answers are somebody else's");
	back = tuple_turned(reply.outside);
	cr_expect(tuple_same(&back, &forward->key), "the answers go to somebody else");
	cr_expect(forward->flow.ct_state == reply.flow.ct_state, "track %x and %x", forward->flow.ct_state,
		  reply.flow.ct_state);
	cr_expect(forward->flow.rule == reply.flow.rule && forward->flow.rule_gen == reply.flow.rule_gen,
		  "the directions are of two maps");
}

/* Each direction of each connection has one cell, and there are no others. */
static inline void check_index(void)
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
		cr_expect(cells[i] == lives, "%u cells of a place that is %s", cells[i], lives ? "in use" : "free");
	}
	cr_expect(live ? moved < live : !moved, "%u cells are said to be in their second bucket, of %u", moved, live);
	munmap((void *)buckets, count * sizeof(*buckets));
	free(cells);
}

/* At rest, each connection has its place, and the index leads to it. Returns their number. */
static inline __u32 check_table(void)
{
	struct fwd_counters c = counters_read();
	struct fwd_gc s = sweeper_read();
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
			  "place %u is taken, and nobody at work", i);
	cr_expect(c.value[FWD_COUNTER_CREATED] - c.value[FWD_COUNTER_ENDED] == live,
		  "created %llu, ended %llu, but %u there", c.value[FWD_COUNTER_CREATED], c.value[FWD_COUNTER_ENDED],
		  live);
	cr_expect(s.used == live, "%u places in use, %u counted", live, s.used);
	cr_expect(confirmed == s.confirmed, "%u are confirmed, %u counted", confirmed, s.confirmed);
	cr_expect(s.high_water <= gateway_records(), "high water %u", s.high_water);
	check_index();
	return live;
}

/* For .fini */
static inline void check_table_at_end(void)
{
	check_table();
}

/* Ends all connections, the way fwdctl does. */
static inline void table_flush(void)
{
	struct entry entry;

	each_connection(entry) cr_expect(control(FWD_REQUEST_END_CONNECTION, &entry.key) == 0);
	cr_expect(check_table() == 0, "connections outlive their end");
}

/* ---- a packet's fate ----------------------------------------------------------------------- */

enum fate_type {
	FATE_LEAVES,    /* translated, by another device */
	FATE_STAYS,     /* translated, on the device where it is */
	FATE_UNTOUCHED, /* the stack's, or the wire's: not a byte has changed */
	FATE_DROPPED,
	FATE_ANSWERED, /* goes back as an ICMP error */
};

struct fate {
	enum fate_type type;
	enum device out;
	const char *route;  /* that it goes then; NULL: some way, see fate_way() */
	const char *reason; /* the one counter that moves */
	__u8 icmp_type, code;
};

/* "The packet ..." */
#define LEAVES_BY(out_, way_)              ((struct fate){FATE_LEAVES, out_, way_, NULL})
#define GOES_ON_AS(way_)                   ((struct fate){FATE_STAYS, 0, way_, NULL})
#define IS_LEFT_ALONE                      ((struct fate){FATE_UNTOUCHED, 0, NULL, NULL})
#define IS_PASSED(reason_)                 ((struct fate){FATE_UNTOUCHED, 0, NULL, reason_})
#define IS_DROPPED(reason_)                ((struct fate){FATE_DROPPED, 0, NULL, reason_})
#define IS_ANSWERED(reason_, type_, code_) ((struct fate){FATE_ANSWERED, 0, NULL, reason_, type_, code_})

static inline const char *verdict_name(int verdict)
{
	return verdict == TC_ACT_REDIRECT ? "redirect"
	       : verdict == TC_ACT_UNSPEC ? "pass"
	       : verdict == TC_ACT_SHOT   ? "drop"
					  : "nonsense";
}

/* Where the IP packet begins in what came out. */
static inline size_t fate_l3(enum device in, const struct fate *fate)
{
	if (devices[in].link == FWD_LINK_ETHERNET)
		return ETHER_LEN;
	return fate->type == FATE_LEAVES && devices[fate->out].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
}

static inline void endpoint_text(char *text, size_t size, bool v6, const __u8 *addr, int port)
{
	if (v6)
		snprintf(text, size, "[%x:%x:%x:%x:%x:%x:%x:%x]:%d", get16(addr), get16(addr + 2), get16(addr + 4),
			 get16(addr + 6), get16(addr + 8), get16(addr + 10), get16(addr + 12), get16(addr + 14), port);
	else
		snprintf(text, size, "%d.%d.%d.%d:%d", addr[0], addr[1], addr[2], addr[3], port);
}

/* The way of a packet without options, in words. */
static inline const char *frame_way(const struct frame *f, size_t l3)
{
	static char text[200];
	const __u8 *ip = f->data + l3;
	bool v6 = ip[0] >> 4 == 6;
	char src[80], dst[80];

	endpoint_text(src, sizeof(src), v6, ip + (v6 ? 8 : 12), get16(ip + (v6 ? 40 : 20)));
	endpoint_text(dst, sizeof(dst), v6, ip + (v6 ? 24 : 16), get16(ip + (v6 ? 42 : 22)));
	snprintf(text, sizeof(text), "%s > %s", src, dst);
	return text;
}

/* What must come out, made from what went in: other addresses and ports, TTL, link header. */
static inline void fate_frame(struct frame *want, enum device in, const struct packet *p, const struct fate *fate,
			      const struct frame *before)
{
	struct packet out = *p;
	int ttl = p->ttl ? p->ttl : TTL_NORMAL;
	bool ethernet_out = devices[fate->out].link == FWD_LINK_ETHERNET;

	out.route = fate->route;
	out.padding = 0; /* it is the link's */
	if (fate->type == FATE_LEAVES)
		out.ttl = ttl - 1;
	if (fate->type == FATE_LEAVES && ethernet_out) {
		packet_build(want, &out, devices[fate->out].peer, devices[fate->out].mac);
	} else if (devices[in].link == FWD_LINK_ETHERNET) {
		/* bpf_redirect() takes it off. */
		packet_build(want, &out, before->data, before->data + 6);
	} else {
		packet_build(want, &out, NULL, NULL);
	}
}

static inline void check_bytes(const char *what, enum device in, const struct packet *p, const struct fate *fate,
			       const struct result *r)
{
	size_t l3 = fate_l3(in, fate);
	struct fate known = *fate;
	const char *wrong;
	struct frame want;

	if (fate->type == FATE_UNTOUCHED) {
		wrong = frame_difference(r->out.data, r->out.len, r->in.data, r->in.len);
		cr_expect(!wrong, "%s: changed a packet that isn't its own: %s", what, wrong);
		return;
	}
	if (fate->type == FATE_DROPPED)
		return;
	/* Any port will do: then all but that must be as the packet itself says. */
	if (!fate->route)
		known.route = frame_way(&r->out, l3);
	fate_frame(&want, in, p, &known, &r->in);
	wrong = frame_difference(r->out.data, r->out.len, want.data, want.len);
	cr_expect(!wrong, "%s: not %s: %s", what, known.route, wrong);
	wrong = packet_wrong(r->out.data + l3, r->out.len - l3);
	cr_expect(!wrong, "%s: %s", what, wrong);
}

static inline void check_way(const char *what, const struct packet *p, const struct fate *fate)
{
	struct entry conn;

	if (!conn_get(p->route, p->proto, &conn)) {
		cr_expect_fail("%s: no connection", what);
		return;
	}
	cr_expect(route_ifindex(&conn.flow.route) == (__u32)gw.ifindex[fate->out], "%s: leaves by device %u", what,
		  route_ifindex(&conn.flow.route));
	cr_expect(route_link(&conn.flow.route) == devices[fate->out].link, "%s: kind of link", what);
}

static inline void check_reasons(const char *what, const __u64 *before, const char *reason)
{
	__u64 after[FWD_REASON_MAX];

	reasons_read(after);
	for (int i = 0; i < FWD_REASON_MAX; i++) {
		__u64 want = reason && !strcmp(reason, reason_names[i]);

		cr_expect(after[i] - before[i] == want, "%s: \"%s\" moved by %llu instead of %llu", what,
			  reason_names[i], after[i] - before[i], want);
	}
}

/* An ICMP error that fwdctl makes of a packet. */
struct answer {
	__u8 type, code;
	__u32 info; /* the lower half of its second word: the MTU */
	const char *reason;
	const char *from; /* IPv4; NULL: from where the packet was going */
};

static inline void check_answer_ip(const char *what, const struct answer *a, const __u8 *ip, const __u8 *packet,
				   size_t len)
{
	bool v6 = ip[0] >> 4 == 6;
	const __u8 *icmp = ip + (v6 ? 40 : 20);
	__u8 from[4];

	if (v6) {
		cr_expect(get16(ip + 4) == len - 40, "%s: length", what);
		cr_expect(!memcmp(ip + 8, packet + 24, 16), "%s: source", what);
		cr_expect(!memcmp(ip + 24, packet + 8, 16), "%s: to", what);
		cr_expect(sum16(sum_pseudo(ip + 8, 32, 58, len - 40), icmp, len - 40) == 0xffff, "%s: ICMPv6 checksum",
			  what);
		return;
	}
	memcpy(from, packet + 16, sizeof(from));
	if (a->from)
		cr_assert(inet_pton(2, a->from, from) == 1);
	/* Internetwork control, and the packet's own type of service (RFC 1812 4.3.2.5). */
	cr_expect(ip[1] == (0xc0 | (packet[1] & 0x1e)), "%s: TOS %#x", what, ip[1]);
	cr_expect(get16(ip + 2) == len, "%s: length", what);
	cr_expect(!memcmp(ip + 12, from, 4), "%s: source", what);
	cr_expect(!memcmp(ip + 16, packet + 12, 4), "%s: to", what);
	cr_expect(sum16(0, ip, 20) == 0xffff, "%s: header checksum", what);
	cr_expect(sum16(0, icmp, len - 20) == 0xffff, "%s: ICMP checksum", what);
}

/* p, which arrives by `in`, goes back as that error. */
static inline void check_answer(const char *what, enum device in, const struct packet *p, const struct answer *a)
{
	bool v6 = p->route[0] == '[';
	size_t header = v6 ? 40 : 20, l3 = devices[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0, len;
	__u64 reasons[FWD_REASON_MAX];
	const __u8 *icmp;
	struct result r;

	reasons_read(reasons);
	run(in, INGRESS, p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "%s: %s", what, verdict_name(r.verdict));
	check_reasons(what, reasons, a->reason);
	cr_expect(!l3 || (!memcmp(r.out.data, r.in.data + 6, 6) && !memcmp(r.out.data + 6, r.in.data, 6)),
		  "%s: back to where it came from", what);
	len = r.out.len - l3;
	cr_assert(len == (v6 ? 1280 : 576) || len == r.in.len - l3 + header + 8, "%s: %zu bytes", what, len);
	check_answer_ip(what, a, r.out.data + l3, r.in.data + l3, len);
	icmp = r.out.data + l3 + header;
	cr_expect(icmp[0] == a->type && icmp[1] == a->code, "%s: type %u, code %u", what, icmp[0], icmp[1]);
	cr_expect(get16(icmp + 6) == a->info, "%s: MTU %u", what, get16(icmp + 6));
	cr_expect(!memcmp(icmp + 8, r.in.data + l3, len - header - 8), "%s: quote", what);
}

/*
 * One packet, and all that can be seen of its fate. The result is there for the next step:
 * frame_way(&result->out, ...).
 */
static inline const struct result *packet_at(const char *what, enum device in, enum hook hook, struct packet p,
					     struct fate fate)
{
	static const int verdicts[] = {
		[FATE_LEAVES] = TC_ACT_REDIRECT,
		[FATE_STAYS] = TC_ACT_UNSPEC,
		[FATE_UNTOUCHED] = TC_ACT_UNSPEC,
		[FATE_DROPPED] = TC_ACT_SHOT,
	};
	static struct result r;
	__u64 reasons[FWD_REASON_MAX], packets = device_packets(devices[in].link);

	if (fate.type == FATE_ANSWERED) {
		check_answer(what, in, &p, &(struct answer){fate.icmp_type, fate.code, 0, fate.reason});
		return &r;
	}
	reasons_read(reasons);
	run_summed(in, hook, &p, nic_can_sum(in, &p, fate.type != FATE_LEAVES), &r);
	if (r.verdict != verdicts[fate.type]) {
		cr_expect_fail("%s: %s instead of %s", what, verdict_name(r.verdict),
			       verdict_name(verdicts[fate.type]));
		check_reasons(what, reasons, fate.reason);
		return &r;
	}
	check_bytes(what, in, &p, &fate, &r);
	if (fate.type == FATE_LEAVES)
		check_way(what, &p, &fate);
	check_reasons(what, reasons, fate.reason);
	if (hook == INGRESS)
		cr_expect(device_packets(devices[in].link) - packets == (__u64)(p.gso_segs ? p.gso_segs : 1),
			  "%s: packets of the device", what);
	return &r;
}

/* A packet that arrives. */
static inline const struct result *arrives(const char *what, enum device in, struct packet p, struct fate fate)
{
	return packet_at(what, in, INGRESS, p, fate);
}

/* The way of the packet that came out, without options. */
static inline const char *way_out(const struct result *r, enum device in, enum device out)
{
	struct fate fate = LEAVES_BY(out, NULL);

	return frame_way(&r->out, fate_l3(in, &fate));
}

/* The same way back. */
static inline const char *way_back(const char *route)
{
	static char text[4][200];
	static int next;
	const char *arrow = strstr(route, " > ");
	char *back = text[next++ % 4];

	snprintf(back, sizeof(text[0]), "%s > %.*s", arrow + 3, (int)(arrow - route), route);
	return back;
}

static inline void expect_state(const char *what, const char *route, __u8 proto, const char *want)
{
	static const char *const names[] = {
#define X(symbol, name, timeout) [FWD_STATE_##symbol] = name,
		FWD_STATES(X)
#undef X
	};
	struct entry conn;
	const char *state = conn_get(route, proto, &conn) ? names[fwd_state(conn.flow.ct_state)] : "gone";

	cr_expect(!strcmp(state, want), "%s: %s instead of %s", what, state, want);
}

#endif
