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

static __always_inline void next_hop_set(struct fwd_next_hop *hop, const struct bpf_fib_lookup *fib)
{
	hop->valid = 1;
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
	struct bpf_fib_lookup fib = {};
	long ret;

	if (conn->dir != FWD_DIR_FORWARD || !rule || rule->snat != FWD_SNAT_AUTO)
		return true;
	ret = fib_lookup(ctx, &fib, pkt, &conn->daddr, &conn->saddr);
	return ret != BPF_FIB_LKUP_RET_SUCCESS && ret != BPF_FIB_LKUP_RET_NO_NEIGH;
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
	struct bpf_fib_lookup fib = {};
	struct fwd_device *device;
	enum fwd_reason reason;
	bool has_neighbour;
	long ret;

	if (!pkt || !conn)
		return FWD_NO_ROUTE;
	if (!way_source_is_here(ctx, pkt, conn))
		return FWD_NO_SOURCE;
	ret = fib_lookup(ctx, &fib, pkt, &conn->saddr, &conn->daddr);
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
		next_hop_set(&pkt->next_hop, &fib);
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
 * Sends the translated packet on its way. *action: what the hook has to return.
 *
 * bpf_redirect() to a device without Ethernet header takes the header off by itself (net/core/
 * filter.c, __bpf_redirect_no_mac).
 */
static __always_inline enum fwd_reason forward(fwd_ctx *ctx, struct fwd_pkt *pkt,
					       struct fwd_conn *conn, int *action)
{
	const struct fwd_way *way = &conn->way;
	struct bpf_redir_neigh neigh = {};

	if (way->link == FWD_LINK_ETHERNET && !forward_ethernet(ctx, pkt, way))
		return FWD_TRANSLATE;
	if (pkt->fragment.part == FWD_PART_FIRST && !fragment_release(ctx, pkt, conn))
		return FWD_TRANSLATE;
	if (pkt->cut && !cut(ctx, pkt->l3_off, way->mtu, way->ifindex))
		return FWD_TRANSLATE;
	if (!pkt->next_hop.valid) {
		*action = bpf_redirect(way->ifindex, 0);
		return FWD_FORWARDED;
	}
	neigh.nh_family = pkt->next_hop.family;
	__builtin_memcpy(neigh.ipv6_nh, &pkt->next_hop.addr, sizeof(neigh.ipv6_nh));
	*action = bpf_redirect_neigh(way->ifindex, &neigh, sizeof(neigh), 0);
	return FWD_FORWARDED;
}

#endif
