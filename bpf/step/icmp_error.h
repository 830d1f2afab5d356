/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors that the programs send, because a packet that they take never reaches the part of the stack that would.
 * The packet becomes the error: it is truncated, and headers are put in front.
 */
#ifndef FWD_BPF_STEP_ICMP_ERROR_H
#define FWD_BPF_STEP_ICMP_ERROR_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include "base/config.h"
#include "base/csum.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "host/fib.h"
#include "pkt/csum_packet.h"
#include "pkt/link.h"
#include "pkt/parse_icmp.h"
#include "pkt/translate.h"

/* The error quotes as much of the packet as fits these lengths (RFC 1812 4.3.2.3; RFC 4443 3.2: the minimum MTU of
 * IPv6). */
#define ICMP_ERROR_MAX_IPV4 576
#define ICMP_ERROR_MAX_IPV6 1280

#define ICMP_ERROR_TTL      64
#define ICMP_ERROR_TOS      0xc0 /* internetwork control (RFC 1812 4.3.2.5) */
#define ICMP_ERROR_TOS_KEPT 0x1e /* bits kept from the TOS of the packet (RFC 1812 4.3.2.5; net/ipv4/icmp.c, RT_TOS) */

/* Codes of ICMP_TYPE_DEST_UNREACH and ICMPV6_TYPE_DEST_UNREACH, chosen as the kernel does (net/ipv4/route.c,
 * ip_error(); net/ipv6/route.c, ip6_pkt_discard(), ip6_link_failure()). */
enum icmp_error_code {
	ICMP_CODE_NET_UNREACHABLE = 0,
	ICMP_CODE_HOST_UNREACHABLE = 1,
	ICMP_CODE_FRAG_NEEDED = 4,
	ICMP_CODE_PROHIBITED = 13,
	ICMPV6_CODE_NO_ROUTE = 0,
	ICMPV6_CODE_PROHIBITED = 1,
	ICMPV6_CODE_ADDRESS_UNREACHABLE = 3,
};

/* Errors to one address that may follow each other at once (net/ipv4/inetpeer.c, XRLIM_BURST_FACTOR). */
#define ICMP_ERROR_BURST 6

/* Of one device, all CPUs together. */
struct fwd_icmp_budget {
	__u32 second; /* ticks; start of the current second */
	__u32 sent;
};

/* A token bucket for each address that errors are sent to. */
struct fwd_icmp_peer {
	__u32 last;   /* ticks; of the last packet that asked for an error */
	__u32 tokens; /* ticks; an error costs fwd_config.icmp_interval */
};

struct icmp_error_header {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 mtu; /* of "packet too big"; in IPv4 the lower half (RFC 1191) */
};

/* The error and its source address. */
struct icmp_error {
	struct fwd_addr from;
	struct icmp_error_header icmp;
};

static __always_inline void icmp_error_choose(struct icmp_error_header *icmp, const struct fwd_pkt *pkt,
					      enum fwd_reason reason)
{
	bool ipv4 = pkt->family == FWD_FAMILY_IPV4;

	icmp->type = ipv4 ? ICMP_TYPE_DEST_UNREACH : ICMPV6_TYPE_DEST_UNREACH;
	switch (reason) {
	case FWD_TTL_EXCEEDED:
		icmp->type = ipv4 ? ICMP_TYPE_TIME_EXCEEDED : ICMPV6_TYPE_TIME_EXCEEDED;
		break;
	case FWD_TOO_BIG:
		if (!ipv4)
			icmp->type = ICMPV6_TYPE_PACKET_TOO_BIG;
		icmp->code = ipv4 ? ICMP_CODE_FRAG_NEEDED : 0;
		icmp->mtu = bpf_htonl(pkt->mtu);
		break;
	case FWD_PROHIBITED:
		icmp->code = ipv4 ? ICMP_CODE_PROHIBITED : ICMPV6_CODE_PROHIBITED;
		break;
	case FWD_UNREACHABLE:
		icmp->code = ipv4 ? ICMP_CODE_HOST_UNREACHABLE : ICMPV6_CODE_NO_ROUTE;
		break;
	case FWD_NO_NEIGHBOUR:
		icmp->code = ipv4 ? ICMP_CODE_HOST_UNREACHABLE : ICMPV6_CODE_ADDRESS_UNREACHABLE;
		break;
	default:
		icmp->code = ipv4 ? ICMP_CODE_NET_UNREACHABLE : ICMPV6_CODE_NO_ROUTE;
	}
}

/* The source is the address that the packet was sent to, because the sender knows no other. With `--snat none` home
 * sends to the client's address, which is not the gateway's: then the source is the one that the kernel would choose
 * towards home. */
