/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way out: found in the FIB, kept beside the connection, refreshed once a second.
 */
#ifndef FWD_BPF_STEP_ROUTE_H
#define FWD_BPF_STEP_ROUTE_H

#include <linux/if_ether.h>
#include "base/maps.h"
#include "ct/conntrack.h"
#include "host/fib.h"
#include "host/neigh.h"
#include "pkt/translate.h"

#define ROUTE_MAX_AGE FWD_TICKS(1)

static __always_inline void route_set(struct fwd_route *route, const struct bpf_fib_lookup *fib,
				      const struct fwd_device *device, bool has_neighbour)
{
	route->ifindex = fib->ifindex;
	route->link = device->link;
	if (has_neighbour) {
		__builtin_memcpy(route->dmac, fib->dmac, ETH_ALEN);
		__builtin_memcpy(route->smac, fib->smac, ETH_ALEN);
	}
}

/* Has the packet to go by the kernel's neighbour table? */
static __always_inline void next_hop_set(struct fwd_pkt *pkt, const struct bpf_fib_lookup *fib, bool has_neighbour)
{
	struct fwd_next_hop *hop = &pkt->next_hop;

	hop->family = fib->family; /* of the next hop: IPv4 may have an IPv6 one (RFC 5549) */
	__builtin_memcpy(&hop->addr, fib->ipv6_dst, sizeof(hop->addr));
	if (!has_neighbour)
		hop->how = FWD_HOP_UNKNOWN;
	else if (!neigh_recently_used(fib->ifindex, &hop->addr, pkt->now))
		hop->how = FWD_HOP_KNOWN;
}

/* By which device the target was last found while the address chosen for the map was the gateway's. */
struct fwd_source_check {
	__u32 ifindex;
	__u32 when; /* ticks */
};

/*
 * Is the address that fwdctl chose for the map still one of the gateway's? When WireGuard is down its
 * address is gone, the default route leads to the target, and what was meant for the tunnel would go
 * out in clear. Of packets that go FORWARD. One answer is good for all of the map's connections, for a second and one device.
 */
__noinline bool route_source_is_local(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn,
				      __u32 ifindex)
{
	__u32 index = pkt && conn ? conn->flow[FWD_DIR_FORWARD].rule : FWD_RULE_NONE;
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	struct fwd_source_check *seen;
	struct bpf_fib_lookup fib;
	struct translation to;

	if (!pkt || !conn || !rule || rule->snat != FWD_SNAT_AUTO)
		return true;
	seen = bpf_map_lookup_elem(&source_checks, &index);
	if (!seen)
		return true;
	if (seen->ifindex == ifindex && pkt->now - seen->when < ROUTE_MAX_AGE)
		return true;
	to = translation_of(conn, FWD_DIR_FORWARD);
	if (fib_found(fib_lookup(ctx, &fib, pkt, to.daddr, to.saddr)))
		return false;
	seen->ifindex = ifindex;
	seen->when = pkt->now;
	return true;
}

/*
 * Asks the FIB. An answer leaves by the device that the request came in by, if any route there leads to
 * the client: with several uplinks the provider of another one would drop it, for its source address.
 */
static __always_inline long route_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					 const struct fwd_conn *conn)
{
	struct translation to = translation_of(conn, pkt_dir(pkt));
	__u32 by = conn->flow[FWD_DIR_REPLY].route.ifindex;
	long ret;

	if (pkt_dir(pkt) == FWD_DIR_REPLY && by) {
		ret = fib_lookup_via(ctx, fib, pkt, to.saddr, to.daddr, by);
		if (fib_found(ret) && fib->ifindex == by)
			return ret;
	}
	return fib_lookup(ctx, fib, pkt, to.saddr, to.daddr);
}

/* Where the requests come in now, if it isn't where the answers leave but they could. Else they stay on their way, which
 * packets on other CPUs are using. Returns 1 if it changed that. */
