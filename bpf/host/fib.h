/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's routing table, for both families.
 */
#ifndef FWD_BPF_HOST_FIB_H
#define FWD_BPF_HOST_FIB_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "fwd/addr.h"
#include "fwd/reason.h"
#include "pkt/pkt.h"

#define FIB_AF_INET      2
#define FIB_AF_INET6     10
#define FIB_TCLASS_SHIFT 20 /* of the traffic class in an IPv6 header's first word */

/* Since kernel 6.10; older headers lack it. The mark is in the place of the MAC addresses of the answer. */
#define FIB_LOOKUP_MARK (1U << 5)

/* The addresses and ports (network byte order) that a route is looked up for. */
struct fib_flow {
	const struct fwd_addr *saddr;
	const struct fwd_addr *daddr;
	__be16 sport;
	__be16 dport;
};

/* Of the packet as it arrived, and of a packet back to its sender. */
static __always_inline struct fib_flow fib_flow_of(const struct fwd_pkt *pkt)
{
	return (struct fib_flow){&pkt->tuple.saddr, &pkt->tuple.daddr, pkt->tuple.sport, pkt->tuple.dport};
}

static __always_inline struct fib_flow fib_flow_back(const struct fwd_pkt *pkt)
{
	return (struct fib_flow){&pkt->tuple.daddr, &pkt->tuple.saddr, pkt->tuple.dport, pkt->tuple.sport};
}

/*
 * Looks up the route of a packet of `flow` that was received like *pkt, or, if `via` is not 0, that leaves by that
 * device. Returns one of BPF_FIB_LKUP_RET_*, or a negative errno; *fib is the result.
 *
 * Protocol, ports, TOS or traffic class, and the mark are set for `ip rule`s that match on them. Marks are those that
 * tc has set, because netfilter's come later; kernels before 6.10 refuse the flag, and rules that match marks are then
 * not honoured. A tot_len of 1 never exceeds an MTU; with 0 the kernel would compare the current packet with it
 * (bpf_skb_fib_lookup).
 */
static __always_inline long fib_lookup_via(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					   const struct fib_flow *flow, __u32 via)
{
	__u32 mark = ctx_mark(ctx), flags = via ? BPF_FIB_LOOKUP_OUTPUT : 0;
	long ret;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = via ? via : ctx_ifindex(ctx);
	fib->l4_protocol = pkt->tuple.proto;
	fib->sport = flow->sport;
	fib->dport = flow->dport;
	fib->tot_len = 1;
	if (pkt->family == FWD_FAMILY_IPV4) {
		fib->family = FIB_AF_INET;
		fib->tos = pkt->tos;
		fib->ipv4_src = flow->saddr->w[3];
		fib->ipv4_dst = flow->daddr->w[3];
	} else {
		fib->family = FIB_AF_INET6;
		fib->flowinfo = bpf_htonl((__u32)pkt->tos << FIB_TCLASS_SHIFT);
		__builtin_memcpy(fib->ipv6_src, flow->saddr, sizeof(*flow->saddr));
		__builtin_memcpy(fib->ipv6_dst, flow->daddr, sizeof(*flow->daddr));
	}
	if (mark) {
		__builtin_memcpy(fib->smac, &mark, sizeof(mark));
		ret = bpf_fib_lookup(ctx, fib, sizeof(*fib), flags | FIB_LOOKUP_MARK);
		if (ret != -EINVAL)
			return ret;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), flags);
}

static __always_inline long fib_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
				       const struct fib_flow *flow)
{
	return fib_lookup_via(ctx, fib, pkt, flow, 0);
}

/* The lookup found a route. */
static __always_inline bool fib_found(long ret)
{
	return ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH;
}

/*
 * The MTU of a device; 0: there is no such device.
 *
 * Not the one that bpf_fib_lookup() returns: that includes path MTUs that the gateway's stack learned from ICMP errors
 * about its own packets, which anybody can forge. For the same reason the kernel ignores them when it forwards
 * (ip_dst_mtu_maybe_forward).
 */
static __always_inline __u16 device_mtu(fwd_ctx *ctx, __u32 ifindex)
{
	__u32 mtu = 0;

	if (bpf_check_mtu(ctx, ifindex, &mtu, 0, 0) < 0)
		return 0;
	return mtu < 0xffff ? mtu : 0xffff;
}

static __always_inline enum fwd_reason fib_reason(long ret)
{
	switch (ret) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return FWD_OK;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
		return FWD_BLACKHOLE;
	case BPF_FIB_LKUP_RET_UNREACHABLE:
		return FWD_UNREACHABLE;
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return FWD_PROHIBITED;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return FWD_NO_FORWARDING;
	default:
		return FWD_NO_ROUTE;
	}
}

#endif