static __always_inline void icmp_error_choose_source(struct fwd_addr *from, const struct fwd_pkt *pkt,
						     const struct fwd_conn *conn)
{
	const struct fwd_rule *rule = NULL;

	*from = pkt->tuple.daddr;
	if (conn && pkt_dir(pkt) == FWD_DIR_REPLY) {
		__u32 index = conn->flow[FWD_DIR_REPLY].rule;

		rule = bpf_map_lookup_elem(&rules, &index);
	}
	if (rule && rule->snat == FWD_SNAT_NONE && rule->snat_count)
		*from = rule->pool[0];
}

static __always_inline bool icmp_error_write_ip(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_addr *from,
						__u32 len)
{
	if (pkt->family == FWD_FAMILY_IPV4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tos = ICMP_ERROR_TOS | (pkt->tos & ICMP_ERROR_TOS_KEPT),
			.tot_len = bpf_htons(len),
			.frag_off = __constant_htons(IPV4_DONT_FRAGMENT),
			.ttl = ICMP_ERROR_TTL,
			.protocol = IPPROTO_ICMP,
			.saddr = from->w[3],
			.daddr = pkt->tuple.saddr.w[3],
		};

		ip.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		return ctx_store(ctx, pkt->l3_off, &ip, sizeof(ip));
	}
	struct ipv6hdr ip = {
		.version = 6,
		.priority = ICMP_ERROR_TOS >> 4,
		.payload_len = bpf_htons(len - sizeof(ip)),
		.nexthdr = IPPROTO_ICMPV6,
		.hop_limit = ICMP_ERROR_TTL,
	};

	__builtin_memcpy(&ip.saddr, from, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &pkt->tuple.saddr, sizeof(ip.daddr));
	return ctx_store(ctx, pkt->l3_off, &ip, sizeof(ip));
}

/* sum: of the quote. len: of the ICMP message, in bytes. */
static __always_inline bool icmp_error_write_icmp(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct icmp_error *e,
						  __u32 off, __u32 len, __u32 sum)
{
	if (pkt->family == FWD_FAMILY_IPV6)
		sum = csum_add(sum, csum_pseudo(&e->from, &pkt->tuple.saddr, FWD_FAMILY_IPV6, IPPROTO_ICMPV6, len));
	e->icmp.check = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&e->icmp, sizeof(e->icmp), sum));
	return ctx_store(ctx, off, &e->icmp, sizeof(e->icmp));
}

static __always_inline bool icmp_error_swap_macs(fwd_ctx *ctx)
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
 * Makes the packet the ICMP error to its sender. False: the packet is not writable.
 *
 * If the quoted transport checksum is left to the NIC (CHECKSUM_PARTIAL), the NIC fills it in within the quote: with
 * the field zeroed, the bytes from the transport header on then sum up to zero.
 */
__noinline bool icmp_error_make(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct fwd_conn *conn,
				enum fwd_reason reason)
{
	__u32 max, headers, quote, summed, check, off;
	struct icmp_error e = {};
	__u16 zero = 0;

