/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and tuples, one form for both families.
 */
#ifndef FWD_TUPLE_H
#define FWD_TUPLE_H

#include <stdbool.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "fwd_abi.h"

/* ::ffff:0:0/96 (RFC 4291 2.5.5.2) */
#define ADDR_V4_PREFIX __constant_htonl(0x0000ffff)

static __always_inline void addr_from_v4(struct fwd_addr *addr, __be32 v4)
{
	addr->w[0] = 0;
	addr->w[1] = 0;
	addr->w[2] = ADDR_V4_PREFIX;
	addr->w[3] = v4;
}

static __always_inline void addr_from_v6(struct fwd_addr *addr, const struct in6_addr *v6)
{
	addr->w[0] = v6->in6_u.u6_addr32[0];
	addr->w[1] = v6->in6_u.u6_addr32[1];
	addr->w[2] = v6->in6_u.u6_addr32[2];
	addr->w[3] = v6->in6_u.u6_addr32[3];
}

static __always_inline bool addr_is_v4(const struct fwd_addr *addr)
{
	return addr->w[0] == 0 && addr->w[1] == 0 && addr->w[2] == ADDR_V4_PREFIX;
}

static __always_inline bool addr_equal(const struct fwd_addr *a, const struct fwd_addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

/* Can a host have it? False: unspecified, loopback, multicast, broadcast, reserved (RFC 6890). */
static __always_inline bool addr_is_unicast(const struct fwd_addr *addr)
{
	const __u8 *v4 = (const __u8 *)&addr->w[3], *v6 = (const __u8 *)addr;

	if (addr_is_v4(addr))
		return v4[0] != 0 && v4[0] != 127 && v4[0] < 224;
	if (addr->w[0] == 0 && addr->w[1] == 0 && addr->w[2] == 0)
		return addr->w[3] != 0 && addr->w[3] != __constant_htonl(1);
	return v6[0] != 0xff;
}

/* The tuple of the packets that answer those of `tuple`. */
static __always_inline void tuple_swap(struct fwd_tuple *swapped, const struct fwd_tuple *tuple)
{
	swapped->saddr = tuple->daddr;
	swapped->daddr = tuple->saddr;
	swapped->sport = tuple->dport;
	swapped->dport = tuple->sport;
	swapped->proto = tuple->proto;
	__builtin_memset(swapped->pad, 0, sizeof(swapped->pad));
}

#endif
