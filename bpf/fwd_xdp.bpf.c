// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program of the XDP hook, for Ethernet devices. The entry only: what happens is in express.h.
 */
#include "ctx_xdp.h"
#include "express.h"

SEC("xdp")
int fwd_xdp(struct xdp_md *ctx)
{
	struct fwd_pkt *pkt = express_pkt();
	int action = ctx_pass();
	enum fwd_reason reason;

	if (!pkt)
		return action;
	reason = express(ctx, pkt, &action);
	/* tc counts what it gets. */
	if (reason == FWD_NOT_OURS)
		return ctx_pass();
	count_device(ctx, reason == FWD_FORWARDED);
	return verdict(reason, action);
}

/* Some of the helpers are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
