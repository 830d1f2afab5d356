/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IPv6 extension headers, and the place of a fragment in its datagram.
 */
#ifndef FWD_BPF_PKT_IPV6_EXT_H
#define FWD_BPF_PKT_IPV6_EXT_H

#include <stdbool.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_endian.h>
#include "fwd/reason.h"
#include "pkt/pkt.h"

/* Packets with more extension headers than this, or with the transport header further in, are left to the stack. */
#define PARSE_EXT_HEADERS_MAX 4
#define PARSE_L4_OFF_MAX      200

#define IPV6_MORE_FRAGMENTS 1 /* the offset is in the upper 13 bits (RFC 8200 4.5) */

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in bytes, with flags in the lower 3 bits */
	__be32 id;
};

struct ipv6_ext {
	__u8 next;
	__u8 len; /* in units of 8 bytes, not counting the first 8 */
};

static __always_inline bool parse_is_transport(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static __always_inline bool parse_is_icmp(__u8 family, __u8 proto)
{
	return proto == (family == FWD_FAMILY_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline bool parse_is_supported(__u8 family, __u8 proto)
{
	return parse_is_transport(proto) || parse_is_icmp(family, proto);
}

static __always_inline void parse_fragment_place(struct fwd_fragment *f, __u32 id, __u16 start, bool more)
{
	f->id = id;
	f->offset = start;
	f->more = more;
	f->kind = start ? FWD_FRAG_LATER : more ? FWD_FRAG_FIRST : FWD_FRAG_NONE;
}

static __always_inline enum fwd_reason parse_ipv6_fragment(fwd_ctx *ctx, __u8 *next, __u32 *off, struct fwd_fragment *f)
{
	struct ipv6_fragment *header = ctx_at(ctx, *off, sizeof(*header));
	__u16 offset;

	if (!header)
		return FWD_MALFORMED;
	offset = bpf_ntohs(header->offset);
	parse_fragment_place(f, header->id, offset >> 3, offset & IPV6_MORE_FRAGMENTS);
	*next = header->next;
	*off += sizeof(*header);
	return FWD_OK;
}

/* Skips the extension headers that the stack would skip too. *off: in, the first byte behind the IPv6 header; out,
 * the transport header. *next: the type of the header at *off. */
static __always_inline enum fwd_reason parse_ipv6_ext(fwd_ctx *ctx, __u8 *next, __u32 *off, struct fwd_fragment *f)
{
	bool fragment = false;
	int i;

#pragma unroll
	for (i = 0; i < PARSE_EXT_HEADERS_MAX; i++) {
		struct ipv6_ext *ext;

		if (parse_is_supported(FWD_FAMILY_IPV6, *next))
			return FWD_OK;
		/* The next header may be in another fragment. */
		if (f->kind != FWD_FRAG_NONE)
			return FWD_EXTENSION_HEADER;
		if (*next == IPPROTO_FRAGMENT) {
			/* The kernel refuses a second one, too (net/ipv6/reassembly.c, ipv6_frag_rcv()), also behind
			 * one of a whole packet (RFC 6946). */
			if (fragment)
				return FWD_EXTENSION_HEADER;
			fragment = true;
			if (parse_ipv6_fragment(ctx, next, off, f) != FWD_OK)
				return FWD_MALFORMED;
			continue;
		}
		if (*next != IPPROTO_HOPOPTS && *next != IPPROTO_DSTOPTS)
			return *next == IPPROTO_ROUTING ? FWD_EXTENSION_HEADER : FWD_NOT_OURS;
		ext = ctx_at(ctx, *off, sizeof(*ext));
		if (!ext)
			return FWD_MALFORMED;
		*next = ext->next;
		*off += (ext->len + 1) * 8;
		if (*off > PARSE_L4_OFF_MAX)
			return FWD_EXTENSION_HEADER;
	}
	return parse_is_supported(FWD_FAMILY_IPV6, *next) ? FWD_OK : FWD_EXTENSION_HEADER;
}

#endif
