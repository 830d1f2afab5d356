/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: lookup, state, counters and end. step/open.h opens them.
 *
 * The larger functions, here and in other files, are not static: the verifier then checks each of them once, by itself
 * and for any arguments (hence their tests for NULL), instead of at each call and in each iteration of a loop. Those
 * without a result return 0, because older verifiers refuse global functions that return void.
 */
#ifndef FWD_BPF_CT_CONNTRACK_H
#define FWD_BPF_CT_CONNTRACK_H

#include "fwd/conn.h"
#include "base/maps.h"
#include "ct/ct_state.h"
#include "ct/port_backoff.h"
#include "ct/port_quarantine.h"
#include "ct/slot.h"
#include "ct/table.h"
#include "pkt/pkt.h"

/* FWD_END_EXPIRED, ...: the reason for the end of a connection, and its counter. */
enum fwd_end {
#define X(symbol) FWD_END_##symbol = FWD_COUNTER_##symbol,
	FWD_COUNTERS_OF_ENDS(X)
#undef X
};

static __always_inline enum fwd_dir pkt_dir(const struct fwd_pkt *pkt)
{
	return entry_dir(pkt->entry);
}

/* The flow of the packet's direction. */
static __always_inline struct fwd_flow *conn_flow(struct fwd_conn *conn, const struct fwd_pkt *pkt)
{
	return &conn->flow[pkt_dir(pkt)];
}

/* A connection of the gateway's own. Asked of the packet's direction, whose cache line is loaded anyway. */
static __always_inline bool flow_is_own(const struct fwd_flow *flow)
{
	return flow->rule == FWD_RULE_NONE;
}

static __always_inline struct fwd_rule_stats *flow_rule_stats(const struct fwd_flow *flow)
{
	__u32 index = flow->rule;

	return flow_is_own(flow) ? NULL : bpf_map_lookup_elem(&rule_stats, &index);
}

/* Its rule was removed, or another rule has the same index now. */
static __always_inline bool flow_is_dead(const struct fwd_flow *flow)
{
	__u32 index = flow->rule;
	const struct fwd_rule *rule;

	if (flow_is_own(flow))
		return false;
	rule = bpf_map_lookup_elem(&rules, &index);
	return !rule || (__u16)rule->gen != flow->rule_gen;
}

static __always_inline void conn_count_end(struct fwd_rule_stats *stats, enum fwd_end how)
{
	counter_add(FWD_COUNTER_ENDED);
	/* By name, because the verifier does not know that the number is within the array. */
	switch (how) {
#define X(symbol)                                  \
	case FWD_END_##symbol:                     \
		counter_add(FWD_COUNTER_##symbol); \
		break;
		FWD_COUNTERS_OF_ENDS(X)
#undef X
	}
	if (stats)
		stats->ended++;
}

/*
 * Ends the connection in this slot, if it is still the one of gen_state. Returns 1 if it did.
 *
 * The collector, packets and a command may try it at the same time. The FORWARD entry is removed first: without it no
 * packet of the client is forwarded, and while the REPLY entry exists no other connection gets its source port.
 */
__noinline int conn_end(__u32 index, __u32 gen_state, enum fwd_end how)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_conn *conn = conn_at(index);
	struct fwd_flow *flow;

	if (!slot || !conn || !slot_reserve(slot, gen_state))
		return 0;
	flow = &conn->flow[FWD_DIR_FORWARD];
	port_quarantine_begin(index);
	table_remove(entry_of(index, FWD_DIR_FORWARD));
	table_remove(entry_of(index, FWD_DIR_REPLY));
	/* Another rule may have the index of a removed one. */
	conn_count_end(flow_is_dead(flow) ? NULL : flow_rule_stats(flow), how);
	slot_free(index);
	return 1;
}

