/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The path of a packet at tc, from hook to hook; each step is in the file of its name. docs/journey.md follows an
 * example through it.
 *
 * Decide first, then write to the packet once: nothing is changed before apply(), so a packet that ends earlier is left
 * to the stack as it was. (ctx_csum_is_partial() writes to the checksum field, and restores it.)
 */
#ifndef FWD_BPF_PIPELINE_H
#define FWD_BPF_PIPELINE_H

#include "ct/conntrack.h"
#include "ct/frag_track.h"
#include "ct/table.h"
#include "pkt/csum_packet.h"
#include "pkt/link.h"
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

/*
 * Scratch memory, because the stack has 512 bytes. One for each hook: bpf_clone_redirect() to a tunnel device runs the
 * egress hook of the device below within the ingress program. Otherwise no packet interrupts another one on its CPU.
 * Fields that parse() does not set keep the values of an earlier packet.
 */
enum fwd_scratch_of {
	FWD_SCRATCH_INGRESS,
	FWD_SCRATCH_EGRESS,
};

struct fwd_scratch {
	struct fwd_pkt pkt;
};

static __always_inline struct fwd_scratch *scratch_get(enum fwd_scratch_of hook)
{
	__u32 index = hook;

	return bpf_map_lookup_elem(&scratch, &index);
}

/* apply() for an ICMP error, which is not a packet of the connection itself. */
__noinline bool apply_icmp_error(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn, enum fwd_ttl ttl)
{
	struct translation to;

	if (!pkt || !conn)
		return false;
	to = translation_of(conn, pkt_dir(pkt));
	return translate_error(ctx, pkt, &to, ttl);
}

/* Updates the connection and translates the packet. The last step before transmission. */
static __always_inline enum fwd_reason apply(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn, enum fwd_ttl ttl)
{
	struct translation to;
	__u16 mss;

	if ((pkt->tags && !link_untag(ctx, pkt)) || !translate_drop_padding(ctx, pkt))
		return FWD_REWRITE_FAILED;
	if (pkt->is_error)
		return apply_icmp_error(ctx, pkt, conn, ttl) ? FWD_OK : FWD_REWRITE_FAILED;
	if (pkt->fragment.kind != FWD_FRAG_NONE && pkt->fragment.tiny)
		return FWD_FRAGMENT_TINY;
	if (pkt->fragment.kind == FWD_FRAG_FIRST && !frag_first(pkt, true))
		return FWD_FRAGMENT_OVERLAP;
	/* A later fragment has no flags and no sequence numbers. */
	if (pkt->fragment.kind != FWD_FRAG_LATER)
		conn_update(pkt, conn);
	conn_count(pkt, conn);
	mss = pkt->tcp_flags & FWD_TCP_SYN ? conn_mss(pkt) : 0;
	if (mss && !mtu_clamp_mss(ctx, pkt, mss))
		return FWD_REWRITE_FAILED;
	to = translation_of(conn, pkt_dir(pkt));
	return translate(ctx, pkt, &to, ttl) ? FWD_OK : FWD_REWRITE_FAILED;
}

/* The rule that listens for a packet without a connection. FWD_OK: *rule is its index. */
__noinline enum fwd_reason match_rule(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 *rule)
{
	enum fwd_reason reason;

	if (!pkt || !rule)
		return FWD_NOT_OURS;
	if (pkt->is_error)
		return FWD_NOT_OURS;
	if (pkt->fragment.kind == FWD_FRAG_LATER)
		return FWD_NO_CONNECTION;
	reason = rule_lookup(ctx, pkt, rule);
	if (reason == FWD_OK && pkt->fragment.kind == FWD_FRAG_FIRST && pkt->fragment.tiny)
		return FWD_FRAGMENT_TINY;
	return reason;
}

/* The stack gets the packet, and if it is a first fragment, all others of its datagram. */
static __always_inline enum fwd_reason leave_to_stack(const struct fwd_pkt *pkt, enum fwd_reason reason)
{
	if (pkt->fragment.kind == FWD_FRAG_FIRST && (reason == FWD_NOT_OURS || reason_class(reason) == FWD_CLASS_PASS))
		frag_first(pkt, false);
	return reason;
}

/* What is asked of the kernel once a second for each direction of a connection. FWD_OK: its route is fresh. */
__noinline enum fwd_reason refresh(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	enum fwd_reason reason;

	if (!pkt || !conn)
		return FWD_ROUTE_LOST;
	if (admit_returns_to_socket(ctx, pkt, conn)) {
		conn_end_found(pkt->entry, &pkt->tuple, FWD_END_REPLACED);
		return leave_to_stack(pkt, FWD_OWN_SOCKET);
	}
	route_follow_ingress(ctx, pkt, conn);
	reason = route_refresh(ctx, pkt, conn);
	/* Not left to the stack, which knows no such connection and would reset it. */
	return reason_class(reason) == FWD_CLASS_PASS ? FWD_ROUTE_LOST : reason;
}

