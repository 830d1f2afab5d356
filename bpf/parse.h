/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to struct fwd_pkt. Reads only; whatever it does not fully understand gets a reason
 * that leaves the packet to the stack.
 *
 * Each layer has its own enum or its own type: an L4 protocol number can't be compared with an
 * Ethernet type by mistake.
 */
#ifndef FWD_PARSE_H
#define FWD_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "fwd_reason.h"
#include "fwd_track.h"
#include "bound.h"
#include "csum.h"
#include "tuple.h"

/* The packet that an ICMP error is about, as far as the error quotes it. */
struct fwd_quote {
	struct fwd_tuple tuple;
	__u8 l3_off; /* from the start of the frame, as in struct fwd_pkt */
	__u8 l4_off;
	__u8 l4_len; /* how much of the transport header is there: 8 to 20 */
	__u8 pad;
};

enum fwd_part {
	FWD_PART_WHOLE,  /* a whole datagram */
	FWD_PART_FIRST, /* has the ports */
	FWD_PART_LATER, /* has not */
};

struct fwd_fragment {
	__u32 id;    /* the datagram's, as on the wire */
	__u16 start; /* in units of 8 bytes of what is fragmented */
	__u16 units; /* rounded up */
	__u8 part;   /* enum fwd_part */
	__u8 more;   /* it isn't the last */
	__u8 tiny;   /* the first, and cut in the transport header */
	__u8 pad;
};

/* Whether this packet goes by the kernel's neighbour table: see way_refresh(). */
enum fwd_hop {
	FWD_HOP_NONE,    /* no */
	FWD_HOP_KNOWN,   /* to this neighbour */
	FWD_HOP_UNKNOWN, /* its MAC address is not known yet */
};

struct fwd_pkt {
	struct fwd_tuple tuple; /* of an ICMP error: the outer addresses, no ports */
	struct fwd_quote quote; /* of an ICMP error */
	__u32 entry;    /* in the connection table (table.h), as soon as it is known */
	__u32 now;      /* ticks */
	__u32 bytes;    /* from the IP header to the end */
	__u32 segments; /* 1, or what a GSO packet stands for */
	__u32 seq;      /* TCP, host order */
	__u32 ack;
	__u8 family; /* enum fwd_family */
	__u8 l3_off; /* from the start of the frame; 8 bits, so that the verifier knows the bound */
	__u8 l4_off;
	__u8 ttl; /* or hop limit */
	__u8 tos; /* or traffic class */
	__u8 tcp_flags;
	__u8 l4_len;        /* of the transport header */
	__u8 is_error;      /* ICMP error: quote is valid */
	__u8 dont_fragment; /* IPv4's DF, or IPv6 */
	__u8 cut; /* too large for the way, and to be cut */
	__u16 mtu; /* of the way out */
	struct fwd_fragment fragment;
	struct fwd_next_hop {
		__u8 how; /* enum fwd_hop */
		__u8 family;
		__u8 pad[2];
		struct fwd_addr addr;
	} next_hop;
};

/* More than this many extension headers, or this far to the transport header, is left to the stack. */
#define PARSE_EXT_HEADERS_MAX 4
#define PARSE_L4_OFF_MAX      200

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK   0x1fff
#define IPV6_MORE_FRAGMENTS 1 /* the offset is in the upper 13 bits (RFC 8200 4.5) */

#define PARSE_ICMP_LEN      8 /* type, code, checksum and four bytes that depend on the type */
#define PARSE_QUOTE_LEN_MIN 8 /* of the quoted transport header; more is optional (RFC 792) */
#define PARSE_QUOTE_OFF_MAX 230

struct ipv6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in bytes, and flags in the lower 3 bits */
	__be32 id;
};

struct ipv6_ext {
	__u8 next;
	__u8 len; /* in 8 bytes, not counting the first 8 */
};

