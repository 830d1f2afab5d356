/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP and ICMPv6 errors: the message, and the packet that it quotes.
 */
#ifndef FWD_BPF_PKT_PARSE_ICMP_H
#define FWD_BPF_PKT_PARSE_ICMP_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include "fwd/reason.h"
#include "pkt/ipv4.h"
#include "pkt/ipv6_ext.h"
#include "pkt/pkt.h"

#define PARSE_ICMP_LEN      8 /* type, code, checksum and four bytes that depend on the type */
#define PARSE_QUOTE_LEN_MIN 8 /* of the quoted transport header; more is optional (RFC 792) */
#define PARSE_QUOTE_OFF_MAX 230

/* The errors of RFC 792 and RFC 4443, which quote a packet. Not from the kernel's headers, because those include
 * headers of the C library, which the BPF target does not have. */
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

/* The quoted IP header. FWD_OK: *off is the offset of its transport header. Lengths are not checked, because a quote
 * may be truncated anywhere, and routers modify its length field. */
static __always_inline enum fwd_reason parse_quoted_ip(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 *off)
{
	struct fwd_quote *quote = &pkt->quote;
	struct fwd_fragment f = {};
	__u8 next;

	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr *ip = ctx_at(ctx, *off, sizeof(*ip));

		/* Only the first fragment has ports. */
		if (!ip || ip->version != 4 || ip->ihl < 5 || (ip->frag_off & __constant_htons(IPV4_OFFSET_MASK)))
			return FWD_NOT_OURS;
		addr_from_v4(&quote->tuple.saddr, ip->saddr);
		addr_from_v4(&quote->tuple.daddr, ip->daddr);
		quote->tuple.proto = ip->protocol;
		*off += ip->ihl * 4;
	} else {
		struct ipv6hdr *ip = ctx_at(ctx, *off, sizeof(*ip));

		if (!ip || ip->version != 6)
			return FWD_NOT_OURS;
		addr_from_v6(&quote->tuple.saddr, ip->saddr.in6_u.u6_addr32);
		addr_from_v6(&quote->tuple.daddr, ip->daddr.in6_u.u6_addr32);
		next = ip->nexthdr;
		*off += sizeof(*ip);
		if (parse_ipv6_ext(ctx, &next, off, &f) != FWD_OK || f.kind == FWD_FRAG_LATER)
			return FWD_NOT_OURS;
		quote->tuple.proto = next;
	}
	return parse_is_transport(quote->tuple.proto) ? FWD_OK : FWD_NOT_OURS;
}

/* An ICMP message. Only errors are of interest, and only those that are addressed to the sender of the packet that
 * they quote; others are misdirected or forged. */
static __always_inline enum fwd_reason parse_icmp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off, __u32 l3_end)
{
	__u8 *icmp = ctx_at(ctx, l4_off, PARSE_ICMP_LEN);
	__u32 off = l4_off + PARSE_ICMP_LEN;
	struct fwd_quote *quote = &pkt->quote;
	__be16 *ports;

	if (!icmp || !parse_is_icmp_error(pkt->family, icmp[0]))
		return FWD_NOT_OURS;
	__builtin_memset(quote, 0, sizeof(*quote));
	quote->l3_off = off;
	if (parse_quoted_ip(ctx, pkt, &off) != FWD_OK || off > PARSE_QUOTE_OFF_MAX ||
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
	return FWD_OK;
}

#endif
