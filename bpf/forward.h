/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way out: found in the FIB, kept beside the connection, refreshed once a second.
 */
#ifndef FWD_FORWARD_H
#define FWD_FORWARD_H

#include "cut.h"
#include "fib.h"
#include "fragment.h"
#include "maps.h"
#include "translate.h"

#define WAY_MAX_AGE FWD_TICKS(1)

static __always_inline void way_set(struct fwd_way *way, const struct bpf_fib_lookup *fib,
				    const struct fwd_device *device, bool has_neighbour)
{
	way->ifindex = fib->ifindex;
	way->link = device->link;
	if (has_neighbour) {
		__builtin_memcpy(way->dmac, fib->dmac, ETH_ALEN);
		__builtin_memcpy(way->smac, fib->smac, ETH_ALEN);
	}
}

static __always_inline void next_hop_set(struct fwd_next_hop *hop, const struct bpf_fib_lookup *fib,
					 bool has_neighbour)
{
	hop->how = has_neighbour ? FWD_HOP_KNOWN : FWD_HOP_UNKNOWN;
	hop->family = fib->family; /* of the next hop: IPv4 may have an IPv6 one (RFC 5549) */
	__builtin_memcpy(&hop->addr, fib->ipv6_dst, sizeof(hop->addr));
}

/*
 * Is the address that fwdctl chose for the map still one of the gateway's? When WireGuard is down its
 * address is gone, the default route leads to the target, and what was meant for the tunnel would go
 * out in clear.
 */
static __always_inline bool way_source_is_here(fwd_ctx *ctx, const struct fwd_pkt *pkt,
					       const struct fwd_conn *conn)
{
	__u32 index = conn->rule;
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	struct bpf_fib_lookup fib;

	if (conn->dir != FWD_DIR_FORWARD || !rule || rule->snat != FWD_SNAT_AUTO)
		return true;
	return !fib_found(fib_lookup(ctx, &fib, pkt, &conn->daddr, &conn->saddr));
}

/*
 * Asks the FIB. An answer leaves by the device that the request came in by, if any route there leads to
 * the client: with several uplinks the provider of another one would drop it, for its source address.
 */
static __always_inline long way_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib,
				       const struct fwd_pkt *pkt, const struct fwd_conn *conn)
{
	__u32 by = conn->way.ifindex;
	long ret;

	if (conn->dir == FWD_DIR_REPLY && by) {
		ret = fib_lookup_by(ctx, fib, pkt, &conn->saddr, &conn->daddr, by);
		if (fib_found(ret) && fib->ifindex == by)
			return ret;
	}
	return fib_lookup(ctx, fib, pkt, &conn->saddr, &conn->daddr);
}

/* Where the requests come in now, if it isn't where the answers leave. Not for a connection that is only
 * planned: whatever has the tuple of its twin, as long as the source port isn't claimed, is another's. */
static __always_inline void way_follow(fwd_ctx *ctx, const struct fwd_pkt *pkt,
				       const struct fwd_conn *conn)
{
	struct fwd_tuple key;
	struct fwd_conn *reply;

	if (conn->dir != FWD_DIR_FORWARD || pkt->is_error)
		return;
	tuple_of_twin(&key, conn, pkt->tuple.proto);
	reply = bpf_map_lookup_elem(&conns, &key);
	if (!reply || reply->way.ifindex == ctx_ifindex(ctx))
		return;
	reply->way.refreshed = 0;
	reply->way.ifindex = ctx_ifindex(ctx);
}

/* To a process of the gateway itself. */
static __always_inline void way_to_self(struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	conn->way.link = FWD_LINK_ETHERNET;
	conn->way.mtu = 0;
	conn->way.refreshed = pkt->now;
}

/*
 * Makes conn->way good for this packet, which is going to leave with conn's addresses.
 *
 * Once a second the packet at hand asks the FIB, and that packet goes by bpf_redirect_neigh(): the
 * kernel's neighbour entry is then used and confirmed as if the kernel had forwarded it (a cached
 * MAC address alone would let it go stale, and nobody would probe a router that was exchanged). The
 * others use the MAC addresses found. Without a neighbour entry every packet goes that way, until
 * the address is resolved.
 */
__noinline enum fwd_reason way_refresh(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct bpf_fib_lookup fib;
	struct fwd_device *device;
	enum fwd_reason reason;
	bool has_neighbour;
	long ret;

	if (!pkt || !conn)
		return FWD_NO_ROUTE;
	if (conn->dir == FWD_DIR_REPLY && conn->way.ifindex == FWD_LOOPBACK) {
		way_to_self(pkt, conn);
		return FWD_FORWARDED;
	}
	if (!way_source_is_here(ctx, pkt, conn))
		return FWD_NO_SOURCE;
	ret = way_lookup(ctx, &fib, pkt, conn);
	reason = fib_reason(ret);
	if (reason != FWD_FORWARDED)
		return reason;
	device = bpf_map_lookup_elem(&devices, &fib.ifindex);
	if (!device)
		return FWD_NOT_ATTACHED;
	has_neighbour = ret == BPF_FIB_LKUP_RET_SUCCESS;
	way_set(&conn->way, &fib, device, has_neighbour);
	conn->way.mtu = device_mtu(ctx, fib.ifindex);
	if (device->link == FWD_LINK_ETHERNET)
		next_hop_set(&pkt->next_hop, &fib, has_neighbour);
	/* 0 can come up as a time, too; then this is done once more. */
	conn->way.refreshed = has_neighbour || device->link == FWD_LINK_IP ? pkt->now : 0;
	return FWD_FORWARDED;
}

static __always_inline bool way_is_fresh(const struct fwd_way *way, __u32 now)
{
	return way->ifindex && way->refreshed && now - way->refreshed < WAY_MAX_AGE;
}

static __always_inline bool forward_ethernet(fwd_ctx *ctx, struct fwd_pkt *pkt,
					     const struct fwd_way *way)
{
	struct ethhdr *eth;

	if (fwd_link == FWD_LINK_IP && !ctx_push_ethernet(ctx))
		return false;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	__builtin_memcpy(eth->h_dest, way->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, way->smac, ETH_ALEN);
	eth->h_proto = pkt->family == FWD_FAMILY_IPV4 ? __constant_htons(ETH_P_IP)
						      : __constant_htons(ETH_P_IPV6);
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
					       struct fwd_conn *conn, int *action)
{
	const struct fwd_way *way = &conn->way;

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