/* Where the IP header begins, and of which family it is. */
static __always_inline enum fwd_family parse_link(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	if (fwd_link == FWD_LINK_ETHERNET) {
		struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));

		if (!eth)
			return FWD_FAMILY_NONE;
		pkt->l3_off = sizeof(*eth);
		if (eth->h_proto == __constant_htons(ETH_P_IP))
			return FWD_FAMILY_IPV4;
		if (eth->h_proto == __constant_htons(ETH_P_IPV6))
			return FWD_FAMILY_IPV6;
		return FWD_FAMILY_NONE;
	}

	/* Without a link header the version says it, as it does to the kernel (ip_tunnel.c,
	 * ip_tunnel_parse_protocol). */
	__u8 *version = ctx_at(ctx, 0, 1);

	pkt->l3_off = 0;
	if (!version)
		return FWD_FAMILY_NONE;
	if (*version >> 4 == FWD_FAMILY_IPV4)
		return FWD_FAMILY_IPV4;
	if (*version >> 4 == FWD_FAMILY_IPV6)
		return FWD_FAMILY_IPV6;
	return FWD_FAMILY_NONE;
}

static __always_inline bool parse_is_transport(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static __always_inline bool parse_is_icmp(__u8 family, __u8 proto)
{
	return proto == (family == FWD_FAMILY_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline bool parse_is_ours(__u8 family, __u8 proto)
{
	return parse_is_transport(proto) || parse_is_icmp(family, proto);
}

/* l3_end: where the IP packet ends by its own length field; what follows is link padding. */
static __always_inline enum fwd_reason parse_tcp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off,
						 __u32 l3_end)
{
	struct tcphdr *tcp = ctx_at(ctx, l4_off, sizeof(*tcp));

	if (!tcp || tcp->doff < 5)
		return FWD_MALFORMED;
	if (l4_off + tcp->doff * 4 > l3_end) {
		if (pkt->fragment.part != FWD_PART_FIRST)
			return FWD_MALFORMED;
		pkt->fragment.tiny = 1;
	}
	pkt->tuple.sport = tcp->source;
	pkt->tuple.dport = tcp->dest;
	pkt->seq = __builtin_bswap32(tcp->seq);
	pkt->ack = __builtin_bswap32(tcp->ack_seq);
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->l4_len = tcp->doff * 4;
	return FWD_FORWARDED;
}

static __always_inline enum fwd_reason parse_udp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off,
						 __u32 l3_end)
{
	struct udphdr *udp = ctx_at(ctx, l4_off, sizeof(*udp));
	__u32 len;

	if (!udp)
		return FWD_MALFORMED;
	len = __builtin_bswap16(udp->len);
	if (len < sizeof(*udp))
		return FWD_MALFORMED;
	/* The first fragment has the length of the whole. */
	if (l4_off + len > l3_end && pkt->fragment.part == FWD_PART_WHOLE)
		return FWD_MALFORMED;
	pkt->tuple.sport = udp->source;
	pkt->tuple.dport = udp->dest;
	pkt->tcp_flags = 0;
	pkt->l4_len = sizeof(*udp);
	return FWD_FORWARDED;
}

static __always_inline void parse_fragment_place(struct fwd_fragment *f, __u32 id, __u16 start,
						 bool more)
{
	f->id = id;
	f->start = start;
	f->more = more;
	f->part = start ? FWD_PART_LATER : more ? FWD_PART_FIRST : FWD_PART_WHOLE;
}

static __always_inline enum fwd_reason parse_ipv6_fragment(fwd_ctx *ctx, __u8 *next, __u32 *off,
							   struct fwd_fragment *f)
{
	struct ipv6_fragment *header = ctx_at(ctx, *off, sizeof(*header));
	__u16 offset;

	if (!header)
		return FWD_MALFORMED;
	offset = __builtin_bswap16(header->offset);
	parse_fragment_place(f, header->id, offset >> 3, offset & IPV6_MORE_FRAGMENTS);
	*next = header->next;
	*off += sizeof(*header);
	return FWD_FORWARDED;
}

/* Walks what the stack would also only skip; off: behind the IPv6 header. On return *off is the
 * transport header's place. */
static __always_inline enum fwd_reason parse_ipv6_ext(fwd_ctx *ctx, __u8 *next, __u32 *off,
						      struct fwd_fragment *f)
{
	int i;

#pragma unroll
	for (i = 0; i < PARSE_EXT_HEADERS_MAX; i++) {
		struct ipv6_ext *ext;

		if (parse_is_ours(FWD_FAMILY_IPV6, *next))
			return FWD_FORWARDED;
		if (*next == IPPROTO_FRAGMENT) {
			if (parse_ipv6_fragment(ctx, next, off, f) != FWD_FORWARDED)
				return FWD_MALFORMED;
			continue;
		}
		if (f->part != FWD_PART_WHOLE)
			return FWD_EXTENSION_HEADER; /* what follows may be in another fragment */
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
	return parse_is_ours(FWD_FAMILY_IPV6, *next) ? FWD_FORWARDED : FWD_EXTENSION_HEADER;
}

/* The errors of RFC 792 and RFC 4443, which quote the packet that they are about. Not by the kernel's
 * headers: theirs pull in the C library's, which the BPF target hasn't. */
enum icmp_type {
	ICMP_TYPE_DEST_UNREACH = 3,
	ICMP_TYPE_TIME_EXCEEDED = 11,
	ICMP_TYPE_PARAMETER_PROBLEM = 12,
};

enum icmpv6_type {
	ICMPV6_TYPE_DEST_UNREACH = 1,
	ICMPV6_TYPE_PACKET_TOO_BIG = 2,
	ICMPV6_TYPE_TIME_EXCEEDED = 3,
	ICMPV6_TYPE_PARAMETER_PROBLEM = 4,
};

static __always_inline bool parse_is_icmp_error(__u8 family, __u8 type)
{
	if (family == FWD_FAMILY_IPV4)
		return type == ICMP_TYPE_DEST_UNREACH || type == ICMP_TYPE_TIME_EXCEEDED ||
		       type == ICMP_TYPE_PARAMETER_PROBLEM;
	return type >= ICMPV6_TYPE_DEST_UNREACH && type <= ICMPV6_TYPE_PARAMETER_PROBLEM;
}

/* The quoted IP header. FWD_FORWARDED: *off is where its transport header is. Lengths are not
 * checked: the quote may be cut anywhere, and routers write what they like into its length field. */
static __always_inline enum fwd_reason parse_quoted_ip(fwd_ctx *ctx, struct fwd_pkt *pkt,
						       __u32 *off)
{
	struct fwd_quote *quote = &pkt->quote;
	struct fwd_fragment f = {};
	__u8 next;

	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr *ip = ctx_at(ctx, *off, sizeof(*ip));

		/* Of a fragment only the first has ports. */
		if (!ip || ip->version != 4 || ip->ihl < 5 ||
		    (ip->frag_off & __constant_htons(IPV4_OFFSET_MASK)))
			return FWD_NOT_OURS;
		addr_from_v4(&quote->tuple.saddr, ip->saddr);
		addr_from_v4(&quote->tuple.daddr, ip->daddr);
		quote->tuple.proto = ip->protocol;
		*off += ip->ihl * 4;
	} else {
		struct ipv6hdr *ip = ctx_at(ctx, *off, sizeof(*ip));

		if (!ip || ip->version != 6)
			return FWD_NOT_OURS;
		addr_from_v6(&quote->tuple.saddr, &ip->saddr);
		addr_from_v6(&quote->tuple.daddr, &ip->daddr);
		next = ip->nexthdr;
		*off += sizeof(*ip);
		if (parse_ipv6_ext(ctx, &next, off, &f) != FWD_FORWARDED ||
		    f.part == FWD_PART_LATER)
			return FWD_NOT_OURS;
		quote->tuple.proto = next;
	}
	return parse_is_transport(quote->tuple.proto) ? FWD_FORWARDED : FWD_NOT_OURS;
}

/*
 * An ICMP message. Only errors concern us, and of those only the ones that came to the sender of the
 * packet they quote (the others are nobody's, or forged).
 */
static __always_inline enum fwd_reason parse_icmp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off,
						  __u32 l3_end)
{
	__u8 *icmp = ctx_at(ctx, l4_off, PARSE_ICMP_LEN);
	__u32 off = l4_off + PARSE_ICMP_LEN;
	struct fwd_quote *quote = &pkt->quote;
	__be16 *ports;

	if (!icmp || !parse_is_icmp_error(pkt->family, icmp[0]))
		return FWD_NOT_OURS;
	__builtin_memset(quote, 0, sizeof(*quote));
	quote->l3_off = off;
	if (parse_quoted_ip(ctx, pkt, &off) != FWD_FORWARDED || off > PARSE_QUOTE_OFF_MAX ||
	    off + PARSE_QUOTE_LEN_MIN > l3_end)
		return FWD_NOT_OURS;
	quote->l4_off = off;
	quote->l4_len = l3_end - off < sizeof(struct tcphdr) ? l3_end - off : sizeof(struct tcphdr);
	ports = ctx_at(ctx, off, PARSE_QUOTE_LEN_MIN);
	if (!ports || !addr_equal(&quote->tuple.saddr, &pkt->tuple.daddr))
		return FWD_NOT_OURS;
	quote->tuple.sport = ports[0];
	quote->tuple.dport = ports[1];
	pkt->tuple.sport = 0;
	pkt->tuple.dport = 0;
	pkt->is_error = 1;
	pkt->tcp_flags = 0;
	pkt->l4_len = PARSE_ICMP_LEN;
	return FWD_FORWARDED;
}

