/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the packet begins and where its linear part ends, for the contexts of the kernel: both have these
 * fields. By assembler, because clang knows them as 32 bits wide and as any struct's: it adds offsets in 32
 * bits, or keeps a pointer into the context, and the verifier takes neither.
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
