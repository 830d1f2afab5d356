/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The translation: the one place that changes addresses, ports and TTL, and the checksums over them.
 */
#ifndef FWD_BPF_PKT_TRANSLATE_H
#define FWD_BPF_PKT_TRANSLATE_H

#include <stdbool.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include "fwd/conn.h"
#include "base/csum.h"
#include "pkt/pkt.h"

enum fwd_ttl {
	FWD_TTL_KEEP,      /* the packet is not forwarded by a router here */
	FWD_TTL_DECREMENT, /* it is; the caller has verified that it is at least 2 */
};

#define TCP_CHECK_OFF 16
#define UDP_CHECK_OFF 6

/* The addresses and ports of the packets of one direction of a connection after translation. */
struct translation {
	const struct fwd_addr *saddr;
	const struct fwd_addr *daddr;
	__be16 sport;
	__be16 dport;
};

static __always_inline struct translation translation_of(const struct fwd_conn *conn, enum fwd_dir dir)
{
	const struct fwd_addrs *other = &conn->addrs[!dir];

	return (struct translation){&other->daddr, &other->saddr, conn->flow[dir].to_sport, conn->flow[dir].to_dport};
}

/* The delta of the new addresses. */
static __always_inline __u32 translation_addr_delta(const struct fwd_pkt *pkt, const struct translation *to)
{
	__u32 delta = csum_add(csum_delta(pkt->tuple.saddr.w[3], to->saddr->w[3]),
			       csum_delta(pkt->tuple.daddr.w[3], to->daddr->w[3]));
	int i;

	/* IPv4 addresses differ in the last word only. */
	if (pkt->family == FWD_FAMILY_IPV4)
		return delta;
#pragma unroll
	for (i = 0; i < 3; i++)
		delta = csum_add(delta, csum_add(csum_delta(pkt->tuple.saddr.w[i], to->saddr->w[i]),
						 csum_delta(pkt->tuple.daddr.w[i], to->daddr->w[i])));
	return delta;
}

/* The TTL shares a 16-bit word with the protocol (RFC 791 3.1). */
static __always_inline __u32 translate_ttl_delta(const struct iphdr *ip, __u8 ttl)
{
	return csum_delta(bpf_htons(ip->ttl << 8 | ip->protocol), bpf_htons(ttl << 8 | ip->protocol));
}

static __always_inline bool translate_ip(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_addr *saddr,
					 const struct fwd_addr *daddr, __u8 ttl, __u32 addr_delta)
{
	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr *ip = ctx_at(ctx, pkt->l3_off, sizeof(*ip));

		if (!ip)
			return false;
		ip->check = csum_apply(ip->check, csum_add(addr_delta, translate_ttl_delta(ip, ttl)));
		ip->ttl = ttl;
		ip->saddr = saddr->w[3];
		ip->daddr = daddr->w[3];
	} else {
		struct ipv6hdr *ip = ctx_at(ctx, pkt->l3_off, sizeof(*ip));

		if (!ip)
			return false;
		ip->hop_limit = ttl;
		__builtin_memcpy(&ip->saddr, saddr, sizeof(ip->saddr));
		__builtin_memcpy(&ip->daddr, daddr, sizeof(ip->daddr));
	}
	return true;
}

/* Link padding is not part of the packet (RFC 894). False: it cannot be removed. */
static __always_inline bool translate_drop_padding(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	__u32 end = pkt->l3_off + pkt->bytes;

	return ctx_len(ctx) <= end || ctx_gso_size(ctx) || ctx_set_len(ctx, end);
}

/* Gives the packet the addresses and ports of *to. False: the packet is not writable. After a successful parse()
 * this means that the kernel had no memory to unshare the skb. The packet may be half translated, and must be
 * dropped. */
static __always_inline bool translate(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct translation *to,
				      enum fwd_ttl how)
{
	__u32 addr_delta = translation_addr_delta(pkt, to);
	__u32 port_delta = csum_add(csum_delta(pkt->tuple.sport, to->sport), csum_delta(pkt->tuple.dport, to->dport));
	__u32 l4_off = pkt->l4_off;
	__be16 *ports;

	if (!translate_ip(ctx, pkt, to->saddr, to->daddr, pkt->ttl - (how == FWD_TTL_DECREMENT), addr_delta))
		return false;
	if (pkt->fragment.kind == FWD_FRAG_LATER)
		return true;
	/* Both transport headers begin with the ports. */
	ports = ctx_at(ctx, l4_off, 2 * sizeof(*ports));
	if (!ports)
		return false;
	ports[0] = to->sport;
	ports[1] = to->dport;
	l4_off += pkt->tuple.proto == IPPROTO_TCP ? TCP_CHECK_OFF : UDP_CHECK_OFF;
	return ctx_csum_l4(ctx, l4_off, pkt->tuple.proto, pkt->family, addr_delta, port_delta);
}

#endif
