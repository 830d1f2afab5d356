/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: found, followed, confirmed and ended. How they begin is in open.h.
 *
 * The larger functions, here and in the other files, are not static: the verifier then checks each
 * once, by itself and for any arguments (hence their tests for NULL), instead of again at each call
 * and in each turn of a loop.
 */
#ifndef FWD_BPF_CT_CONNTRACK_H
#define FWD_BPF_CT_CONNTRACK_H

#include "fwd/conn.h"
#include "base/maps.h"
#include "ct/ct_state.h"
#include "ct/port_backoff.h"
#include "ct/slot.h"
#include "ct/table.h"
#include "pkt/pkt.h"

enum fwd_end {
	FWD_END_EXPIRED, /* its timeout */
	FWD_END_EVICTED, /* pushed out of the half-open ring */
	FWD_END_OTHER,   /* its map went, a new one took its ports, or a command */
};

static __always_inline enum fwd_dir pkt_dir(const struct fwd_pkt *pkt)
{
	return entry_dir(pkt->entry);
}

/* That of the direction that the packet goes in. */
static __always_inline struct fwd_flow *conn_flow(struct fwd_conn *conn, const struct fwd_pkt *pkt)
{
	return &conn->flow[pkt_dir(pkt)];
}

/* Of a connection of the gateway's own; asked of the packet's direction, whose cache line is at hand. */
static __always_inline bool flow_is_local(const struct fwd_flow *flow)
{
	return flow->rule == FWD_RULE_NONE;
}

static __always_inline struct fwd_rule_stats *flow_rule_stats(const struct fwd_flow *flow)
{
	__u32 index = flow->rule;

	return flow_is_local(flow) ? NULL : bpf_map_lookup_elem(&rule_stats, &index);
}

/* Its map was removed, or replaced by another in the same place. */
static __always_inline bool flow_is_dead(const struct fwd_flow *flow)
{
	__u32 index = flow->rule;
	const struct fwd_rule *rule;

	if (flow_is_local(flow))
		return false;
	rule = bpf_map_lookup_elem(&rules, &index);
	return !rule || (__u16)rule->gen != flow->rule_gen;
}

static __always_inline void conn_count_end(struct fwd_rule_stats *stats, enum fwd_end how)
{
	counter_add(FWD_COUNTER_ENDED);
	if (how == FWD_END_EXPIRED)
		counter_add(FWD_COUNTER_EXPIRED);
	if (how == FWD_END_EVICTED)
		counter_add(FWD_COUNTER_EVICTED);
	if (stats)
		stats->ended++;
}

/*
 * Ends the connection in this slot, if it is still the one that was there when `use` was read. Returns 1 if it did.
 *
 * Several may try at once: sweeper, packets, a command. FORWARD goes first: without it no packet from
 * the client gets through, and while its twin is there nobody else gets its source port.
 */
__noinline int conn_end(__u32 index, __u32 gen_state, enum fwd_end how)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_conn *conn = conn_at(index);
	struct fwd_flow *flow;

	if (!slot || !conn || !slot_reserve(slot, gen_state))
		return 0;
	flow = &conn->flow[FWD_DIR_FORWARD];
	table_remove(entry_of(index, FWD_DIR_FORWARD));
	table_remove(entry_of(index, FWD_DIR_REPLY));
	/* The place of a map that is gone may be another's by now. */
	conn_count_end(flow_is_dead(flow) ? NULL : flow_rule_stats(flow), how);
	slot_free(index);
	return 1;
}

/* The same of the connection that was found by this tuple, if its packets still look like that. */
__noinline int conn_end_found(__u32 entry, const struct fwd_tuple *tuple)
{
	struct fwd_slot *slot = slot_at(entry_index(entry));
	__u32 gen_state;

	if (!slot || !tuple)
		return 0;
	gen_state = slot_gen_state(slot);
	return entry_is(entry, tuple) ? conn_end(entry_index(entry), gen_state, FWD_END_OTHER) : 0;
}

/* The connection whose packets look like this in one direction, and in pkt->entry in which; or NULL. */
static __always_inline struct fwd_conn *conn_find(struct fwd_pkt *pkt, const struct fwd_tuple *tuple)
{
	int entry = table_find(tuple);

	if (entry < 0)
		return NULL;
	pkt->entry = entry;
	return conn_at(entry_index(entry));
}

/* The connection that the packet belongs to, and in pkt->entry the direction too; or NULL. One lookup for a packet of a
 * known connection. A SYN in the place of one that is over ends it, and there is a port for what comes instead; but not where
 * its TTL keeps it from being sent on: nothing would come. */
static __always_inline struct fwd_conn *conn_lookup(struct fwd_pkt *pkt)
{
	struct fwd_conn *conn = conn_find(pkt, &pkt->tuple);
	struct fwd_flow *flow;
	__u32 rule;

	if (!conn)
		return NULL;
	flow = conn_flow(conn, pkt);
	if (flow_is_dead(flow) || ((pkt->tcp_flags & FWD_TCP_SYN) && pkt_dir(pkt) == FWD_DIR_FORWARD && pkt->ttl > 1 &&
				   ct_opens(pkt->tuple.proto, pkt->tcp_flags) && ct_is_closed(flow->ct_state))) {
		rule = flow->rule;
		conn_end_found(pkt->entry, &pkt->tuple);
		if (port_backoff_any(pkt->now))
			port_backoff_reset(pkt, rule);
		return NULL;
	}
	return conn;
}

