/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hooks (tc ingress, tc egress, XDP, the garbage collector) as functions. They are not inlined, because coverage is
 * not counted in code that is inlined into a function without coverage (no_coverage.h).
 */
#ifndef HOOKS_H
#define HOOKS_H

#include "ctx_native.h"
#include "pipeline.h"
#include "ct/gc.h"

/* As in bpf/ctx/xdp.h. */
static __always_inline int ctx_send(const struct fwd_route *route)
{
	if (route_link(route) != FWD_LINK_ETHERNET || route_ifindex(route) == FWD_LOOPBACK)
		return ctx_pass();
	return bpf_redirect(route_ifindex(route), 0);
}

#include "fastpath.h"

/* fwd_xdp in bpf/xdp.bpf.c, on a device that has it. Without GSO packets and CHECKSUM_COMPLETE, which XDP does not see.
 * False: the packet is passed to tc. */
static __noinline bool hook_xdp(fwd_ctx *ctx, enum fwd_reason *reason, int *action)
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

/* fwd_ingress and fwd_egress in bpf/tc.bpf.c. */
static __noinline int hook_ingress(fwd_ctx *ctx, enum fwd_reason *reason, bool xdp)
{
	int action = ctx_pass();

	if (xdp && hook_xdp(ctx, reason, &action))
		return action;
	count_device(ctx, false);
	*reason = ingress(ctx, scratch_get(FWD_SCRATCH_INGRESS), &action);
	return verdict(*reason, action);
}

static __noinline int hook_egress(fwd_ctx *ctx, enum fwd_reason *reason)
{
	*reason = egress(ctx, scratch_get(FWD_SCRATCH_EGRESS));
	return verdict(*reason, ctx_pass());
}

static __noinline void hook_gc(struct fwd_gc *s)
{
	gc_run(s);
}

#endif
