/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Internet checksum arithmetic (RFC 1071), incremental (RFC 1624, equation 3).
 *
 * A delta is the ones' complement sum of the new words and of the complements of the old words, 32 bits wide. Deltas
 * can be added in any order. The delta of no change is all ones, the other zero of ones' complement. Sums do not depend
 * on the byte order as long as all operands have the same one: everything here is in network order.
 */
#ifndef FWD_BPF_BASE_CSUM_H
#define FWD_BPF_BASE_CSUM_H

#include <bpf/bpf_endian.h>
#include "fwd/addr.h"

#define CSUM_NO_CHANGE 0xffffffffU

static __always_inline __u32 csum_add(__u32 a, __u32 b)
{
	__u64 sum = (__u64)a + b;

	return (__u32)sum + (__u32)(sum >> 32);
}

/* The delta of a 32-bit word, or of a 16-bit one. */
static __always_inline __u32 csum_delta(__u32 from, __u32 to)
{
	return csum_add(to, ~from);
}

static __always_inline __u32 csum_delta_addr(const struct fwd_addr *from, const struct fwd_addr *to)
{
	__u64 sum = (__u64)to->w[3] + (__u32)~from->w[3];
	int i;

#pragma unroll
	for (i = 0; i < 3; i++)
		sum += (__u64)to->w[i] + (__u32)~from->w[i];
	return csum_add((__u32)sum, (__u32)(sum >> 32));
}

/* The two bytes of a 16-bit word exchanged, whatever the byte order of the host. */
static __always_inline __u16 csum_swap(__u16 word)
{
	return word << 8 | word >> 8;
}

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* The sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1). len: host order, of the transport header and payload. */
static __always_inline __u32 csum_pseudo(const struct fwd_addr *saddr, const struct fwd_addr *daddr,
					 enum fwd_family family, __u8 proto, __u32 len)
{
	__u64 sum = (__u64)bpf_htonl(len) + bpf_htonl(proto) + saddr->w[3] + daddr->w[3];
	int i;

	/* The prefix of a mapped address is not part of the packet. */
	if (family == FWD_FAMILY_IPV4)
		return csum_add((__u32)sum, (__u32)(sum >> 32));
#pragma unroll
	for (i = 0; i < 3; i++)
		sum += (__u64)saddr->w[i] + daddr->w[i];
	return csum_add((__u32)sum, (__u32)(sum >> 32));
}

/* The checksum field of a header whose covered bytes changed by delta. */
static __always_inline __u16 csum_apply(__u16 check, __u32 delta)
{
	return csum_fold(csum_add((__u16)~check, delta));
}

#endif
