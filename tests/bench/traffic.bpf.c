// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The generator (run by BPF_PROG_RUN with live frames), the sink that checks received packets, and a bare redirect as
 * the lower bound of forwarding. traffic.c runs them.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "flow.h"

struct flow_order order;
struct flow_kind expected;
struct flow_sent sent;
struct flow_arrived arrived;
struct flow_detour detour_in, detour_back;

/*
 * At most as many packets are in flight as the rings between generator, gateway and sink hold, so that only the gateway
 * drops packets.
 */
static __always_inline bool may_send(void)
{
	__u64 done = arrived.right + arrived.wrong, now;

	if ((__s64)(sent.packets - sent.lost - done) < order.window)
		return true;
	now = bpf_ktime_get_ns();
	if (done != sent.seen) {
		sent.seen = done;
		sent.since = now;
	} else if (now - sent.since > order.patience_us * 1000ULL) {
		sent.lost = sent.packets - done;
		sent.since = now;
	}
	return false;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;

	if (frame + FLOW_FRAME_LEN > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (sent.packets >= order.count || !may_send())
		return XDP_DROP;
	__builtin_memcpy(frame, order.ether, FLOW_ETHER_LEN);
	flow_make(frame + FLOW_ETHER_LEN, &order.kind, order.first + sent.at);
	sent.at += order.step;
	if (sent.at >= order.flows)
		sent.at -= order.flows;
	sent.packets++;
	return bpf_redirect(order.ifindex, 0);
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;

	if (frame + FLOW_FRAME_LEN > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	switch (flow_check(frame + FLOW_ETHER_LEN, &expected)) {
	case FLOW_RIGHT:
		arrived.right++;
		return XDP_DROP;
	case FLOW_WRONG:
		arrived.wrong++;
		return XDP_DROP;
	case FLOW_FOREIGN:
		break;
	}
	return XDP_PASS;
}

static __always_inline int redirect(struct xdp_md *ctx, const struct flow_detour *detour)
{
	__u8 *frame = (void *)(long)ctx->data;

	if (frame + FLOW_FRAME_LEN > (__u8 *)(long)ctx->data_end || frame[12] != 0x08 || frame[13] != 0x00)
		return XDP_PASS;
	__builtin_memcpy(frame, detour->ether, sizeof(detour->ether));
	return bpf_redirect(detour->ifindex, 0);
}

SEC("xdp")
int redirect_in(struct xdp_md *ctx)
{
	return redirect(ctx, &detour_in);
}

SEC("xdp")
int redirect_back(struct xdp_md *ctx)
{
	return redirect(ctx, &detour_back);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
