/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path, at XDP: TCP and UDP packets of known connections that are not fragmented, with a route to an
 * Ethernet device. These are nearly all packets, and before the kernel has allocated an skb they are cheap
 * (docs/benchmarks.md).
 *
 * All other packets are passed to tc, unchanged and uncounted, except those that tc would refuse because source ports
 * are exhausted. Both hooks use the same table, so a connection that one hook opens continues in the other. The steps
 * are those of the pipeline.
 */
#ifndef FWD_BPF_FASTPATH_H
#define FWD_BPF_FASTPATH_H

#include "ct/conntrack.h"
#include "ct/ct_state.h"
#include "pkt/link.h"
#include "pkt/parse.h"
#include "pkt/translate.h"
#include "policy/admit.h"
#include "policy/rule.h"
#include "step/route.h"
#include "verdict.h"

static __always_inline struct fwd_pkt *fastpath_pkt(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fastpath_scratch, &zero);
}

/* The field holds the complete transport checksum. If a sender on this host left it to the NIC (veth, virtio), the
 * field holds the sum of the pseudo header alone. No helper tells, but the value does. One in 65,536 complete
 * checksums has the same value, and that packet only takes the path by tc. */
static __always_inline bool fastpath_csum_is_complete(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	bool tcp = pkt->tuple.proto == IPPROTO_TCP;
	__u32 off = pkt->l4_off + (tcp ? TCP_CHECK_OFF : UDP_CHECK_OFF);
	__u32 pseudo = csum_pseudo(&pkt->tuple.saddr, &pkt->tuple.daddr, pkt->family, pkt->tuple.proto,
				   pkt->bytes - (pkt->l4_off - pkt->l3_off));
	const __u16 *check = ctx_at(ctx, off, sizeof(*check));

	return check && *check != (__u16)~csum_fold(pseudo);
}

/* Packets that XDP may handle. tc opens connections; XDP refuses some only while source ports are exhausted. */
static __always_inline bool fastpath_handles(const fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	if (pkt->is_error || pkt->fragment.kind != FWD_FRAG_NONE || pkt->ttl <= 1)
		return false;
	/* Without its tags the frame would be shorter than the minimum. */
	if (pkt->tags && ctx_len(ctx) < ETH_ZLEN + pkt->tags * VLAN_TAG_LEN)
		return false;
	return !(pkt->tcp_flags & FWD_TCP_SYN) || port_backoff_any(pkt->now);
}

/* A packet without a connection, for a rule whose source ports are exhausted: refused here, because at tc a flood of
 * them would cost twice the CPU time of forwarded packets. tc handles all others. */
static __always_inline enum fwd_reason fastpath_refuse(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 rule = FWD_RULE_NONE;

	if (!port_backoff_any(pkt->now) || rule_lookup(ctx, pkt, &rule) != FWD_OK)
		return FWD_NOT_OURS;
	return admit(ctx, pkt, rule) == FWD_NO_PORT ? FWD_NO_PORT : FWD_NOT_OURS;
}

/* The return value of the hook that forwards the packet: its route is fresh, reachable from XDP, and its MTU
 * suffices. Otherwise ctx_pass(). Nothing is written to the packet. */
static __always_inline int fastpath_send(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_route *route = &conn_flow(conn, pkt)->route;
	int action = route->refreshed ? ctx_send(route) : ctx_pass();

	if (action == ctx_pass() || !route_fits(route, pkt->bytes))
		return ctx_pass();
	if (route_is_fresh(conn_flow(conn, pkt), pkt->now))
		return action;
	if (admit_returns_to_socket(ctx, pkt, conn))
		return ctx_pass();
	route_follow_ingress(ctx, pkt, conn);
	if (route_refresh(ctx, pkt, conn) != FWD_OK || !route_fits(route, pkt->bytes))
		return ctx_pass();
	/* Only tc can send through the neighbour table, so tc has to look up the route again. */
	if (pkt->next_hop.how != FWD_HOP_CACHED)
		route->refreshed = 0;
	return route->refreshed ? ctx_send(route) : ctx_pass();
}

/* A packet received by an attached device. FWD_NOT_OURS: it is passed to tc. */
static __always_inline enum fwd_reason fastpath(fwd_ctx *ctx, struct fwd_pkt *pkt, int *action)
{
	struct translation to;
	struct fwd_conn *conn;
	struct ethhdr *eth;

	if (!ctx_is_for_host(ctx) || parse(ctx, pkt) != FWD_OK)
		return FWD_NOT_OURS;
	pkt->now = clock_now();
	if (!fastpath_handles(ctx, pkt))
		return FWD_NOT_OURS;
	conn = conn_lookup(pkt);
	if (!conn)
		return fastpath_refuse(ctx, pkt);
	if (flow_is_own(conn_flow(conn, pkt)) || (pkt->tcp_flags & FWD_TCP_SYN) || !conn_expects(pkt, conn) ||
	    !route_arrival_is_known(conn_flow(conn, pkt)) || !fastpath_csum_is_complete(ctx, pkt))
		return FWD_NOT_OURS;
	*action = fastpath_send(ctx, pkt, conn);
	if (*action == ctx_pass())
		return FWD_NOT_OURS;

	if ((pkt->tags && !link_untag(ctx, pkt)) || !translate_drop_padding(ctx, pkt))
		return FWD_REWRITE_FAILED;
	conn_update(pkt, conn);
	conn_count(pkt, conn);
	to = translation_of(conn, pkt_dir(pkt));
	if (!translate(ctx, pkt, &to, FWD_TTL_DECREMENT))
		return FWD_REWRITE_FAILED;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return FWD_REWRITE_FAILED;
	route_write_ethernet(&conn_flow(conn, pkt)->route, eth, pkt->family);
	return FWD_OK;
}

#endif
