/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * May this packet begin a connection through that map? What speaks against it before anything is planned. Both hooks
 * ask: tc goes on to plan the connection (open.h), XDP refuses what tc would refuse, at a fraction of its cost.
 */
#ifndef FWD_BPF_POLICY_ADMIT_H
#define FWD_BPF_POLICY_ADMIT_H

#include "fwd/counters.h"
#include "fwd/reason.h"
#include "base/maps.h"
#include "ct/ct_state.h"
#include "ct/port_backoff.h"
#include "host/sock.h"
#include "pkt/pkt.h"

/* Of a packet of no known connection that the map at `index` is meant for. FWD_OK: it may. */
static __always_inline enum fwd_reason admit(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 index)
{
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);

	if (!rule || rule->state != FWD_RULE_ACTIVE)
		return FWD_NOT_OURS;
	if (!ct_opens(pkt->tuple.proto, pkt->tcp_flags))
		return FWD_NO_CONNECTION;
	/* Any UDP packet could be a first one, also an answer to the gateway's own resolver, or WireGuard's.
	 * The sockets know. */
	if (pkt->tuple.proto == IPPROTO_UDP && sock_exists(ctx, &pkt->tuple))
		return FWD_OWN_SOCKET;
	if (!addr_is_unicast(&pkt->tuple.saddr))
		return FWD_MARTIAN;
	if (!port_backoff_any(pkt->now) || !port_backoff_active(pkt, index))
		return FWD_OK;
	counter_add(FWD_COUNTER_FAILED);
	return FWD_NO_PORT;
}

#endif
