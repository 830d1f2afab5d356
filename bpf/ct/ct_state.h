/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * State transitions: pure functions from the bits of a connection and one packet to new bits.
 */
#ifndef FWD_BPF_CT_CT_STATE_H
#define FWD_BPF_CT_CT_STATE_H

#include <stdbool.h>
#include <linux/in.h>
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

/* The distance of a RST or FIN from the last acknowledged byte: behind it for retransmissions, ahead of it for data
 * in flight. A blind sender succeeds with one packet in 1,000. */
#define CT_SEQ_BEHIND (1 << 16)
#define CT_SEQ_AHEAD  (1 << 22)

static __always_inline bool ct_seq_in_window(__u32 seq, __u32 acknowledged)
{
	return seq - acknowledged + CT_SEQ_BEHIND < CT_SEQ_BEHIND + CT_SEQ_AHEAD;
}

static __always_inline __u32 ct_tcp_next(__u32 ct_state, enum fwd_dir dir, __u8 flags, bool proves)
{
	__u32 next = ct_state | FWD_CT_SEEN(dir);

	if (flags & FWD_TCP_RST)
		return next | FWD_CT_RST(dir);
	/* A packet after a RST of the same direction shows that the RST was forged. */
	next &= ~FWD_CT_RST(dir);
	if (flags & FWD_TCP_SYN)
		next |= FWD_CT_SYN(dir);
	if (flags & FWD_TCP_FIN)
		next |= FWD_CT_FIN(dir);
	if ((flags & FWD_TCP_ACK) && (ct_state & FWD_CT_FIN(dir_reverse(dir))))
		next |= FWD_CT_FIN_ACKED(dir_reverse(dir));
	if (proves)
		next |= FWD_CT_CONFIRMED;
	return next;
}

/* UDP: a packet of the client after a reply confirms the connection, as for nf_conntrack's ASSURED. */
static __always_inline __u32 ct_udp_next(__u32 ct_state, enum fwd_dir dir)
{
	__u32 next = ct_state | FWD_CT_SEEN(dir);

	if (dir == FWD_DIR_FORWARD && (ct_state & FWD_CT_SEEN(FWD_DIR_REPLY)))
		next |= FWD_CT_CONFIRMED;
	return next;
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
