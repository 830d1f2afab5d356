/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * State transitions: pure functions from the bits of a connection and one packet to new bits.
 */
#ifndef FWD_BPF_CT_CT_STATE_H
#define FWD_BPF_CT_CT_STATE_H

#include <stdbool.h>
#include <linux/in.h>
#include "fwd/clock.h"
#include "fwd/ct_state.h"

/* The distance behind the target's SYN at which an ACK still proves that its sender received that SYN. The target
 * may have sent data with its SYN or right after it (TCP Fast Open). A blind sender succeeds with one packet in
 * 65,536. */
#define CT_CONFIRM_WINDOW 65536

/* This ACK from the client proves that it received the target's SYN. proof: the lowest such ACK number, host order. */
static __always_inline bool ct_tcp_confirms(__u32 ct_state, __u8 flags, __u32 ack, __u32 proof)
{
	return (ct_state & FWD_CT_SYN(FWD_DIR_REPLY)) && (flags & FWD_TCP_ACK) &&
	       !(flags & (FWD_TCP_SYN | FWD_TCP_RST)) && ack - proof < CT_CONFIRM_WINDOW;
}

/* A TCP segment, host order. An off-path attacker knows none of the numbers of a connection. */
struct ct_segment {
	__u32 seq;
	__u32 end; /* seq plus payload, SYN and FIN: the next sequence number */
	__u32 ack;
	__u8 flags;
};

/* The numbers of one direction when the segment arrives: the fields of struct fwd_flow. */
struct ct_seen {
	__u32 ack;
	__u32 end;
};

/* The most by which a segment precedes the numbers seen (a retransmission, a late one), and by which it is ahead of the
 * last acknowledged byte (data in flight: the largest window is 1 GiB, but the largest in use are some 64 MiB). */
#define CT_SEQ_BEHIND (1U << 16)
#define CT_SEQ_AHEAD  (1U << 26)

/*
 * The segment fits both directions: its data is near that which the other end has acknowledged, and it acknowledges
 * data that the other end has sent. A blind sender succeeds with one packet in four million; nf_conntrack compares with
 * the window of the connection.
 */
static __always_inline bool ct_tcp_is_plausible(const struct ct_segment *g, struct ct_seen own, struct ct_seen other)
{
	__u32 oldest = own.ack - CT_SEQ_BEHIND;

	return (g->flags & FWD_TCP_ACK) && g->seq - other.ack + CT_SEQ_BEHIND < CT_SEQ_BEHIND + CT_SEQ_AHEAD &&
	       g->ack - oldest <= other.end - oldest;
}

/* A RST is the sender's only if its number is exactly the next one: that which the other end expects, or that which
 * follows the sender's last segment (RFC 5961 3.2; nf_conntrack_proto_tcp.c, TCP_CONNTRACK_CLOSE). */
static __always_inline bool ct_tcp_resets(const struct ct_segment *g, struct ct_seen own, struct ct_seen other)
{
	return g->seq == other.ack || g->seq == own.end;
}

/* The bits of a FIN or RST, of both directions. */
#define FWD_CT_CLOSING                                                                                 \
	(FWD_CT_FIN(FWD_DIR_FORWARD) | FWD_CT_FIN(FWD_DIR_REPLY) | FWD_CT_FIN_ACKED(FWD_DIR_FORWARD) | \
	 FWD_CT_FIN_ACKED(FWD_DIR_REPLY) | FWD_CT_RST(FWD_DIR_FORWARD) | FWD_CT_RST(FWD_DIR_REPLY))

/* Nothing but data and ACKs is expected. */
static __always_inline bool ct_tcp_is_steady(__u32 ct_state, enum fwd_dir dir)
{
	const __u32 steady = FWD_CT_CONFIRMED | FWD_CT_SEEN(dir);

	return (ct_state & (steady | FWD_CT_CLOSING)) == steady;
}

/*
 * The bits after this segment, which is no SYN unless it has RST as well. `advances`: its data is beyond all that the
 * direction has sent. `closes`: it acknowledges the reverse direction's FIN. `confirms`: see ct_tcp_confirms().
 */
