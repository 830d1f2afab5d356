/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tuple of a packet: the key of the connection table.
 */
#ifndef FWD_TUPLE_H
#define FWD_TUPLE_H

#include "fwd/addr.h"

/* A packet as it looks on arrival. */
struct fwd_tuple {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};

FWD_ABI_SIZE(struct fwd_tuple, 40);
FWD_ABI_OFFSET(struct fwd_tuple, daddr, 16);
FWD_ABI_OFFSET(struct fwd_tuple, sport, 32);
FWD_ABI_OFFSET(struct fwd_tuple, dport, 34);
FWD_ABI_OFFSET(struct fwd_tuple, proto, 36);

/* The tuple of the packets of the reverse direction. */
FWD_INLINE void tuple_swap(struct fwd_tuple *swapped, const struct fwd_tuple *tuple)
{
	swapped->saddr = tuple->daddr;
	swapped->daddr = tuple->saddr;
	swapped->sport = tuple->dport;
	swapped->dport = tuple->sport;
	swapped->proto = tuple->proto;
	__builtin_memset(swapped->pad, 0, sizeof(swapped->pad));
}

#endif