/* Ends the connection of the entry, if it still has this tuple. Returns 1 if it did. */
__noinline int conn_end_found(__u32 entry, const struct fwd_tuple *tuple, enum fwd_end how)
{
	struct fwd_slot *slot = slot_at(entry_index(entry));
	__u32 gen_state;

	if (!slot || !tuple)
		return 0;
	gen_state = slot_gen_state(slot);
	return entry_is(entry, tuple) ? conn_end(entry_index(entry), gen_state, how) : 0;
}

/* The connection that has this tuple in one direction, or NULL. pkt->entry: the entry, with the direction. */
static __always_inline struct fwd_conn *conn_find(struct fwd_pkt *pkt, const struct fwd_tuple *tuple)
{
	int entry = table_find(tuple);

	if (entry < 0)
		return NULL;
	pkt->entry = entry;
	return conn_at(entry_index(entry));
}

/*
 * The connection of the packet, or NULL; pkt->entry: its entry. One lookup for a packet of a known connection. It may
 * end the connection that it finds, and then resets the backoff of its target, because a port is free again:
 *
 * A SYN in place of a closed connection ends it, so that the new connection can have the same source port; but not if
 * the SYN's TTL is used up, because then no new connection follows.
 */
static __always_inline struct fwd_conn *conn_lookup(struct fwd_pkt *pkt)
{
	struct fwd_conn *conn = conn_find(pkt, &pkt->tuple);
	struct fwd_flow *flow;
	__u32 rule;
	bool dead;

	if (!conn)
		return NULL;
	flow = conn_flow(conn, pkt);
	dead = flow_is_dead(flow);
	if (dead || ((pkt->tcp_flags & FWD_TCP_SYN) && pkt_dir(pkt) == FWD_DIR_FORWARD && pkt->ttl > 1 &&
		     ct_opens(pkt->tuple.proto, pkt->tcp_flags) && ct_is_closed(flow->ct_state))) {
		rule = flow->rule;
		conn_end_found(pkt->entry, &pkt->tuple, dead ? FWD_END_REMOVED : FWD_END_REPLACED);
		if (port_backoff_any(pkt->now))
			port_backoff_reset(pkt, rule);
		return NULL;
	}
	return conn;
}

/* The connection of the packet that an ICMP error quotes, or NULL. This host forwarded the quoted packet, so the
 * error takes the path of a reply to it. It neither refreshes the connection nor ends it, because anybody can send
 * one (RFC 5508 REQ-6, RFC 5927). */
static __always_inline struct fwd_conn *conn_lookup_quote(struct fwd_pkt *pkt)
{
	struct fwd_tuple reply;
	struct fwd_conn *conn;

	tuple_swap(&reply, &pkt->quote.tuple);
	conn = conn_find(pkt, &reply);
	return conn && !flow_is_dead(conn_flow(conn, pkt)) ? conn : NULL;
}

/* False for a packet of the target that belongs to an earlier connection between the same ports, which home has not
 * forgotten: its acknowledgment of a new client's SYN carries the numbers of the old connection. Left to the stack,
 * which resets that one. */
static __always_inline bool conn_expects(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	return ct_expects(conn_flow(conn, pkt)->ct_state, pkt_dir(pkt), pkt->tcp_flags);
}

/* The timeout in this state, in ticks. Unconfirmed connections get a short one during a flood, and closed ones while
 * the table is nearly full, like nf_conntrack's early_drop(). */
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

/* Changes the state from `now`, as it was read once, to `next`, in both directions. Bits that another CPU has set since
 * stay, because only those that this packet changes are written. */
