/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The context of the tc hook: the operations on packets that differ between hooks, for __sk_buff.
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
#include "base/vlan.h"

typedef struct __sk_buff fwd_ctx;

#define CTX_CT_LOOKUP bpf_skb_ct_lookup
#include "ctx/ct_kfunc.h"
#include "ctx/data.h"

/* Since kernel 6.16, and in stable trees; older headers lack it. See ctx_csum_l4(). */
#define FWD_BPF_F_IPV6 (1ULL << 7)

/* The kernel's neighbour table must see one of our packets this often: see bpf/host/neigh.h. */
#define CTX_NEIGH_MAX_AGE FWD_TICKS(1)

/* The device of the hook. */
static __always_inline __u32 ctx_ifindex(const fwd_ctx *ctx)
{
	return ctx->ifindex;
}

/* The mark that other programs at tc have set: netfilter's come later. */
static __always_inline __u32 ctx_mark(const fwd_ctx *ctx)
{
	return ctx->mark;
}

/* The value of skb->tc_index that tells a packet that an ingress program has redirected from one that the stack has
 * forwarded. The field exists for classifiers of one qdisc (sch_gred), and the kernel leaves it alone on this path. */
#define CTX_TC_INDEX_OURS 0xf3d1

/* At ingress: marks the packet, and copies made of it from now on. */
static __always_inline void ctx_mark_redirected(fwd_ctx *ctx)
{
	ctx->tc_index = CTX_TC_INDEX_OURS;
}

/* At egress: false for a packet that an ingress program has redirected, whose mark is removed. */
static __always_inline bool ctx_is_from_stack(fwd_ctx *ctx)
{
	if (ctx->ingress_ifindex && ctx->tc_index == CTX_TC_INDEX_OURS) {
		ctx->tc_index = 0;
		return false;
	}
	return true;
}

/* At egress: the packet of a process of this host, not one that the stack has forwarded. */
static __always_inline bool ctx_is_from_host(const fwd_ctx *ctx)
{
	return !ctx->ingress_ifindex;
}

/* Return values of the hook. After TC_ACT_UNSPEC, which is TCX_NEXT, the programs and filters behind this one see
 * the packet, and then the stack. */
static __always_inline int ctx_pass(void)
{
	return TC_ACT_UNSPEC;
}

static __always_inline int ctx_drop(void)
{
	return TC_ACT_SHOT;
}

/* The length of the whole packet, in bytes, with its non-linear part. */
static __always_inline __u32 ctx_len(const fwd_ctx *ctx)
{
	return ctx->len;
}

/*
 * len bytes at off, readable and writable, or NULL if the packet is shorter. It may move the packet's head, which
 * invalidates pointers from earlier calls; the verifier enforces that.
 *
 * Data that a driver or GRO put into the skb's page fragments is outside of the linear part that a program sees: it has
 * to be pulled in, or large packets look like short ones.
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

/* Copies len bytes (at least 1) at off. False if the packet is shorter. */
static __always_inline bool ctx_load(fwd_ctx *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, off, to, len) == 0;
}

/* The payload bytes of each segment of a GSO packet; 0 for other packets. */
static __always_inline __u32 ctx_gso_size(const fwd_ctx *ctx)
{
	return ctx->gso_size;
}

static __always_inline __u32 ctx_segments(const fwd_ctx *ctx)
{
	return ctx->gso_segs ? ctx->gso_segs : 1;
}

/* False for frames that do not belong to this device's own stack: sent to another MAC address, to a broadcast or
 * multicast address, or tagged for a VLAN. A priority tag (pkt/link.h) names no VLAN. */
static __always_inline bool ctx_is_for_host(const fwd_ctx *ctx)
{
	if (ctx->vlan_present && (ctx->vlan_tci & VLAN_ID_MASK))
		return false;
	return fwd_link != FWD_LINK_ETHERNET || ctx->pkt_type == PACKET_HOST;
}

