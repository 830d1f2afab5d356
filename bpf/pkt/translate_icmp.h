/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors: the packet that carries the error is translated like a reply of the connection, and the quoted packet is
 * translated back into the one that its sender had sent.
 *
 * If the connection's packets get another source in this direction, the error gets it too, even if a router on the path
 * sent it, as netfilter does (nf_nat_icmp_reply_translation), because the router's address may mean nothing to the
 * receiver. If they keep their source (`--snat none`), so does the error.
 */
#ifndef FWD_BPF_PKT_TRANSLATE_ICMP_H
#define FWD_BPF_PKT_TRANSLATE_ICMP_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "pkt/translate.h"

#define ICMP_CHECK_OFF 2

static __always_inline bool quote_write_ip(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct translation *to,
					   __u32 addr_delta)
{
	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr *ip = ctx_at(ctx, pkt->quote.l3_off, sizeof(*ip));

		if (!ip)
			return false;
		ip->check = csum_apply(ip->check, addr_delta);
		ip->saddr = to->daddr->w[3];
		ip->daddr = to->saddr->w[3];
	} else {
		struct ipv6hdr *ip = ctx_at(ctx, pkt->quote.l3_off, sizeof(*ip));

		if (!ip)
			return false;
		__builtin_memcpy(&ip->saddr, to->daddr, sizeof(ip->saddr));
		__builtin_memcpy(&ip->daddr, to->saddr, sizeof(ip->daddr));
	}
	return true;
}

/* The quoted checksum, if the quote is long enough to include it. *delta: the change of the field is added to it. */
static __always_inline bool quote_write_check(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 quote_delta, __u32 *delta)
{
	bool tcp = pkt->quote.tuple.proto == IPPROTO_TCP;
	__u32 at = tcp ? TCP_CHECK_OFF : UDP_CHECK_OFF, off = pkt->quote.l4_off;
	__u16 *check, before;

	if (pkt->quote.l4_len < at + sizeof(*check))
		return true;
	check = ctx_at(ctx, off + at, sizeof(*check));
	if (!check)
		return false;
	before = *check;
	if (!tcp && !before)
		return true; /* UDP without a checksum */
	*check = csum_apply(before, quote_delta);
	if (!tcp && !*check)
		*check = 0xffff;
	*delta = csum_add(*delta, csum_delta(before, *check));
	return true;
}

static __always_inline const struct fwd_addr *error_source(const struct fwd_pkt *pkt, const struct translation *to)
{
	return addr_equal(&pkt->quote.tuple.daddr, to->saddr) ? &pkt->tuple.saddr : to->saddr;
}

/* translate() for an ICMP error about a packet of the reverse direction. */
static __always_inline bool translate_error(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct translation *to,
					    enum fwd_ttl how)
{
	const struct fwd_tuple *quoted = &pkt->quote.tuple;
	const struct fwd_addr *source = error_source(pkt, to);
	__u32 outer =
		csum_add(csum_delta_addr(&pkt->tuple.saddr, source), csum_delta_addr(&pkt->tuple.daddr, to->daddr));
	__u32 addr = csum_add(csum_delta_addr(&quoted->saddr, to->daddr), csum_delta_addr(&quoted->daddr, to->saddr));
	__u32 port = csum_add(csum_delta(quoted->sport, to->dport), csum_delta(quoted->dport, to->sport));
	bool ipv6 = pkt->family == FWD_FAMILY_IPV6;
	/* The checksum of the quoted IPv4 header compensates for its addresses. */
	__u32 delta = ipv6 ? csum_add(addr, port) : port, off = pkt->quote.l4_off;
	__be16 *ports;

	if (!translate_ip(ctx, pkt, source, to->daddr, pkt->ttl - (how == FWD_TTL_DECREMENT), outer) ||
	    !quote_write_ip(ctx, pkt, to, addr))
		return false;
	ports = ctx_at(ctx, off, 2 * sizeof(*ports));
	if (!ports)
		return false;
	ports[0] = to->dport;
	ports[1] = to->sport;
	if (!quote_write_check(ctx, pkt, csum_add(addr, port), &delta))
		return false;
	off = pkt->l4_off;
	/* ICMPv6 has a pseudo header (RFC 4443 2.3), ICMP has none. */
	return ctx_csum_l4(ctx, off + ICMP_CHECK_OFF, pkt->tuple.proto, pkt->family, ipv6 ? outer : CSUM_NO_CHANGE,
			   delta);
}

#endif