static __always_inline __u32 ct_tcp_next(__u32 ct_state, enum fwd_dir dir, __u8 flags, bool advances, bool closes,
					 bool confirms)
{
	__u32 next = ct_state | FWD_CT_SEEN(dir);

	if (flags & FWD_TCP_RST)
		return next | FWD_CT_RST(dir);
	/* A segment after a RST of the same direction shows that the RST was forged, data after a FIN the same. */
	next &= ~FWD_CT_RST(dir);
	if (advances)
		next &= ~(FWD_CT_FIN(dir) | FWD_CT_FIN_ACKED(dir));
	if (flags & FWD_TCP_FIN)
		next |= FWD_CT_FIN(dir);
	if (closes && (ct_state & FWD_CT_FIN(dir_reverse(dir))))
		next |= FWD_CT_FIN_ACKED(dir_reverse(dir));
	if (confirms)
		next |= FWD_CT_CONFIRMED;
	return next;
}

/* The bits after a SYN. It changes a confirmed connection only if it `reopens` one that is closing: it answers a SYN
 * that the client has sent since (nf_conntrack_proto_tcp.c, "SYN/ACK in response to earlier ignored SYN"). */
static __always_inline __u32 ct_tcp_next_syn(__u32 ct_state, enum fwd_dir dir, bool reopens)
{
	if ((ct_state & FWD_CT_CONFIRMED) && !reopens)
		return ct_state;
	if (reopens)
		ct_state &= ~FWD_CT_CLOSING;
	return ct_state | FWD_CT_SEEN(dir) | FWD_CT_SYN(dir);
}

/* A UDP flow of this age with packets in both directions is a stream (nf_conntrack_proto_udp.c, stream_ts). */
#define CT_UDP_STREAM_AGE FWD_TICKS(2)

/* UDP is confirmed, nf_conntrack's ASSURED, by a packet of the client after a reply, and by a stream of either
 * direction. */
static __always_inline __u32 ct_udp_next(__u32 ct_state, enum fwd_dir dir, bool stream)
{
	const __u32 both = FWD_CT_SEEN(FWD_DIR_FORWARD) | FWD_CT_SEEN(FWD_DIR_REPLY);
	__u32 next = ct_state | FWD_CT_SEEN(dir);

	if ((dir == FWD_DIR_FORWARD && (ct_state & FWD_CT_SEEN(FWD_DIR_REPLY))) || (stream && (next & both) == both))
		next |= FWD_CT_CONFIRMED;
	return next;
}

/* A packet of the target that belongs to this connection, and not to an earlier one between the same ports: before the
 * target's SYN it is a SYN or a RST. */
static __always_inline bool ct_expects(__u32 ct_state, enum fwd_dir dir, __u8 flags)
{
	return dir == FWD_DIR_FORWARD || fwd_ct_proto(ct_state) != IPPROTO_TCP ||
	       (ct_state & (FWD_CT_CONFIRMED | FWD_CT_SYN(FWD_DIR_REPLY))) || (flags & (FWD_TCP_SYN | FWD_TCP_RST));
}

/* A packet that may open a connection: UDP, or a SYN without ACK, RST and FIN. */
static __always_inline bool ct_opens(__u8 proto, __u8 flags)
{
	return proto != IPPROTO_TCP || (flags & (FWD_TCP_SYN | FWD_TCP_ACK | FWD_TCP_RST | FWD_TCP_FIN)) == FWD_TCP_SYN;
}

/* A SYN opens a new connection on the same ports: both sides have closed the old one (RFC 9293 3.10.7.4 permits to
 * reopen a TIME-WAIT connection). */
static __always_inline bool ct_is_closed(__u32 ct_state)
{
	enum fwd_state state = fwd_state(ct_state);

	return state == FWD_STATE_TCP_LAST_ACK || state == FWD_STATE_TCP_TIME_WAIT || state == FWD_STATE_TCP_CLOSE;
}

#endif
