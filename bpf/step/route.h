/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Routes: looked up in the FIB, cached in the connection, refreshed once a second.
 */
#ifndef FWD_BPF_STEP_ROUTE_H
#define FWD_BPF_STEP_ROUTE_H

#include <linux/if_ether.h>
#include "base/config.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "host/fib.h"
#include "host/neigh.h"
#include "pkt/translate.h"

#define ROUTE_MAX_AGE FWD_TICKS(1)

static __always_inline void route_set(struct fwd_route *route, const struct bpf_fib_lookup *fib,
				      const struct fwd_device *device, bool has_neighbour)
{
	route->out = route_out(fib->ifindex, device->link);
	if (has_neighbour) {
		__builtin_memcpy(route->dmac, fib->dmac, ETH_ALEN);
		__builtin_memcpy(route->smac, fib->smac, ETH_ALEN);
	}
}

/* Decides whether the packet is sent through the kernel's neighbour table. */
static __always_inline void next_hop_set(struct fwd_pkt *pkt, const struct bpf_fib_lookup *fib, bool has_neighbour)
{
	struct fwd_next_hop *hop = &pkt->next_hop;

	hop->family = fib->family; /* of the next hop: an IPv4 route may have an IPv6 next hop (RFC 5549) */
	__builtin_memcpy(&hop->addr, fib->ipv6_dst, sizeof(hop->addr));
	if (!has_neighbour) {
		hop->how = FWD_HOP_UNKNOWN;
		return;
	}
	hop->how = neigh_recently_used(fib->ifindex, &hop->addr, pkt->now) ? FWD_HOP_CACHED : FWD_HOP_KNOWN;
}

/* The record of an attached device. NULL: no device with this ifindex is attached; the record may be that of a device
 * which is gone. */
static __always_inline struct fwd_device *device_get(__u32 ifindex)
{
	return bpf_map_lookup_elem(&live_devices, &ifindex) ? bpf_map_lookup_elem(&devices, &ifindex) : NULL;
}

/* False after the device was moved to another network namespace: TCX and XDP programs stay attached to it, and packets
 * of that namespace must neither match a map nor have a route looked up there. */
static __always_inline bool device_is_own(fwd_ctx *ctx)
{
	const struct fwd_device *device = device_get(ctx_ifindex(ctx));

	return device && device->index == fwd_device_index;
}

/* The last time that the source address of a rule was verified, and the device that then led to its target. */
struct fwd_source_check {
	__u32 ifindex;
	__u32 when; /* ticks */
};

/* The source address that fwdctl chose for the rule still is an address of the gateway. When WireGuard is down its
 * address is gone, the default route leads to the target, and data meant for the tunnel would leave in clear. For
 * packets of the FORWARD direction. One answer holds for all connections of the rule, for a second and one device. */
__noinline bool route_source_is_local(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn,
				      __u32 ifindex)
{
	__u32 index = pkt && conn ? conn->flow[FWD_DIR_FORWARD].rule : FWD_RULE_NONE;
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	struct fwd_source_check *check;
	struct bpf_fib_lookup fib;
	struct fib_flow source;
	struct translation to;

	if (!pkt || !conn || !rule || rule->snat != FWD_SNAT_AUTO)
		return true;
	check = bpf_map_lookup_elem(&source_checks, &index);
	if (!check)
		return true;
	if (check->ifindex == ifindex && pkt->now - check->when < ROUTE_MAX_AGE)
		return true;
	to = translation_of(conn, FWD_DIR_FORWARD);
	source = (struct fib_flow){to.daddr, to.saddr, to.dport, to.sport};
	if (fib_found(fib_lookup(ctx, &fib, pkt, &source)))
		return false;
	check->ifindex = ifindex;
	check->when = pkt->now;
	return true;
}

/* The route denies the packet: it was found, and is none of those that lead on. */
static __always_inline bool route_denies(long ret)
{
	return ret == BPF_FIB_LKUP_RET_BLACKHOLE || ret == BPF_FIB_LKUP_RET_UNREACHABLE ||
	       ret == BPF_FIB_LKUP_RET_PROHIBIT;
}

/* Looks up the route as the kernel would: after netfilter has translated the destination, and before it translates the
 * source (NF_INET_PRE_ROUTING and NF_INET_POST_ROUTING). So `ip rule`s match the visitor's address and the target's
 * port in both directions. */
static __noinline long route_lookup_kernel(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					   const struct fwd_conn *conn)
{
	struct translation to = translation_of(conn, pkt_dir(pkt));
	struct fib_flow flow = {&pkt->tuple.saddr, to.daddr, pkt->tuple.sport, pkt->is_error ? 0 : to.dport};

	return fib_lookup(ctx, fib, pkt, &flow);
}

/* A route by the device `via`, for a packet with the public address as source. IPv6 does not look at `ip rule`s of the
 * source if the device is given (net/core/filter.c, bpf_ipv6_fib_lookup, RT6_LOOKUP_F_HAS_SADDR), so they are asked
 * without it, too. */
