/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What must hold of every packet that was let through and of the table at rest, whatever came before.
 */
#ifndef JUDGE_H
#define JUDGE_H

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

static struct fwd_tuple tuple_turned(struct fwd_tuple t)
{
	struct fwd_tuple turned = {t.daddr, t.saddr, t.dport, t.sport, t.proto, {}};

	return turned;
}

static bool tuple_same(const struct fwd_tuple *a, const struct fwd_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* What packets of this entry look like when they leave. */
static struct fwd_tuple conn_outside(const struct fwd_conn *c, __u8 proto)
{
	struct fwd_tuple t = {c->saddr, c->daddr, c->sport, c->dport, proto, {}};

	return t;
}

/* ---- packets ------------------------------------------------------------------------------- */

/* May this byte be another than before? */
static bool judge_may_change(const struct view *v, size_t i)
{
	size_t check = view_check(v);

	if (v->v6 ? i == 7 || (i >= 8 && i < 40) : i == 8 || (i >= 10 && i < 20))
		return true;
	if (v->later)
		return false;
	return (i >= v->l4 && i < v->l4 + 4) || i == check || i == check + 1;
}

/* An MSS is lowered, and nothing else of the options changed. */
static bool judge_is_mss(const struct view *was, const struct view *is, size_t i)
{
	if (was->proto != PROTO_TCP || !(was->ip[was->l4 + 13] & SYN) || i < was->l4 + 22)
		return false;
	for (size_t at = i - 1; at <= i; at++)
		if (was->ip[at - 2] == 2 && was->ip[at - 1] == 4 &&
		    get16(is->ip + at) < get16(was->ip + at))
			return true;
	return false;
}

static void judge_bytes(const struct view *was, const struct view *is)
{
	if (is->len != was->len)
		fail("forwarded with %zu bytes instead of %zu", is->len, was->len);
	for (size_t i = 0; i < was->len; i++)
		if (was->ip[i] != is->ip[i] && !judge_may_change(was, i) && !judge_is_mss(was, is, i))
			fail("byte %zu became %02x from %02x", i, is->ip[i], was->ip[i]);
}

static void judge_checksum(const struct view *was, const struct view *is, bool partial)
{
	if (was->later || !view_has_check(was))
		return;
	if (!partial) {
		if (view_sum(was) != view_sum(is))
			fail("the transport checksum is off by %d", (int)view_sum(is) - (int)view_sum(was));
		return;
	}
	if (get16(is->ip + view_check(is)) % 0xffff !=
	    sum_pseudo(view_addrs(is), view_addrs_len(is), is->proto, is->len - is->l4) % 0xffff)
		fail("the NIC finds another sum than that of the pseudo header");
}

/* The answer to what left leads back to who sent it. */
static void judge_way_back(const struct view *was, const struct view *is)
{
	struct fwd_tuple sent = view_tuple(was), left = view_tuple(is), answer = tuple_turned(left);
	struct fwd_conn *twin = bpf_map_lookup_elem(&conns, &answer);
	struct fwd_tuple outside;

	if (was->later)
		return;
	if (!twin)
		fail("no answer to what left would find its way");
	outside = conn_outside(twin, sent.proto);
	answer = tuple_turned(sent);
	if (!tuple_same(&outside, &answer))
		fail("the answer would go to somebody else");
}

/* An ICMP error that the gateway made out of `was`. */
static void judge_answer(const struct view *was, __u8 *ip, size_t len, bool partial)
{
	size_t half = view_addrs_len(was) / 2, at = was->v6 ? 40 : 20, quote, check;
	struct fwd_addr from;
	struct view is;
	__u32 pseudo;

	if (!view_read(&is, ip, len, false) || is.v6 != was->v6 || is.len != len || is.l4 != at)
		fail("an error of the gateway's is no packet");
	judge_header(&is, "an error of the gateway's");
	if (is.proto != (is.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		fail("an error of the gateway's is no ICMP");
	if (memcmp(view_addrs(&is) + half, view_addrs(was), half))
		fail("an error of the gateway's doesn't go back");
	from = view_tuple(&is).saddr;
	if (memcmp(view_addrs(&is), view_addrs(was) + half, half) && !world_is_own(&from))
		fail("an error of the gateway's is from somebody else");
	if (len > (is.v6 ? 1280 : 576))
		fail("an error of the gateway's has %zu bytes", len);
	quote = len - at - 8;
	if (quote > was->len || (quote < was->len && quote < 28))
		fail("an error of the gateway's quotes %zu bytes of %zu", quote, was->len);
	check = at + 8 + view_check(was);
	for (size_t i = 0; i < quote; i++)
		if (ip[at + 8 + i] != was->ip[i] && !(partial && (at + 8 + i) / 2 == check / 2))
			fail("byte %zu of the gateway's quote", i);
	/* What the NIC then does. */
	if (partial)
		put16(ip + check, ~sum16(0, ip + at + 8 + was->l4, quote - was->l4));
	pseudo = is.v6 ? sum_pseudo(view_addrs(&is), 32, IPPROTO_ICMPV6, len - at) : 0;
	if (sum16(pseudo, ip + at, len - at) != 0xffff)
		fail("the checksum of an error of the gateway's");
}

/* ---- the table ----------------------------------------------------------------------------- */

static void judge_entry(const struct fwd_tuple *key, const struct fwd_conn *conn)
{
	struct fwd_tuple outside = conn_outside(conn, key->proto), twin_key = tuple_turned(outside);
	struct fwd_conn *twin = bpf_map_lookup_elem(&conns, &twin_key);
	struct fwd_slot *slot;

	if (key->pad[0] || key->pad[1] || key->pad[2])
		fail("garbage in a key");
	if (!twin)
		fail("an entry without its twin, direction %d", conn->dir);
	outside = conn_outside(twin, key->proto);
	twin_key = tuple_turned(outside);
	if (!tuple_same(&twin_key, key))
		fail("the twin's twin is somebody else");
	if (conn->dir == twin->dir)
		fail("two entries of one direction");
	if (conn->track != twin->track)
		fail("track %x and %x", conn->track, twin->track);
	if (conn->kind != twin->kind || conn->rule != twin->rule || conn->rule_gen != twin->rule_gen)
		fail("the twins are of two connections");
	if (conn->dir != FWD_DIR_FORWARD)
		return;
	slot = bpf_map_lookup_elem(&slots, &conn->slot);
	if (!slot || (slot->use & FWD_SLOT_STATE) != FWD_SLOT_USED)
		fail("slot %u isn't in use", conn->slot);
	if (!tuple_same(&slot->forward, key))
		fail("slot %u is somebody else's", conn->slot);
}

static void judge_slots(void)
{
	const struct fwd_sweeper *s = sweeper_get();
	__u32 confirmed = 0;

	for (__u32 i = 0; i < fwd_half_open + fwd_connections; i++) {
		struct fwd_slot *slot = bpf_map_lookup_elem(&slots, &i);
		struct fwd_conn *conn = bpf_map_lookup_elem(&conns, &slot->forward);
		__u32 state = slot->use & FWD_SLOT_STATE;

		if (state == FWD_SLOT_TAKEN)
			fail("slot %u is taken, and nobody at work", i);
		if (i < fwd_half_open || state == FWD_SLOT_FREE)
			continue;
		confirmed++;
		if (!conn || conn->slot != i)
			fail("slot %u holds nobody and is lost", i);
	}
	if (confirmed != s->confirmed)
		fail("%u confirmed slots in use, %u counted", confirmed, s->confirmed);
	if (s->high_water > fwd_connections)
		fail("high water %u", s->high_water);
}

/* Each entry has its twin and each connection its place; returns the number of connections. */
static __u32 judge_table(void)
{
	const struct fwd_counters *c = counters_get();
	__u32 entries = 0, forward = 0, of_rule[RULES] = {};

	native_map_each(elem, NATIVE_MAP(&conns))
	{
		const struct fwd_conn *conn = elem->value;

		judge_entry(elem->key, conn);
		entries++;
		forward += conn->dir == FWD_DIR_FORWARD;
		if (conn->dir == FWD_DIR_FORWARD && conn->rule < RULES && !conn_is_dead(conn))
			of_rule[conn->rule]++;
	}
	if (entries != 2 * forward)
		fail("%u entries, %u of them FORWARD", entries, forward);
	if (c->created - c->ended != forward)
		fail("created %llu, ended %llu, but %u there", c->created, c->ended, forward);
	for (__u32 i = 0; i < RULES; i++) {
		struct fwd_rule *r = bpf_map_lookup_elem(&rules, &i);
		struct fwd_rule_stats *stats = bpf_map_lookup_elem(&rule_stats, &i);

		if (r->state != FWD_RULE_FREE && stats->created - stats->ended != of_rule[i])
			fail("map %u: created %llu, ended %llu, but %u there", i, stats->created,
			     stats->ended, of_rule[i]);
	}
	judge_slots();
	return forward;
}

/* How many connections are confirmed, and how many ended in which way. */
struct ends {
	__u32 confirmed;
	__u64 ended, evicted;
};

static struct ends ends_count(void)
{
	const struct fwd_counters *c = counters_get();
	struct ends e = {.ended = c->ended, .evicted = c->evicted};

	native_map_each(elem, NATIVE_MAP(&conns))
	{
		const struct fwd_conn *conn = elem->value;

		e.confirmed += conn->dir == FWD_DIR_FORWARD && conn->track & FWD_TRACK_CONFIRMED;
	}
	return e;
}

/* Newer ones push out only who isn't confirmed. */
static void judge_evicted(const struct ends *before)
{
	struct ends after = ends_count();

	if (after.confirmed < before->confirmed &&
	    after.ended - before->ended == after.evicted - before->evicted)
		fail("a confirmed connection was pushed out");
}

/* After a round of the sweeper nothing is there that should have ended. */
static void judge_swept(void)
{
	__u32 now = clock_now();

	native_map_each(elem, NATIVE_MAP(&conns))
	{
		const struct fwd_tuple *key = elem->key;
		const struct fwd_conn *conn = elem->value, *twin;
		struct fwd_tuple outside = conn_outside(conn, key->proto),
				 twin_key = tuple_turned(outside);
		__u32 quiet, twin_quiet;

		twin = bpf_map_lookup_elem(&conns, &twin_key);
		quiet = now - conn->last_seen;
		twin_quiet = now - twin->last_seen;
		if (conn->dir == FWD_DIR_REPLY)
			continue; /* it has been looked at */
		if (conn_is_dead(conn))
			fail("a connection outlived its map");
		if (twin_quiet < quiet)
			quiet = twin_quiet;
		if (quiet >= config_get()->timeout[fwd_state_timeout(fwd_state(key->proto, conn->track))])
			fail("a connection outlived its time");
	}
}

#endif
