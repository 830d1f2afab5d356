/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opening a connection: a route, a source port, two entries in the index, a ring slot.
 */
#ifndef FWD_BPF_STEP_OPEN_H
#define FWD_BPF_STEP_OPEN_H

#include <bpf/bpf_endian.h>
#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/port.h"
#include "ct/ring.h"
#include "policy/admit.h"
#include "step/mtu.h"
#include "step/route.h"

static __always_inline void open_count(const struct fwd_open *open, enum fwd_reason reason)
{
	struct fwd_rule_stats *stats = flow_rule_stats(&open->conn.flow[FWD_DIR_FORWARD]);

	if (reason == FWD_OK) {
		counter_add(FWD_COUNTER_CREATED);
		if (stats)
			stats->created++;
	} else if (reason != FWD_RACE) {
		counter_add(FWD_COUNTER_FAILED);
	}
}

/* Completes the reply direction of the plan, with the packet's original addresses and ports swapped, and copies the
 * plan to the record. */
static __always_inline void open_fill(fwd_ctx *ctx, struct fwd_open *open, struct fwd_conn *conn)
{
	struct fwd_flow *forward = &open->conn.flow[FWD_DIR_FORWARD], *reply = &open->conn.flow[FWD_DIR_REPLY];

	reply->last_seen = forward->last_seen;
	reply->ct_state = forward->ct_state;
	forward->ct_state |= fwd_ct_arrival(fwd_device_index);
	reply->ack = forward->ack;
	reply->rule = forward->rule;
	reply->rule_gen = forward->rule_gen;
	reply->sport = forward->to_dport;
	reply->to_sport = forward->dport;
	reply->to_dport = forward->sport;
	reply->route.out = route_out(ctx_ifindex(ctx), FWD_LINK_IP);
	*conn = open->conn;
}

/* The connection of a packet of the same client that another CPU has opened, or is about to: its record is complete
 * except for the slot's state. */
static __always_inline enum fwd_reason open_join(struct fwd_pkt *pkt, const struct fwd_open *open)
{
	int entry = table_search(&pkt->tuple, 0);
	const struct fwd_flow *flow;
	struct fwd_conn *conn;

	conn = entry < 0 ? NULL : conn_at(entry_index(entry));
	if (!conn || entry_dir(entry) != FWD_DIR_FORWARD)
		return FWD_RACE;
	flow = &conn->flow[FWD_DIR_FORWARD];
	/* Another CPU may be about to end an old connection. */
	if (flow_is_dead(flow) || ct_is_closed(flow->ct_state) ||
	    flow_is_own(flow) != flow_is_own(&open->conn.flow[FWD_DIR_FORWARD]))
		return FWD_RACE;
	pkt->entry = entry;
	return FWD_OK;
}

/*
 * Inserts the connection that open->conn plans, without its source port, in the slot that was allocated. FWD_OK:
 * pkt->entry is the new entry.
 *
 * The insertion of the reply tuple claims the source port, see port_claim(). The ring slot follows, so that a packet
 * that finds no port evicts no connection, and then the client's tuple: if another CPU was faster with a packet of the
 * same client, the claim is undone and the other CPU's connection is used. (The packet may have evicted one by then.)
 */
__noinline enum fwd_reason open_insert_at(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct fwd_open *open = open_get();
	enum fwd_reason reason;
	struct fwd_slot *slot;
	struct fwd_conn *conn;
	int err;

	if (!pkt || !open)
		return FWD_TABLE_FULL;
	slot = slot_at(open->slot);
	conn = conn_at(open->slot);
	if (!slot || !conn)
		return FWD_TABLE_FULL;
	open_fill(ctx, open, conn);
	slot->mss = open->mss;
	slot->reopen = 0;
	slot->check_at = pkt->now + conn_timeout(conn->flow[FWD_DIR_FORWARD].ct_state);
	reason = port_claim(ctx, open);
	if (reason == FWD_OK) {
		pkt->entry = entry_of(open->slot, FWD_DIR_FORWARD);
		err = ring_insert(open->slot) ? table_insert(pkt->entry, &pkt->tuple) : -ENOSPC;
		if (!err) {
			slot_set_state(slot, slot->gen_state, FWD_SLOT_HALF_OPEN);
			open_count(open, FWD_OK);
			return FWD_OK;
		}
		table_remove(entry_of(open->slot, FWD_DIR_REPLY));
		reason = err == -EEXIST ? open_join(pkt, open) : FWD_TABLE_FULL;
	}
	slot_free(open->slot);
	return reason;
}

/* Allocates a slot and inserts the connection that open->conn plans. A function of its own, so that the stack frames
 * of slot_alloc() and open_insert_at() are not added up. */
__noinline enum fwd_reason open_insert(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct fwd_open *open = open_get();
	enum fwd_reason reason = FWD_TABLE_FULL;
	int slot;

	if (!pkt || !open)
		return reason;
	slot = slot_confirmed_limit() ? -ENOSPC : slot_alloc();
	open->slot = slot;
	if (slot >= 0)
		reason = open_insert_at(ctx, pkt);
	if (reason != FWD_OK)
		open_count(open, reason);
	return reason;
}

