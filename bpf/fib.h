/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's routing table, asked for both families in one form.
 */
#ifndef FWD_FIB_H
#define FWD_FIB_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "parse.h"

#define FIB_AF_INET  2
#define FIB_AF_INET6 10

/*
 * Asks where a packet from saddr to daddr goes that came in as *pkt did; returns one of
 * BPF_FIB_LKUP_RET_*, or a negative errno. *fib must be zero and gets the answer.
 *
 * The ports and the TOS are there for `ip rule`s that look at them. A tot_len of 1 makes the kernel
 * look up the route's MTU, which it returns in its place, and never be in the way.
 */
static __always_inline long fib_lookup_len(fwd_ctx *ctx, struct bpf_fib_lookup *fib,
					   const struct fwd_pkt *pkt, const struct fwd_addr *saddr,
					   const struct fwd_addr *daddr, __u16 len)
{
	fib->ifindex = ctx_ifindex(ctx);
	fib->l4_protocol = pkt->tuple.proto;
	fib->sport = pkt->tuple.sport;
	fib->dport = pkt->tuple.dport;
	fib->tot_len = len;
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
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

static __always_inline long fib_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib,
				       const struct fwd_pkt *pkt, const struct fwd_addr *saddr,
				       const struct fwd_addr *daddr)
{
	return fib_lookup_len(ctx, fib, pkt, saddr, daddr, 1);
}

/* The MTU of the route alone; 0: no route. A packet as long as can be is too long for any route, and
 * the answer to that comes before the neighbour is looked for (a device without Ethernet header has
 * none, and then fib_lookup() doesn't tell the MTU). */
static __noinline __u16 fib_mtu(fwd_ctx *ctx, const struct fwd_pkt *pkt,
				const struct fwd_addr *saddr, const struct fwd_addr *daddr)
{
	struct bpf_fib_lookup fib = {};
	long ret = fib_lookup_len(ctx, &fib, pkt, saddr, daddr, 0xffff);

	if (ret == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return fib.mtu_result;
	return ret == BPF_FIB_LKUP_RET_SUCCESS || ret == BPF_FIB_LKUP_RET_NO_NEIGH ? 0xffff : 0;
}

static __always_inline enum fwd_reason fib_reason(long ret)
{
	switch (ret) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return FWD_FORWARDED;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return FWD_UNREACHABLE;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return FWD_NO_FORWARDING;
	default:
		return FWD_NO_ROUTE;
	}
}

#endif
