/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a connection begins: a way out, a source port that is nobody else's, two entries, a place.
 */
#ifndef FWD_OPEN_H
#define FWD_OPEN_H

#include "conntrack.h"
#include "way.h"
#include "mtu.h"
#include "portalloc.h"
#include "rule.h"

/*
 * A place in the half-open ring, taken: the next one, whoever is there and still unconfirmed. Passed
 * over, up to a bound, are those that are confirmed and found no place of their own, if there is none
 * now either, and those that a packet on another CPU is about to fill.
 */
#define SLOT_TRIES 4

__noinline int slot_take_half_open(void)
{
	struct fwd_sweeper *s = sweeper_get();
	struct fwd_open *open = open_get();
	struct fwd_slot_choice *choice;
	int i;

	if (!s || !open)
		return 0;
	choice = &open->slot;
	for (i = 0; i < SLOT_TRIES; i++) {
		__u32 index = __sync_fetch_and_add(&s->ring_head, 1) % fwd_half_open;
		struct fwd_slot *slot = bpf_map_lookup_elem(&slots, &index);
		struct fwd_conn *old;
		__u32 use;

		if (!slot)
			return 0;
		use = slot->use;
		choice->old = slot->forward;
		old = bpf_map_lookup_elem(&conns, &choice->old);
		/* Else it has moved, or ended. */
		if (old && (slot_state(use) != FWD_SLOT_USED || old->slot != index))
			old = NULL;
		if (old && (old->track & FWD_TRACK_CONFIRMED)) {
			conn_confirm(old, &choice->old, slot->check_at);
			if (old->slot == index)
				continue; /* there is no place for it yet */
			old = NULL;
		}
		if (!slot_take(slot, use))
			continue;
		if (old)
			conn_end(&choice->old, index, FWD_END_EVICTED);
		choice->index = index;
		return 1;
	}
	return 0;
}

static __always_inline void open_count(struct fwd_conn *conn, enum fwd_reason reason)
{
	struct fwd_counters *c = counters_get();
	struct fwd_rule_stats *stats = conn_rule_stats(conn);

	if (!c)
		return;
	if (reason != FWD_FORWARDED) {
		c->failed++;
		return;
	}
	c->created++;
	if (stats)
		stats->created++;
}

/* The answer's entry: what the packet looked like before, turned round. */
static __always_inline void open_plan_reply(fwd_ctx *ctx, struct fwd_open *open,
					    const struct fwd_pkt *pkt)
{
	struct fwd_conn *reply = &open->reply;

	*reply = open->forward;
	reply->dir = FWD_DIR_REPLY;
	reply->saddr = pkt->tuple.daddr;
	reply->daddr = pkt->tuple.saddr;
	reply->sport = pkt->tuple.dport;
	reply->dport = pkt->tuple.sport;
	__builtin_memset(&reply->way, 0, sizeof(reply->way));
	reply->way.ifindex = ctx_ifindex(ctx);
	tuple_of_twin(&open->reply_key, &open->forward, pkt->tuple.proto);
}

/*
 * Enters the connection that open->forward plans (all but the source port) into the table, at the place taken.
 *
 * The insertion of the reply tuple is the claim of the source port, see port_claim(). Only then the
 * FORWARD entry: if another CPU was faster with the same client's packet, the claim is rolled back
 * and the other's connection is used.
 */
__noinline enum fwd_reason open_enter_at(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct fwd_open *open = open_get();
	enum fwd_reason reason;
	struct fwd_slot *slot;
	long err;

	if (!pkt || !open)
		return FWD_TABLE_FULL;
	open->forward_key = pkt->tuple;
	open->forward.slot = open->slot.index;
	open->forward.from = ctx_ifindex(ctx);
	open_plan_reply(ctx, open, pkt);
	slot = bpf_map_lookup_elem(&slots, &open->slot.index);
	if (!slot)
		return FWD_TABLE_FULL;
	reason = port_claim(ctx);
	if (reason != FWD_FORWARDED) {
		slot_change(slot, slot->use, FWD_SLOT_FREE);
		return reason;
	}
	err = bpf_map_update_elem(&conns, &open->forward_key, &open->forward, BPF_NOEXIST);
	if (err) {
		bpf_map_delete_elem(&conns, &open->reply_key);
		slot_change(slot, slot->use, FWD_SLOT_FREE);
		return err == -EEXIST ? FWD_FORWARDED : FWD_TABLE_FULL;
	}
	slot_fill(slot, &pkt->tuple,
		  pkt->now + conn_timeout(pkt->tuple.proto, open->forward.track));
	open_count(&open->forward, FWD_FORWARDED);
	return FWD_FORWARDED;
}

