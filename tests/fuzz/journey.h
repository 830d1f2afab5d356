/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey, as functions of their own: what is inlined into an uncounted function isn't counted either.
 */
#ifndef JOURNEY_H
#define JOURNEY_H

#include "ctx_native.h"
#include "pipeline.h"
#include "sweep.h"

/* As fwd_ingress and fwd_egress in fwd_tc.bpf.c. */
static __noinline int journey_ingress(fwd_ctx *ctx, enum fwd_reason *reason)
{
	int action = ctx_pass();

	count_device(ctx);
	*reason = ingress(ctx, scratch_get(), &action);
	return verdict(*reason, action);
}

static __noinline int journey_egress(fwd_ctx *ctx, enum fwd_reason *reason)
{
	*reason = egress(ctx, scratch_get());
	return verdict(*reason, ctx_pass());
}

static __noinline void journey_sweep(struct fwd_sweeper *s)
{
	sweep_run(s);
}

#endif
