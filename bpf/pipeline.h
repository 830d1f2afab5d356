/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey of a packet, from the hook to the hook. Read this file and you have read it all; the
 * steps are in the files that they are named after. docs/journey.md walks through it with an example.
 *
 * Decide first, then touch the packet once: up to translate() nothing is written to it, so whatever
 * ends earlier leaves it to the stack as it came.
 */
#ifndef FWD_BPF_PIPELINE_H
#define FWD_BPF_PIPELINE_H

#include "ct/conntrack.h"
#include "ct/frag_track.h"
#include "ct/table.h"
#include "pkt/csum_packet.h"
#include "pkt/parse.h"
#include "pkt/translate.h"
#include "pkt/translate_icmp.h"
#include "policy/rule.h"
#include "step/forward.h"
#include "step/icmp_error.h"
#include "step/mtu.h"
#include "step/open.h"
#include "step/route.h"
#include "verdict.h"

/* What is too large for 512 bytes of stack; no packet interrupts another on its CPU. */
struct fwd_scratch {
	struct fwd_pkt pkt;
	struct fwd_icmp_budget budget;
};

static __always_inline struct fwd_scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

/* The same for an ICMP error, which isn't a packet of the connection. */
__noinline bool apply_icmp_error(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn, enum fwd_ttl ttl)
{
	struct translation to;

	if (!pkt || !conn)
		return false;
	to = translation_of(conn, pkt_dir(pkt));
	return translate_error(ctx, pkt, &to, ttl);
}

/* Rewrites the packet as its connection says and counts it. The last step but sending. */
static __always_inline enum fwd_reason apply(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_conn *conn,
					     enum fwd_ttl ttl)
{
	struct translation to;
	__u16 mss;

	if (!translate_drop_padding(ctx, pkt))
		return FWD_REWRITE_FAILED;
	if (pkt->is_error)
		return apply_icmp_error(ctx, pkt, conn, ttl) ? FWD_OK : FWD_REWRITE_FAILED;
	if (pkt->fragment.kind != FWD_FRAG_NONE && pkt->fragment.tiny)
		return FWD_FRAGMENT_TINY;
	if (pkt->fragment.kind == FWD_FRAG_FIRST && !frag_first(pkt, true))
		return FWD_FRAGMENT_OVERLAP;
	conn_update(pkt, conn);
	conn_count(pkt, conn);
	mss = pkt->tcp_flags & FWD_TCP_SYN ? conn_mss(pkt) : 0;
	if (mss && !mtu_clamp_mss(ctx, pkt, mss))
		return FWD_REWRITE_FAILED;
	to = translation_of(conn, pkt_dir(pkt));
	return translate(ctx, pkt, &to, ttl) ? FWD_OK : FWD_REWRITE_FAILED;
}

/* The map of a packet of no known connection; FWD_OK if there is one. */
static __always_inline enum fwd_reason find_rule(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 *rule)
{
	enum fwd_reason reason;

	if (pkt->is_error)
		return FWD_NOT_OURS;
	if (pkt->fragment.kind == FWD_FRAG_LATER)
		return FWD_NO_CONNECTION;
	reason = rule_lookup(ctx, pkt, rule);
	if (pkt->fragment.kind == FWD_FRAG_FIRST) {
		if (reason == FWD_NOT_OURS)
			frag_first(pkt, false);
		else if (pkt->fragment.tiny)
			return FWD_FRAGMENT_TINY;
	}
	return reason;
}

/* A packet that came in by an attached device. *known: the connection that it belongs to, as soon as that is
 * known. */