/* What is behind the headers of a fragment. Of a first one that is too short for its transport header
 * (RFC 1858 3.2.1) only the ports are read, to see whose it is: eight bytes it must have. */
static __always_inline enum fwd_reason parse_fragment(fwd_ctx *ctx, struct fwd_pkt *pkt,
						      __u32 l4_off, __u32 l3_end)
{
	__u32 len = l3_end - l4_off;
	struct fwd_fragment *f = &pkt->fragment;
	__be16 *ports;

	if (!parse_is_transport(pkt->tuple.proto))
		return FWD_NOT_OURS;
	if (l4_off >= l3_end || (f->more && len % 8) || f->start * 8 + len > 0xffff)
		return FWD_MALFORMED;
	f->units = (len + 7) / 8;
	f->tiny = 0;
	pkt->tcp_flags = 0;
	pkt->l4_len = 0;
	if (f->part == FWD_PART_LATER) {
		/* Behind 8 bytes TCP's flags would come (RFC 3128). */
		f->tiny = pkt->tuple.proto == IPPROTO_TCP && f->start == 1;
		return FWD_FORWARDED;
	}
	if (pkt->tuple.proto == IPPROTO_UDP || len >= sizeof(struct tcphdr))
		return FWD_FORWARDED;
	ports = ctx_at(ctx, l4_off, 2 * sizeof(*ports));
	if (!ports)
		return FWD_MALFORMED;
	pkt->tuple.sport = ports[0];
	pkt->tuple.dport = ports[1];
	f->tiny = 1;
	return FWD_FORWARDED;
}

