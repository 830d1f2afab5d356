/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP hook's side of the thin line between the journey and the hook it runs in: as much of it as the
 * express (express.h) asks for.
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

typedef struct xdp_md fwd_ctx;

#include "ctx/data.h"

/* As in ctx_tc.h. Not as often as there, because a packet that makes the detour by tc may be overtaken. */
#define CTX_NEIGH_MAX_AGE FWD_TICKS(30)

/* Not what the context says, which with a bond is the port that the frame came in by. */
static __always_inline __u32 ctx_ifindex(const fwd_ctx *ctx)
{
	return fwd_ifindex;
}

/* To whoever comes next: the stack, and tc above all. */
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

/* What a driver gives to XDP is a packet as it came. */
static __always_inline __u32 ctx_gso_size(const fwd_ctx *ctx)
{
	return 0;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return 1;
}

/* len bytes at off, readable and writable, or NULL where the packet ends before. */
static __always_inline void *ctx_at(fwd_ctx *ctx, __u32 off, __u32 len)
{
	void *at = ctx_data(ctx) + off;

	return at + len > ctx_data_end(ctx) ? NULL : at;
}

/* Copies len bytes (at least 1) at off. */
static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len) == 0;
}

/* The driver doesn't say whom a frame is for; its address does. What came to another address, or a group's, is
 * the stack's. A VLAN's tag is in the frame, where parse() finds it: fwdctl sees to that. */
static __always_inline bool ctx_is_for_us(fwd_ctx *ctx)
{
	const __be16 *to = ctx_at(ctx, 0, sizeof(struct ethhdr));

	return to && to[0] == fwd_mac.word[0] && to[1] == fwd_mac.word[1] && to[2] == fwd_mac.word[2];
}

/* By hand, since the field holds the packet's checksum: fastpath_csum_is_complete(). A UDP checksum of zero means
 * none and stays zero. */
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

/* Cuts the packet to len bytes, headers included, but not below what a frame must have: not every driver
 * fills it up again. */
static __always_inline bool ctx_trim(fwd_ctx *ctx, __u32 len)
{
	if (len < ETH_ZLEN)
		len = ETH_ZLEN;
	return len >= ctx_len(ctx) || bpf_xdp_adjust_tail(ctx, (int)(len - ctx_len(ctx))) == 0;
}

/* What the hook has to return to send the frame that way; ctx_pass() if it can't be sent from here: a driver
 * sends only to those of its kind, what the stack runs to any that has Ethernet frames. */
static __always_inline int ctx_send(const struct fwd_route *route)
{
	if (fwd_mode == FWD_MODE_XDP)
		return bpf_redirect_map(&xdp_devices, route->ifindex, XDP_PASS);
	if (route->link != FWD_LINK_ETHERNET || route->ifindex == FWD_LOOPBACK)
		return ctx_pass();
	return bpf_redirect(route->ifindex, 0);
}

#endif
