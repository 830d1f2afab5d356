/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rule lookup: the rule that listens for a packet.
 */
#ifndef FWD_BPF_POLICY_RULE_H
#define FWD_BPF_POLICY_RULE_H

#include <bpf/bpf_endian.h>
#include "fwd/reason.h"
#include "base/bound.h"
#include "base/maps.h"
#include "host/fib.h"
#include "pkt/pkt.h"

/* `kind` is the TCP set of a pair; the UDP set follows it in enum fwd_ports. */
static __always_inline bool port_is_known(enum fwd_ports kind, __u8 proto, __be16 port)
{
	__u32 key = kind + (proto == IPPROTO_UDP);
	struct fwd_port_set *set = bpf_map_lookup_elem(&ports, &key);
	/* The verifiers of 6.1 and 6.12 know no bound of a value whose bytes were swapped. */
	__u32 p = bound_mask(bpf_ntohs(port), 0xffff);

	return set && (set->bits[p / 64] >> (p % 64) & 1);
}

/* The index of the rule of this address and port (host order), or FWD_RULE_NONE. One probe for each prefix length in
 * use, which is one probe unless there are rules of port ranges. */
__noinline __u32 rule_index_find(const struct fwd_addr *addr, __u16 port, __u8 proto)
{
	const struct fwd_config *c = config_get();
	struct fwd_rule_key key = {.proto = proto};
	int plen;

	if (!c || !addr)
		return FWD_RULE_NONE;
	key.addr = *addr;
	for (plen = 16; plen >= 0; plen--) {
		__u32 *index;

		if (!(c->plens >> plen & 1))
			continue;
		key.plen = plen;
		key.port = port & (0xffff0000U >> plen);
		index = bpf_map_lookup_elem(&rule_index, &key);
		if (index)
			return *index;
	}
	return FWD_RULE_NONE;
}

/* The packet's destination is an address of the gateway itself: FWD_OK. The FIB follows every change of addresses:
 * it returns NOT_FWDED for local addresses. It returns the same if there is no route at all, in which case the
 * packet could not be forwarded anyway, and for a subnet's broadcast address, whose packets arrive in broadcast
 * frames and never get here. */
__noinline enum fwd_reason rule_check_local(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct bpf_fib_lookup fib;
	struct fib_flow flow;
	long ret;

	if (!pkt)
		return FWD_NOT_OURS;
	flow = fib_flow_of(pkt);
	ret = fib_lookup(ctx, &fib, pkt, &flow);
	if (ret == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return FWD_NO_FORWARDING;
	return ret == BPF_FIB_LKUP_RET_NOT_FWDED ? FWD_OK : FWD_NOT_OURS;
}

/* FWD_OK: *index is the index in `rules` of the rule that listens for the packet. */
static __always_inline enum fwd_reason rule_lookup(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 *index)
{
	__u16 port = bpf_ntohs(pkt->tuple.dport);
	struct fwd_addr any = {};

	/* 0.0.0.0 and :: are the wildcards of the index. */
	if (!port_is_known(FWD_PORTS_LISTEN_TCP, pkt->tuple.proto, pkt->tuple.dport) ||
	    !addr_is_unicast(&pkt->tuple.daddr))
		return FWD_NOT_OURS;
	*index = rule_index_find(&pkt->tuple.daddr, port, pkt->tuple.proto);
	if (*index != FWD_RULE_NONE)
		return FWD_OK;
	if (pkt->family == FWD_FAMILY_IPV4)
		addr_from_v4(&any, 0);
	*index = rule_index_find(&any, port, pkt->tuple.proto);
	return *index == FWD_RULE_NONE ? FWD_NOT_OURS : rule_check_local(ctx, pkt);
}

#endif
