// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program that fwdctl runs itself, by BPF_PROG_RUN: it starts the garbage collector and ends connections. Never
 * attached; its pin keeps the collector's timer callback loaded.
 */
#include <linux/errno.h>
#include "ctx/tc.h"
#include "fwd/request.h"
#include "ct/gc.h"

/* Whether bpf_l4_csum_replace() knows BPF_F_IPV6: 0, or -EINVAL. */
static __always_inline int probe_csum_ipv6(struct __sk_buff *ctx)
{
	return bpf_l4_csum_replace(ctx, ETH_HLEN, 0, CSUM_NO_CHANGE, BPF_F_PSEUDO_HDR | FWD_BPF_F_IPV6);
}

/* 0, or -ENOENT: no packet of that tuple opened a connection that still exists. */
static __always_inline int end_connection(const struct fwd_tuple *forward)
{
	int entry = table_find(forward);

	if (entry < 0 || entry_dir(entry) != FWD_DIR_FORWARD)
		return -ENOENT;
	return conn_end_found(entry, forward, FWD_END_FLUSHED) ? 0 : -ENOENT;
}

/* The packet is a struct fwd_request. Returns 0 or a negative errno. */
SEC("tc")
int fwd_control(struct __sk_buff *ctx)
{
	struct fwd_request request = {};

	if (bpf_skb_load_bytes(ctx, ETH_HLEN, &request, sizeof(request)))
		return -EINVAL;
	switch ((enum fwd_request_type)request.type) {
	case FWD_REQUEST_START_GC:
		return gc_start();
	case FWD_REQUEST_END_CONNECTION:
		return end_connection(&request.forward);
	case FWD_REQUEST_PROBE_CSUM_IPV6:
		return probe_csum_ipv6(ctx);
	}
	return -EINVAL;
}

/* Some of the helpers are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
