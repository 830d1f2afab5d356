/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connections of netfilter on the same host: masqueraded ones of containers and WireGuard peers, and those of
 * iptables' own port forwards. Their packets never belong to a map, and their ports are not free.
 */
#ifndef FWD_BPF_HOST_NETFILTER_H
#define FWD_BPF_HOST_NETFILTER_H

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include "host/sock.h"

/* What netfilter knows about a tuple. */
enum netfilter_flow {
	NETFILTER_NONE = 0,
	NETFILTER_SEEN,      /* the original direction of a connection, local or not */
	NETFILTER_FORWARDED, /* the same, with DNAT and replies: a port forward of netfilter */
	NETFILTER_REPLY,     /* the reply direction */
};

__noinline enum netfilter_flow netfilter_find(fwd_ctx *ctx, const struct fwd_tuple *tuple)
{
	const __u32 forwarded = IPS_DST_NAT | IPS_SEEN_REPLY;
	struct bpf_sock_tuple key = {};
	__u32 status = 0, size;
	__u8 dir = 0;

	if (!tuple)
		return NETFILTER_NONE;
	size = sock_tuple_set(&key, tuple);
	if (!ctx_ct_find(ctx, &key, size, tuple->proto, &dir, &status))
		return NETFILTER_NONE;
	if (dir == IP_CT_DIR_REPLY)
		return NETFILTER_REPLY;
	return (status & forwarded) == forwarded ? NETFILTER_FORWARDED : NETFILTER_SEEN;
}

/*
 * The packet, which would open a connection, belongs to one of netfilter. A reply does: no rule of netfilter is
 * consulted for it. So does UDP of a visitor that iptables forwards since before the map was added. A SYN of such a
 * visitor opens a connection of its own. Other connections in the original direction are no obstacle: the stack has
 * seen the visitor before, and perhaps refused it.
 */
static __always_inline bool netfilter_has(fwd_ctx *ctx, const struct fwd_tuple *tuple)
{
	enum netfilter_flow flow = netfilter_find(ctx, tuple);

	return flow == NETFILTER_REPLY || (flow == NETFILTER_FORWARDED && tuple->proto == IPPROTO_UDP);
}

#endif
