/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which map, if any, a packet that opens a connection belongs to.
 */
#ifndef FWD_BPF_POLICY_RULE_H
#define FWD_BPF_POLICY_RULE_H

#include <bpf/bpf_endian.h>
#include "fwd/reason.h"
#include "base/maps.h"
#include "host/fib.h"
#include "pkt/pkt.h"

/* `kind` is the TCP set of a pair; the UDP set follows it in enum fwd_ports. */
static __always_inline bool port_is_known(enum fwd_ports kind, __u8 proto, __be16 port)
{
	__u32 key = kind + (proto == IPPROTO_UDP);
	struct fwd_port_set *set = bpf_map_lookup_elem(&ports, &key);
	__u16 p = bpf_ntohs(port);

	return set && (set->bits[p / 64] >> (p % 64) & 1);
}

/* The index of the map that has this address and port, or FWD_RULE_NONE. One probe for each prefix
 * length in use: one alone unless there are maps of port ranges. */
__noinline __u32 rule_find(const struct fwd_addr *addr, __u16 port, __u8 proto)
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

/*
 * Is the packet's destination an address of the gateway itself? The FIB knows, and follows every
 * change: it says "not forwarded" of what is delivered here. It also says so where there is no route
 * at all, where the packet would go nowhere anyway, and of a subnet's broadcast address, which comes
 * in a broadcast frame that never gets here.
 */
__noinline enum fwd_reason rule_is_local(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct bpf_fib_lookup fib;
	long ret;

	if (!pkt)
		return FWD_NOT_OURS;
	ret = fib_lookup(ctx, &fib, pkt, &pkt->tuple.saddr, &pkt->tuple.daddr);

	if (ret == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return FWD_NO_FORWARDING;
	return ret == BPF_FIB_LKUP_RET_NOT_FWDED ? FWD_OK : FWD_NOT_OURS;
}

/* FWD_OK: *index is the place in `rules` of the map that the packet belongs to. */
static __always_inline enum fwd_reason rule_lookup(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 *index)
{
	__u16 port = bpf_ntohs(pkt->tuple.dport);
	struct fwd_addr any = {};

	/* 0.0.0.0 and :: stand for any address in the index. */
	if (!port_is_known(FWD_PORTS_LISTEN_TCP, pkt->tuple.proto, pkt->tuple.dport) ||
	    !addr_is_unicast(&pkt->tuple.daddr))
		return FWD_NOT_OURS;
	*index = rule_find(&pkt->tuple.daddr, port, pkt->tuple.proto);
	if (*index != FWD_RULE_NONE)
		return FWD_OK;
	if (pkt->family == FWD_FAMILY_IPV4)
		addr_from_v4(&any, 0);
	*index = rule_find(&any, port, pkt->tuple.proto);
	return *index == FWD_RULE_NONE ? FWD_NOT_OURS : rule_is_local(ctx, pkt);
}

#endif
