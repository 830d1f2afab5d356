/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The third context, beside bpf/ctx/tc.h and bpf/ctx/xdp.h: the pipeline compiled natively, so that tests can run it
 * under sanitizers. It is included in place of these, before any other header of bpf/. tests/host uses the part without
 * BPF maps (parse, csum, translate, ct_state), tests/fuzz all of it.
 *
 * A packet is contiguous, in an allocation of exactly its length but for up to three bytes in front that align the IP
 * header. Of the skb's metadata the checksum state is modelled: CHECKSUM_PARTIAL and CHECKSUM_COMPLETE.
 */
#ifndef FWD_CTX_NATIVE_H
#define FWD_CTX_NATIVE_H

/* "#pragma unroll" is clang's. */
#pragma GCC diagnostic ignored "-Wunknown-pragmas"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <asm/byteorder.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>

/* One object that has the BPF maps of both programs. */
#define FWD_OBJECT_TC  1
#define FWD_OBJECT_XDP 1

/* Constants in .rodata of the programs; here variables that each test sets. */
#define FWD_RODATA static __attribute__((unused))

#include "base/config.h"
#include "base/csum.h"
#include "fwd/device.h"
#include "fwd/table.h"

/* As in bpf_helpers.h. */
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
	NATIVE_CHECKSUM_COMPLETE, /* `csum` is the sum of the packet from the IP header on */
};

typedef struct native_ctx {
	__u8 *data;
	__u32 len;
	__u32 segments; /* gso_segs; 0: not a GSO packet */
	__u32 gso_size;
	enum native_summed summed;
	__u32 csum;
	__u32 csum_at;  /* NATIVE_CHECKSUM_PARTIAL: offset of the checksum that the NIC fills in; 0: not modelled */
	bool csum_ipv6; /* the kernel knows BPF_F_IPV6 */
	__u32 ifindex;
	__u32 priority;
	bool from_host;                                            /* sent by a process of this host */
	bool redirected;                                           /* by the ingress hook */
	bool not_for_us;                                           /* to another MAC address, or of a VLAN */
	__u32 tags;                                                /* priority tags in the metadata: 0 or 1 */
	__u32 returned_to;                                         /* ctx_send_back(): the device */
	long (*send_clone)(struct native_ctx *ctx, __u32 ifindex); /* NULL: fails */
	/* A connection of netfilter. NULL: there is none. */
	bool (*ct_find)(struct native_ctx *ctx, const struct bpf_sock_tuple *tuple, __u8 proto, __u8 *dir,
			__u32 *status);
} fwd_ctx;

#define CTX_NEIGH_MAX_AGE FWD_TICKS(1)

static __always_inline __u32 ctx_ifindex(const fwd_ctx *ctx)
{
	return ctx->ifindex;
}

static __always_inline __u32 ctx_mark(const fwd_ctx *ctx)
{
	return 0;
}

static __always_inline bool ctx_is_from_host(const fwd_ctx *ctx)
{
	return ctx->from_host;
}

static __always_inline bool ctx_is_from_stack(const fwd_ctx *ctx)
{
	return !ctx->redirected;
}

static __always_inline void ctx_mark_redirected(fwd_ctx *ctx)
{
	ctx->redirected = true;
}

static __always_inline bool ctx_is_for_host(const fwd_ctx *ctx)
{
	return !ctx->not_for_us;
}

static __always_inline bool ctx_ct_find(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u8 proto, __u8 *dir,
					__u32 *status)
{
	return ctx->ct_find && ctx->ct_find(ctx, tuple, proto, dir, status);
}

static __always_inline int ctx_pass(void)
{
	return TC_ACT_UNSPEC;
}

static __always_inline int ctx_drop(void)
{
	return TC_ACT_SHOT;
}

static __always_inline __u32 ctx_len(const fwd_ctx *ctx)
{
	return ctx->len;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return ctx->segments ? ctx->segments : 1;
}

