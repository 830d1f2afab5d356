/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journey, as functions of their own: what is inlined into an uncounted function isn't counted either.
 */
#ifndef JOURNEY_H
#define JOURNEY_H

#include "ctx_native.h"
#include "pipeline.h"
#include "ct/gc.h"

/* As in ctx_xdp.h. */
static __always_inline int ctx_send(const struct fwd_route *route)
{
	if (route_link(route) != FWD_LINK_ETHERNET || route_ifindex(route) == FWD_LOOPBACK)
		return ctx_pass();
	return bpf_redirect(route_ifindex(route), 0);
}

#include "fastpath.h"

/* As fwd_xdp in fwd_xdp.bpf.c, on a device that has it. What XDP can't see, it gets neither: GSO packets, and a
 * sum that the NIC took. Does it take the packet? */
static __noinline bool journey_express(fwd_ctx *ctx, enum fwd_reason *reason, int *action)
{
	if (fwd_link != FWD_LINK_ETHERNET || ctx_gso_size(ctx) || ctx->summed == NATIVE_CHECKSUM_COMPLETE)
		return false;
	*reason = fastpath(ctx, fastpath_pkt(), action);
	if (*reason == FWD_NOT_OURS)
		return false;
	count_device(ctx, *reason == FWD_OK);
	*action = verdict(*reason, *action);
	return true;
}

/* As fwd_ingress and fwd_egress in fwd_tc.bpf.c. */
static __noinline int journey_ingress(fwd_ctx *ctx, enum fwd_reason *reason, bool xdp)
{
	int action = ctx_pass();

	if (xdp && journey_express(ctx, reason, &action))
		return action;
	count_device(ctx, false);
	*reason = ingress(ctx, scratch_get(FWD_SCRATCH_INGRESS), &action);
	return verdict(*reason, action);
}

static __noinline int journey_egress(fwd_ctx *ctx, enum fwd_reason *reason)
{
	*reason = egress(ctx, scratch_get(FWD_SCRATCH_EGRESS));
	return verdict(*reason, ctx_pass());
}

static __noinline void journey_sweep(struct fwd_gc *s)
{
	gc_run(s);
}

#endif