/* One after the other, so that the stack of neither stands on the other's. */
static __always_inline enum fwd_reason open_enter(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	if (slot_confirmed_full() || !slot_take_half_open())
		return FWD_TABLE_FULL;
	return open_enter_at(ctx, pkt);
}

static __always_inline void open_plan(struct fwd_open *open, const struct fwd_pkt *pkt,
				      enum fwd_conn_kind kind)
{
	__builtin_memset(open, 0, sizeof(*open));
	open->forward.dir = FWD_DIR_FORWARD;
	open->forward.kind = kind;
	open->forward.last_seen = pkt->now;
	open->forward.rule = FWD_RULE_NONE;
	open->forward.track = pkt->tuple.proto == IPPROTO_TCP
				      ? track_tcp(0, FWD_DIR_FORWARD, pkt->tcp_flags, false)
				      : track_udp(0, FWD_DIR_FORWARD);
	open->forward.sport = pkt->tuple.sport;
	open->forward.saddr = pkt->tuple.saddr;
	open->forward.daddr = pkt->tuple.daddr;
	open->forward.dport = pkt->tuple.dport;
}

/* A visitor's connection through the map at `index`. */
__noinline enum fwd_reason open_mapped(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 index)
{
	struct fwd_open *open = open_get();
	struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	enum fwd_reason reason;
	__u16 shift, back_mtu;

	if (!pkt || !open || !rule || rule->state != FWD_RULE_ACTIVE)
		return FWD_NOT_OURS;
	if (!track_opens(pkt->tuple.proto, pkt->tcp_flags))
		return FWD_NO_CONNECTION;
	/* Any UDP packet could be a first one, also an answer to the gateway's own resolver, or WireGuard's.
	 * The sockets know. */
	if (pkt->tuple.proto == IPPROTO_UDP && port_is_sockets(ctx, &pkt->tuple))
		return FWD_OWN_SOCKET;
	if (!addr_is_unicast(&pkt->tuple.saddr))
		return FWD_MARTIAN;
	open_plan(open, pkt, FWD_CONN_MAPPED);
	open->forward.rule = index;
	if (port_is_exhausted(index, pkt->now)) {
		open_count(&open->forward, FWD_NO_PORT);
		return FWD_NO_PORT;
	}
	open->forward.rule_gen = rule->gen;
	shift = __builtin_bswap16(pkt->tuple.dport) - rule->listen_low;
	open->forward.daddr = rule->target;
	open->forward.dport = __builtin_bswap16(rule->target_low + shift);
	if (!port_pool_set(open, rule))
		return FWD_NO_SOURCE;
	/* No route, no record. */
	reason = way_refresh(ctx, pkt, &open->forward);
	if (reason != FWD_FORWARDED)
		return reason;
	reason = way_admits(ctx, pkt, &open->forward.way);
	if (reason != FWD_FORWARDED)
		return reason;
	/* An address of the gateway itself, or one that no route leads to: the stack would refuse it too
	 * (net/ipv4/fib_frontend.c, fib_validate_source). */
	back_mtu = fib_mtu(ctx, pkt, &pkt->tuple.daddr, &pkt->tuple.saddr);
	if (!back_mtu && ctx_ifindex(ctx) != FWD_LOOPBACK)
		return FWD_MARTIAN;
	open->forward.mss = mtu_choose_mss(pkt, open->forward.way.mtu, back_mtu, rule->mss);
	reason = open_enter(ctx, pkt);
	if (reason == FWD_NO_PORT)
		port_note_exhausted(index, pkt->now);
	if (reason != FWD_FORWARDED)
		open_count(&open->forward, reason);
	return reason;
}

/* The gateway's own connection, whose source port is a visitor's on the way to the same target. */
__noinline enum fwd_reason open_local(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct fwd_open *open = open_get();
	enum fwd_reason reason;

	if (!pkt || !open)
		return FWD_NO_PORT;
	open_plan(open, pkt, FWD_CONN_LOCAL);
	open->pool[0] = pkt->tuple.saddr;
	open->pool_count = 1;
	open->skip_same_port = 1;
	reason = open_enter(ctx, pkt);
	if (reason != FWD_FORWARDED)
		open_count(&open->forward, reason);
	return reason;
}

#endif
