/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Invariants of each processed packet, and of the connection table between packets.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include "view.h"
#include "world.h"

static struct fwd_tuple view_tuple(const struct view *v)
{
	struct endpoint src = {.family = v->v6 ? 6 : 4}, dst = src;
	struct fwd_tuple t = {.proto = v->proto};

	memcpy(src.addr, view_addrs(v), view_addrs_len(v) / 2);
	memcpy(dst.addr, view_addrs(v) + view_addrs_len(v) / 2, view_addrs_len(v) / 2);
	t.saddr = world_addr(&src);
	t.daddr = world_addr(&dst);
	memcpy(&t.sport, v->ip + v->l4, 2);
	memcpy(&t.dport, v->ip + v->l4 + 2, 2);
	return t;
}

static struct fwd_tuple tuple_reverse(struct fwd_tuple t)
{
	struct fwd_tuple reverse = {t.daddr, t.saddr, t.dport, t.sport, t.proto, {}};

	return reverse;
}

static bool tuple_same(const struct fwd_tuple *a, const struct fwd_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The tuple of this direction's packets when they leave. */
static struct fwd_tuple entry_translated(const struct fwd_conn *c, enum fwd_dir dir)
{
	struct translation to = translation_of(c, dir);

	return (struct fwd_tuple){*to.saddr, *to.daddr, to.sport, to.dport, fwd_ct_proto(c->flow[dir].ct_state), {}};
}

/* ---- packets ------------------------------------------------------------------------------- */

/* True if translation may change this byte. */
static bool verify_may_change(const struct view *v, size_t i)
{
	size_t check = view_check(v);

	if (v->v6 ? i == 7 || (i >= 8 && i < 40) : i == 8 || (i >= 10 && i < 20))
		return true;
	if (v->later)
		return false;
	return (i >= v->l4 && i < v->l4 + 4) || i == check || i == check + 1;
}

/* True if the byte is part of an MSS option that was lowered. */
static bool verify_is_mss(const struct view *was, const struct view *is, size_t i)
{
	if (was->proto != PROTO_TCP || !(was->ip[was->l4 + 13] & SYN) || i < was->l4 + 22)
		return false;
	for (size_t at = i - 1; at <= i; at++)
		if (was->ip[at - 2] == 2 && was->ip[at - 1] == 4 && get16(is->ip + at) < get16(was->ip + at))
			return true;
	return false;
}

static void verify_bytes(const struct view *was, const struct view *is)
{
	if (is->len != was->len)
		fail("forwarded with %zu bytes instead of %zu", is->len, was->len);
	for (size_t i = 0; i < was->len; i++)
		if (was->ip[i] != is->ip[i] && !verify_may_change(was, i) && !verify_is_mss(was, is, i))
			fail("byte %zu became %02x from %02x", i, is->ip[i], was->ip[i]);
}

static void verify_checksum(const struct view *was, const struct view *is, bool partial)
{
	if (was->later || !view_has_check(was))
		return;
	if (!partial) {
		if (view_sum(was) != view_sum(is))
			fail("transport checksum off by %d", (int)view_sum(is) - (int)view_sum(was));
		return;
	}
	if (get16(is->ip + view_check(is)) % 0xffff !=
	    sum_pseudo(view_addrs(is), view_addrs_len(is), is->proto, is->len - is->l4) % 0xffff)
		fail("CHECKSUM_PARTIAL: not the sum of the pseudo header");
}

/* The reply to the packet that left is translated back to the reverse of the received one. */
static void verify_reply(const struct view *was, const struct view *is)
{
	struct fwd_tuple sent = view_tuple(was), left = view_tuple(is), reply = tuple_reverse(left);
	struct fwd_tuple translated;
	int reverse;

	if (was->later)
		return;
	reverse = table_find(&reply);
	if (reverse < 0)
		fail("no connection for the reply");
	translated = entry_translated(conn_at(entry_index(reverse)), entry_dir(reverse));
	reply = tuple_reverse(sent);
	if (!tuple_same(&translated, &reply))
		fail("the reply is not translated back");
}

/* An ICMP error that the gateway made out of `was`. */
static void verify_icmp_error(const struct view *was, __u8 *ip, size_t len, bool partial)
{
	size_t half = view_addrs_len(was) / 2, at = was->v6 ? 40 : 20, quote, check;
	struct fwd_addr from;
	struct view is;
	__u32 pseudo;

	if (!view_read(&is, ip, len, false) || is.v6 != was->v6 || is.len != len || is.l4 != at)
		fail("the gateway's ICMP error is malformed");
	verify_header(&is, "the gateway's ICMP error");
	if (is.proto != (is.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		fail("the gateway's ICMP error is not ICMP");
	if (memcmp(view_addrs(&is) + half, view_addrs(was), half))
		fail("the gateway's ICMP error does not go to the sender");
	from = view_tuple(&is).saddr;
	if (memcmp(view_addrs(&is), view_addrs(was) + half, half) && !world_is_own(&from))
		fail("the source of the gateway's ICMP error");
	if (len > (is.v6 ? 1280 : 576))
		fail("the gateway's ICMP error has %zu bytes", len);
	quote = len - at - 8;
	if (quote > was->len || (quote < was->len && quote < 28))
		fail("the gateway's ICMP error quotes %zu bytes of %zu", quote, was->len);
	check = at + 8 + view_check(was);
	for (size_t i = 0; i < quote; i++)
		if (ip[at + 8 + i] != was->ip[i] && !(partial && (at + 8 + i) / 2 == check / 2))
			fail("the gateway's ICMP error: byte %zu of the quote", i);
	/* As the NIC does later. */
	if (partial)
		put16(ip + check, ~sum16(0, ip + at + 8 + was->l4, quote - was->l4));
	pseudo = is.v6 ? sum_pseudo(view_addrs(&is), 32, IPPROTO_ICMPV6, len - at) : 0;
	if (sum16(pseudo, ip + at, len - at) != 0xffff)
		fail("the gateway's ICMP error: checksum");
}

/* ---- the table ----------------------------------------------------------------------------- */

/* True if the slot holds a connection. */
static bool slot_lives(__u32 index)
{
	return slot_is_live(slot_at(index)->gen_state);
}

/* One direction: the index finds it, and the other direction is its inverse. */
static void verify_entry(__u32 entry)
{
	const struct fwd_conn *conn = conn_at(entry_index(entry));
	struct fwd_tuple key, reverse, translated = entry_translated(conn, entry_dir(entry));

	tuple_of_entry(&key, conn, entry_dir(entry));
	tuple_of_entry(&reverse, conn, !entry_dir(entry));
	if (table_find(&key) != (int)entry)
		fail("the index finds entry %d instead of %u", table_find(&key), entry);
	translated = tuple_reverse(translated);
	if (!tuple_same(&translated, &reverse))
		fail("the directions are not inverse");
}

static void verify_connection(__u32 index)
{
	const struct fwd_flow *forward = &conn_at(index)->flow[FWD_DIR_FORWARD];
	const struct fwd_flow *reply = &conn_at(index)->flow[FWD_DIR_REPLY];

	verify_entry(entry_of(index, FWD_DIR_FORWARD));
	verify_entry(entry_of(index, FWD_DIR_REPLY));
	if ((forward->ct_state ^ reply->ct_state) & ~FWD_CT_ARRIVAL_MASK)
		fail("ct_state %x and %x", forward->ct_state, reply->ct_state);
	if (forward->rule != reply->rule || forward->rule_gen != reply->rule_gen)
		fail("the directions belong to two maps");
}

/* The index has one cell for each direction of each connection, and the overflow counters are right. */
static void verify_index(__u32 live)
{
	__u32 cells = 0, moved = 0, second = 0;

	for (__u32 i = 0; i < fwd_sizes.buckets; i++) {
		const struct fwd_bucket *bucket = bucket_at(i);

		moved += bucket->overflow;
		for (__u32 n = 0; n < FWD_BUCKET_CELLS; n++) {
			struct fwd_tuple key;

			if (!bucket->cell[n])
				continue;
			cells++;
			if (bucket->cell[n] & FWD_CELL_CLAIM)
				fail("a claim was left");
			tuple_of_entry(&key, conn_at(entry_index(cell_entry(bucket->cell[n]))),
				       entry_dir(cell_entry(bucket->cell[n])));
			second += bucket_first(table_hash(&key)) != i;
		}
	}
	if (cells != 2 * live)
		fail("%u cells for %u connections", cells, live);
	if (moved != second)
		fail("%u cells are in their second bucket, %u are counted", second, moved);
}

static void verify_slots(__u32 live)
{
	const struct fwd_gc *s = gc_get();
	__u32 confirmed = 0;

	for (__u32 i = 0; i < fwd_sizes.records; i++) {
		if (slot_state(slot_at(i)->gen_state) == FWD_SLOT_RESERVED)
			fail("slot %u is still reserved", i);
		confirmed += slot_state(slot_at(i)->gen_state) == FWD_SLOT_CONFIRMED;
	}
	if (confirmed != s->confirmed)
		fail("%u confirmed, %u counted", confirmed, s->confirmed);
	if (confirmed > fwd_sizes.connections || live - confirmed > fwd_sizes.half_open)
		fail("%u confirmed and %u half-open exceed the limits", confirmed, live - confirmed);
	if (live != s->used || s->high_water > fwd_sizes.records)
		fail("%u slots in use, %u counted, high water %u", live, s->used, s->high_water);
}

/* All invariants of the table; returns the number of connections. */
static __u32 verify_table(void)
{
	const struct fwd_counters *c = counters_get();
	__u32 live = 0, of_rule[RULES] = {};

	for (__u32 i = 0; i < fwd_sizes.records; i++) {
		const struct fwd_flow *flow = &conn_at(i)->flow[FWD_DIR_FORWARD];

		if (!slot_lives(i))
			continue;
		verify_connection(i);
		live++;
		if (flow->rule < RULES && !flow_is_dead(flow))
			of_rule[flow->rule]++;
	}
	if (c->value[FWD_COUNTER_CREATED] - c->value[FWD_COUNTER_ENDED] != live)
		fail("created %llu, ended %llu, but %u live", c->value[FWD_COUNTER_CREATED],
		     c->value[FWD_COUNTER_ENDED], live);
	if (c->value[FWD_COUNTER_ENDED] != counters_of_ends(c))
		fail("ended %llu, but %llu with a reason", c->value[FWD_COUNTER_ENDED], counters_of_ends(c));
	for (__u32 i = 0; i < RULES; i++) {
		struct fwd_rule *r = bpf_map_lookup_elem(&rules, &i);
		struct fwd_rule_stats *stats = bpf_map_lookup_elem(&rule_stats, &i);

		if (r->state != FWD_RULE_FREE && stats->created - stats->ended != of_rule[i])
			fail("map %u: created %llu, ended %llu, but %u live", i, stats->created, stats->ended,
			     of_rule[i]);
	}
	verify_index(live);
	verify_slots(live);
	return live;
}

/* The number of confirmed connections, and the counters of ended and evicted ones. */
struct ends {
	__u32 confirmed;
	__u64 ended, evicted;
};

static struct ends ends_count(void)
{
	const struct fwd_counters *c = counters_get();
	struct ends e = {.ended = c->value[FWD_COUNTER_ENDED], .evicted = c->value[FWD_COUNTER_EVICTED]};

	for (__u32 i = 0; i < fwd_sizes.records; i++)
		e.confirmed += slot_lives(i) && conn_at(i)->flow[FWD_DIR_FORWARD].ct_state & FWD_CT_CONFIRMED;
	return e;
}

/* New connections evict only half-open ones. */
static void verify_evicted(const struct ends *before)
{
	struct ends after = ends_count();

	if (after.confirmed < before->confirmed && after.ended - before->ended == after.evicted - before->evicted)
		fail("a confirmed connection was evicted");
}

/* After a round of the garbage collector no expired connection is left. */
static void verify_gc(void)
{
	__u32 now = clock_now();

	for (__u32 i = 0; i < fwd_sizes.records; i++) {
		const struct fwd_flow *forward = &conn_at(i)->flow[FWD_DIR_FORWARD];
		__u32 quiet = now - forward->last_seen;
		__u32 reverse_quiet = now - conn_at(i)->flow[FWD_DIR_REPLY].last_seen;

		if (!slot_lives(i))
			continue;
		if (flow_is_dead(forward))
			fail("a connection outlived its map");
		if (reverse_quiet < quiet)
			quiet = reverse_quiet;
		if (quiet >= config_get()->timeout[fwd_state_timeout(fwd_state(forward->ct_state))])
			fail("a connection outlived its timeout");
	}
}

#endif