/* The tags that are not in the frame: the kernel has moved the outer one to the skb's metadata. */
static __always_inline __u32 ctx_tags(const fwd_ctx *ctx)
{
	return ctx->vlan_present;
}

/* Removes so many tags, the outer ones first. Each call removes the one in the metadata, if there is one, and moves the
 * next one of the frame there (net/core/skbuff.c, skb_vlan_pop()). */
static __always_inline bool ctx_untag(fwd_ctx *ctx, __u32 tags)
{
	int i;

	for (i = 0; i < VLAN_TAGS_MAX && i < (int)tags; i++)
		if (bpf_skb_vlan_pop(ctx))
			return false;
	return true;
}

/*
 * Applies both deltas to the transport checksum at off (CSUM_NO_CHANGE: none). False: the packet is not writable.
 *
 * Only the kernel knows what the field holds. With CHECKSUM_PARTIAL it is the sum of the pseudo header alone, so ports
 * must not count; with CHECKSUM_COMPLETE the sum that the NIC computed over the packet has to follow the change. So
 * there are two calls: the addresses with BPF_F_PSEUDO_HDR, the ports without.
 *
 * In IPv6 no header checksum compensates for the changed addresses in the NIC's sum, but the transport checksum does:
 * inet_proto_csum_replace_by_diff() needs BPF_F_IPV6 to know that. Kernels without the flag have that bug, and refuse
 * the flag.
 *
 * A UDP checksum of zero means no checksum, and stays zero (BPF_F_MARK_MANGLED_0).
 */
static __always_inline bool ctx_csum_l4(fwd_ctx *ctx, __u32 off, __u8 proto, __u8 family, __u32 addr_delta,
					__u32 port_delta)
{
	__u64 flags = proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u64 pseudo = flags | BPF_F_PSEUDO_HDR;

	if (family == FWD_FAMILY_IPV6) {
		const struct fwd_config *config = config_get();

		if (config && config->csum_ipv6)
			pseudo |= FWD_BPF_F_IPV6;
	}
	if (addr_delta != CSUM_NO_CHANGE && bpf_l4_csum_replace(ctx, off, 0, addr_delta, pseudo))
		return false;
	return port_delta == CSUM_NO_CHANGE || !bpf_l4_csum_replace(ctx, off, 0, port_delta, flags);
}

/* True if the transport checksum at off is left to the NIC (CHECKSUM_PARTIAL). No helper tells, but without
 * BPF_F_PSEUDO_HDR bpf_l4_csum_replace() changes such a field not at all, and any other one. */
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

/* Shortens the packet to len bytes, headers included, or pads it with zeros. A GSO packet becomes a plain one. */
static __always_inline bool ctx_set_len(fwd_ctx *ctx, __u32 len)
{
	return bpf_skb_change_tail(ctx, len, 0) == 0;
}

/* Room for a header before the IP header and behind the Ethernet header, if there is one. bpf_skb_change_head() does
 * not serve, because it leaves the kernel's offset of the network header as it was. */
static __always_inline bool ctx_push_header(fwd_ctx *ctx, __s32 len)
{
	return bpf_skb_adjust_room(ctx, len, BPF_ADJ_ROOM_MAC, 0) == 0;
}

/* Sends the packet out by the device that it was received by. */
static __always_inline int ctx_send_back(fwd_ctx *ctx)
{
	return bpf_redirect(ctx->ifindex, 0);
}

/* The class that qdiscs (prio, pfifo_fast), VLAN devices and some drivers take from a packet. */
static __always_inline void ctx_set_priority(fwd_ctx *ctx, __u32 priority)
{
	ctx->priority = priority;
}

/* Room for an Ethernet header, not filled in, in front of a packet that has none. bpf_redirect_neigh() needs it too:
 * it drops packets whose MAC header is not before the IP header. */
static __always_inline bool ctx_push_ethernet(fwd_ctx *ctx)
{
	return bpf_skb_change_head(ctx, ETH_HLEN, 0) == 0;
}

#endif
