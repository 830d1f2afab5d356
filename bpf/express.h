/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey of those packets that are nearly all of the traffic, without any stop: TCP and UDP of a known
 * connection, whole, on a way that is known and leads to another Ethernet device. At XDP, before the kernel
 * has made anything of the frame, that is cheap (docs/benchmarks.md).
 *
 * All others go on to tc, as they came and uncounted, but for what tc would refuse for want of a source port. It is
 * the same table that both look into, so what one hook begins the other can go on with. The steps are the
 * pipeline's own.
 */
#ifndef FWD_EXPRESS_H
#define FWD_EXPRESS_H

#include "admit.h"
#include "conntrack.h"
#include "rule.h"
#include "translate.h"
#include "verdict.h"
#include "way.h"

/* What does not fit on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwd_pkt);
} express_scratch SEC(".maps");

static __always_inline struct fwd_pkt *express_pkt(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&express_scratch, &zero);
}

/*
 * Is the transport checksum the packet's? Where a sender on this very host left it to the NIC (veth, virtio),
 * the field holds the sum of the pseudo header alone; nothing tells that to a program, but the number itself
 * does. One in 65,536 others looks like it, and only takes the longer way.
 */
static __always_inline bool express_sum_is_there(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	bool tcp = pkt->tuple.proto == IPPROTO_TCP;
	__u32 off = pkt->l4_off + (tcp ? TCP_CHECK_OFF : UDP_CHECK_OFF);
	__u32 pseudo = csum_pseudo(&pkt->tuple.saddr, &pkt->tuple.daddr, pkt->family, pkt->tuple.proto,
				   pkt->bytes - (pkt->l4_off - pkt->l3_off));
	const __u16 *check = ctx_at(ctx, off, sizeof(*check));

	return check && *check != (__u16)~csum_fold(pseudo);
}

/* Is there anything for XDP to do with the packet? Opening a connection is tc's, and so is nearly all of refusing to. */
static __always_inline bool express_concerns(const struct fwd_pkt *pkt)
{
	if (pkt->is_error || pkt->fragment.part != FWD_PART_WHOLE || pkt->ttl <= 1)
		return false;
	return !(pkt->tcp_flags & FWD_TCP_SYN) || exhausted_any(pkt->now);
}

/* A packet of no known connection, to a map that has no source port left: refused here, or who floods it would get
 * twice of the CPU what others' packets take. All others are tc's. */
static __always_inline enum fwd_reason express_refuse(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 rule = FWD_RULE_NONE;

	if (!exhausted_any(pkt->now) || rule_lookup(ctx, pkt, &rule) != FWD_FORWARDED)
		return FWD_NOT_OURS;
	return admit(ctx, pkt, rule) == FWD_NO_PORT ? FWD_NO_PORT : FWD_NOT_OURS;
}

/* Sends the packet the connection's way, as the hook's return value: if that is known, fresh, open to XDP and wide
 * enough. ctx_pass(): it isn't. Nothing is written yet. */
static __always_inline int express_send(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_way *way = &conn_flow(conn, pkt)->way;
	int action = way->refreshed ? ctx_send(way) : ctx_pass();

	if (action == ctx_pass() || !way_is_wide_enough(way, pkt->bytes))
		return ctx_pass();
	if (way_is_fresh(way, pkt->now))
		return action;
	way_follow(ctx, pkt, conn);
	if (way_refresh(ctx, pkt, conn) != FWD_FORWARDED || !way_is_wide_enough(way, pkt->bytes))
		return ctx_pass();
	/* It is tc that can go by the neighbour table, and tc that is to ask once more. */
	if (pkt->next_hop.how != FWD_HOP_NONE)
		way->refreshed = 0;
	return way->refreshed ? ctx_send(way) : ctx_pass();
}

/* A packet that came in by an attached device. FWD_NOT_OURS: tc's, or whoever's. */
static __always_inline enum fwd_reason express(fwd_ctx *ctx, struct fwd_pkt *pkt, int *action)
{
	struct translation to;
	struct fwd_conn *conn;
	struct ethhdr *eth;

	if (!ctx_is_for_us(ctx) || parse(ctx, pkt) != FWD_FORWARDED)
		return FWD_NOT_OURS;
	pkt->now = clock_now();
	if (!express_concerns(pkt))
		return FWD_NOT_OURS;
	conn = conn_lookup(pkt);
	if (!conn)
		return express_refuse(ctx, pkt);
	if (flow_is_local(conn_flow(conn, pkt)) || (pkt->tcp_flags & FWD_TCP_SYN) || !express_sum_is_there(ctx, pkt))
		return FWD_NOT_OURS;
	*action = express_send(ctx, pkt, conn);
	if (*action == ctx_pass())
		return FWD_NOT_OURS;

	if (!translate_drop_padding(ctx, pkt))
		return FWD_TRANSLATE;
	conn_track(pkt, conn);
	conn_count(pkt, conn);
	to = translation_of(conn, pkt_dir(pkt));
	if (!translate(ctx, pkt, &to, FWD_TTL_DECREMENT))
		return FWD_TRANSLATE;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return FWD_TRANSLATE;
	way_write_ethernet(&conn_flow(conn, pkt)->way, eth, pkt->family);
	return FWD_FORWARDED;
}

#endif