static __always_inline enum fwd_reason parse_l4(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off,
						__u32 l3_end)
{
	/* The mask changes nothing. It gives verifiers before 6.8 one bound: from the comparisons so far they
	 * follow impossible paths on which this offset contradicts itself. */
	l4_off = bound_mask(l4_off, 0xff);
	pkt->l4_off = l4_off;
	pkt->is_error = 0;
	if (pkt->fragment.part != FWD_PART_WHOLE) {
		enum fwd_reason reason = parse_fragment(ctx, pkt, l4_off, l3_end);

		if (reason != FWD_FORWARDED || pkt->fragment.part == FWD_PART_LATER ||
		    pkt->fragment.tiny)
			return reason;
	}
	if (pkt->tuple.proto == IPPROTO_TCP)
		return parse_tcp(ctx, pkt, l4_off, l3_end);
	if (pkt->tuple.proto == IPPROTO_UDP)
		return parse_udp(ctx, pkt, l4_off, l3_end);
	return parse_icmp(ctx, pkt, l4_off, l3_end);
}

#define IPV4_HEADER_MAX 60

struct ipv4_header {
	union {
		struct iphdr ip;
		__u8 byte[IPV4_HEADER_MAX];
		__be32 word[IPV4_HEADER_MAX / 4];
	};
};

