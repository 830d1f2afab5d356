/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The context of the XDP hook: the operations on packets that the fast path (fastpath.h) uses, for xdp_md.
 */
#ifndef FWD_BPF_CTX_XDP_H
#define FWD_BPF_CTX_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include "base/config.h"
#include "base/csum.h"
#include "base/maps.h"
#include "base/vlan.h"

typedef struct xdp_md fwd_ctx;

#define CTX_CT_LOOKUP bpf_xdp_ct_lookup
#include "ctx/ct_kfunc.h"
#include "ctx/data.h"

/* See ctx/tc.h. Less often than there, because a packet that takes the longer path by tc may be overtaken by later
 * ones. */
#define CTX_NEIGH_MAX_AGE FWD_TICKS(30)

/* A constant, because for a bond xdp_md names the port that received the frame, not the bond. */
static __always_inline __u32 ctx_ifindex(const fwd_ctx *ctx)
{
	return fwd_ifindex;
}

static __always_inline __u32 ctx_mark(const fwd_ctx *ctx)
{
	return 0;
}

/* Return values of the hook. A packet that is passed reaches tc and then the stack. */
static __always_inline int ctx_pass(void)
{
	return XDP_PASS;
}

static __always_inline int ctx_drop(void)
{
	return XDP_DROP;
}

static __always_inline __u32 ctx_len(const fwd_ctx *ctx)
{
	return ctx_data_end(ctx) - ctx_data(ctx);
}

/* A driver runs XDP before GRO: each packet is as it was received. Generic XDP runs after GRO, whose packets have a
 * partial checksum and are passed to tc. */
static __always_inline __u32 ctx_gso_size(const fwd_ctx *ctx)
{
	return 0;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return 1;
}

/* len bytes at off, readable and writable, or NULL if the packet is shorter. */
static __always_inline void *ctx_at(fwd_ctx *ctx, __u32 off, __u32 len)
{
	void *at = ctx_data(ctx) + off;

	return at + len > ctx_data_end(ctx) ? NULL : at;
}

/* Copies len bytes (at least 1) at off. False if the packet is shorter. */
static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len) == 0;
}

/* The driver does not classify frames, so the destination MAC address decides. Frames to another address or to a
 * group are left to the stack. VLAN tags are in the frame, where parse() finds them: fwdctl refuses drivers
 * that remove them first. */
static __always_inline bool ctx_is_for_host(fwd_ctx *ctx)
{
	const __be16 *to = ctx_at(ctx, 0, sizeof(struct ethhdr));

	return to && to[0] == fwd_mac.word[0] && to[1] == fwd_mac.word[1] && to[2] == fwd_mac.word[2];
}

/* All tags are in the frame. */
static __always_inline __u32 ctx_tags(const fwd_ctx *ctx)
{
	return 0;
}

/* Removes so many tags, and the MAC addresses in front of them: the tags' place becomes that of the new ones. */
static __always_inline bool ctx_untag(fwd_ctx *ctx, __u32 tags)
{
	return bpf_xdp_adjust_head(ctx, (int)(tags * VLAN_TAG_LEN)) == 0;
}

/* Computed here, because the field holds the packet's checksum: see fastpath_csum_is_complete(). A UDP checksum of
 * zero means no checksum, and stays zero. */
static __always_inline bool ctx_csum_l4(fwd_ctx *ctx, __u32 off, __u8 proto, __u8 family, __u32 addr_delta,
					__u32 port_delta)
{
	__u16 *check = ctx_at(ctx, off, sizeof(*check));
	bool udp = proto == IPPROTO_UDP;

	if (!check)
		return false;
	if (udp && !*check)
		return true;
	*check = csum_apply(*check, csum_add(addr_delta, port_delta));
	if (udp && !*check)
		*check = 0xffff;
	return true;
}

/* Shortens the packet to len bytes, headers included, but not below the minimum length of a frame: not every driver
 * pads it again. */
static __always_inline bool ctx_set_len(fwd_ctx *ctx, __u32 len)
{
	if (len < ETH_ZLEN)
		len = ETH_ZLEN;
	return len >= ctx_len(ctx) || bpf_xdp_adjust_tail(ctx, (int)(len - ctx_len(ctx))) == 0;
}

/* The return value of the hook that sends the frame by the route; ctx_pass() if XDP cannot. Native XDP sends to
 * devices with native XDP only, generic XDP to any Ethernet device. */
static __always_inline int ctx_send(const struct fwd_route *route)
{
	if (fwd_mode == FWD_MODE_XDP)
		return bpf_redirect_map(&xdp_devices, route_ifindex(route), XDP_PASS);
	if (route_link(route) != FWD_LINK_ETHERNET || route_ifindex(route) == FWD_LOOPBACK)
		return ctx_pass();
	return bpf_redirect(route_ifindex(route), 0);
}

#endif