static __always_inline void conn_set_state(const struct fwd_pkt *pkt, struct fwd_conn *conn, struct fwd_slot *slot,
					   __u32 now, __u32 next)
{
	struct fwd_flow *flow = conn_flow(conn, pkt), *reverse = &conn->flow[dir_reverse(pkt_dir(pkt))];
	__u32 set = next & ~now, clear = now & ~next;

	if (clear) {
		__sync_fetch_and_and(&flow->ct_state, ~clear);
		__sync_fetch_and_and(&reverse->ct_state, ~clear);
	}
	__sync_fetch_and_or(&reverse->ct_state, set);
	/* Only the CPU that sets the bit confirms. */
	set &= ~__sync_fetch_and_or(&flow->ct_state, set);
	if (set & FWD_CT_CONFIRMED)
		slot_confirm(slot, slot_gen_state(slot));
	slot_check_before(slot, pkt->now + conn_timeout(next), pkt->now);
}

/* conn_update() for UDP packets that change the state. */
__noinline int conn_update_udp(const struct fwd_pkt *pkt, struct fwd_conn *conn, __u32 now, __u32 next)
{
	struct fwd_slot *slot;

	if (!pkt || !conn)
		return 0;
	slot = slot_at(entry_index(pkt->entry));
	if (slot)
		conn_set_state(pkt, conn, slot, now, next);
	return 0;
}

/* The segment, without the payload of later fragments. */
static __always_inline struct ct_segment conn_segment(const struct fwd_pkt *pkt)
{
	__u32 payload = pkt->bytes - (pkt->l4_off - pkt->l3_off) - pkt->l4_len;

	return (struct ct_segment){
		.seq = pkt->seq,
		.end = pkt->seq + payload + !!(pkt->tcp_flags & FWD_TCP_SYN) + !!(pkt->tcp_flags & FWD_TCP_FIN),
		.ack = pkt->ack,
		.flags = pkt->tcp_flags,
	};
}

/*
 * Handshake and reopening. A SYN of the client within a closing connection is remembered. If the target answers it,
 * both ends have forgotten the old connection and opened another one, which stays confirmed. Other SYNs within a
 * confirmed connection change nothing, because anybody can forge one. Returns the new bits.
 */
static __always_inline __u32 conn_update_syn(const struct ct_segment *g, struct fwd_conn *conn, struct fwd_slot *slot,
					     enum fwd_dir dir, __u32 now)
{
	struct fwd_flow *flow = &conn->flow[dir], *reverse = &conn->flow[dir_reverse(dir)];
	__u32 next;

	if (now & FWD_CT_CONFIRMED) {
		if (!(now & FWD_CT_CLOSING))
			return now;
		if (dir == FWD_DIR_FORWARD) {
			slot->reopen = g->end;
			return now;
		}
		if (!(g->flags & FWD_TCP_ACK) || !slot->reopen || g->ack != slot->reopen)
			return now;
		slot->reopen = 0;
		reverse->end = g->ack;
	}
	next = ct_tcp_next_syn(now, dir, now & FWD_CT_CONFIRMED);
	flow->end = g->end;
	/* The numbers that the other end acknowledges from here on. FORWARD: this confirms the connection. */
	if (dir == FWD_DIR_REPLY || !(now & FWD_CT_SYN(FWD_DIR_REPLY)))
		reverse->ack = g->seq + 1;
	if (dir == FWD_DIR_REPLY)
		flow->ack = g->flags & FWD_TCP_ACK ? g->ack : reverse->end;
	return next;
}

/* A RST ends a confirmed connection only with the exact number. Returns the new bits. */
static __always_inline __u32 conn_update_rst(const struct ct_segment *g, struct fwd_conn *conn, enum fwd_dir dir,
					     __u32 now)
{
	const struct fwd_flow *flow = &conn->flow[dir], *reverse = &conn->flow[dir_reverse(dir)];

	if ((now & FWD_CT_CONFIRMED) &&
	    !ct_tcp_resets(g, (struct ct_seen){flow->ack, flow->end}, (struct ct_seen){reverse->ack, reverse->end}))
		return now;
	return ct_tcp_next(now, dir, FWD_TCP_RST, false, false, false);
}

