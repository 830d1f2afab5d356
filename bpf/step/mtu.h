/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that exceed the MTU of the route. The MSS option of SYNs keeps TCP from sending them. An
 * oversized packet that must not be fragmented is answered with an ICMP error with the MTU (RFC 1191, RFC 8201).
 */
#ifndef FWD_BPF_STEP_MTU_H
#define FWD_BPF_STEP_MTU_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include "base/bound.h"
#include "base/csum.h"
#include "host/fib.h"
#include "host/neigh_failure.h"
#include "pkt/ip_fragment.h"
#include "pkt/translate.h"
#include "step/route.h"

#define MTU_TCP_OPTIONS_MAX 40
#define MTU_OPT_END         0
#define MTU_OPT_NOP         1
#define MTU_OPT_MSS         2
#define MTU_OPT_MSS_LEN     4

/* The MSS of an MTU: without the headers, options not counted (RFC 6691). */
static __always_inline __u16 mtu_to_mss(__u8 family, __u16 mtu)
{
	__u16 headers =
		(family == FWD_FAMILY_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(struct tcphdr);

	return mtu > headers ? mtu - headers : 0;
}

/* The value to which the MSS option is lowered in both directions of a new connection, from the MTUs of both routes
 * (0: unknown) and the rule's setting. 0: unchanged. */
static __always_inline __u16 mtu_choose_mss(const struct fwd_pkt *pkt, __u16 mtu, __u16 back_mtu, __u16 rule_mss)
{
	if (pkt->tuple.proto != IPPROTO_TCP || rule_mss == FWD_MSS_OFF)
		return 0;
	if (rule_mss != FWD_MSS_AUTO)
		return rule_mss;
	if (back_mtu && (!mtu || back_mtu < mtu))
		mtu = back_mtu;
	return mtu_to_mss(pkt->family, mtu);
}

struct mtu_tcp_options {
	__u8 byte[MTU_TCP_OPTIONS_MAX];
};

/* The offset of the option behind the one at i; 0: there is none; negative: the option at i is MSS, and its value is
 * at the negated offset. Not static, so that the verifier checks it once instead of all paths through 40 bytes. */
__noinline int mtu_next_option(const struct mtu_tcp_options *options, __u32 i)
{
	if (!options || i >= MTU_TCP_OPTIONS_MAX - 1)
		return 0;
	switch (options->byte[i]) {
	case MTU_OPT_END:
		return 0;
	case MTU_OPT_NOP:
		return i + 1;
	case MTU_OPT_MSS:
		return options->byte[i + 1] == MTU_OPT_MSS_LEN ? -(int)(i + 2) : 0;
	default:
		return options->byte[i + 1] < 2 ? 0 : i + options->byte[i + 1];
	}
}

/* The offset of the MSS option's value in the options; 0: there is none. */
static __always_inline __u32 mtu_find_mss(const struct mtu_tcp_options *options, __u32 len)
{
	int at = 0, turn;

	for (turn = 0; turn < MTU_TCP_OPTIONS_MAX; turn++) {
		at = mtu_next_option(options, at);
		if (at <= 0)
			break;
	}
	return at < 0 && (__u32)-at + 2 <= len ? -at : 0;
}

/* Lowers the MSS option of a SYN, before translate(). False: the packet is not writable. Not static, so that the
 * verifier follows the loop over the options once. */
__noinline bool mtu_clamp_mss(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 mss)
{
	struct mtu_tcp_options options = {};
	__u32 off, len, at, delta;
	__u16 offered;
	__u8 *value;

	if (!pkt)
		return false;
	off = pkt->l4_off + sizeof(struct tcphdr);
	len = pkt->l4_len - sizeof(struct tcphdr);
	if (len < MTU_OPT_MSS_LEN || !bound_at_most(len, sizeof(options)) || !ctx_load(ctx, off, &options, len))
		return true;
	at = bound_mask(mtu_find_mss(&options, len), 63);
	if (!at)
		return true;
	value = ctx_at(ctx, off + at, 2);
	if (!value)
		return false;
	offered = value[0] << 8 | value[1];
	if (offered <= mss)
		return true;
	value[0] = mss >> 8;
	value[1] = mss;
	delta = csum_delta(bpf_htons(offered), bpf_htons(mss));
	/* At an odd offset the two bytes are halves of two words of the sum: both are swapped. */
	if (at & 1)
		delta = csum_delta(csum_swap(bpf_htons(offered)), csum_swap(bpf_htons(mss)));
	return ctx_csum_l4(ctx, pkt->l4_off + TCP_CHECK_OFF, IPPROTO_TCP, pkt->family, CSUM_NO_CHANGE, delta);
}

/* The IP length of the packet that leaves: of one segment, if the kernel or the NIC will segment a GSO packet. */
static __always_inline __u32 mtu_packet_len(const fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 gso = ctx_gso_size(ctx);

	return gso ? pkt->l4_off - pkt->l3_off + pkt->l4_len + gso : pkt->bytes;
}

/* The packet exceeds the MTU and cannot be fragmented. WireGuard accepts such packets if DF is not set, because it
 * fragments the encrypted packet instead. */
static __always_inline bool mtu_is_too_big(fwd_ctx *ctx, struct fwd_pkt *pkt, const struct fwd_route *route)
{
	if (route_fits(route, mtu_packet_len(ctx, pkt)))
		return false;
	pkt->to_fragment = ip_fragment_is_possible(ctx, pkt, route->mtu);
	return pkt->dont_fragment || (!pkt->to_fragment && route_link(route) == FWD_LINK_ETHERNET);
}

/* The next hop does not answer, and the sender is told from here: the kernel's own error is about the translated
 * packet, and is sent to the gateway by lo, where a firewall that accepts only what it knows drops it. Packets about
 * which no error is sent, and those of the gateway's own processes, are given to the kernel. */
static __always_inline bool next_hop_has_failed(const fwd_ctx *ctx, const struct fwd_pkt *pkt,
						const struct fwd_route *route)
{
	return pkt->next_hop.how == FWD_HOP_UNKNOWN && !pkt->is_error && pkt->fragment.kind != FWD_FRAG_LATER &&
	       ctx_ifindex(ctx) != FWD_LOOPBACK &&
	       neigh_has_failed(route_ifindex(route), &pkt->next_hop.addr, pkt->now);
}

/* The checks before a packet is forwarded, in the kernel's order (net/ipv4/ip_forward.c). FWD_TTL_EXCEEDED,
 * FWD_TOO_BIG, FWD_NO_NEIGHBOUR: its sender gets an ICMP error. */
static __always_inline enum fwd_reason route_admits(fwd_ctx *ctx, struct fwd_pkt *pkt, const struct fwd_route *route)
{
	pkt->mtu = route->mtu;
	if (pkt->ttl <= 1)
		return FWD_TTL_EXCEEDED;
	if (mtu_is_too_big(ctx, pkt, route))
		return FWD_TOO_BIG;
	return next_hop_has_failed(ctx, pkt, route) ? FWD_NO_NEIGHBOUR : FWD_OK;
}

#endif