static __noinline long route_lookup_via(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					const struct fib_flow *flow, __u32 via)
{
	long ret = fib_lookup_via(ctx, fib, pkt, flow, via);

	if (!fib_found(ret) || fib->ifindex != via)
		ret = fib_lookup(ctx, fib, pkt, flow);
	return fib_found(ret) && fib->ifindex != via ? BPF_FIB_LKUP_RET_NOT_FWDED : ret;
}

/* A reply leaves by the device that the request came in by, if a route there leads to the client: with several uplinks
 * the provider of another one would drop it for its source address. Only the choice of the device is fwdctl's own: it
 * is looked up with the public address as source, which has an `ip rule` of its own on such gateways. */
static __always_inline long route_lookup(fwd_ctx *ctx, struct bpf_fib_lookup *fib, const struct fwd_pkt *pkt,
					 const struct fwd_conn *conn)
{
	struct translation to = translation_of(conn, pkt_dir(pkt));
	__u32 via = route_ifindex(&conn->flow[FWD_DIR_REPLY].route);
	struct fib_flow flow = {to.saddr, to.daddr, to.sport, to.dport};
	long ret = route_lookup_kernel(ctx, fib, pkt, conn);

	if (pkt_dir(pkt) != FWD_DIR_REPLY || !via || route_denies(ret) || (fib_found(ret) && fib->ifindex == via))
		return ret;
	ret = route_lookup_via(ctx, fib, pkt, &flow, via);
	return fib_found(ret) ? ret : route_lookup_kernel(ctx, fib, pkt, conn);
}

/* Moves the route of the replies to the device that requests come in by now, if a route there leads to the client.
 * Otherwise the replies keep their route, which packets on other CPUs are using. Returns 1 if it changed. */
__noinline int route_follow_ingress(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	__u32 ifindex = ctx_ifindex(ctx);
	struct bpf_fib_lookup fib;
	struct fib_flow flow;
	struct fwd_route *back;

	if (!pkt || !conn)
		return 0;
	back = &conn->flow[FWD_DIR_REPLY].route;
	if (pkt_dir(pkt) != FWD_DIR_FORWARD || pkt->is_error || route_ifindex(back) == ifindex)
		return 0;
	flow = fib_flow_back(pkt);
	if (!fib_found(route_lookup_via(ctx, &fib, pkt, &flow, ifindex)))
		return 0;
	back->refreshed = 0;
	back->out = route_out(ifindex, FWD_LINK_IP);
	return 1;
}

/*
 * A map whose first route led through a tunnel never leaves it by itself. When the tunnel's device is gone, a default
 * route may lead to the target, and data that was meant to be encrypted would leave in clear. A tunnel may be replaced
 * by another one. `map del` and `map add` make the map forget it.
 *
 * A map with an IPsec policy, as attach found it, forwards nothing (user/host/ipsec.h).
 */
static __always_inline enum fwd_reason route_stays_in_tunnel(const struct fwd_conn *conn,
							     const struct fwd_device *device)
{
	__u32 index = conn->flow[FWD_DIR_FORWARD].rule;
	struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);

	if (!rule)
		return FWD_OK;
	switch (rule->path) {
	case FWD_PATH_UNKNOWN:
		rule->path = device->tunnel ? FWD_PATH_TUNNEL : FWD_PATH_OPEN;
		return FWD_OK;
	case FWD_PATH_TUNNEL:
		return device->tunnel ? FWD_OK : FWD_TUNNEL_GONE;
	case FWD_PATH_IPSEC:
		return FWD_IPSEC;
	default:
		return FWD_OK;
	}
}

/* The rp_filter of the device that received the packet. The kernel has none for IPv6. */
static __always_inline enum fwd_rp_filter route_rp_filter(const fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 in = ctx_ifindex(ctx);
	const struct fwd_device *device = bpf_map_lookup_elem(&devices, &in);

	return device && pkt->family == FWD_FAMILY_IPV4 ? device->rp_filter : FWD_RP_OFF;
}

/* Lookups for a multipath route: of two next hops, 8 lookups miss one in 128 times. */
#define ROUTE_BACK_TRIES 8

/* A multipath route to the packet's sender has a next hop on the device that received it. The kernel's rp_filter
 * accepts any of them (net/ipv4/fib_frontend.c, fib_info_nh_uses_dev), but a lookup returns one, by a hash of addresses
 * and ports. Other sources lead to the others. */
static __always_inline bool route_back_is_multipath(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct fib_flow flow = fib_flow_back(pkt);
	struct bpf_fib_lookup fib;
	struct fwd_addr source;
	int i;

	flow.saddr = &source;
	for (i = 1; i < ROUTE_BACK_TRIES; i++) {
		addr_from_v4(&source, bpf_get_prandom_u32());
		flow.sport = bpf_get_prandom_u32();
		if (fib_found(fib_lookup(ctx, &fib, pkt, &flow)) && fib.ifindex == ctx_ifindex(ctx))
			return true;
	}
	return false;
}

/* The MTU of the route back to the packet's sender; 0: no route; -1: the rp_filter of the device that received the
 * packet refuses it, as fib_validate_source() would (net/ipv4/fib_frontend.c). */