	if (!pkt)
		return false;
	icmp_error_choose(&e.icmp, pkt, reason);
	icmp_error_choose_source(&e.from, pkt, conn);
	headers = sizeof(struct icmp_error_header) +
		  (pkt->family == FWD_FAMILY_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	max = (pkt->family == FWD_FAMILY_IPV4 ? ICMP_ERROR_MAX_IPV4 : ICMP_ERROR_MAX_IPV6) - headers;
	quote = pkt->bytes < max ? pkt->bytes : max;
	summed = quote;
	check = pkt->l4_off + (pkt->tuple.proto == IPPROTO_TCP ? TCP_CHECK_OFF : UDP_CHECK_OFF);
	if (ctx_csum_is_partial(ctx, check)) {
		if (!ctx_store(ctx, check, &zero, sizeof(zero)))
			return false;
		summed = pkt->l4_off - pkt->l3_off;
	}
	off = pkt->l3_off + headers;
	return ctx_set_len(ctx, pkt->l3_off + quote) && ctx_push_header(ctx, headers) &&
	       icmp_error_write_ip(ctx, pkt, &e.from, headers + quote) &&
	       icmp_error_write_icmp(ctx, pkt, &e, off - sizeof(struct icmp_error_header),
				     sizeof(struct icmp_error_header) + quote, csum_packet(ctx, off, summed, 0)) &&
	       icmp_error_swap_macs(ctx);
}

/* The sender is another host that can be answered: its address is neither a broadcast address nor the gateway's own,
 * for which the FIB returns BPF_FIB_LKUP_RET_NOT_FWDED (RFC 1812 4.3.2.7, RFC 4443 2.4 e). The stack refuses such
 * packets before it looks at their TTL (net/ipv4/route.c, martian sources). */
__noinline bool icmp_error_has_receiver(fwd_ctx *ctx, const struct fwd_pkt *pkt)
{
	struct bpf_fib_lookup fib;
	struct fib_flow flow;

	if (!pkt || !addr_is_unicast(&pkt->tuple.saddr))
		return false;
	if (ctx_ifindex(ctx) == FWD_LOOPBACK)
		return true;
	flow = fib_flow_back(pkt);
	return fib_found(fib_lookup(ctx, &fib, pkt, &flow));
}

/* Takes an error from the receiver's bucket (net/ipv4/inetpeer.c, inet_peer_xrlim_allow). False: it has none left. Two
 * CPUs may do that at the same time, and then one error more is sent. */
__noinline bool icmp_error_take(const struct fwd_pkt *pkt, __u32 interval)
{
	struct fwd_icmp_peer fresh = {}, *peer;
	struct fwd_addr addr;
	__u32 tokens;

	if (!pkt)
		return false;
	addr = pkt->tuple.saddr;
	fresh.last = pkt->now;
	fresh.tokens = (ICMP_ERROR_BURST - 1) * interval;
	peer = bpf_map_lookup_elem(&icmp_peers, &addr);
	if (!peer) {
		bpf_map_update_elem(&icmp_peers, &addr, &fresh, BPF_ANY);
		return true;
	}
	tokens = peer->tokens + (pkt->now - peer->last);
	if (tokens < peer->tokens || tokens > ICMP_ERROR_BURST * interval)
		tokens = ICMP_ERROR_BURST * interval;
	peer->last = pkt->now;
	peer->tokens = tokens < interval ? tokens : tokens - interval;
	return tokens >= interval;
}

/*
 * The kernel's rate limits (RFC 1812 4.3.2.8, RFC 4443 2.4 f): one for each receiver, and one for all, against which
 * only errors that are sent count. Above them packets are dropped without an error. "Fragmentation needed" and "packet
 * too big" are exempt, as by the kernel's default (icmp_ratemask; net/ipv4/icmp.c, icmpv4_mask_allow): without them a
 * connection hangs, and they are never larger than the packet that they are about. So are errors to processes of the
 * gateway itself. True: there is a receiver, and the error may be sent.
 */
__noinline bool icmp_error_is_allowed(fwd_ctx *ctx, const struct fwd_pkt *pkt, enum fwd_reason reason)
{
	const struct fwd_config *c = config_get();
	struct fwd_icmp_budget *budget;
	__u32 zero = 0, interval;

	if (!pkt || !c)
		return false;
	if (reason == FWD_TOO_BIG || ctx_ifindex(ctx) == FWD_LOOPBACK)
		return icmp_error_has_receiver(ctx, pkt);
	budget = bpf_map_lookup_elem(&icmp_budget, &zero);
	if (!budget)
		return false;
	if (pkt->now - budget->second >= FWD_TICKS(1)) {
		budget->second = pkt->now;
		budget->sent = 0;
	}
	interval = c->icmp_interval[pkt->family == FWD_FAMILY_IPV4 ? FWD_ICMP_IPV4 : FWD_ICMP_IPV6];
	/* The cheapest first, because a flood of such packets must not cost a lookup each. */
	if (budget->sent >= c->icmp_per_second || !icmp_error_has_receiver(ctx, pkt) ||
	    (interval && !icmp_error_take(pkt, interval)))
		return false;
	__sync_fetch_and_add(&budget->sent, 1);
	return true;
}

/* Makes the packet the error of `reason`, if one is due: none about ICMP errors and later fragments (RFC 1812 4.3.2.7;
 * ctx_is_for_host() has left out link-layer broadcasts). 1: it is the error; 0: none is due; -1: it is not writable. */
__noinline int icmp_error_try(fwd_ctx *ctx, struct fwd_pkt *pkt, const struct fwd_conn *conn, enum fwd_reason reason)
{
	if (!pkt || pkt->is_error || pkt->fragment.kind == FWD_FRAG_LATER || !icmp_error_is_allowed(ctx, pkt, reason))
		return 0;
	return (!pkt->tags || link_untag(ctx, pkt)) && icmp_error_make(ctx, pkt, conn, reason) ? 1 : -1;
}

/* Drops the packet and sends the error of `reason`, if one is due. conn: the packet's connection, or NULL. *action: the
 * return value of the hook. */
static __always_inline enum fwd_reason icmp_error(fwd_ctx *ctx, struct fwd_pkt *pkt, const struct fwd_conn *conn,
						  enum fwd_reason reason, int *action)
{
	int made = icmp_error_try(ctx, pkt, conn, reason);

	*action = made > 0 ? ctx_send_back(ctx) : ctx_drop();
	return made < 0 ? FWD_REWRITE_FAILED : reason;
}

#endif
