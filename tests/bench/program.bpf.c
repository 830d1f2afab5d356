// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The reference for fwdctl's programs: one lookup by addresses and ports, the minimum of any NAT. The key has 40 bytes,
 * as fwdctl's tuple.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "flow.h"

struct key {
	__u32 saddr[4], daddr[4];
	__u32 ports, proto;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct key);
	__type(value, __u64);
} table SEC(".maps");

static __always_inline __u64 *lookup(const __u8 *ip)
{
	struct key key = {
		.saddr[3] = *(const __u32 *)(ip + 12),
		.daddr[3] = *(const __u32 *)(ip + 16),
		.ports = *(const __u32 *)(ip + 20),
		.proto = ip[9],
	};

	return bpf_map_lookup_elem(&table, &key);
}

SEC("tc")
int reference_tc(struct __sk_buff *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;

	if (frame + FLOW_FRAME_LEN > (__u8 *)(long)ctx->data_end)
		return TC_ACT_UNSPEC;
	return lookup(frame + FLOW_ETHER_LEN) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("xdp")
int reference_xdp(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;

	if (frame + FLOW_FRAME_LEN > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	return lookup(frame + FLOW_ETHER_LEN) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
