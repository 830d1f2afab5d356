/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors that fwdctl sends itself, since a packet that it takes never reaches the part of the
 * stack that would. The packet at hand is made into the error: cut, and with headers put in front.
 */
#ifndef FWD_ANSWER_H
#define FWD_ANSWER_H

#include "mtu.h"

/* As much of the packet as possible, in an error of at most this length (RFC 1812 4.3.2.3; RFC 4443
 * 3.2: the minimum MTU of IPv6). */
#define ANSWER_MAX_IPV4 576
#define ANSWER_MAX_IPV6 1280

#define ANSWER_TTL         64
#define ANSWER_TOS         0xc0 /* internetwork control (RFC 1812 4.3.2.5) */
#define ANSWER_CHUNK       64
#define ANSWER_FRAG_NEEDED 4 /* code of ICMP_TYPE_DEST_UNREACH */

#define ANSWER_MAX_PER_SECOND 1000

/* Each CPU's own. */
struct fwd_answer_budget {
	__u32 second; /* ticks; when it began */
	__u32 sent;
};

struct answer_icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 mtu; /* IPv4: the lower half (RFC 1191) */
};

/* The sum of len bytes at off, from `sum` on. */
static __noinline __u32 answer_sum(fwd_ctx *ctx, __u32 off, __u32 len, __u32 sum)
{
	int turn;

	for (turn = 0; turn < ANSWER_MAX_IPV6 / ANSWER_CHUNK; turn++) {
		__u8 chunk[ANSWER_CHUNK] = {};
		__u32 size = len < ANSWER_CHUNK ? len : ANSWER_CHUNK;

		if (!size)
			break;
		/* Bounds that kernel 6.1 understands: it learns nothing from a comparison with 0. */
		barrier_var(size);
		if (size > ANSWER_CHUNK)
			break;
		if (size < 2 ? !ctx_load(ctx, off, chunk, 1) : !ctx_load(ctx, off, chunk, size))
			break;
		sum = bpf_csum_diff(NULL, 0, (__be32 *)chunk, sizeof(chunk), sum);
		off += size;
		len -= size;
	}
	return sum;
}

static __always_inline __u32 answer_sum_addr(const struct fwd_addr *addr, __u32 sum)
{
	return bpf_csum_diff(NULL, 0, (__be32 *)addr, sizeof(*addr), sum);
}

/* From the address that the sender sent to, for it knows no other. */
static __always_inline bool answer_write_ip(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 len)
{
	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tos = ANSWER_TOS,
			.tot_len = __builtin_bswap16(len),
			.frag_off = __constant_htons(IPV4_DONT_FRAGMENT),
			.ttl = ANSWER_TTL,
			.protocol = IPPROTO_ICMP,
			.saddr = pkt->tuple.daddr.w[3],
			.daddr = pkt->tuple.saddr.w[3],
		};

		ip.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		return ctx_store(ctx, pkt->l3_off, &ip, sizeof(ip));
	}
	struct ipv6hdr ip = {
		.version = 6,
		.priority = ANSWER_TOS >> 4,
		.payload_len = __builtin_bswap16(len - sizeof(ip)),
		.nexthdr = IPPROTO_ICMPV6,
		.hop_limit = ANSWER_TTL,
	};

	__builtin_memcpy(&ip.saddr, &pkt->tuple.daddr, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &pkt->tuple.saddr, sizeof(ip.daddr));
	return ctx_store(ctx, pkt->l3_off, &ip, sizeof(ip));
}

/* sum: of the quote. len: of the ICMP message. */
static __always_inline bool answer_write_icmp(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 off,
					      __u32 len, __u32 mtu, __u32 sum)
{
	bool ipv4 = pkt->family == FWD_FAMILY_IPV4;
	struct answer_icmp icmp = {
		.type = ipv4 ? ICMP_TYPE_DEST_UNREACH : ICMPV6_TYPE_PACKET_TOO_BIG,
		.code = ipv4 ? ANSWER_FRAG_NEEDED : 0,
		.mtu = __builtin_bswap32(mtu),
	};

	if (!ipv4) {
		sum = answer_sum_addr(&pkt->tuple.saddr, sum);
		sum = answer_sum_addr(&pkt->tuple.daddr, sum);
		sum = csum_add(sum, __builtin_bswap32(len));
		sum = csum_add(sum, __constant_htonl(IPPROTO_ICMPV6));
	}
	icmp.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&icmp, sizeof(icmp), sum));
	return ctx_store(ctx, off, &icmp, sizeof(icmp));
}

static __always_inline bool answer_swap_macs(fwd_ctx *ctx)
{
	struct ethhdr *eth;
	__u8 mac[ETH_ALEN];

	if (fwd_link != FWD_LINK_ETHERNET)
		return true;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	return true;
}

/*
 * Makes the packet into "fragmentation needed" or "packet too big" for its sender.
 *
 * Where the quoted transport checksum is still to be filled in by the NIC, it will be, in the quote:
 * what then adds up to zero, if the field is zero now, is everything from the transport header on.
 */
__noinline bool answer_make_too_big(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 mtu)
{
	__u32 max, headers, quote, summed, check, off;
	__u16 zero = 0;

	if (!pkt)
		return false;
	headers = sizeof(struct answer_icmp) + (pkt->family == FWD_FAMILY_IPV4
							? sizeof(struct iphdr)
							: sizeof(struct ipv6hdr));
	max = (pkt->family == FWD_FAMILY_IPV4 ? ANSWER_MAX_IPV4 : ANSWER_MAX_IPV6) - headers;
	quote = pkt->bytes < max ? pkt->bytes : max;
	summed = quote;
	check = pkt->l4_off + (pkt->tuple.proto == IPPROTO_TCP ? TCP_CHECK_OFF : UDP_CHECK_OFF);
	if (ctx_csum_is_partial(ctx, check)) {
		if (!ctx_store(ctx, check, &zero, sizeof(zero)))
			return false;
		summed = pkt->l4_off - pkt->l3_off;
	}
	off = pkt->l3_off + headers;
	return ctx_trim(ctx, pkt->l3_off + quote) && ctx_push_header(ctx, headers) &&
	       answer_write_ip(ctx, pkt, headers + quote) &&
	       answer_write_icmp(ctx, pkt, off - sizeof(struct answer_icmp),
				 sizeof(struct answer_icmp) + quote, mtu,
				 answer_sum(ctx, off, summed, 0)) &&
	       answer_swap_macs(ctx);
}

/*
 * May another error be sent? As many as the kernel sends by default (icmp_msgs_per_sec, RFC 4443 2.4 f),
 * on each CPU. What is over is dropped all the same.
 */
static __always_inline bool answer_is_allowed(struct fwd_answer_budget *budget, __u32 now)
{
	if (now - budget->second >= FWD_TICKS(1)) {
		budget->second = now;
		budget->sent = 0;
	}
	return budget->sent++ < ANSWER_MAX_PER_SECOND;
}

static __always_inline enum fwd_reason answer_too_big(fwd_ctx *ctx, const struct fwd_pkt *pkt,
						      struct fwd_answer_budget *budget, __u32 mtu,
						      int *action)
{
	if (!answer_is_allowed(budget, pkt->now)) {
		*action = ctx_drop();
		return FWD_TOO_BIG;
	}
	if (!answer_make_too_big(ctx, pkt, mtu))
		return FWD_TRANSLATE;
	*action = ctx_return(ctx);
	return FWD_TOO_BIG;
}

#endif
