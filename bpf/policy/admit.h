/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Admission: checks that reject a packet before any state is created. Both hooks use them: tc goes on to plan the
 * connection (step/open.h), XDP refuses what tc would refuse, at a fraction of the cost.
 */
#ifndef FWD_BPF_POLICY_ADMIT_H
#define FWD_BPF_POLICY_ADMIT_H

#include "fwd/counters.h"
#include "fwd/reason.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/ct_state.h"
#include "ct/port_backoff.h"
#include "host/netfilter.h"
#include "host/sock.h"
#include "pkt/pkt.h"

/*
 * A UDP packet belongs to a socket of the gateway rather than to the rule: it may be a reply to the gateway's own
 * resolver, or WireGuard's. A rule of one address and one port overrides a socket that is bound to all addresses, as
 * DNAT does. It does not override a socket that is bound to this very address, or connected. A range, or a rule of any
 * address, overrides no socket: WireGuard's is bound to all addresses, and so are those of resolvers, whose ports lie
 * in the ranges that are in use.
 */
static __always_inline bool admit_leaves_to_socket(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_rule *rule)
{
	bool specific = !rule->any_listen && rule->listen_low == rule->listen_high;

	if (pkt->tuple.proto != IPPROTO_UDP)
		return false;
	switch (sock_udp_of(ctx, &pkt->tuple)) {
	case SOCK_UDP_NONE:
		return false;
	case SOCK_UDP_WILDCARD:
		return !specific;
	default:
		return true;
	}
}

/* For a packet without a connection that the rule at `index` listens for. FWD_OK: it may open a connection. */
__noinline enum fwd_reason admit(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 index)
{
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	bool exhausted;

	if (!pkt || !rule || rule->state != FWD_RULE_ACTIVE)
		return FWD_NOT_OURS;
	if (!ct_opens(pkt->tuple.proto, pkt->tcp_flags))
		return FWD_NO_CONNECTION;
	if (rule->path == FWD_PATH_IPSEC)
		return FWD_IPSEC;
	if (admit_leaves_to_socket(ctx, pkt, rule))
		return FWD_OWN_SOCKET;
	exhausted = port_backoff_any(pkt->now) && port_backoff_active(pkt, index);
	/* A flood of SYNs must not cost a lookup each: a SYN that is a reply is repeated. */
	if (!(exhausted && pkt->tuple.proto == IPPROTO_TCP) && netfilter_has(ctx, &pkt->tuple))
		return FWD_NETFILTER;
	if (!addr_is_unicast(&pkt->tuple.saddr))
		return FWD_MARTIAN;
	if (!exhausted)
		return FWD_OK;
	counter_add(FWD_COUNTER_FAILED);
	return FWD_NO_PORT;
}

/*
 * A client's UDP packet of a connection that the target has never answered, for which a socket of the gateway has
 * appeared since. WireGuard's socket is closed while it restarts, and the handshakes of home open a connection through
 * a range that contains its port; without this they would keep it alive, and WireGuard would never see one. Asked once
 * a second, with the route. 1: the connection ends, and the socket gets the packet.
 */
__noinline int admit_returns_to_socket(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn)
{
	const struct fwd_rule *rule;
	const struct fwd_flow *flow;
	__u32 index;

	if (!pkt || !conn || pkt->is_error || pkt_dir(pkt) != FWD_DIR_FORWARD)
		return 0;
	flow = &conn->flow[FWD_DIR_FORWARD];
	index = flow->rule;
	rule = bpf_map_lookup_elem(&rules, &index);
	return rule && !(flow->ct_state & FWD_CT_SEEN(FWD_DIR_REPLY)) && pkt->fragment.kind != FWD_FRAG_LATER &&
	       admit_leaves_to_socket(ctx, pkt, rule);
}

#endif