/*
 * The connection that an ICMP error goes by, or NULL. It quotes a packet that this host had sent on, so
 * it travels like an answer to that packet. It neither refreshes the connection nor ends it: anybody
 * can send one (RFC 5508 REQ-6, RFC 5927).
 */
static __always_inline struct fwd_conn *conn_lookup_quote(struct fwd_pkt *pkt)
{
	struct fwd_tuple answer;
	struct fwd_conn *conn;

	tuple_swap(&answer, &pkt->quote.tuple);
	conn = conn_find(pkt, &answer);
	return conn && !flow_is_dead(conn_flow(conn, pkt)) ? conn : NULL;
}

/* In ticks. Those nobody has confirmed have little of it in a flood, and those that are over while places are wanted, as in
 * nf_conntrack's early_drop(). */
static __always_inline __u32 conn_timeout(__u32 ct_state)
{
	const struct fwd_config *c = config_get();
	const struct fwd_gc *s = gc_get();
	__u32 which = fwd_state_timeout(fwd_state(ct_state));

	if (!c || !s || which >= FWD_TIMEOUT_MAX)
		return 0;
	if (((s->flood && !(ct_state & FWD_CT_CONFIRMED)) || (s->nearly_full && ct_is_closed(ct_state))) &&
	    c->timeout[which] > c->timeout[FWD_TIMEOUT_FLOOD])
		which = FWD_TIMEOUT_FLOOD;
	return c->timeout[which];
}

/* What conn_update() does for the few packets that change what is known. */
__noinline int conn_update_state(const struct fwd_pkt *pkt, struct fwd_conn *conn, __u32 next)
{
	struct fwd_flow *flow, *reverse;
	__u32 set, clear;
	struct fwd_slot *slot;
	enum fwd_dir dir;

	if (!pkt || !conn)
		return 0;
	dir = pkt_dir(pkt);
	slot = slot_at(entry_index(pkt->entry));
	if (!slot)
		return 0;
	flow = &conn->flow[dir];
	reverse = &conn->flow[dir_reverse(dir)];
	set = next & ~flow->ct_state;
	clear = flow->ct_state & ~next;
	if (clear) {
		__sync_fetch_and_and(&flow->ct_state, ~clear);
		__sync_fetch_and_and(&reverse->ct_state, ~clear);
	}
	__sync_fetch_and_or(&reverse->ct_state, set);
	/* The one that adds the bit is the one that confirms. */
	set &= ~__sync_fetch_and_or(&flow->ct_state, set);

	if (dir == FWD_DIR_REPLY && (pkt->tcp_flags & FWD_TCP_SYN) && !(next & FWD_CT_CONFIRMED))
		reverse->ack = pkt->seq + 1;
	if (set & FWD_CT_CONFIRMED)
		slot_confirm(slot, slot_gen_state(slot));
	slot_check_before(slot, pkt->now + conn_timeout(next), pkt->now);
	return 0;
}

/*
 * Is this RST or FIN in the stream, as far as the other side has acknowledged it? Off the path nobody
 * knows the number: such a packet is passed on, for the end to judge, and changes nothing here
 * (RFC 5961 3.2; nf_conntrack compares with the window).
 */
static __always_inline bool conn_seq_in_window(const struct fwd_pkt *pkt, const struct fwd_conn *conn)
{
	return ct_seq_in_window(pkt->seq, conn->flow[dir_reverse(pkt_dir(pkt))].ack);
}

/* Learns from the packet. Both directions carry the same bits, so that nearly every packet finds in its
 * own that it adds nothing. The target's SYNs always take the long way: a repeated one may bring
 * another sequence number. */
static __always_inline void conn_update(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	bool reply = pkt_dir(pkt) == FWD_DIR_REPLY, proves;
	struct fwd_flow *flow = conn_flow(conn, pkt);
	__u8 flags = pkt->tcp_flags;
	__u32 next;

	if (pkt->tuple.proto == IPPROTO_TCP) {
		if ((flags & (FWD_TCP_RST | FWD_TCP_FIN)) && (flow->ct_state & FWD_CT_CONFIRMED) &&
		    !conn_seq_in_window(pkt, conn))
			flags &= ~(FWD_TCP_RST | FWD_TCP_FIN | FWD_TCP_ACK);
		proves = !reply && ct_tcp_confirms(flow->ct_state, flags, pkt->ack, flow->ack);
		next = ct_tcp_next(flow->ct_state, pkt_dir(pkt), flags, proves);
	} else {
		next = ct_udp_next(flow->ct_state, pkt_dir(pkt));
	}
	if (next != flow->ct_state || (reply && (flags & FWD_TCP_SYN)))
		conn_update_state(pkt, conn, next);
	if ((flags & FWD_TCP_ACK) && (reply || (next & FWD_CT_CONFIRMED)))
		flow->ack = pkt->ack;
}

/* Not atomic: a flow is on one CPU at a time, but for the moment in which the kernel moves it, and
 * then a count may be lost. */
static __always_inline void conn_count(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_flow *flow = conn_flow(conn, pkt);
	struct fwd_rule_stats *stats = flow_rule_stats(flow);
	enum fwd_dir dir = pkt_dir(pkt);

	flow->last_seen = pkt->now;
	flow->packets += pkt->segments;
	flow->bytes += pkt->bytes;
	if (stats) {
		stats->packets[dir] += pkt->segments;
		stats->bytes[dir] += pkt->bytes;
	}
}

/* To lower an MSS option to; 0: as it is. */
static __always_inline __u16 conn_mss(const struct fwd_pkt *pkt)
{
	const struct fwd_slot *slot = slot_at(entry_index(pkt->entry));

	return slot ? slot->mss : 0;
}

#endif