static __always_inline enum fwd_reason process_ingress(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn **known,
						       int *action)
{
	__u32 rule = FWD_RULE_NONE;
	enum fwd_reason reason;
	struct fwd_conn *conn;
	struct fwd_route *route;

	if (!ctx_is_for_host(ctx))
		return FWD_NOT_OURS;
	reason = parse(ctx, pkt);
	if (reason != FWD_OK)
		return reason;
	pkt->now = clock_now();

	if (pkt->fragment.kind == FWD_FRAG_LATER) {
		reason = frag_later(ctx, pkt);
		if (reason != FWD_OK)
			return reason;
	}

	conn = pkt->is_error ? conn_lookup_quote(pkt) : conn_lookup(pkt);
	if (conn && pkt->is_error && !csum_icmp_is_valid(ctx, pkt))
		return FWD_MALFORMED;
	if (!conn) {
		reason = find_rule(ctx, pkt, &rule);
		if (reason != FWD_OK)
			return reason;
	} else if (flow_is_local(conn_flow(conn, pkt))) {
		/* The answer to a socket of the gateway; the stack takes it from here. */
		return pkt_dir(pkt) == FWD_DIR_REPLY ? apply(ctx, pkt, conn, FWD_TTL_KEEP) : FWD_NOT_OURS;
	}
	if (!conn) {
		reason = open_mapped(ctx, pkt, rule);
		if (reason != FWD_OK)
			return reason;
		conn = conn_at(entry_index(pkt->entry));
		if (!conn)
			return FWD_TABLE_FULL;
	}
	*known = conn;
	route = &conn_flow(conn, pkt)->route;
	if (!route_is_fresh(route, pkt->now)) {
		route_follow_ingress(ctx, pkt, conn);
		reason = route_refresh(ctx, pkt, conn);
		/* Not to the stack: it knows no such connection, and would reset it. */
		if (reason_class(reason) == FWD_CLASS_PASS)
			return FWD_ROUTE_LOST;
		if (reason != FWD_OK)
			return reason;
	}
	reason = route_admits(ctx, pkt, route);
	if (reason != FWD_OK)
		return reason;
	reason = apply(ctx, pkt, conn, FWD_TTL_DECREMENT);
	return reason == FWD_OK ? forward(ctx, pkt, conn, route, action) : reason;
}

/* Where the journey ends early for a reason that its sender wants to know, it is told. */
static __always_inline enum fwd_reason ingress(fwd_ctx *ctx, struct fwd_scratch *s, int *action)
{
	struct fwd_conn *known = NULL;
	enum fwd_reason reason = process_ingress(ctx, &s->pkt, &known, action);

	if (reason_class(reason) != FWD_CLASS_ICMP_ERROR)
		return reason;
	return icmp_error(ctx, &s->pkt, known, &s->budget, reason, action);
}

/*
 * A packet that leaves by an attached device, made on this host. It may be an error about a packet that
 * was translated (`--snat none`; else it is addressed to the gateway itself, and comes in by lo): then the
 * visitor wants to read of what he sent.
 *
 * Or a connection of the gateway's own. The kernel gives its own sockets any port that no
 * socket has; if that one is a visitor's, on the way to the same target, the target would see two
 * connections as one. So the gateway's own gets another source port, as netfilter does it.
 *
 * This concerns only what a local process sends to some map's target; all else leaves after a look
 * at one bit.
 */
static __always_inline enum fwd_reason egress(fwd_ctx *ctx, struct fwd_scratch *s)
{
	struct fwd_pkt *pkt = &s->pkt;
	enum fwd_reason reason;
	struct fwd_tuple answer;
	struct fwd_conn *conn;

	if (!ctx_is_from_host(ctx) || ctx_ifindex(ctx) == FWD_LOOPBACK || parse(ctx, pkt) != FWD_OK)
		return FWD_NOT_OURS;
	if (pkt->is_error) {
		conn = conn_lookup_quote(pkt);
		return conn ? apply(ctx, pkt, conn, FWD_TTL_KEEP) : FWD_NOT_OURS;
	}
	if (!port_is_known(FWD_PORTS_TARGET_TCP, pkt->tuple.proto, pkt->tuple.dport))
		return FWD_NOT_OURS;
	pkt->now = clock_now();

	conn = conn_lookup(pkt);
	if (!conn) {
		tuple_swap(&answer, &pkt->tuple);
		if (table_find(&answer) < 0 || !ct_opens(pkt->tuple.proto, pkt->tcp_flags))
			return FWD_NOT_OURS;
		reason = open_local(ctx, pkt);
		if (reason != FWD_OK)
			return reason;
		conn = conn_at(entry_index(pkt->entry));
	}
	if (!conn || !flow_is_local(conn_flow(conn, pkt)) || pkt_dir(pkt) != FWD_DIR_FORWARD)
		return FWD_NOT_OURS;
	return apply(ctx, pkt, conn, FWD_TTL_KEEP);
}

#endif
