/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What one packet adds to what is known of its connection. Pure functions: bits in, bits out.
 */
#ifndef FWD_TRACK_NEXT_H
#define FWD_TRACK_NEXT_H

#include <stdbool.h>
#include <linux/in.h>
#include "fwd_track.h"

/* How far behind the target's SYN an ACK may point and still prove that its sender saw that SYN:
 * the target may have sent data with it or right behind it (TCP Fast Open). A blind sender's chance
 * is one in 65,536 for each packet. */
#define TRACK_PROOF_WINDOW 65536

static __always_inline enum fwd_dir track_other(enum fwd_dir dir)
{
	return dir == FWD_DIR_FORWARD ? FWD_DIR_REPLY : FWD_DIR_FORWARD;
}

/* Does this ACK from the client show that it has seen the target's SYN? */
static __always_inline bool track_tcp_proves(__u32 track, __u8 flags, __u32 ack, __u32 proof)
{
	return (track & FWD_TRACK_SYN(FWD_DIR_REPLY)) && (flags & FWD_TCP_ACK) &&
	       !(flags & (FWD_TCP_SYN | FWD_TCP_RST)) && ack - proof < TRACK_PROOF_WINDOW;
}

/* How far from the last acknowledged byte a RST or FIN may be: behind by a repeated one, ahead by what
 * is under way. A blind sender's chance is one in 1,000. */
#define TRACK_SEQ_BEHIND (1 << 16)
#define TRACK_SEQ_AHEAD  (1 << 22)

static __always_inline bool track_seq_fits(__u32 seq, __u32 acknowledged)
{
	return seq - acknowledged + TRACK_SEQ_BEHIND < TRACK_SEQ_BEHIND + TRACK_SEQ_AHEAD;
}

static __always_inline __u32 track_tcp(__u32 track, enum fwd_dir dir, __u8 flags, bool proves)
{
	__u32 next = track | FWD_TRACK_SEEN(dir);

	if (flags & FWD_TCP_RST)
		return next | FWD_TRACK_RST(dir);
	/* Who goes on after a RST has not sent it: somebody forged it. */
	next &= ~FWD_TRACK_RST(dir);
	if (flags & FWD_TCP_SYN)
		next |= FWD_TRACK_SYN(dir);
	if (flags & FWD_TCP_FIN)
		next |= FWD_TRACK_FIN(dir);
	if ((flags & FWD_TCP_ACK) && (track & FWD_TRACK_FIN(track_other(dir))))
		next |= FWD_TRACK_FIN_ACKED(track_other(dir));
	if (proves)
		next |= FWD_TRACK_CONFIRMED;
	return next;
}

/* UDP proves nothing but that the client went on after an answer: nf_conntrack's ASSURED. */
static __always_inline __u32 track_udp(__u32 track, enum fwd_dir dir)
{
	__u32 next = track | FWD_TRACK_SEEN(dir);

	if (dir == FWD_DIR_FORWARD && (track & FWD_TRACK_SEEN(FWD_DIR_REPLY)))
		next |= FWD_TRACK_CONFIRMED;
	return next;
}

/* A SYN that opens a connection, and not one that belongs to a handshake on its way. */
static __always_inline bool track_opens(__u8 proto, __u8 flags)
{
	return proto != IPPROTO_TCP ||
	       (flags & (FWD_TCP_SYN | FWD_TCP_ACK | FWD_TCP_RST | FWD_TCP_FIN)) == FWD_TCP_SYN;
}

/* Does a SYN in this state begin a new connection between the same ports? Where both sides have
 * said that they are done, it does (RFC 9293 3.10.7.4 lets TIME-WAIT be reopened). */
static __always_inline bool track_is_over(__u32 track)
{
	enum fwd_state state = fwd_state(track);

	return state == FWD_STATE_TCP_LAST_ACK || state == FWD_STATE_TCP_TIME_WAIT ||
	       state == FWD_STATE_TCP_CLOSE;
}

#endif
