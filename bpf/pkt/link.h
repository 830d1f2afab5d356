/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The link header: Ethernet with priority tags, or none.
 *
 * A priority tag (IEEE 802.1Q 6.9) is a VLAN tag with VLAN ID 0: it names no VLAN, and the frame belongs to the device
 * itself. The kernel removes any number of them (net/core/dev.c, __netif_receive_skb_core(), check_vlan_id). At tc the
 * outer tag is in the skb's metadata and the others are in the frame; at XDP all are in the frame.
 *
 * The tags are read by parse() and removed by link_untag(), so a packet that is left to the stack keeps them.
 */
#ifndef FWD_BPF_PKT_LINK_H
#define FWD_BPF_PKT_LINK_H

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include "fwd/device.h"
#include "base/config.h"
#include "base/vlan.h"
#include "pkt/pkt.h"

#define LINK_FAMILY_TAGGED ((enum fwd_family)1) /* not known yet */

static __always_inline bool link_is_tag(__be16 ether_type)
{
	return ether_type == __constant_htons(ETH_P_8021Q) || ether_type == __constant_htons(ETH_P_8021AD);
}

/* Skips the priority tags of the frame: sets pkt->l3_off and pkt->tags. Returns the Ethernet type behind them, in
 * network order; 0: the frame belongs to a VLAN, has too many tags, or is truncated. */
__noinline int link_skip_tags(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u32 off = offsetof(struct ethhdr, h_proto);
	int i;

	if (!pkt)
		return 0;
	for (i = 0; i <= VLAN_TAGS_IN_FRAME; i++, off += VLAN_TAG_LEN) {
		const __be16 *word = ctx_at(ctx, off, 2 * sizeof(*word)); /* a type, and what it is the type of */

		if (!word)
			return 0;
		if (!link_is_tag(word[0])) {
			pkt->l3_off = off + sizeof(*word);
			pkt->tags += i;
			return word[0];
		}
		if (word[1] & __constant_htons(VLAN_ID_MASK))
			return 0;
	}
	return 0;
}

static __always_inline enum fwd_family link_family(__be16 ether_type)
{
	if (ether_type == __constant_htons(ETH_P_IP))
		return FWD_FAMILY_IPV4;
	return ether_type == __constant_htons(ETH_P_IPV6) ? FWD_FAMILY_IPV6 : FWD_FAMILY_NONE;
}

static __always_inline enum fwd_family link_parse_ethernet(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	__be16 type;

	if (!eth)
		return FWD_FAMILY_NONE;
	type = eth->h_proto;
	pkt->l3_off = sizeof(*eth);
	pkt->tags = ctx_tags(ctx);
	return link_is_tag(type) ? LINK_FAMILY_TAGGED : link_family(type);
}

/* The IP header behind priority tags, and its family. */
static __always_inline enum fwd_family link_parse_tags(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	return link_family(link_skip_tags(ctx, pkt));
}

/* Finds the IP header of a frame without tags, and its family; LINK_FAMILY_TAGGED: it has tags, see link_parse_tags().
 * The offset is a constant, which the compiler uses in all that follows: so frames with tags are parsed by another copy
 * of the code. */
static __always_inline enum fwd_family link_parse(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u8 *version;

	if (fwd_link == FWD_LINK_ETHERNET)
		return link_parse_ethernet(ctx, pkt);
	/* Without a link header the version field decides, as in the kernel (ip_tunnel.c, ip_tunnel_parse_protocol). */
	version = ctx_at(ctx, 0, 1);
	pkt->l3_off = 0;
	pkt->tags = 0;
	if (!version)
		return FWD_FAMILY_NONE;
	if (*version >> 4 == FWD_FAMILY_IPV4)
		return FWD_FAMILY_IPV4;
	return *version >> 4 == FWD_FAMILY_IPV6 ? FWD_FAMILY_IPV6 : FWD_FAMILY_NONE;
}

/* Removes the priority tags, before the packet is changed. False: the packet is not writable, and must be dropped. At
 * XDP the MAC addresses are lost, and have to be written anew. */
__noinline bool link_untag(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u8 moved;

	if (!pkt || !ctx_untag(ctx, pkt->tags))
		return false;
	moved = pkt->l3_off - ETH_HLEN;
	pkt->l3_off -= moved;
	pkt->l4_off -= moved;
	pkt->quote.l3_off -= moved;
	pkt->quote.l4_off -= moved;
	pkt->tags = 0;
	return true;
}

#endif
