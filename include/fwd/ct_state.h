/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of a connection: bits that packets add, and the state and the timeout that follow from them. Bits instead
 * of a state number, because two CPUs may change it at the same time, one for each direction, and neither may undo the
 * other.
 *
 * States and default timeouts are those of nf_conntrack (net/netfilter/nf_conntrack_proto_tcp.c,
 * nf_conntrack_proto_udp.c), so that an operator's knowledge of nf_conntrack applies.
 */
#ifndef FWD_CT_STATE_H
#define FWD_CT_STATE_H

#include "fwd/conn.h"

/* Per direction d, an enum fwd_dir. */
#define FWD_CT_SEEN(d)      (1U << (0 + (d))) /* a packet */
#define FWD_CT_SYN(d)       (1U << (2 + (d)))
#define FWD_CT_FIN(d)       (1U << (4 + (d)))
#define FWD_CT_FIN_ACKED(d) (1U << (6 + (d))) /* the reverse direction acknowledged d's FIN */
#define FWD_CT_RST(d)       (1U << (8 + (d)))
/* Each end has shown that it receives from the other: nf_conntrack's ASSURED. */
#define FWD_CT_CONFIRMED (1U << 10)
/* The protocol, in the upper half; it never changes. */
#define FWD_CT_PROTO_SHIFT 16
/* The device by which packets of this direction arrive: its index in `device_stats` plus one; 0: not known yet. The
 * only bits that differ between the directions. */
#define FWD_CT_ARRIVAL_SHIFT 24
#define FWD_CT_ARRIVAL_MASK  (0xffU << FWD_CT_ARRIVAL_SHIFT)

FWD_INLINE __u32 fwd_ct_arrival(__u32 device_index)
{
	return (device_index + 1) << FWD_CT_ARRIVAL_SHIFT;
}

/* TCP flags as in the 14th byte of the header (RFC 9293 3.1). */
#define FWD_TCP_FIN 0x01
#define FWD_TCP_SYN 0x02
#define FWD_TCP_RST 0x04
#define FWD_TCP_ACK 0x10

/* X(symbol, index, name, default in seconds): indices of fwd_config.timeout. New ones are appended. FLOOD is the most
 * that half-open connections get while there are too many, and closed ones while the table is nearly full. */
#define FWD_TIMEOUTS(X)                                  \
	X(TCP_SYN_SENT, 0, "tcp_syn_sent", 120)          \
	X(TCP_SYN_RECV, 1, "tcp_syn_recv", 60)           \
	X(TCP_ESTABLISHED, 2, "tcp_established", 432000) \
	X(TCP_FIN_WAIT, 3, "tcp_fin_wait", 120)          \
	X(TCP_CLOSE_WAIT, 4, "tcp_close_wait", 60)       \
	X(TCP_LAST_ACK, 5, "tcp_last_ack", 30)           \
	X(TCP_TIME_WAIT, 6, "tcp_time_wait", 120)        \
	X(TCP_CLOSE, 7, "tcp_close", 10)                 \
	X(UDP, 8, "udp", 30)                             \
	X(UDP_STREAM, 9, "udp_stream", 120)              \
	X(FLOOD, 10, "flood", 5)

enum fwd_timeout {
#define X(symbol, index, name, seconds) FWD_TIMEOUT_##symbol = index,
	FWD_TIMEOUTS(X)
#undef X
	FWD_TIMEOUT_MAX,
};

/* X(symbol, name, its enum fwd_timeout). Computed from the bits, not stored. */
#define FWD_STATES(X)                                      \
	X(TCP_SYN_SENT, "SYN_SENT", TCP_SYN_SENT)          \
	X(TCP_SYN_RECV, "SYN_RECV", TCP_SYN_RECV)          \
	X(TCP_ESTABLISHED, "ESTABLISHED", TCP_ESTABLISHED) \
	X(TCP_FIN_WAIT, "FIN_WAIT", TCP_FIN_WAIT)          \
	X(TCP_CLOSE_WAIT, "CLOSE_WAIT", TCP_CLOSE_WAIT)    \
	X(TCP_LAST_ACK, "LAST_ACK", TCP_LAST_ACK)          \
	X(TCP_TIME_WAIT, "TIME_WAIT", TCP_TIME_WAIT)       \
	X(TCP_CLOSE, "CLOSE", TCP_CLOSE)                   \
	X(UDP_UNREPLIED, "UNREPLIED", UDP)                 \
	X(UDP_REPLIED, "REPLIED", UDP)                     \
	X(UDP_ASSURED, "ASSURED", UDP_STREAM)

enum fwd_state {
#define X(symbol, name, timeout) FWD_STATE_##symbol,
	FWD_STATES(X)
#undef X
	FWD_STATE_MAX,
};

FWD_INLINE enum fwd_state fwd_tcp_state(__u32 ct_state)
{
	const __u32 both_fin = FWD_CT_FIN(FWD_DIR_FORWARD) | FWD_CT_FIN(FWD_DIR_REPLY);
	const __u32 both_acked = FWD_CT_FIN_ACKED(FWD_DIR_FORWARD) | FWD_CT_FIN_ACKED(FWD_DIR_REPLY);

	if (ct_state & (FWD_CT_RST(FWD_DIR_FORWARD) | FWD_CT_RST(FWD_DIR_REPLY)))
		return FWD_STATE_TCP_CLOSE;
	if ((ct_state & both_fin) == both_fin)
		return (ct_state & both_acked) == both_acked ? FWD_STATE_TCP_TIME_WAIT : FWD_STATE_TCP_LAST_ACK;
	if (ct_state & both_fin)
		return (ct_state & both_acked) ? FWD_STATE_TCP_CLOSE_WAIT : FWD_STATE_TCP_FIN_WAIT;
	if (ct_state & FWD_CT_CONFIRMED)
		return FWD_STATE_TCP_ESTABLISHED;
	if (ct_state & FWD_CT_SYN(FWD_DIR_REPLY))
		return FWD_STATE_TCP_SYN_RECV;
	return FWD_STATE_TCP_SYN_SENT;
}

FWD_INLINE enum fwd_state fwd_udp_state(__u32 ct_state)
{
	if (ct_state & FWD_CT_CONFIRMED)
		return FWD_STATE_UDP_ASSURED;
	if (ct_state & FWD_CT_SEEN(FWD_DIR_REPLY))
		return FWD_STATE_UDP_REPLIED;
	return FWD_STATE_UDP_UNREPLIED;
}

/* IPPROTO_TCP (6) or IPPROTO_UDP. */
FWD_INLINE __u8 fwd_ct_proto(__u32 ct_state)
{
	return ct_state >> FWD_CT_PROTO_SHIFT;
}

FWD_INLINE enum fwd_state fwd_state(__u32 ct_state)
{
	return fwd_ct_proto(ct_state) == 6 ? fwd_tcp_state(ct_state) : fwd_udp_state(ct_state);
}

FWD_INLINE enum fwd_timeout fwd_state_timeout(enum fwd_state state)
{
	switch (state) {
#define X(symbol, name, timeout) \
	case FWD_STATE_##symbol: \
		return FWD_TIMEOUT_##timeout;
		FWD_STATES(X)
#undef X
	default:
		return FWD_TIMEOUT_UDP;
	}
}

#endif