/* The part of the plan that follows from the packet alone. */
static __always_inline void open_plan(struct fwd_open *open, const struct fwd_pkt *pkt)
{
	struct fwd_flow *forward = &open->conn.flow[FWD_DIR_FORWARD];
	__u32 ct_state = (__u32)pkt->tuple.proto << FWD_CT_PROTO_SHIFT;

	__builtin_memset(open, 0, sizeof(*open));
	open->conn.addrs[FWD_DIR_FORWARD].saddr = pkt->tuple.saddr;
	open->conn.addrs[FWD_DIR_FORWARD].daddr = pkt->tuple.daddr;
	forward->sport = pkt->tuple.sport;
	forward->dport = pkt->tuple.dport;
	forward->last_seen = pkt->now;
	forward->rule = FWD_RULE_NONE;
	/* apply() takes the packet's flags and numbers, as of any other packet. */
	forward->ct_state = ct_state | FWD_CT_SEEN(FWD_DIR_FORWARD);
	if (pkt->tuple.proto != IPPROTO_TCP)
		forward->ack = pkt->now;
}

/* The target, port in network order, and a first source address. */
static __always_inline void open_plan_target(struct fwd_open *open, const struct fwd_addr *target, __be16 port,
					     const struct fwd_addr *source)
{
	open->conn.addrs[FWD_DIR_REPLY].saddr = *target;
	open->conn.addrs[FWD_DIR_REPLY].daddr = *source;
	open->conn.flow[FWD_DIR_FORWARD].to_dport = port;
}

/* Plans a client's connection through the rule at `index`. FWD_OK: open->conn is planned, except for its source. */
__noinline enum fwd_reason open_plan_mapped(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 index)
{
	struct fwd_open *open = open_get();
	struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	struct fwd_flow *forward;
	enum fwd_reason reason;
	__u16 shift, gen;
	int back_mtu;

	if (!pkt || !open || !rule)
		return FWD_NOT_OURS;
	/* Before the state, which fwdctl changes first: a rule that is freed meanwhile leaves a dead connection. */
	gen = READ_ONCE(rule->gen);
	reason = admit(ctx, pkt, index);
	if (reason != FWD_OK)
		return reason;
	open_plan(open, pkt);
	forward = &open->conn.flow[FWD_DIR_FORWARD];
	forward->rule = index;
	forward->rule_gen = gen;
	shift = bpf_ntohs(pkt->tuple.dport) - rule->listen_low;
	if (!port_pool_set(ctx, open, rule))
		return FWD_NO_SOURCE;
	/* The route is looked up with the first address of a pool, because `ip rule`s match pools by prefix, if at
	 * all. */
	open_plan_target(open, &rule->target, bpf_htons(rule->target_low + shift), &open->pool[0]);
	/* No record without a route. */
	pkt->entry = entry_of(0, FWD_DIR_FORWARD);
	reason = route_refresh(ctx, pkt, &open->conn);
	if (reason != FWD_OK)
		return reason;
	reason = route_admits(ctx, pkt, &forward->route);
	if (reason != FWD_OK)
		return reason;
	/* The client's address is one of the gateway, or no route leads to it: the stack would refuse it too
	 * (net/ipv4/fib_frontend.c, fib_validate_source). */
	back_mtu = route_back(ctx, pkt);
	if (back_mtu < 0)
		return FWD_RP_FILTER;
	if (!back_mtu && ctx_ifindex(ctx) != FWD_LOOPBACK)
		return FWD_MARTIAN;
	open->mss = mtu_choose_mss(pkt, forward->route.mtu, back_mtu, rule->mss);
	return FWD_OK;
}

/* Opens a client's connection through the rule at `index`. FWD_OK: pkt->entry is its entry. */
static __always_inline enum fwd_reason open_mapped(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 index)
{
	enum fwd_reason reason = open_plan_mapped(ctx, pkt, index);

	if (reason != FWD_OK)
		return reason;
	reason = open_insert(ctx, pkt);
	if (reason == FWD_NO_PORT)
		port_backoff_note(pkt, index);
	else if (reason == FWD_OK && port_backoff_any(pkt->now))
		port_backoff_reset(pkt, index);
	return reason;
}

/* Opens a connection of the gateway's own, whose source port a client's connection to the same target uses. */
static __always_inline enum fwd_reason open_local(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct fwd_open *open = open_get();

	if (!open)
		return FWD_NO_PORT;
	if (!device_is_own(ctx))
		return FWD_NOT_OURS;
	open_plan(open, pkt);
	open_plan_target(open, &pkt->tuple.daddr, pkt->tuple.dport, &pkt->tuple.saddr);
	open->pool[0] = pkt->tuple.saddr;
	open->pool_count = 1;
	open->skip_same_port = 1;
	return open_insert(ctx, pkt);
}

#endif
