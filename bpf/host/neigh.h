/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keeps the kernel's entries of next hops in use.
 *
 * A packet that is sent with a known MAC address bypasses the kernel's neighbour table. The kernel would consider the
 * neighbour unused and let its entry go stale, and a replaced router would never be noticed. So from time to time a
 * packet is sent through the table (bpf_redirect_neigh()), which uses the entry as if the kernel had forwarded the
 * packet. That costs more than the whole rest of the packet's path, so it is done once for all connections with the
 * same next hop.
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

/* The entry of the next hop was used within CTX_NEIGH_MAX_AGE. */
static __always_inline bool neigh_recently_used(__u32 ifindex, const struct fwd_addr *addr, __u32 now)
{
	const struct fwd_neigh *n = neigh_slot(ifindex, addr);

	return n && n->used && now - n->used < CTX_NEIGH_MAX_AGE && n->ifindex == ifindex && addr_equal(&n->addr, addr);
}

/* The entry is going to be used now. Two CPUs may write at the same time: the mixture then matches no neighbour, and
 * has no effect. */
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
