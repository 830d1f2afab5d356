/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The third context: the journey's map-free part (parse.h, tuple.h, csum.h, translate.h, track.h)
 * compiled for the machine at hand, so that tests can run it under sanitizers. Include it in place
 * of ctx_tc.h, before anything else of bpf/.
 *
 * A packet is one run of bytes. What the kernel keeps beside them that matters to a program is
 * modelled: the offloaded checksum, and the sum that a NIC took.
 */
#ifndef FWD_CTX_NATIVE_H
#define FWD_CTX_NATIVE_H

/* "#pragma unroll" is clang's. */
#pragma GCC diagnostic ignored "-Wunknown-pragmas"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <asm/byteorder.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/types.h>
#include "csum.h"
#include "fwd_abi.h"

/* As bpf_helpers.h has it. */
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

/* skb->ip_summed (include/linux/skbuff.h) */
enum native_summed {
	NATIVE_CHECKSUM_NONE,
	NATIVE_CHECKSUM_PARTIAL,  /* the field holds the pseudo header's sum, not complemented */
	NATIVE_CHECKSUM_COMPLETE, /* the NIC summed up the packet from the IP header on: `csum` */
};

typedef struct native_ctx {
	__u8 *data;
	__u32 len;
	__u32 segments; /* as in gso_segs; 0: no GSO packet */
	enum native_summed summed;
	__u32 csum;
	bool csum_ipv6; /* the kernel knows BPF_F_IPV6 */
} fwd_ctx;

/* In programs a constant of .rodata; here a variable that each test sets. */
static __u8 fwd_link __attribute__((unused)) = FWD_LINK_ETHERNET;

static __always_inline __u32 ctx_len(const fwd_ctx *ctx)
{
	return ctx->len;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return ctx->segments ? ctx->segments : 1;
}

static __always_inline void *ctx_at(fwd_ctx *ctx, __u32 off, __u32 len)
{
	return off <= ctx->len && len <= ctx->len - off ? ctx->data + off : NULL;
}

static __always_inline __u16 native_fold(__u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* bpf_l4_csum_replace() with `from` 0 (net/core/filter.c), and in it
 * inet_proto_csum_replace_by_diff() (net/core/utils.c). */
static __always_inline bool native_l4_csum_replace(fwd_ctx *ctx, __u32 off, __u32 diff, bool pseudo,
						   bool mark_mangled_0, bool ipv6)
{
	__u8 *at = ctx_at(ctx, off, sizeof(__u16));
	__u16 check;

	if (!at)
		return false;
	memcpy(&check, at, sizeof(check));
	if (mark_mangled_0 && !check)
		return true;
	if (ctx->summed == NATIVE_CHECKSUM_PARTIAL) {
		if (pseudo)
			check = native_fold((__u64)diff + check);
	} else {
		check = ~native_fold((__u64)diff + (__u16)~check);
		if (ctx->summed == NATIVE_CHECKSUM_COMPLETE && pseudo && !ipv6)
			ctx->csum = native_fold((__u64)ctx->csum + (__u32)~diff);
	}
	if (mark_mangled_0 && !check)
		check = 0xffff;
	memcpy(at, &check, sizeof(check));
	return true;
}

static __always_inline bool ctx_csum_l4(fwd_ctx *ctx, __u32 off, __u8 proto, __u8 family,
					__u32 addr_delta, __u32 port_delta)
{
	bool udp = proto == IPPROTO_UDP;

	if (addr_delta != CSUM_NO_CHANGE &&
	    !native_l4_csum_replace(ctx, off, addr_delta, true, udp, family == 6 && ctx->csum_ipv6))
		return false;
	return port_delta == CSUM_NO_CHANGE ||
	       native_l4_csum_replace(ctx, off, port_delta, false, udp, false);
}

static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	const void *at = ctx_at(ctx, off, len);

	if (at)
		__builtin_memcpy(to, at, len);
	return at;
}

#endif
