/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser: from bytes to struct fwd_pkt. It only reads. A packet that it does not fully understand gets a reason
 * that leaves it to the stack.
 */
#ifndef FWD_BPF_PKT_PARSE_H
#define FWD_BPF_PKT_PARSE_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "fwd/ct_state.h"
#include "fwd/reason.h"
#include "base/bound.h"
#include "pkt/ipv4.h"
#include "pkt/ipv6_ext.h"
#include "pkt/link.h"
#include "pkt/parse_icmp.h"
#include "pkt/pkt.h"

/* l3_end: the end of the IP packet by its own length field; bytes behind it are link padding. */
static __always_inline enum fwd_reason parse_tcp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off, __u32 l3_end)
{
	struct tcphdr *tcp = ctx_at(ctx, l4_off, sizeof(*tcp));

	if (!tcp || tcp->doff < 5)
		return FWD_MALFORMED;
	if (l4_off + tcp->doff * 4 > l3_end) {
		if (pkt->fragment.kind != FWD_FRAG_FIRST)
			return FWD_MALFORMED;
		pkt->fragment.tiny = 1;
	}
	pkt->tuple.sport = tcp->source;
	pkt->tuple.dport = tcp->dest;
	pkt->seq = bpf_ntohl(tcp->seq);
	pkt->ack = bpf_ntohl(tcp->ack_seq);
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	pkt->l4_len = tcp->doff * 4;
	return FWD_OK;
}

static __always_inline enum fwd_reason parse_udp(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off, __u32 l3_end)
{
	struct udphdr *udp = ctx_at(ctx, l4_off, sizeof(*udp));
	__u32 len;

	if (!udp)
		return FWD_MALFORMED;
	len = bpf_ntohs(udp->len);
	if (len < sizeof(*udp))
		return FWD_MALFORMED;
	/* The length field of a first fragment is that of the whole datagram. */
	if (l4_off + len > l3_end && pkt->fragment.kind == FWD_FRAG_NONE)
		return FWD_MALFORMED;
	pkt->tuple.sport = udp->source;
	pkt->tuple.dport = udp->dest;
	pkt->tcp_flags = 0;
	pkt->l4_len = sizeof(*udp);
	return FWD_OK;
}

/* The payload of a fragment. Of a first fragment that is too short for its transport header (RFC 1858 3.2.1) only
 * the ports are read, to find its connection: it must have eight bytes. */
static __always_inline enum fwd_reason parse_fragment(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off, __u32 l3_end)
{
	__u32 len = l3_end - l4_off;
	struct fwd_fragment *f = &pkt->fragment;
	__be16 *ports;

	if (!parse_is_transport(pkt->tuple.proto))
		return FWD_NOT_OURS;
	if (l4_off >= l3_end || (f->more && len % 8) || f->offset * 8 + len > 0xffff)
		return FWD_MALFORMED;
	f->units = (len + 7) / 8;
	f->tiny = 0;
	pkt->tcp_flags = 0;
	pkt->l4_len = 0;
	if (f->kind == FWD_FRAG_LATER) {
		/* TCP's flags would be behind 8 bytes (RFC 3128). */
		f->tiny = pkt->tuple.proto == IPPROTO_TCP && f->offset == 1;
		return FWD_OK;
	}
	if (pkt->tuple.proto == IPPROTO_UDP || len >= sizeof(struct tcphdr))
		return FWD_OK;
	ports = ctx_at(ctx, l4_off, 2 * sizeof(*ports));
	if (!ports)
		return FWD_MALFORMED;
	pkt->tuple.sport = ports[0];
	pkt->tuple.dport = ports[1];
	f->tiny = 1;
	return FWD_OK;
}

static __always_inline enum fwd_reason parse_l4(fwd_ctx *ctx, struct fwd_pkt *pkt, __u32 l4_off, __u32 l3_end)
{
	/* The mask changes nothing. It gives verifiers before 6.8 one bound: from the comparisons so far they
	 * follow impossible paths on which this offset contradicts itself. */
	l4_off = bound_mask(l4_off, 0xff);
	pkt->l4_off = l4_off;
	pkt->is_error = 0;
	if (pkt->fragment.kind != FWD_FRAG_NONE) {
		enum fwd_reason reason = parse_fragment(ctx, pkt, l4_off, l3_end);

		if (reason != FWD_OK || pkt->fragment.kind == FWD_FRAG_LATER || pkt->fragment.tiny)
			return reason;
	}
	if (pkt->tuple.proto == IPPROTO_TCP)
		return parse_tcp(ctx, pkt, l4_off, l3_end);
	if (pkt->tuple.proto == IPPROTO_UDP)
		return parse_udp(ctx, pkt, l4_off, l3_end);
	return parse_icmp(ctx, pkt, l4_off, l3_end);
}

