/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one packet adds to what is known of its connection. Pure functions: bits in, bits out.
 */
#ifndef FWD_BPF_CT_CT_STATE_H
#define FWD_BPF_CT_CT_STATE_H

#include <stdbool.h>
#include <linux/in.h>
#include "fwd/ct_state.h"

/* How far behind the target's SYN an ACK may point and still prove that its sender saw that SYN:
 * the target may have sent data with it or right behind it (TCP Fast Open). A blind sender's chance
 * is one in 65,536 for each packet. */
#define CT_CONFIRM_WINDOW 65536

/* Does this ACK from the client show that it has seen the target's SYN? */
static __always_inline bool ct_tcp_confirms(__u32 ct_state, __u8 flags, __u32 ack, __u32 proof)
{
	return (ct_state & FWD_CT_SYN(FWD_DIR_REPLY)) && (flags & FWD_TCP_ACK) &&
	       !(flags & (FWD_TCP_SYN | FWD_TCP_RST)) && ack - proof < CT_CONFIRM_WINDOW;
}

/* How far from the last acknowledged byte a RST or FIN may be: behind by a repeated one, ahead by what
 * is under way. A blind sender's chance is one in 1,000. */
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
	/* Who goes on after a RST has not sent it: somebody forged it. */
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

/* UDP proves nothing but that the client went on after an answer: nf_conntrack's ASSURED. */
static __always_inline __u32 ct_udp_next(__u32 ct_state, enum fwd_dir dir)
{
	__u32 next = ct_state | FWD_CT_SEEN(dir);

	if (dir == FWD_DIR_FORWARD && (ct_state & FWD_CT_SEEN(FWD_DIR_REPLY)))
		next |= FWD_CT_CONFIRMED;
	return next;
}

/* A SYN that opens a connection, and not one that belongs to a handshake on its way. */
static __always_inline bool ct_opens(__u8 proto, __u8 flags)
{
	return proto != IPPROTO_TCP || (flags & (FWD_TCP_SYN | FWD_TCP_ACK | FWD_TCP_RST | FWD_TCP_FIN)) == FWD_TCP_SYN;
}

/* Does a SYN in this state begin a new connection between the same ports? Where both sides have
 * said that they are done, it does (RFC 9293 3.10.7.4 lets TIME-WAIT be reopened). */
static __always_inline bool ct_is_closed(__u32 ct_state)
{
	enum fwd_state state = fwd_state(ct_state);

	return state == FWD_STATE_TCP_LAST_ACK || state == FWD_STATE_TCP_TIME_WAIT || state == FWD_STATE_TCP_CLOSE;
}

#endif
