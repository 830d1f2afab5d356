/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a connection's life, as a set of bits that packets add to, and the state and the
 * timeout that follow from it. Bits instead of a state number, because two CPUs may add to it at the
 * same moment, each for one direction, and neither may undo the other.
 *
 * States and default timeouts are nf_conntrack's (net/netfilter/nf_conntrack_proto_tcp.c,
 * nf_conntrack_proto_udp.c), so that what an operator knows still holds.
 */
#ifndef FWD_TRACK_H
#define FWD_TRACK_H

#include "fwd_abi.h"

/* Per direction d, an enum fwd_dir. */
#define FWD_TRACK_SEEN(d)      (1U << (0 + (d))) /* a packet */
#define FWD_TRACK_SYN(d)       (1U << (2 + (d)))
#define FWD_TRACK_FIN(d)       (1U << (4 + (d)))
#define FWD_TRACK_FIN_ACKED(d) (1U << (6 + (d))) /* d's FIN was acknowledged by the other side */
#define FWD_TRACK_RST(d)       (1U << (8 + (d)))
/* Both ends have shown that they talk to each other: nf_conntrack's ASSURED. */
#define FWD_TRACK_CONFIRMED (1U << 10)
/* The protocol, in the upper half: it never changes. */
#define FWD_TRACK_PROTO_SHIFT 16

/* TCP flags as in the 14th byte of the header (RFC 9293 3.1). */
#define FWD_TCP_FIN 0x01
#define FWD_TCP_SYN 0x02
#define FWD_TCP_RST 0x04
#define FWD_TCP_ACK 0x10

#define FWD_STATES(X)                                                                              \
	X(TCP_SYN_SENT, "SYN_SENT", TCP_SYN_SENT)                                                  \
	X(TCP_SYN_RECV, "SYN_RECV", TCP_SYN_RECV)                                                  \
	X(TCP_ESTABLISHED, "ESTABLISHED", TCP_ESTABLISHED)                                         \
	X(TCP_FIN_WAIT, "FIN_WAIT", TCP_FIN_WAIT)                                                  \
	X(TCP_CLOSE_WAIT, "CLOSE_WAIT", TCP_CLOSE_WAIT)                                            \
	X(TCP_LAST_ACK, "LAST_ACK", TCP_LAST_ACK)                                                  \
	X(TCP_TIME_WAIT, "TIME_WAIT", TCP_TIME_WAIT)                                               \
	X(TCP_CLOSE, "CLOSE", TCP_CLOSE)                                                           \
	X(UDP_UNREPLIED, "UNREPLIED", UDP)                                                         \
	X(UDP_REPLIED, "REPLIED", UDP)                                                             \
	X(UDP_ASSURED, "ASSURED", UDP_STREAM)

enum fwd_state {
#define X(symbol, name, timeout) FWD_STATE_##symbol,
	FWD_STATES(X)
#undef X
		FWD_STATE_MAX,
};

/* X(symbol, name, default in seconds) in the order of enum fwd_timeout */
#define FWD_TIMEOUTS(X)                                                                            \
	X(TCP_SYN_SENT, "tcp_syn_sent", 120)                                                       \
	X(TCP_SYN_RECV, "tcp_syn_recv", 60)                                                        \
	X(TCP_ESTABLISHED, "tcp_established", 432000)                                              \
	X(TCP_FIN_WAIT, "tcp_fin_wait", 120)                                                       \
	X(TCP_CLOSE_WAIT, "tcp_close_wait", 60)                                                    \
	X(TCP_LAST_ACK, "tcp_last_ack", 30)                                                        \
	X(TCP_TIME_WAIT, "tcp_time_wait", 120)                                                     \
	X(TCP_CLOSE, "tcp_close", 10)                                                              \
	X(UDP, "udp", 30)                                                                          \
	X(UDP_STREAM, "udp_stream", 120)                                                           \
	X(FLOOD, "flood", 5)

static inline __attribute__((always_inline)) enum fwd_state fwd_tcp_state(__u32 track)
{
	const __u32 both_fin = FWD_TRACK_FIN(FWD_DIR_FORWARD) | FWD_TRACK_FIN(FWD_DIR_REPLY);
	const __u32 both_acked =
		FWD_TRACK_FIN_ACKED(FWD_DIR_FORWARD) | FWD_TRACK_FIN_ACKED(FWD_DIR_REPLY);

	if (track & (FWD_TRACK_RST(FWD_DIR_FORWARD) | FWD_TRACK_RST(FWD_DIR_REPLY)))
		return FWD_STATE_TCP_CLOSE;
	if ((track & both_fin) == both_fin)
		return (track & both_acked) == both_acked ? FWD_STATE_TCP_TIME_WAIT
							  : FWD_STATE_TCP_LAST_ACK;
	if (track & both_fin)
		return (track & both_acked) ? FWD_STATE_TCP_CLOSE_WAIT : FWD_STATE_TCP_FIN_WAIT;
	if (track & FWD_TRACK_CONFIRMED)
		return FWD_STATE_TCP_ESTABLISHED;
	if (track & FWD_TRACK_SYN(FWD_DIR_REPLY))
		return FWD_STATE_TCP_SYN_RECV;
	return FWD_STATE_TCP_SYN_SENT;
}

static inline __attribute__((always_inline)) enum fwd_state fwd_udp_state(__u32 track)
{
	if (track & FWD_TRACK_CONFIRMED)
		return FWD_STATE_UDP_ASSURED;
	if (track & FWD_TRACK_SEEN(FWD_DIR_REPLY))
		return FWD_STATE_UDP_REPLIED;
	return FWD_STATE_UDP_UNREPLIED;
}

/* IPPROTO_TCP (6) or IPPROTO_UDP. */
static inline __attribute__((always_inline)) __u8 fwd_track_proto(__u32 track)
{
	return track >> FWD_TRACK_PROTO_SHIFT;
}

static inline __attribute__((always_inline)) enum fwd_state fwd_state(__u32 track)
{
	return fwd_track_proto(track) == 6 ? fwd_tcp_state(track) : fwd_udp_state(track);
}

static inline __attribute__((always_inline)) enum fwd_timeout fwd_state_timeout(enum fwd_state state)
{
	switch (state) {
#define X(symbol, name, timeout)                                                                   \
	case FWD_STATE_##symbol:                                                                   \
		return FWD_TIMEOUT_##timeout;
		FWD_STATES(X)
#undef X
	default:
		return FWD_TIMEOUT_UDP;
	}
}

#endif
