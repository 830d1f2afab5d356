/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv4 fragmentation of packets that exceed the MTU of the route and may be fragmented (RFC 791 2.3,
 * net/ipv4/ip_output.c, ip_do_fragment). A program has one packet to send, so the fragments use it one after the other:
 * all but the last leave as clones of it.
 */
#ifndef FWD_BPF_PKT_IP_FRAGMENT_H
#define FWD_BPF_PKT_IP_FRAGMENT_H

#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include "base/bound.h"
#include "base/maps.h"
#include "pkt/ipv4.h"
#include "pkt/pkt.h"
#include "pkt/translate.h"

#define IP_FRAGMENT_MAX    9216 /* bytes of one packet */
#define IP_FRAGMENT_PIECES 64   /* the most fragments of one packet */

#define IP_FRAGMENT_LEN_BOUND 0x4000 /* a power of two, at least IP_FRAGMENT_MAX */

/* Of an option: it is copied to every fragment, not to the first alone (RFC 791 3.1). */
#define IPV4_OPTION_COPIED 0x80

struct fwd_ip_fragment {
	struct ipv4_header header;
	__u32 header_len;
	__u32 start; /* fragment offset of the packet itself, in units of 8 bytes */
	__u32 more;  /* IPV4_MORE_FRAGMENTS, or 0 */
	__u32 len;   /* bytes of payload */
	__u32 piece; /* the most payload bytes in one fragment, a multiple of 8 */
	/* Longer than it is ever filled, because the verifier adds the bounds of the offset and of the length. */
	__u8 payload[IP_FRAGMENT_MAX + IP_FRAGMENT_LEN_BOUND];
};

static __always_inline struct fwd_ip_fragment *ip_fragment_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ip_fragment_scratch, &zero);
}

/* The packet can be fragmented here. Not if the kernel or the NIC has yet to segment it or to fill in its checksum,
 * because that would then happen to each fragment. */
static __always_inline bool ip_fragment_is_possible(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 mtu)
{
	__u32 check = pkt->l4_off + (pkt->tuple.proto == IPPROTO_TCP ? TCP_CHECK_OFF : UDP_CHECK_OFF);

	if (pkt->dont_fragment || ctx_gso_size(ctx) || pkt->bytes > IP_FRAGMENT_MAX ||
	    mtu < IPV4_HEADER_MAX + IP_FRAGMENT_MAX / IP_FRAGMENT_PIECES + 8)
		return false;
	return pkt->is_error || pkt->fragment.kind == FWD_FRAG_LATER || !ctx_csum_is_partial(ctx, check);
}

/* Reads the packet, whose IP header is at l3_off. False: it cannot be fragmented. */
static __always_inline bool ip_fragment_begin(fwd_ctx *ctx, struct fwd_ip_fragment *c, __u32 l3_off, __u32 mtu)
{
	__u32 header_len, len;
	__u16 place;

	if (!ctx_load(ctx, l3_off, &c->header, sizeof(struct iphdr)))
		return false;
	header_len = (c->header.byte[0] & 15) * 4;
	len = bpf_ntohs(c->header.ip.tot_len);
	if (header_len < sizeof(struct iphdr) || len <= header_len || mtu < header_len + 8)
		return false;
	c->header_len = header_len;
	if (!bound_at_most(header_len, sizeof(c->header)) || !ctx_load(ctx, l3_off, &c->header, header_len))
		return false;
	c->len = len - c->header_len;
	if (c->len > IP_FRAGMENT_MAX ||
	    !ctx_load(ctx, l3_off + header_len, c->payload, bound_len(c->len, IP_FRAGMENT_LEN_BOUND)))
		return false;
	place = bpf_ntohs(c->header.ip.frag_off);
	c->start = place & IPV4_OFFSET_MASK;
	c->more = place & IPV4_MORE_FRAGMENTS;
	c->piece = (mtu - header_len) & ~7U;
	return true;
}

/* Overwrites the options that belong to the first fragment only with no-operations. */
__noinline int ip_fragment_drop_options(void)
{
	struct fwd_ip_fragment *c = ip_fragment_get();
	int next = sizeof(struct iphdr), i;
	bool copied = true;

	for (i = sizeof(struct iphdr); c && i < IPV4_HEADER_MAX; i++) {
		if (i == next) {
			copied = c->header.byte[i] & IPV4_OPTION_COPIED;
			next = ipv4_next_option(&c->header, i);
			if (next <= 0)
				break;
		}
		if (!copied)
			c->header.byte[i] = IPV4_OPTION_NOP;
	}
	return 0;
}

/* Makes the packet the fragment whose payload begins `off` bytes into the whole payload. False: it is not writable. */
__noinline bool ip_fragment_write(fwd_ctx *ctx, __u32 l3_off, __u32 off)
{
	struct fwd_ip_fragment *c = ip_fragment_get();
	__u32 len, header_len, more;
	struct iphdr *ip;

	if (!c || off >= c->len)
		return false;
	if (!bound_at_most(off, IP_FRAGMENT_MAX))
		return false;
	len = c->len - off < c->piece ? c->len - off : c->piece;
	more = off + len < c->len ? IPV4_MORE_FRAGMENTS : c->more;
	header_len = c->header_len;
	if (header_len < sizeof(*ip))
		return false;
	if (!bound_at_most(header_len, sizeof(c->header)))
		return false;
	ip = &c->header.ip;
	ip->tot_len = bpf_htons(header_len + len);
	ip->frag_off = bpf_htons((c->start + off / 8) | more);
	ip->check = 0;
	ip->check = ipv4_csum(&c->header, header_len);
	return ctx_set_len(ctx, l3_off + header_len + len) && ctx_store(ctx, l3_off, &c->header, header_len) &&
	       ctx_store(ctx, l3_off + header_len, c->payload + off, bound_len(len, IP_FRAGMENT_LEN_BOUND));
}

/* Fragments the packet, whose IP header is at l3_off of the frame that leaves, into packets of at most mtu bytes,
 * and sends all but the last one by ifindex. The last one is left in the packet for the caller to send. False: the
 * packet is not writable, and must be dropped. */
__noinline bool ip_fragment(fwd_ctx *ctx, __u32 l3_off, __u32 mtu, __u32 ifindex)
{
	struct fwd_ip_fragment *c = ip_fragment_get();
	__u32 off = 0;
	int i;

	if (!c || !ip_fragment_begin(ctx, c, l3_off, mtu))
		return false;
	for (i = 0; i < IP_FRAGMENT_PIECES; i++) {
		if (!ip_fragment_write(ctx, l3_off, off))
			return false;
		off += c->piece;
		if (off >= c->len)
			return true;
		ctx_send_clone(ctx, ifindex);
		if (i == 0)
			ip_fragment_drop_options();
	}
	return false;
}

#endif
