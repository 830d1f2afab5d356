// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs of the tc hook: TCX, or clsact on kernels before 6.6. Entries only: pipeline.h is the path.
 */
#define FWD_OBJECT_TC 1

#include "ctx/tc.h"
#include "pipeline.h"

SEC("tc")
int fwd_ingress(struct __sk_buff *ctx)
{
	struct fwd_scratch *s = scratch_get(FWD_SCRATCH_INGRESS);
	int action = ctx_pass();
	enum fwd_reason reason;

	if (!s)
		return action;
	count_device(ctx, false);
	reason = ingress(ctx, s, &action);
	return verdict(reason, action);
}

SEC("tc")
int fwd_egress(struct __sk_buff *ctx)
{
	struct fwd_scratch *s = scratch_get(FWD_SCRATCH_EGRESS);

	return s ? verdict(egress(ctx, s), ctx_pass()) : ctx_pass();
}

/* Some of the helpers are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
