/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: found, followed, confirmed and ended. How they begin is in open.h.
 *
 * The larger functions, here and in the other files, are not static: the verifier then checks each
 * once, by itself and for any arguments (hence their tests for NULL), instead of again at each call
 * and in each turn of a loop.
 */
#ifndef FWD_CONNTRACK_H
#define FWD_CONNTRACK_H

#include "maps.h"
#include "parse.h"
#include "slot.h"
#include "track.h"

enum fwd_end {
	FWD_END_EXPIRED, /* its timeout */
	FWD_END_EVICTED, /* pushed out of the half-open ring */
	FWD_END_OTHER,   /* its map went, a new one took its ports, or a command */
};

static __always_inline struct fwd_rule_stats *conn_rule_stats(const struct fwd_conn *conn)
{
	__u32 index = conn->rule;

	return index == FWD_RULE_NONE ? NULL : bpf_map_lookup_elem(&rule_stats, &index);
}

/* Its map was removed, or replaced by another in the same place. */
static __always_inline bool conn_is_dead(const struct fwd_conn *conn)
{
	__u32 index = conn->rule;
	const struct fwd_rule *rule;

	if (index == FWD_RULE_NONE)
		return false;
	rule = bpf_map_lookup_elem(&rules, &index);
	return !rule || rule->gen != conn->rule_gen;
}

static __always_inline void conn_count_end(struct fwd_rule_stats *stats, enum fwd_end how)
{
	struct fwd_counters *c = counters_get();

	if (c) {
		c->ended++;
		c->expired += how == FWD_END_EXPIRED;
		c->evicted += how == FWD_END_EVICTED;
	}
	if (stats)
		stats->ended++;
}

/*
 * Makes the caller the only one who ends the connection. False: somebody else is at it.
 *
 * Between a lookup and what is done with it, another CPU may end the connection and open one anew
 * under the same key, or the memory may become another entry. So: mark first, then look whether what
 * is marked is still what the key leads to, and only then read what it says.
 */
static __always_inline bool conn_own_end(const struct fwd_tuple *forward, struct fwd_conn *conn)
{
	if (__sync_fetch_and_or(&conn->track, FWD_TRACK_ENDING) & FWD_TRACK_ENDING)
		return false;
	if (bpf_map_lookup_elem(&conns, forward) == conn)
		return true;
	__sync_fetch_and_and(&conn->track, ~FWD_TRACK_ENDING);
	return false;
}

/*
 * Ends the connection of this FORWARD tuple, if it still holds this slot. Returns 1 if it did.
 *
 * Several may try at once: sweeper, packets, a command. FORWARD goes first: without it no packet from
 * the client gets through, and while its twin is there nobody else gets its source port.
 */
__noinline int conn_end(const struct fwd_tuple *forward, __u32 slot, enum fwd_end how)
{
	struct fwd_slot *place = bpf_map_lookup_elem(&slots, &slot);
	struct fwd_rule_stats *stats;
	struct fwd_tuple key, twin;
	struct fwd_conn *conn;
	__u32 use;

	if (!forward || !place)
		return 0;
	key = *forward; /* as a key, kernel 6.1 takes no memory that was an argument */
	use = place->use; /* before the look that shows that it is this connection's */
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn || conn->dir != FWD_DIR_FORWARD || conn->slot != slot)
		return 0;
	if (!conn_own_end(&key, conn))
		return 0;
	tuple_of_twin(&twin, conn, key.proto);
	/* The place of a map that is gone may be another's by now. */
	stats = conn_is_dead(conn) ? NULL : conn_rule_stats(conn);
	if (bpf_map_delete_elem(&conns, &key)) {
		__sync_fetch_and_and(&conn->track, ~FWD_TRACK_ENDING);
		return 0;
	}
	bpf_map_delete_elem(&conns, &twin);
	slot_release(place, slot, use);
	conn_count_end(stats, how);
	return 1;
}

/* The same for whoever has an entry of either direction, under the tuple it is stored by. */
__noinline int conn_end_entry(const struct fwd_tuple *tuple, const struct fwd_conn *conn)
{
	struct fwd_tuple forward;

	if (!tuple || !conn)
		return 0;
	if (conn->dir == FWD_DIR_FORWARD)
		return conn_end(tuple, conn->slot, FWD_END_OTHER);
	tuple_of_twin(&forward, conn, tuple->proto);
	conn = bpf_map_lookup_elem(&conns, &forward);
	return conn ? conn_end(&forward, conn->slot, FWD_END_OTHER) : 0;
}

/* The entry that the packet belongs to, or NULL. One lookup for a packet of a known connection. A SYN in the place
 * of one that is over ends it, but not where its TTL keeps it from being sent on: nothing would come instead. */
static __always_inline struct fwd_conn *conn_lookup(const struct fwd_pkt *pkt)
{
	struct fwd_conn *conn = bpf_map_lookup_elem(&conns, &pkt->tuple);

	if (!conn)
		return NULL;
	if (conn_is_dead(conn) ||
	    ((pkt->tcp_flags & FWD_TCP_SYN) && conn->dir == FWD_DIR_FORWARD && pkt->ttl > 1 &&
	     track_opens(pkt->tuple.proto, pkt->tcp_flags) &&
	     track_is_over(pkt->tuple.proto, conn->track))) {
		conn_end_entry(&pkt->tuple, conn);
		return NULL;
	}
	return conn;
}