static __always_inline __u32 ctx_gso_size(const fwd_ctx *ctx)
{
	return ctx->gso_size;
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

/* bpf_l4_csum_replace() with `from` 0 (net/core/filter.c), which calls inet_proto_csum_replace_by_diff()
 * (net/core/utils.c). */
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

static __always_inline bool ctx_csum_l4(fwd_ctx *ctx, __u32 off, __u8 proto, __u8 family, __u32 addr_delta,
					__u32 port_delta)
{
	bool udp = proto == IPPROTO_UDP;

	if (addr_delta != CSUM_NO_CHANGE &&
	    !native_l4_csum_replace(ctx, off, addr_delta, true, udp, family == 6 && ctx->csum_ipv6))
		return false;
	return port_delta == CSUM_NO_CHANGE || native_l4_csum_replace(ctx, off, port_delta, false, udp, false);
}

static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	const void *at = ctx_at(ctx, off, len);

	if (at)
		__builtin_memcpy(to, at, len);
	return at;
}

static __always_inline bool ctx_store(fwd_ctx *ctx, __u32 off, const void *from, __u32 len)
{
	void *at = ctx_at(ctx, off, len);

	if (at)
		__builtin_memcpy(at, from, len);
	return at;
}

static __always_inline bool ctx_csum_is_partial(fwd_ctx *ctx, __u32 off)
{
	return ctx->summed == NATIVE_CHECKSUM_PARTIAL;
}

/* The start of the packet's allocation. */
static inline void *native_room(const fwd_ctx *ctx)
{
	return (void *)((uintptr_t)ctx->data & ~(uintptr_t)3);
}

/* Inserts `len` bytes of the value `fill` at `off`; the bytes behind keep their alignment. */
static inline void native_insert(fwd_ctx *ctx, __u32 off, __u32 len, __u8 fill)
{
	__u32 pad = ((uintptr_t)ctx->data - (off < ctx->len ? len : 0)) & 3;
	__u8 *data = (__u8 *)malloc(pad + ctx->len + len) + pad;

	memcpy(data, ctx->data, off);
	memset(data + off, fill, len);
	memcpy(data + off + len, ctx->data + off, ctx->len - off);
	free(native_room(ctx));
	ctx->data = data;
	ctx->len += len;
}

static __always_inline void ctx_set_priority(fwd_ctx *ctx, __u32 priority)
{
	ctx->priority = priority;
}

/* bpf_skb_change_tail() (net/core/filter.c) refuses to remove the checksum field that a NIC is to fill in. */
static __always_inline bool ctx_set_len(fwd_ctx *ctx, __u32 len)
{
	if (ctx->summed == NATIVE_CHECKSUM_PARTIAL && len < ctx->csum_at + sizeof(__u16))
		return false;
	if (len < ctx->len)
		ctx->len = len;
	/* A new allocation of exactly that length. */
	native_insert(ctx, ctx->len, len - ctx->len, 0);
	ctx->gso_size = 0;
	ctx->segments = 0;
	return true;
}

/* The kernel does not clear the new bytes: any that the program does not write would leak memory. */
static __always_inline bool ctx_push_header(fwd_ctx *ctx, __s32 len)
{
	native_insert(ctx, fwd_link == FWD_LINK_ETHERNET ? ETH_HLEN : 0, len, 0xa5);
	ctx->csum_at += len;
	return true;
}

static __always_inline __u32 ctx_tags(const fwd_ctx *ctx)
{
	return ctx->tags;
}

/* Removes the tag in the metadata, and the others from the frame. */
static __always_inline bool ctx_untag(fwd_ctx *ctx, __u32 tags)
{
	__u32 len = (tags - ctx->tags) * 4, macs = 2 * ETH_ALEN, pad = ((uintptr_t)ctx->data + len) & 3;
	__u8 *data = (__u8 *)malloc(pad + ctx->len - len) + pad;

	memcpy(data, ctx->data, macs);
	memcpy(data + macs, ctx->data + macs + len, ctx->len - macs - len);
	free(native_room(ctx));
	ctx->data = data;
	ctx->len -= len;
	ctx->csum_at -= len;
	ctx->tags = 0;
	return true;
}

static __always_inline bool ctx_push_ethernet(fwd_ctx *ctx)
{
	native_insert(ctx, 0, ETH_HLEN, 0);
	ctx->csum_at += ETH_HLEN;
	return true;
}

static __always_inline long ctx_send_clone(fwd_ctx *ctx, __u32 ifindex)
{
	return ctx->send_clone ? ctx->send_clone(ctx, ifindex) : -1;
}

static __always_inline int ctx_send_back(fwd_ctx *ctx)
{
	ctx->returned_to = ctx->ifindex;
	return TC_ACT_REDIRECT;
}

#endif
