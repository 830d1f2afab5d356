/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The start and the end of the packet's linear part, from __sk_buff and from xdp_md, which have the same two fields. In
 * assembler, because clang sees 32-bit integers in a struct: it adds offsets in 32 bits, or keeps a pointer into the
 * context, and the verifier refuses both.
 */
#ifndef FWD_BPF_CTX_DATA_H
#define FWD_BPF_CTX_DATA_H

static __always_inline void *ctx_data(const fwd_ctx *ctx)
{
	void *data;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(data) : "r"(ctx), "i"(offsetof(fwd_ctx, data)));
	return data;
}

static __always_inline void *ctx_data_end(const fwd_ctx *ctx)
{
	void *end;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(end) : "r"(ctx), "i"(offsetof(fwd_ctx, data_end)));
	return end;
}

#endif
