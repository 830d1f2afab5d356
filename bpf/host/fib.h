/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's routing table, for both families.
 */
#ifndef FWD_BPF_HOST_FIB_H
#define FWD_BPF_HOST_FIB_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "fwd/addr.h"
#include "fwd/reason.h"
#include "pkt/pkt.h"

#define FIB_AF_INET  2
#define FIB_AF_INET6 10

/*
 * Looks up the route of a packet from saddr to daddr that was received like *pkt, or, if `via` is not 0, that leaves by
 * that device. Returns one of BPF_FIB_LKUP_RET_*, or a negative errno; *fib is the result.
 *
 * Ports and, for IPv4, the TOS are set for `ip rule`s that match on them; the IPv6 traffic class and fwmarks are not. A
 * tot_len of 1 never exceeds an MTU; with 0 the kernel would compare the current packet with it (bpf_skb_fib_lookup).
 */
static __always_inline long fib_lookup_via(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					   const struct fwd_addr *saddr, const struct fwd_addr *daddr, __u32 via)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = via ? via : ctx_ifindex(ctx);
	fib->l4_protocol = pkt->tuple.proto;
	fib->sport = pkt->tuple.sport;
	fib->dport = pkt->tuple.dport;
	fib->tot_len = 1;
	if (pkt->family == FWD_FAMILY_IPV4) {
		fib->family = FIB_AF_INET;
		fib->tos = pkt->tos;
		fib->ipv4_src = saddr->w[3];
		fib->ipv4_dst = daddr->w[3];
	} else {
		fib->family = FIB_AF_INET6;
		__builtin_memcpy(fib->ipv6_src, saddr, sizeof(*saddr));
		__builtin_memcpy(fib->ipv6_dst, daddr, sizeof(*daddr));
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), via ? BPF_FIB_LOOKUP_OUTPUT : 0);
}

static __always_inline long fib_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
				       const struct fwd_addr *saddr, const struct fwd_addr *daddr)
{
	return fib_lookup_via(ctx, fib, pkt, saddr, daddr, 0);
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
