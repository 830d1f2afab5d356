/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sums over the bytes of a packet: for the checksums of the ICMP errors that come, and that go.
 */
#ifndef FWD_SUM_H
#define FWD_SUM_H

#include "bound.h"
#include "parse.h"

#define SUM_CHUNK      64
#define SUM_PACKET_MAX 1536 /* bytes in one go: an error has 1280 at most (RFC 4443 2.4 c) */

/* The sum of up to SUM_CHUNK bytes at off, from `sum` on. Apart from the loop, which the verifier goes through turn by
 * turn. */
__noinline __u32 sum_chunk(fwd_ctx *ctx, __u32 off, __u32 size, __u32 sum)
{
	__u8 chunk[SUM_CHUNK] = {};

	/* Bounds that kernel 6.1 understands: it learns nothing from a comparison with 0. */
	if (!bound_at_most(size, SUM_CHUNK))
		return sum;
	if (size < 2 ? !ctx_load(ctx, off, chunk, 1) : !ctx_load(ctx, off, chunk, size))
		return sum;
	return bpf_csum_diff(NULL, 0, (__be32 *)chunk, sizeof(chunk), sum);
}

/* The sum of len bytes at off, from `sum` on. Of more than SUM_PACKET_MAX only those. */
__noinline __u32 sum_packet(fwd_ctx *ctx, __u32 off, __u32 len, __u32 sum)
{
	int turn;

	for (turn = 0; len && turn < SUM_PACKET_MAX / SUM_CHUNK; turn++) {
		__u32 size = len < SUM_CHUNK ? len : SUM_CHUNK;

		sum = sum_chunk(ctx, off, size, sum);
		off += size;
		len -= size;
	}
	return sum;
}

/* Is the ICMP checksum of an error right? An end would drop one that isn't (RFC 5508 REQ-3 a). One that
 * is longer than any should be isn't looked at. */
__noinline bool sum_of_error_is_right(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 len, sum = 0;

	if (!pkt)
		return false;
	len = pkt->bytes - (pkt->l4_off - pkt->l3_off);
	if (len > SUM_PACKET_MAX)
		return true;
	if (pkt->family == FWD_FAMILY_IPV6)
		sum = csum_pseudo(&pkt->tuple.saddr, &pkt->tuple.daddr, FWD_FAMILY_IPV6,
				  IPPROTO_ICMPV6, len);
	return csum_fold(sum_packet(ctx, pkt->l4_off, len, sum)) == 0;
}

#endif