enum ipv4_option {
	IPV4_OPTION_END = 0,
	IPV4_OPTION_NOP = 1,
	IPV4_OPTION_LSRR = 0x83, /* loose and strict source route */
	IPV4_OPTION_SSRR = 0x89,
};

/* Of the option at i: where the next one begins; 0: that was the last; less than 0: for the stack. Not
 * static, for the verifier's sake (conntrack.h). */
__noinline int parse_next_option(const struct ipv4_header *ip, __u32 i)
{
	__u32 end;

	if (!ip || i >= IPV4_HEADER_MAX - 1)
		return 0;
	end = (ip->byte[0] & 15) * 4;
	if (i >= end)
		return 0;
	switch (ip->byte[i]) {
	case IPV4_OPTION_END:
		return 0;
	case IPV4_OPTION_NOP:
		return i + 1;
	case IPV4_OPTION_LSRR:
	case IPV4_OPTION_SSRR:
		return -1;
	default:
		return ip->byte[i + 1] < 2 || i + ip->byte[i + 1] > end ? -1
									 : (int)i + ip->byte[i + 1];
	}
}

/* A source route is the stack's to refuse (RFC 7126 4.3), and so are options that contradict themselves.
 * The others are passed on as they are. */
static __always_inline bool parse_options_are_plain(const struct ipv4_header *ip)
{
	int i = sizeof(struct iphdr), turn;

	for (turn = 0; turn < IPV4_HEADER_MAX - (int)sizeof(struct iphdr); turn++) {
		i = parse_next_option(ip, i);
		if (i <= 0)
			break;
	}
	return i >= 0;
}

/* The checksum of a header of that length; 0 if it has the right one in it. */
static __always_inline __u16 parse_ipv4_sum(const struct ipv4_header *ip, __u32 header_len)
{
	__u64 sum = 0;
	int i;

#pragma unroll
	for (i = 0; i < IPV4_HEADER_MAX / 4; i++)
		if (i < (int)sizeof(struct iphdr) / 4 || i * 4 < (int)header_len)
			sum += ip->word[i];
	return csum_fold(csum_add(sum, sum >> 32));
}