/* The remaining checks of a router, above all the checksum (RFC 1812 5.2.2), because the stack does not see a forwarded
 * packet. A function of its own, because the 512 bytes of stack are needed for the longest call chain. */
__noinline enum fwd_reason parse_ipv4_header(fwd_ctx *ctx, __u32 off, __u32 header_len)
{
	struct ipv4_header ip = {};

	if (header_len < sizeof(struct iphdr))
		return FWD_MALFORMED;
	if (!bound_at_most(header_len, sizeof(ip)) || !ctx_load(ctx, off, &ip, header_len))
		return FWD_MALFORMED;
	if (ipv4_csum(&ip, sizeof(ip)) != 0)
		return FWD_MALFORMED;
	if (header_len > sizeof(struct iphdr) && !ipv4_options_are_supported(&ip))
		return FWD_IP_OPTIONS;
	return FWD_OK;
}

static __always_inline enum fwd_reason parse_ipv4(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	__u32 off = pkt->l3_off;
	struct iphdr *ip = ctx_at(ctx, off, sizeof(*ip));
	__u32 header_len, total_len;
	enum fwd_reason reason;

	if (!ip || ip->version != 4)
		return FWD_MALFORMED;
	if (!parse_is_supported(FWD_FAMILY_IPV4, ip->protocol))
		return FWD_NOT_OURS;
	header_len = ip->ihl * 4;
	total_len = bpf_ntohs(ip->tot_len);
	/* GSO packets of more than 64 KiB (BIG TCP) have no length that fits the field. */
	if (!total_len && ctx_len(ctx) - off > 0xffff)
		total_len = ctx_len(ctx) - off;
	if (header_len < sizeof(*ip) || total_len < header_len || off + total_len > ctx_len(ctx))
		return FWD_MALFORMED;
	if (header_len == sizeof(*ip))
		reason = ipv4_csum_is_valid(ip) ? FWD_OK : FWD_MALFORMED;
	else
		reason = parse_ipv4_header(ctx, off, header_len);
	if (reason != FWD_OK)
		return reason;
	parse_fragment_place(&pkt->fragment, ip->id, bpf_ntohs(ip->frag_off) & IPV4_OFFSET_MASK,
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
	addr_from_v6(&pkt->tuple.saddr, ip->saddr.in6_u.u6_addr32);
	addr_from_v6(&pkt->tuple.daddr, ip->daddr.in6_u.u6_addr32);
	pkt->ttl = ip->hop_limit;
	pkt->dont_fragment = 1;
	pkt->tos = (ip->priority << 4) | (ip->flow_lbl[0] >> 4);
	pkt->bytes = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	/* The length of a jumbogram is in a hop-by-hop option (RFC 2675). A payload length of 0 means a jumbogram
	 * only if the packet is long enough. */
	if (pkt->bytes == sizeof(*ip) && next == IPPROTO_HOPOPTS && ctx_len(ctx) - off > sizeof(*ip) + 0xffff)
		pkt->bytes = ctx_len(ctx) - off;
	l3_end = off + pkt->bytes;

	off += sizeof(*ip);
	pkt->fragment.kind = FWD_FRAG_NONE;
	reason = parse_ipv6_ext(ctx, &next, &off, &pkt->fragment);
	if (reason != FWD_OK)
		return reason;
	if (l3_end > ctx_len(ctx) || addr_is_v4(&pkt->tuple.saddr) || addr_is_v4(&pkt->tuple.daddr))
		return FWD_MALFORMED;
	pkt->tuple.proto = next;
	return parse_l4(ctx, pkt, off, l3_end);
}

static __always_inline enum fwd_reason parse_l3(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	if (pkt->family == FWD_FAMILY_IPV4)
		return parse_ipv4(ctx, pkt);
	if (pkt->family == FWD_FAMILY_IPV6)
		return parse_ipv6(ctx, pkt);
	return FWD_NOT_OURS;
}

/* parse() for frames with tags. */
__noinline enum fwd_reason parse_tagged(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	if (!pkt)
		return FWD_NOT_OURS;
	pkt->family = link_parse_tags(ctx, pkt);
	return parse_l3(ctx, pkt);
}

/* Fills *pkt. FWD_OK: the packet may belong to a rule or a connection. FWD_NOT_OURS: it cannot. Any other reason: the
 * packet is left to the stack for it. */
static __always_inline enum fwd_reason parse(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	pkt->family = link_parse(ctx, pkt);
	pkt->next_hop.how = FWD_HOP_CACHED;
	pkt->to_fragment = 0;
	__builtin_memset(pkt->tuple.pad, 0, sizeof(pkt->tuple.pad)); /* it is part of a key */
	pkt->segments = ctx_segments(ctx);
	return pkt->family == LINK_FAMILY_TAGGED ? parse_tagged(ctx, pkt) : parse_l3(ctx, pkt);
}

#endif
