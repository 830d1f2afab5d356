// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program of the XDP hook, for Ethernet devices. The entry only: fastpath.h is the path.
 */
#define FWD_OBJECT_XDP 1

#include "ctx/xdp.h"
#include "fastpath.h"

SEC("xdp")
int fwd_xdp(struct xdp_md *ctx)
{
	struct fwd_pkt *pkt = fastpath_pkt();
	int action = ctx_pass();
	enum fwd_reason reason;

	if (!pkt)
		return action;
	reason = fastpath(ctx, pkt, &action);
	/* tc counts the packets that it gets. */
	if (reason == FWD_NOT_OURS)
		return ctx_pass();
	count_device(ctx, reason == FWD_OK);
	return verdict(reason, action);
}

/* Some of the helpers are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
