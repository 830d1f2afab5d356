/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tc hook's side of the thin line between the journey and the hook it runs in.
 */
#ifndef FWD_BPF_CTX_TC_H
#define FWD_BPF_CTX_TC_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "base/config.h"
#include "base/csum.h"
#include "base/maps.h"

typedef struct __sk_buff fwd_ctx;

#include "ctx/data.h"

/* Kernel 6.16, and stable trees since: see ctx_csum_l4(). Older headers lack it. */
#define FWD_BPF_F_IPV6 (1ULL << 7)

/* For so long the kernel's neighbour table can do without one of our packets: see bpf/neighbour.h. */
#define CTX_NEIGH_MAX_AGE FWD_TICKS(1)

/* The device that the packet came in by. */
static __always_inline __u32 ctx_ifindex(const fwd_ctx *ctx)
{
	return ctx->ifindex;
}

/* Was it made by a process of this host, and not received before? At egress. */
static __always_inline bool ctx_is_from_host(const fwd_ctx *ctx)
{
	return ctx->ingress_ifindex == 0;
}

/* What the hook returns: not ours, or dropped. TC_ACT_UNSPEC, which is TCX_NEXT, lets the programs
 * and filters behind this one see the packet, and then the stack. */
static __always_inline int ctx_pass(void)
{
	return TC_ACT_UNSPEC;
}

static __always_inline int ctx_drop(void)
{
	return TC_ACT_SHOT;
}

/* The whole packet's length, what is not in the linear part included. */
static __always_inline __u32 ctx_len(const fwd_ctx *ctx)
{
	return ctx->len;
}

/*
 * len bytes at off, readable and writable, or NULL where the packet ends before. May move the
 * packet's head: pointers from earlier calls are void then, and the verifier sees to it.
 *
 * What a driver or GRO put into fragments of the skb is not in the linear part that a program sees:
 * it has to be pulled in, or large packets look like short ones.
 */
static __always_inline void *ctx_at(fwd_ctx *ctx, __u32 off, __u32 len)
{
	void *at = ctx_data(ctx) + off;

	if (at + len > ctx_data_end(ctx)) {
		if (bpf_skb_pull_data(ctx, off + len))
			return NULL;
		at = ctx_data(ctx) + off;
		if (at + len > ctx_data_end(ctx))
			return NULL;
	}
	return at;
}

/* Copies len bytes (at least 1) at off. */
static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, off, to, len) == 0;
}

/* The payload of each segment of a GSO packet; 0: it isn't one. */
static __always_inline __u32 ctx_gso_size(const fwd_ctx *ctx)
{
	return ctx->gso_size;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return ctx->gso_segs ? ctx->gso_segs : 1;
}

/*
 * False for frames that the stack wouldn't take as its own either: sent to another MAC address, to
 * all or to a group, and those that belong to a VLAN device on top of this one.
 */
static __always_inline bool ctx_is_for_us(const fwd_ctx *ctx)
{
	if (ctx->vlan_present)
		return false;
	return fwd_link != FWD_LINK_ETHERNET || ctx->pkt_type == PACKET_HOST;
}

/*
 * Applies both deltas to the transport checksum at off (CSUM_NO_CHANGE: none). Not by hand, because
 * a program can't see what the field holds: with CHECKSUM_PARTIAL it is only the pseudo header's sum,
 * so that ports must not count; with CHECKSUM_COMPLETE the NIC's own sum has to follow. Hence two
 * calls, addresses with BPF_F_PSEUDO_HDR and ports without.
 *
 * In IPv6 no header checksum makes up for the changed addresses in the NIC's sum, the transport
 * checksum does; inet_proto_csum_replace_by_diff() has to be told (BPF_F_IPV6) or gets it wrong.
 * Kernels without the flag have that bug and refuse the flag.
 *
 * A UDP checksum of zero means none and stays zero (BPF_F_MARK_MANGLED_0).
 */
static __always_inline bool ctx_csum_l4(fwd_ctx *ctx, __u32 off, __u8 proto, __u8 family, __u32 addr_delta,
					__u32 port_delta)
{
	__u64 flags = proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u64 pseudo = flags | BPF_F_PSEUDO_HDR;

	if (family == 6) {
		const struct fwd_config *config = config_get();

		if (config && config->csum_ipv6)
			pseudo |= FWD_BPF_F_IPV6;
	}
	if (addr_delta != CSUM_NO_CHANGE && bpf_l4_csum_replace(ctx, off, 0, addr_delta, pseudo))
		return false;
	return port_delta == CSUM_NO_CHANGE || !bpf_l4_csum_replace(ctx, off, 0, port_delta, flags);
}

/*
 * Does the transport checksum at off wait for the NIC (CHECKSUM_PARTIAL)? A program isn't told, but
 * without BPF_F_PSEUDO_HDR bpf_l4_csum_replace() leaves such a field alone, and any other not.
 */
static __always_inline bool ctx_csum_is_partial(fwd_ctx *ctx, __u32 off)
{
	__u16 before, after;

	if (bpf_skb_load_bytes(ctx, off, &before, sizeof(before)) || bpf_l4_csum_replace(ctx, off, 0, 1, 0) ||
	    bpf_skb_load_bytes(ctx, off, &after, sizeof(after)))
		return false;
	if (after == before)
		return true;
	bpf_skb_store_bytes(ctx, off, &before, sizeof(before), 0);
	return false;
}

static __always_inline bool ctx_store(fwd_ctx *ctx, __u32 off, const void *from, __u32 len)
{
	return bpf_skb_store_bytes(ctx, off, from, len, 0) == 0;
}

/* Sends a copy of the packet as it is now. 0, or a negative errno. */
static __always_inline long ctx_send_clone(fwd_ctx *ctx, __u32 ifindex)
{
	return bpf_clone_redirect(ctx, ifindex, 0);
}

/* Cuts the packet to len bytes, headers included, or pads it with zeros; one of several
 * segments becomes a plain one. */
static __always_inline bool ctx_trim(fwd_ctx *ctx, __u32 len)
{
	return bpf_skb_change_tail(ctx, len, 0) == 0;
}

/* Room for another header in front of the IP header, behind the Ethernet header if there is one. Not
 * bpf_skb_change_head(), which doesn't tell the kernel where the network header is now. */
static __always_inline bool ctx_push_header(fwd_ctx *ctx, __s32 len)
{
	return bpf_skb_adjust_room(ctx, len, BPF_ADJ_ROOM_MAC, 0) == 0;
}

/* Back out by the device that it came in by. */
static __always_inline int ctx_return(fwd_ctx *ctx)
{
	return bpf_redirect(ctx->ifindex, 0);
}

/* In front of a packet that came without one: an Ethernet header, still to be filled in.
 * bpf_redirect_neigh() wants it too: it drops packets whose MAC header isn't before the IP header. */
static __always_inline bool ctx_push_ethernet(fwd_ctx *ctx)
{
	return bpf_skb_change_head(ctx, ETH_HLEN, 0) == 0;
}

#endif
