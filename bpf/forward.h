/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sending: the link's header, the pieces, and into the kernel's hands.
 */
#ifndef FWD_FORWARD_H
#define FWD_FORWARD_H

#include "cut.h"
#include "fragment.h"
#include "neighbour.h"
#include "translate.h"
#include "way.h"

static __always_inline bool forward_ethernet(fwd_ctx *ctx, struct fwd_pkt *pkt,
					     const struct fwd_way *way)
{
	struct ethhdr *eth;

	if (fwd_link == FWD_LINK_IP && !ctx_push_ethernet(ctx))
		return false;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	way_write_ethernet(way, eth, pkt->family);
	pkt->l3_off = ETH_HLEN;
	return true;
}

/*
 * Into the hands of the kernel's neighbour table. Where the neighbour isn't known, the kernel looks up the
 * route once more: with that it can send "host unreachable" if nobody answers (dst_link_failure), which
 * with a next hop given it can't. So it does for the gateway itself, where the route found is what
 * keeps the stack from calling its own source address a martian (net/ipv4/ip_input.c, skb_valid_dst).
 */
static __always_inline int forward_by_neighbour(const struct fwd_pkt *pkt, const struct fwd_way *way)
{
	struct bpf_redir_neigh neigh = {};

	if (pkt->next_hop.how != FWD_HOP_KNOWN)
		return bpf_redirect_neigh(way->ifindex, NULL, 0, 0);
	neighbour_note(way->ifindex, &pkt->next_hop.addr, pkt->now);
	neigh.nh_family = pkt->next_hop.family;
	__builtin_memcpy(neigh.ipv6_nh, &pkt->next_hop.addr, sizeof(neigh.ipv6_nh));
	return bpf_redirect_neigh(way->ifindex, &neigh, sizeof(neigh), 0);
}

/*
 * Sends the translated packet on its way. *action: what the hook has to return.
 *
 * bpf_redirect() to a device without Ethernet header takes the header off by itself (net/core/
 * filter.c, __bpf_redirect_no_mac).
 */
static __always_inline enum fwd_reason forward(fwd_ctx *ctx, struct fwd_pkt *pkt,
					       struct fwd_conn *conn, const struct fwd_way *way,
					       int *action)
{
	if (way->link == FWD_LINK_ETHERNET && !forward_ethernet(ctx, pkt, way))
		return FWD_TRANSLATE;
	if (pkt->fragment.part == FWD_PART_FIRST && !fragment_release(ctx, pkt, conn))
		return FWD_TRANSLATE;
	if (pkt->cut && !cut(ctx, pkt->l3_off, way->mtu, way->ifindex))
		return FWD_TRANSLATE;
	if (pkt->next_hop.how == FWD_HOP_NONE && way->ifindex != FWD_LOOPBACK)
		*action = bpf_redirect(way->ifindex, 0);
	else
		*action = forward_by_neighbour(pkt, way);
	return FWD_FORWARDED;
}

#endif
