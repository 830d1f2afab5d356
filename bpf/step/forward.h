/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Transmission: link header, fragments, redirect.
 */
#ifndef FWD_BPF_STEP_FORWARD_H
#define FWD_BPF_STEP_FORWARD_H

#include "base/config.h"
#include "ct/frag_track.h"
#include "host/neigh.h"
#include "host/neigh_failure.h"
#include "pkt/ip_fragment.h"
#include "pkt/pkt.h"
#include "step/route.h"

static __always_inline bool forward_ethernet(fwd_ctx *ctx, struct fwd_pkt *pkt, const struct fwd_route *route)
{
	struct ethhdr *eth;

	if (fwd_link == FWD_LINK_IP && !ctx_push_ethernet(ctx))
		return false;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	route_write_ethernet(route, eth, pkt->family);
	pkt->l3_off = ETH_HLEN;
	return true;
}

/* Sends through the kernel's neighbour table. If the neighbour is not known, no next hop is given, so that the
 * kernel looks up the route again: with a route it can send "host unreachable" if the neighbour does not answer
 * (dst_link_failure). The same for packets to the gateway itself: with a route the stack does not treat its own
 * source address as a martian (net/ipv4/ip_input.c, skb_valid_dst). */
static __always_inline int forward_by_neigh(const struct fwd_pkt *pkt, const struct fwd_route *route)
{
	struct bpf_redir_neigh neigh = {};

	if (pkt->next_hop.how != FWD_HOP_KNOWN)
		return bpf_redirect_neigh(route_ifindex(route), NULL, 0, 0);
	neigh_mark_used(route_ifindex(route), &pkt->next_hop.addr, pkt->now);
	neigh_forget_failure(route_ifindex(route), &pkt->next_hop.addr);
	neigh.nh_family = pkt->next_hop.family;
	__builtin_memcpy(neigh.ipv6_nh, &pkt->next_hop.addr, sizeof(neigh.ipv6_nh));
	return bpf_redirect_neigh(route_ifindex(route), &neigh, sizeof(neigh), 0);
}

/* The priority that ip_forward() sets, by two bits of the TOS (net/ipv4/route.c, ip_tos2prio; ip6_forward() sets none).
 * A nibble for each value of the bits 0x18: best effort, bulk, interactive, interactive bulk (TC_PRIO_*). */
#define FORWARD_PRIORITIES 0x4620U

/* Not inlined: clang 19 would need more of the caller's stack. */
__noinline int forward_set_priority(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	if (pkt && pkt->family == FWD_FAMILY_IPV4)
		ctx_set_priority(ctx, FORWARD_PRIORITIES >> (pkt->tos >> 1 & 0xc) & 0xf);
	return 0;
}

/*
 * Sends the translated packet. *action: the return value of the hook.
 *
 * bpf_redirect() to a device without Ethernet headers removes the header by itself (net/core/filter.c,
 * __bpf_redirect_no_mac).
 */
static __always_inline enum fwd_reason forward(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn,
					       const struct fwd_route *route, int *action)
{
	/* First, so that fragments and their copies have both. */
	ctx_mark_redirected(ctx);
	forward_set_priority(ctx, pkt);
	if (route_link(route) == FWD_LINK_ETHERNET && !forward_ethernet(ctx, pkt, route))
		return FWD_REWRITE_FAILED;
	if (pkt->fragment.kind == FWD_FRAG_FIRST && !frag_release(ctx, pkt, conn))
		return FWD_REWRITE_FAILED;
	if (pkt->to_fragment && !ip_fragment(ctx, pkt->l3_off, route->mtu, route_ifindex(route)))
		return FWD_REWRITE_FAILED;
	if (pkt->next_hop.how == FWD_HOP_CACHED && route_ifindex(route) != FWD_LOOPBACK)
		*action = bpf_redirect(route_ifindex(route), 0);
	else
		*action = forward_by_neigh(pkt, route);
	return FWD_OK;
}

#endif