/* All other segments: data, ACK, FIN. Returns the new bits. */
static __always_inline __u32 conn_update_segment(const struct ct_segment *g, struct fwd_conn *conn, enum fwd_dir dir,
						 __u32 now)
{
	struct fwd_flow *flow = &conn->flow[dir], *reverse = &conn->flow[dir_reverse(dir)];
	struct ct_seen own = {flow->ack, flow->end}, other = {reverse->ack, reverse->end};
	bool acks = g->flags & FWD_TCP_ACK, advances, confirms;

	/* The next segment in order proves itself. */
	if ((now & FWD_CT_CONFIRMED) && g->seq != own.end && !ct_tcp_is_plausible(g, own, other))
		return now;
	confirms = dir == FWD_DIR_FORWARD && ct_tcp_confirms(now, g->flags, g->ack, own.ack);
	advances = (__s32)(g->end - own.end) > 0;
	if (advances)
		flow->end = g->end;
	/* Before confirmation FORWARD's is the number that confirms. */
	if (confirms || (acks && (__s32)(g->ack - own.ack) > 0 && (dir == FWD_DIR_REPLY || (now & FWD_CT_CONFIRMED))))
		flow->ack = g->ack;
	return ct_tcp_next(now, dir, g->flags, advances, acks && g->ack == other.end, confirms);
}

/* conn_update() for TCP segments that do not merely continue a steady connection. */
__noinline int conn_update_tcp(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_slot *slot;
	struct ct_segment g;
	enum fwd_dir dir;
	__u32 now, next;

	if (!pkt || !conn)
		return 0;
	slot = slot_at(entry_index(pkt->entry));
	if (!slot)
		return 0;
	dir = pkt_dir(pkt);
	now = READ_ONCE(conn->flow[dir].ct_state);
	g = conn_segment(pkt);
	if (g.flags & FWD_TCP_RST)
		next = conn_update_rst(&g, conn, dir, now);
	else if (g.flags & FWD_TCP_SYN)
		next = conn_update_syn(&g, conn, slot, dir, now);
	else
		next = conn_update_segment(&g, conn, dir, now);
	if (next != now || ((g.flags & (FWD_TCP_SYN | FWD_TCP_RST)) == FWD_TCP_SYN))
		conn_set_state(pkt, conn, slot, now, next);
	return 0;
}

/*
 * Updates the state. Both directions have the same bits, so nearly every packet finds in its own cache line that it
 * changes nothing but numbers: it is the next segment, or an ACK without data, of a connection in which nothing else is
 * expected.
 */
static __always_inline void conn_update(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_flow *flow = conn_flow(conn, pkt);
	__u32 now = READ_ONCE(flow->ct_state), next;

	if (pkt->tuple.proto != IPPROTO_TCP) {
		next = ct_udp_next(now, pkt_dir(pkt), pkt->now - flow->ack >= CT_UDP_STREAM_AGE);
		if (next != now)
			conn_update_udp(pkt, conn, now, next);
		return;
	}
	if (pkt->seq != flow->end ||
	    (pkt->tcp_flags & (FWD_TCP_SYN | FWD_TCP_RST | FWD_TCP_FIN | FWD_TCP_ACK)) != FWD_TCP_ACK ||
	    !ct_tcp_is_steady(now, pkt_dir(pkt))) {
		conn_update_tcp(pkt, conn);
		return;
	}
	flow->end = conn_segment(pkt).end;
	if ((__s32)(pkt->ack - flow->ack) > 0)
		flow->ack = pkt->ack;
}

/* Not atomic, because the packets of a flow are processed by one CPU at a time, except for the moment in which the
 * kernel moves the flow to another CPU. A count may then be lost. */
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

/* The value to which an MSS option is lowered; 0: unchanged. */
static __always_inline __u16 conn_mss(const struct fwd_pkt *pkt)
{
	const struct fwd_slot *slot = slot_at(entry_index(pkt->entry));

	return slot ? slot->mss : 0;
}

#endif