/* Processes a packet received by an attached device. *known: its connection, once known. *action: the return value
 * of the hook. */
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
	if (conn && !pkt->is_error && !conn_expects(pkt, conn))
		return leave_to_stack(pkt, FWD_NO_CONNECTION);
	if (!conn) {
		reason = match_rule(ctx, pkt, &rule);
		if (reason != FWD_OK)
			return leave_to_stack(pkt, reason);
	} else if (flow_is_own(conn_flow(conn, pkt))) {
		/* A reply to a socket of the gateway: the stack delivers it. */
		return pkt_dir(pkt) == FWD_DIR_REPLY ? apply(ctx, pkt, conn, FWD_TTL_KEEP) : FWD_NOT_OURS;
	}
	if (!conn) {
		reason = open_mapped(ctx, pkt, rule);
		if (reason != FWD_OK)
			return leave_to_stack(pkt, reason);
		conn = conn_at(entry_index(pkt->entry));
		if (!conn)
			return FWD_TABLE_FULL;
	}
	if (!route_arrival(ctx, pkt, conn))
		return FWD_RP_FILTER;
	*known = conn;
	route = &conn_flow(conn, pkt)->route;
	if (!route_is_fresh(conn_flow(conn, pkt), pkt->now)) {
		reason = refresh(ctx, pkt, conn);
		if (reason != FWD_OK)
			return reason;
	}
	reason = route_admits(ctx, pkt, route);
	if (reason != FWD_OK)
		return reason;
	reason = apply(ctx, pkt, conn, FWD_TTL_DECREMENT);
	return reason == FWD_OK ? forward(ctx, pkt, conn, route, action) : reason;
}

/* Processes a packet, and sends an ICMP error if the reason demands one. */
static __always_inline enum fwd_reason ingress(fwd_ctx *ctx, struct fwd_scratch *s, int *action)
{
	struct fwd_conn *known = NULL;
	enum fwd_reason reason = process_ingress(ctx, &s->pkt, &known, action);

	if (reason_class(reason) != FWD_CLASS_ICMP_ERROR)
		return reason;
	return icmp_error(ctx, &s->pkt, known, reason, action);
}

/* The packet's reverse tuple may be one of a client's connection: towards the target of a map, or from the port that a
 * map listens on. */
static __always_inline bool egress_may_conflict(const struct fwd_pkt *pkt)
{
	return port_is_known(FWD_PORTS_TARGET_TCP, pkt->tuple.proto, pkt->tuple.dport) ||
	       port_is_known(FWD_PORTS_LISTEN_TCP, pkt->tuple.proto, pkt->tuple.sport);
}

/*
 * A packet that the stack sends by an attached device: a local process's, or one that the stack forwards, which
 * netfilter may have translated. Most of them cost two looks at a bit after parse().
 *
 * Either it is an ICMP error about a translated packet (with `--snat none`; otherwise it is addressed to the gateway
 * itself and arrives by lo): its quote is translated back for the client.
 *
 * Or it opens a connection whose replies are those of a client's connection: the kernel gives a local socket any port
 * that no other socket uses, and netfilter one that no other connection of netfilter uses. The target would see two
 * connections as one, and so would fwdctl the peer of a masqueraded one. So this connection gets another source port,
 * as with netfilter, and its replies are translated back for the stack.
 */
static __always_inline enum fwd_reason egress(fwd_ctx *ctx, struct fwd_scratch *s)
{
	struct fwd_pkt *pkt = &s->pkt;
	enum fwd_reason reason;
	struct fwd_tuple reply;
	struct fwd_conn *conn;

	/* Later fragments have no ports; only a first fragment can open a connection. Tagged frames are of a VLAN
	 * device or of a packet socket. */
	if (!ctx_is_from_stack(ctx) || ctx_ifindex(ctx) == FWD_LOOPBACK || parse(ctx, pkt) != FWD_OK || pkt->tags ||
	    pkt->fragment.kind == FWD_FRAG_LATER)
		return FWD_NOT_OURS;
	if (pkt->is_error) {
		conn = ctx_is_from_host(ctx) ? conn_lookup_quote(pkt) : NULL;
		return conn ? apply(ctx, pkt, conn, FWD_TTL_KEEP) : FWD_NOT_OURS;
	}
	if (!egress_may_conflict(pkt))
		return FWD_NOT_OURS;
	pkt->now = clock_now();

	conn = conn_lookup(pkt);
	if (!conn) {
		tuple_swap(&reply, &pkt->tuple);
		if (!ct_opens(pkt->tuple.proto, pkt->tcp_flags) || table_find(&reply) < 0)
			return FWD_NOT_OURS;
		reason = open_local(ctx, pkt);
		if (reason != FWD_OK)
			return reason;
		conn = conn_at(entry_index(pkt->entry));
	}
	if (!conn || !flow_is_own(conn_flow(conn, pkt)) || pkt_dir(pkt) != FWD_DIR_FORWARD)
		return FWD_NOT_OURS;
	return apply(ctx, pkt, conn, FWD_TTL_KEEP);
}

#endif