/* The same of a header without options, where it lies. */
static __always_inline bool parse_plain_sum_is_right(const struct iphdr *ip)
{
	const __be32 *word = (const __be32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	return csum_fold(csum_add((__u32)sum, sum >> 32)) == 0;
}

/* What else a router must look at, the checksum above all (RFC 1812 5.2.2); the stack won't any more.
 * A frame of its own, for the 512 bytes of stack are for the longest chain of calls. */
__noinline enum fwd_reason parse_ipv4_header(fwd_ctx *ctx, __u32 off, __u32 header_len)
{
	struct ipv4_header ip = {};

	if (header_len < sizeof(struct iphdr))
		return FWD_MALFORMED;
	if (!bound_at_most(header_len, sizeof(ip)) || !ctx_load(ctx, off, &ip, header_len))
		return FWD_MALFORMED;
	if (parse_ipv4_sum(&ip, sizeof(ip)) != 0)
		return FWD_MALFORMED;
	if (header_len > sizeof(struct iphdr) && !parse_options_are_plain(&ip))
		return FWD_IP_OPTIONS;
	return FWD_FORWARDED;
}

static __always_inline enum fwd_reason parse_ipv4(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u32 off = pkt->l3_off;
	struct iphdr *ip = ctx_at(ctx, off, sizeof(*ip));
	__u32 header_len, total_len;
	enum fwd_reason reason;

	if (!ip || ip->version != 4)
		return FWD_MALFORMED;
	if (!parse_is_ours(FWD_FAMILY_IPV4, ip->protocol))
		return FWD_NOT_OURS;
	header_len = ip->ihl * 4;
	total_len = __builtin_bswap16(ip->tot_len);
	/* GSO packets of more than 64 KiB ("BIG TCP") have no length that fits the field. */
	if (!total_len && ctx_len(ctx) - off > 0xffff)
		total_len = ctx_len(ctx) - off;
	if (header_len < sizeof(*ip) || total_len < header_len ||
	    off + total_len > ctx_len(ctx))
		return FWD_MALFORMED;
	if (header_len == sizeof(*ip))
		reason = parse_plain_sum_is_right(ip) ? FWD_FORWARDED : FWD_MALFORMED;
	else
		reason = parse_ipv4_header(ctx, off, header_len);
	if (reason != FWD_FORWARDED)
		return reason;
	parse_fragment_place(&pkt->fragment, ip->id,
			     __builtin_bswap16(ip->frag_off) & IPV4_OFFSET_MASK,
			     ip->frag_off & __constant_htons(IPV4_MORE_FRAGMENTS));
	addr_from_v4(&pkt->tuple.saddr, ip->saddr);
	addr_from_v4(&pkt->tuple.daddr, ip->daddr);
	pkt->tuple.proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->tos = ip->tos;
	pkt->dont_fragment = !!(ip->frag_off & __constant_htons(IPV4_DONT_FRAGMENT));
	pkt->bytes = total_len;
	return parse_l4(ctx, pkt, off + header_len, off + total_len);
}

static __always_inline enum fwd_reason parse_ipv6(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u32 off = pkt->l3_off, l3_end;
	struct ipv6hdr *ip = ctx_at(ctx, off, sizeof(*ip));
	enum fwd_reason reason;
	__u8 next;

	if (!ip || ip->version != 6)
		return FWD_MALFORMED;
	next = ip->nexthdr;
	addr_from_v6(&pkt->tuple.saddr, &ip->saddr);
	addr_from_v6(&pkt->tuple.daddr, &ip->daddr);
	pkt->ttl = ip->hop_limit;
	pkt->dont_fragment = 1;
	pkt->tos = (ip->priority << 4) | (ip->flow_lbl[0] >> 4);
	pkt->bytes = __builtin_bswap16(ip->payload_len) + sizeof(*ip);
	/* A jumbogram's length is in a hop-by-hop option (RFC 2675); what is short is none. */
	if (pkt->bytes == sizeof(*ip) && next == IPPROTO_HOPOPTS &&
	    ctx_len(ctx) - off > sizeof(*ip) + 0xffff)
		pkt->bytes = ctx_len(ctx) - off;
	l3_end = off + pkt->bytes;

	off += sizeof(*ip);
	pkt->fragment.part = FWD_PART_WHOLE;
	reason = parse_ipv6_ext(ctx, &next, &off, &pkt->fragment);
	if (reason != FWD_FORWARDED)
		return reason;
	if (l3_end > ctx_len(ctx) || addr_is_v4(&pkt->tuple.saddr) || addr_is_v4(&pkt->tuple.daddr))
		return FWD_MALFORMED;
	pkt->tuple.proto = next;
	return parse_l4(ctx, pkt, off, l3_end);
}

/*
 * Fills *pkt. FWD_FORWARDED: go on. FWD_NOT_OURS: nothing that a map or a connection could be about.
 * Anything else: the reason why the packet goes to the stack.
 */
static __always_inline enum fwd_reason parse(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	pkt->family = parse_link(ctx, pkt);
	pkt->next_hop.how = FWD_HOP_NONE;
	pkt->cut = 0;
	__builtin_memset(pkt->tuple.pad, 0, sizeof(pkt->tuple.pad)); /* it is a key */
	pkt->segments = ctx_segments(ctx);
	if (pkt->family == FWD_FAMILY_IPV4)
		return parse_ipv4(ctx, pkt);
	if (pkt->family == FWD_FAMILY_IPV6)
		return parse_ipv6(ctx, pkt);
	return FWD_NOT_OURS;
}

#endif
