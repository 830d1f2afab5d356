// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs of the tc hook (TCX, or clsact on older kernels). Entries only: what happens is in
 * pipeline.h.
 */
#include <linux/errno.h>
#include "ctx_tc.h"
#include "pipeline.h"
#include "sweep.h"

SEC("tc")
int fwd_ingress(struct __sk_buff *ctx)
{
	struct fwd_scratch *s = scratch_get();
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
	struct fwd_scratch *s = scratch_get();

	return s ? verdict(egress(ctx, s), ctx_pass()) : ctx_pass();
}

static __always_inline int probe_csum_ipv6(struct __sk_buff *ctx)
{
	return bpf_l4_csum_replace(ctx, ETH_HLEN, 0, CSUM_NO_CHANGE,
				   BPF_F_PSEUDO_HDR | FWD_BPF_F_IPV6);
}

/* Never attached: fwdctl runs it by BPF_PROG_RUN, with a struct fwd_request in place of a packet. */
SEC("tc")
int fwd_control(struct __sk_buff *ctx)
{
	struct fwd_request request = {};
	int entry;

	if (bpf_skb_load_bytes(ctx, ETH_HLEN, &request, sizeof(request)))
		return -EINVAL;
	switch ((enum fwd_request_type)request.type) {
	case FWD_REQUEST_START_SWEEPER:
		return sweep_start();
	case FWD_REQUEST_END_CONNECTION:
		entry = table_find(&request.forward);
		if (entry < 0 || entry_dir(entry) != FWD_DIR_FORWARD)
			return -ENOENT;
		return conn_end_found(entry, &request.forward) ? 0 : -ENOENT;
	case FWD_REQUEST_PROBE_CSUM_IPV6:
		return probe_csum_ipv6(ctx);
	}
	return -EINVAL;
}

/* Some of the helpers are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
