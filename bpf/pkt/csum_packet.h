/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checksums over the bytes of a packet, for ICMP errors: those received and those sent.
 */
#ifndef FWD_BPF_PKT_CSUM_PACKET_H
#define FWD_BPF_PKT_CSUM_PACKET_H

#include <linux/in6.h>
#include "base/bound.h"
#include "base/csum.h"
#include "pkt/pkt.h"

#define CSUM_CHUNK      64
#define CSUM_PACKET_MAX 1536 /* bytes in one call: an ICMP error has at most 1280 (RFC 4443 2.4 c) */

/* The sum of up to CSUM_CHUNK bytes at off, added to `sum`. Separate from the loop, which the verifier follows
 * iteration by iteration. */
__noinline __u32 csum_chunk(fwd_ctx *ctx, __u32 off, __u32 size, __u32 sum)
{
	__u8 chunk[CSUM_CHUNK] = {};

	/* Bounds that the verifier of kernel 6.1 understands: it learns nothing from a comparison with 0. */
	if (!bound_at_most(size, CSUM_CHUNK))
		return sum;
	if (size < 2 ? !ctx_load(ctx, off, chunk, 1) : !ctx_load(ctx, off, chunk, size))
		return sum;
	return bpf_csum_diff(NULL, 0, (__be32 *)chunk, sizeof(chunk), sum);
}

/* The sum of len bytes at off, added to `sum`. Of more than CSUM_PACKET_MAX bytes only those. */
__noinline __u32 csum_packet(fwd_ctx *ctx, __u32 off, __u32 len, __u32 sum)
{
	int turn;

	for (turn = 0; len && turn < CSUM_PACKET_MAX / CSUM_CHUNK; turn++) {
		__u32 size = len < CSUM_CHUNK ? len : CSUM_CHUNK;

		sum = csum_chunk(ctx, off, size, sum);
		off += size;
		len -= size;
	}
	return sum;
}

/* The ICMP checksum of an error is right. The receiver would drop an error with a wrong one (RFC 5508 REQ-3 a). An
 * error longer than CSUM_PACKET_MAX is not verified. */
__noinline bool csum_icmp_is_valid(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 len, sum = 0;

	if (!pkt)
		return false;
	len = pkt->bytes - (pkt->l4_off - pkt->l3_off);
	if (len > CSUM_PACKET_MAX)
		return true;
	if (pkt->family == FWD_FAMILY_IPV6)
		sum = csum_pseudo(&pkt->tuple.saddr, &pkt->tuple.daddr, FWD_FAMILY_IPV6, IPPROTO_ICMPV6, len);
	return csum_fold(csum_packet(ctx, pkt->l4_off, len, sum)) == 0;
}

#endif
