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
#include "ct/ct_state.h"
#include "ct/port_backoff.h"
#include "host/netfilter.h"
#include "host/sock.h"
#include "pkt/pkt.h"

/* For a packet without a connection that the rule at `index` listens for. FWD_OK: it may open a connection. */
static __always_inline enum fwd_reason admit(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 index)
{
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);

	if (!rule || rule->state != FWD_RULE_ACTIVE)
		return FWD_NOT_OURS;
	if (!ct_opens(pkt->tuple.proto, pkt->tcp_flags))
		return FWD_NO_CONNECTION;
	/* Any UDP packet may be the first of a connection, or a reply to the gateway's own resolver or to WireGuard.
	 * Its sockets decide. */
	if (pkt->tuple.proto == IPPROTO_UDP && sock_exists(ctx, &pkt->tuple))
		return FWD_OWN_SOCKET;
	if (netfilter_has(ctx, &pkt->tuple))
		return FWD_NETFILTER;
	if (!addr_is_unicast(&pkt->tuple.saddr))
		return FWD_MARTIAN;
	if (!port_backoff_any(pkt->now) || !port_backoff_active(pkt, index))
		return FWD_OK;
	counter_add(FWD_COUNTER_FAILED);
	return FWD_NO_PORT;
}

#endif