/*
 * The entry that an ICMP error goes by, or NULL. It quotes a packet that this host had sent on, so
 * it travels like an answer to that packet. It neither refreshes the connection nor ends it: anybody
 * can send one (RFC 5508 REQ-6, RFC 5927).
 */
static __always_inline struct fwd_conn *conn_of_error(const struct fwd_pkt *pkt)
{
	struct fwd_tuple answer;
	struct fwd_conn *conn;

	tuple_swap(&answer, &pkt->quote.tuple);
	conn = bpf_map_lookup_elem(&conns, &answer);
	return conn && !conn_is_dead(conn) ? conn : NULL;
}

static __always_inline __u32 conn_timeout(__u8 proto, __u32 track)
{
	const struct fwd_config *c = config_get();
	__u32 which = fwd_state_timeout(fwd_state(proto, track));

	return c && which < FWD_TIMEOUT_MAX ? c->timeout[which] : 0;
}

/*
 * From the half-open ring to a place of its own. The old place is the ring's: whoever comes round, the
 * sweeper at the latest, finds that its connection has moved. Without a free place it stays where it is,
 * and slot_take_half_open() spares it.
 */
__noinline int conn_confirm(struct fwd_conn *forward, const struct fwd_tuple *key, __u32 check_at)
{
	struct fwd_slot *slot;
	__u32 index, old;

	if (!forward || !key)
		return 0;
	old = forward->slot;
	if (slot_is_confirmed(old) || !slot_take_confirmed(&index))
		return 0;
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot || !slot_take(slot, slot->use))
		return 0;
	forward->slot = index;
	slot_fill(slot, key, check_at);
	slot_check_by(old, forward->last_seen); /* at once */
	return 0;
}

/* What conn_track() does for the few packets that change what is known. */
__noinline int conn_track_change(const struct fwd_pkt *pkt, struct fwd_conn *conn, __u32 next)
{
	struct fwd_conn *twin, *forward;
	__u32 set, clear, check_at;
	struct fwd_tuple key;

	if (!pkt || !conn)
		return 0;
	set = next & ~conn->track;
	clear = conn->track & ~next;
	tuple_of_twin(&key, conn, pkt->tuple.proto);
	twin = bpf_map_lookup_elem(&conns, &key);
	if (!twin)
		return 0;
	if (clear) {
		__sync_fetch_and_and(&conn->track, ~clear);
		__sync_fetch_and_and(&twin->track, ~clear);
	}
	__sync_fetch_and_or(&twin->track, set);
	/* The one that adds the bit is the one that confirms. */
	set &= ~__sync_fetch_and_or(&conn->track, set);

	forward = conn->dir == FWD_DIR_FORWARD ? conn : twin;
	if (conn->dir == FWD_DIR_FORWARD)
		key = pkt->tuple;
	else if ((pkt->tcp_flags & FWD_TCP_SYN) && !(next & FWD_TRACK_CONFIRMED))
		forward->ack = pkt->seq + 1;
	check_at = pkt->now + conn_timeout(pkt->tuple.proto, next);
	if (set & FWD_TRACK_CONFIRMED)
		conn_confirm(forward, &key, check_at);
	slot_check_by(forward->slot, check_at);
	return 0;
}

/*
 * Is this RST or FIN in the stream, as far as the other side has acknowledged it? Off the path nobody
 * knows the number: such a packet is passed on, for the end to judge, and changes nothing here
 * (RFC 5961 3.2; nf_conntrack compares with the window).
 */
static __noinline bool conn_believes(const struct fwd_pkt *pkt, const struct fwd_conn *conn)
{
	const struct fwd_conn *twin;
	struct fwd_tuple key;

	tuple_of_twin(&key, conn, pkt->tuple.proto);
	twin = bpf_map_lookup_elem(&conns, &key);
	return twin && track_seq_fits(pkt->seq, twin->ack);
}

/* Learns from the packet. Both entries carry the same bits, so that nearly every packet finds in its
 * own that it adds nothing. The target's SYNs always take the long way: a repeated one may bring
 * another sequence number. */
static __always_inline void conn_track(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	bool reply = conn->dir == FWD_DIR_REPLY, proves;
	__u8 flags = pkt->tcp_flags;
	__u32 next;

	if (pkt->tuple.proto == IPPROTO_TCP) {
		if ((flags & (FWD_TCP_RST | FWD_TCP_FIN)) && (conn->track & FWD_TRACK_CONFIRMED) &&
		    !conn_believes(pkt, conn))
			flags &= ~(FWD_TCP_RST | FWD_TCP_FIN | FWD_TCP_ACK);
		proves = !reply && track_tcp_proves(conn->track, flags, pkt->ack, conn->ack);
		next = track_tcp(conn->track, conn->dir, flags, proves);
	} else {
		next = track_udp(conn->track, conn->dir);
	}
	if (next != conn->track || (reply && (flags & FWD_TCP_SYN)))
		conn_track_change(pkt, conn, next);
	if ((flags & FWD_TCP_ACK) && (reply || (next & FWD_TRACK_CONFIRMED)))
		conn->ack = pkt->ack;
}

/* Not atomic: a flow is on one CPU at a time, but for the moment in which the kernel moves it, and
 * then a count may be lost. */
static __always_inline void conn_count(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_rule_stats *stats = conn_rule_stats(conn);
	__u32 dir = conn->dir & 1;

	conn->last_seen = pkt->now;
	conn->packets += pkt->segments;
	conn->bytes += pkt->bytes;
	if (stats) {
		stats->packets[dir] += pkt->segments;
		stats->bytes[dir] += pkt->bytes;
	}
}

#endif