__noinline int route_back(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct bpf_fib_lookup fib;
	enum fwd_rp_filter filter;
	struct fib_flow flow;
	bool found;

	if (!pkt)
		return 0;
	filter = route_rp_filter(ctx, pkt);
	flow = fib_flow_back(pkt);
	found = fib_found(fib_lookup(ctx, &fib, pkt, &flow));
	if (filter != FWD_RP_OFF && !found)
		return -1;
	if (filter == FWD_RP_STRICT && fib.ifindex != ctx_ifindex(ctx) && !route_back_is_multipath(ctx, pkt))
		return -1;
	return found ? device_mtu(ctx, fib.ifindex) : 0;
}

/* route_arrival() for a packet that arrives by another device than the last one of its direction, and for ICMP errors,
 * which may come from any router. 1: accepted. */
__noinline int route_arrival_new(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_flow *flow;
	__u32 was;

	if (!pkt || !conn)
		return 0;
	if (route_rp_filter(ctx, pkt) != FWD_RP_OFF && route_back(ctx, pkt) < 0)
		return 0;
	if (pkt->is_error)
		return 1;
	/* If another CPU changes the word at the same time, the next packet asks again. */
	flow = conn_flow(conn, pkt);
	was = READ_ONCE(flow->ct_state);
	__sync_val_compare_and_swap(&flow->ct_state, was,
				    (was & ~FWD_CT_ARRIVAL_MASK) | fwd_ct_arrival(fwd_device_index));
	return 1;
}

/* The packet arrived by the device by which packets of its direction have arrived before. */
static __always_inline bool route_arrival_is_known(const struct fwd_flow *flow)
{
	return (READ_ONCE(flow->ct_state) & FWD_CT_ARRIVAL_MASK) == fwd_ct_arrival(fwd_device_index);
}

/* The rp_filter of the device that received the packet accepts it. Asked again whenever another device receives one. */
static __always_inline bool route_arrival(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	return (!pkt->is_error && route_arrival_is_known(conn_flow(conn, pkt))) || route_arrival_new(ctx, pkt, conn);
}

/* The route to a process of the gateway itself. */
static __always_inline void route_to_self(struct fwd_route *route, __u32 now)
{
	route->out = route_out(FWD_LOOPBACK, FWD_LINK_ETHERNET);
	route->mtu = 0;
	route->refreshed = now;
}

/*
 * Refreshes the connection's cached route with a lookup for this packet, which is about to be forwarded.
 *
 * Once a second one packet looks up the route; the others use the cached MAC addresses. While the next hop has no
 * neighbour entry, every packet looks it up and leaves by bpf_redirect_neigh(), until the address is resolved.
 * FWD_NOT_OURS: the packet is one of another network namespace.
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
	if (!device_is_own(ctx))
		return FWD_NOT_OURS;
	route = &conn_flow(conn, pkt)->route;
	if (pkt_dir(pkt) == FWD_DIR_REPLY && route_ifindex(route) == FWD_LOOPBACK) {
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
	device = device_get(fib.ifindex);
	if (!device)
		return FWD_NOT_ATTACHED;
	reason = pkt_dir(pkt) == FWD_DIR_FORWARD ? route_stays_in_tunnel(conn, device) : FWD_OK;
	if (reason != FWD_OK)
		return reason;
	has_neighbour = ret == BPF_FIB_LKUP_RET_SUCCESS;
	route_set(route, &fib, device, has_neighbour);
	route->mtu = device_mtu(ctx, fib.ifindex);
	if (device->link == FWD_LINK_ETHERNET)
		next_hop_set(pkt, &fib, has_neighbour);
	/* 0 is also a possible time; then the next packet looks it up again. The route is not cached after an ICMP
	 * error either, which an `ip rule` may route differently, nor when a request has just moved the replies to
	 * another device. */
	resolved = (has_neighbour || device->link == FWD_LINK_IP) && !pkt->is_error;
	route->refreshed = resolved && READ_ONCE(route->out) == route_out(fib.ifindex, device->link) ? pkt->now : 0;
	return FWD_OK;
}

/* The flow's route was looked up less than a second ago. */
static __always_inline bool route_is_fresh(const struct fwd_flow *flow, __u32 now)
{
	const struct fwd_route *route = &flow->route;

	return route->refreshed && now - flow->last_seen < ROUTE_MAX_AGE &&
	       (__u16)(now - route->refreshed) < ROUTE_MAX_AGE;
}

/* len: bytes from the IP header on. */
static __always_inline bool route_fits(const struct fwd_route *route, __u32 len)
{
	return !route->mtu || len <= route->mtu;
}

/* Writes the Ethernet header of a frame that leaves by this route. */
static __always_inline void route_write_ethernet(const struct fwd_route *route, struct ethhdr *eth,
						 enum fwd_family family)
{
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
	eth->h_proto = family == FWD_FAMILY_IPV4 ? __constant_htons(ETH_P_IP) : __constant_htons(ETH_P_IPV6);
}

#endif
