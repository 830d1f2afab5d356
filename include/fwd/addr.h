/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses: one form for both families, and the one definition of what kind of address it is.
 */
#ifndef FWD_ADDR_H
#define FWD_ADDR_H

#include <stdbool.h>
#include <asm/byteorder.h>
#include "fwd/abi.h"

/*
 * An IPv6 address, or an IPv4 address mapped to ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one code serves both.
 * No IPv6 packet may carry a mapped address on the wire: the parser leaves such packets to the stack, so the two
 * families never collide in a table.
 */
struct fwd_addr {
	__be32 w[4];
};

FWD_ABI_SIZE(struct fwd_addr, 16);

/* The numbers of the IP header's version field. */
enum fwd_family {
	FWD_FAMILY_NONE = 0, /* neither, or not given, as in ":8000" */
	FWD_FAMILY_IPV4 = 4,
	FWD_FAMILY_IPV6 = 6,
};

/* The third word of ::ffff:0:0/96. */
#define FWD_ADDR_V4_PREFIX __constant_htonl(0x0000ffff)

FWD_INLINE void addr_from_v4(struct fwd_addr *addr, __be32 v4)
{
	addr->w[0] = 0;
	addr->w[1] = 0;
	addr->w[2] = FWD_ADDR_V4_PREFIX;
	addr->w[3] = v4;
}

/* From the four words of an IPv6 header's address. */
FWD_INLINE void addr_from_v6(struct fwd_addr *addr, const __be32 v6[4])
{
	addr->w[0] = v6[0];
	addr->w[1] = v6[1];
	addr->w[2] = v6[2];
	addr->w[3] = v6[3];
}

FWD_INLINE bool addr_is_v4(const struct fwd_addr *addr)
{
	return addr->w[0] == 0 && addr->w[1] == 0 && addr->w[2] == FWD_ADDR_V4_PREFIX;
}

FWD_INLINE bool addr_equal(const struct fwd_addr *a, const struct fwd_addr *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

/* What kind of address it is (RFC 6890, as the kernel judges: it has treated 240.0.0.0/4 as unicast since 2008). Only a
 * unicast address can be a packet's source or a map's target. */
enum fwd_addr_kind {
	FWD_ADDR_UNICAST,
	FWD_ADDR_UNSPECIFIED, /* 0.0.0.0/8, :: */
	FWD_ADDR_LOOPBACK,
	FWD_ADDR_MULTICAST,
	FWD_ADDR_BROADCAST, /* 255.255.255.255 */
};

FWD_INLINE enum fwd_addr_kind addr_v4_kind(__be32 v4)
{
	const __u8 first = *(const __u8 *)&v4;

	if (first == 0)
		return FWD_ADDR_UNSPECIFIED;
	if (first == 127)
		return FWD_ADDR_LOOPBACK;
	if (first >= 224 && first < 240)
		return FWD_ADDR_MULTICAST;
	return v4 == __constant_htonl(0xffffffff) ? FWD_ADDR_BROADCAST : FWD_ADDR_UNICAST;
}

FWD_INLINE enum fwd_addr_kind addr_v6_kind(const struct fwd_addr *addr)
{
	if (*(const __u8 *)addr == 0xff)
		return FWD_ADDR_MULTICAST;
	if (addr->w[0] != 0 || addr->w[1] != 0 || addr->w[2] != 0)
		return FWD_ADDR_UNICAST;
	if (addr->w[3] == 0)
		return FWD_ADDR_UNSPECIFIED;
	return addr->w[3] == __constant_htonl(1) ? FWD_ADDR_LOOPBACK : FWD_ADDR_UNICAST;
}

FWD_INLINE enum fwd_addr_kind addr_kind(const struct fwd_addr *addr)
{
	return addr_is_v4(addr) ? addr_v4_kind(addr->w[3]) : addr_v6_kind(addr);
}

FWD_INLINE bool addr_is_unicast(const struct fwd_addr *addr)
{
	return addr_kind(addr) == FWD_ADDR_UNICAST;
}

#endif
