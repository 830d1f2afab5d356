/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops whose entry in the kernel's neighbour table was used by one of our packets: the map `neighs`. See
 * bpf/host/neigh.h.
 */
#ifndef FWD_NEIGH_H
#define FWD_NEIGH_H

#include "fwd/addr.h"

#define FWD_NEIGHS_MAX 256

/* By a hash; the last one of those that collide is stored. A collision only uses the kernel's entries more often than
 * necessary. */
struct fwd_neigh {
	struct fwd_addr addr; /* as bpf_fib_lookup() returns it: IPv4 in the first word */
	__u32 ifindex;
	__u32 used; /* ticks; 0: never */
};

FWD_ABI_SIZE(struct fwd_neigh, 24);
FWD_ABI_OFFSET(struct fwd_neigh, ifindex, 16);
FWD_ABI_OFFSET(struct fwd_neigh, used, 20);

#endif