__noinline int route_follow_ingress(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	__u32 ifindex = ctx_ifindex(ctx);
	struct bpf_fib_lookup fib;
	struct translation to;
	struct fwd_route *back;

	if (!pkt || !conn)
		return 0;
	back = &conn->flow[FWD_DIR_REPLY].route;
	if (pkt_dir(pkt) != FWD_DIR_FORWARD || pkt->is_error || back->ifindex == ifindex)
		return 0;
	/* With the request's ports and TOS: an `ip rule` that looks at those of answers isn't seen here. */
	to = translation_of(conn, FWD_DIR_REPLY);
	if (!fib_found(fib_lookup_via(ctx, &fib, pkt, to.saddr, to.daddr, ifindex)) || fib.ifindex != ifindex)
		return 0;
	back->refreshed = 0;
	back->ifindex = ifindex;
	return 1;
}

/* To a process of the gateway itself. */
static __always_inline void route_to_self(struct fwd_route *route, __u32 now)
{
	route->link = FWD_LINK_ETHERNET;
	route->mtu = 0;
	route->refreshed = now;
}

/*
 * Makes the connection's way good for this packet, which is going to leave with its addresses.
 *
 * Once a second the packet at hand asks the FIB; the others use the MAC addresses found. Without a neighbour entry
 * every packet asks, and goes by bpf_redirect_neigh(), until the address is resolved.
 */
__noinline enum fwd_reason route_refresh(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct bpf_fib_lookup fib;
	struct fwd_device *device;
	enum fwd_reason reason;
	struct fwd_route *route;
	bool has_neighbour, resolved;
	long ret;

	if (!pkt || !conn)
		return FWD_NO_ROUTE;
	route = &conn_flow(conn, pkt)->route;
	if (pkt_dir(pkt) == FWD_DIR_REPLY && route->ifindex == FWD_LOOPBACK) {
		route_to_self(route, pkt->now);
		return FWD_OK;
	}
	ret = route_lookup(ctx, &fib, pkt, conn);
	reason = fib_reason(ret);
	if (pkt_dir(pkt) == FWD_DIR_FORWARD &&
	    !route_source_is_local(ctx, pkt, conn, reason == FWD_OK ? fib.ifindex : 0))
		return FWD_NO_SOURCE;
	if (reason != FWD_OK)
		return reason;
	device = bpf_map_lookup_elem(&devices, &fib.ifindex);
	if (!device)
		return FWD_NOT_ATTACHED;
	has_neighbour = ret == BPF_FIB_LKUP_RET_SUCCESS;
	route_set(route, &fib, device, has_neighbour);
	route->mtu = device_mtu(ctx, fib.ifindex);
	if (device->link == FWD_LINK_ETHERNET)
		next_hop_set(pkt, &fib, has_neighbour);
	/* 0 can come up as a time, too; then this is done once more. So it is when a request has just called the answers to
	 * another device; and behind an ICMP error, which an `ip rule` may send another way than the connection. */
	resolved = (has_neighbour || device->link == FWD_LINK_IP) && !pkt->is_error;
	route->refreshed = resolved && READ_ONCE(route->ifindex) == fib.ifindex ? pkt->now : 0;
	return FWD_OK;
}

static __always_inline bool route_is_fresh(const struct fwd_route *route, __u32 now)
{
	return route->ifindex && route->refreshed && now - route->refreshed < ROUTE_MAX_AGE;
}

/* For len bytes of IP. */
static __always_inline bool route_fits(const struct fwd_route *route, __u32 len)
{
	return !route->mtu || len <= route->mtu;
}

/* The header that a frame leaves with. */
static __always_inline void route_write_ethernet(const struct fwd_route *route, struct ethhdr *eth,
						 enum fwd_family family)
{
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
	eth->h_proto = family == FWD_FAMILY_IPV4 ? __constant_htons(ETH_P_IP) : __constant_htons(ETH_P_IPV6);
}

#endif
