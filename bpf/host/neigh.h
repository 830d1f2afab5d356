/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's neighbour table, kept awake.
 *
 * A packet that is sent to a MAC address found before goes past that table: the kernel would take the neighbour for
 * unused, let its entry go stale, and nobody would probe a router that was exchanged. So now and then a packet goes by
 * the table (bpf_redirect_neigh()), which uses the entry as if the kernel had forwarded the packet. That costs more
 * than all the rest of its way; hence once for all connections that have the next hop in common.
 */
#ifndef FWD_BPF_HOST_NEIGH_H
#define FWD_BPF_HOST_NEIGH_H

#include "fwd/addr.h"
#include "base/maps.h"

static __always_inline struct fwd_neigh *neigh_slot(__u32 ifindex, const struct fwd_addr *addr)
{
	__u32 mixed = addr->w[0] ^ addr->w[1] ^ addr->w[2] ^ addr->w[3] ^ ifindex;
	__u32 index = (mixed * 0x9e3779b1U >> 24) % FWD_NEIGHS_MAX;

	return bpf_map_lookup_elem(&neighs, &index);
}

/* Was the next hop's entry used a short time ago? */
static __always_inline bool neigh_recently_used(__u32 ifindex, const struct fwd_addr *addr, __u32 now)
{
	const struct fwd_neigh *n = neigh_slot(ifindex, addr);

	return n && n->used && now - n->used < CTX_NEIGH_MAX_AGE && n->ifindex == ifindex && addr_equal(&n->addr, addr);
}

/* It is going to be used now. Two CPUs may write at once: what comes out then is no neighbour's, and goes for nothing. */
static __always_inline void neigh_mark_used(__u32 ifindex, const struct fwd_addr *addr, __u32 now)
{
	struct fwd_neigh *n = neigh_slot(ifindex, addr);

	if (!n)
		return;
	n->ifindex = ifindex;
	n->addr = *addr;
	n->used = now;
}

#endif
