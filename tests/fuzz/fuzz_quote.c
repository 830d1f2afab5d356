/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse() and translate_error() on ICMP errors with any quote, truncated at each length. In the first byte of the input
 * one bit is the kind of link, one enum fwd_ttl; then follows the IP packet, whose outer checksums are corrected here.
 */
#include "ctx_native.h"
#include "pkt/parse.h"
#include "pkt/translate_icmp.h"

/* Not inlined, so that their coverage is counted. */
static __noinline bool parse_packet(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	return parse(ctx, pkt) == FWD_OK && pkt->is_error;
}

static __noinline bool translate_packet(fwd_ctx *ctx, const struct fwd_pkt *pkt, const struct translation *to,
					enum fwd_ttl how)
{
	return translate_error(ctx, pkt, to, how);
}

#include "no_coverage.h"
#include "view.h"

/* The outer header's lengths and checksums, and the error's. */
static bool make_sound(__u8 *ip, size_t len)
{
	bool v6 = len && ip[0] >> 4 == 6;
	size_t header = v6 ? 40 : 20;

	if (len < header + 8)
		return false;
	put16(ip + (v6 ? 4 : 2), v6 ? len - 40 : len);
	if (v6) {
		ip[6] = IPPROTO_ICMPV6;
	} else {
		ip[0] = 0x45;
		ip[9] = IPPROTO_ICMP;
		put16(ip + 6, 0);
		put16(ip + 10, 0);
		put16(ip + 10, ~sum16(0, ip, 20));
	}
	put16(ip + header + 2, 0);
	put16(ip + header + 2,
	      ~sum16(v6 ? sum_pseudo(ip + 8, 32, IPPROTO_ICMPV6, len - 40) : 0, ip + header, len - header));
	return true;
}

/* The translation of the connection's packets in the direction of the error. */
static struct translation translation_by(const struct fwd_pkt *pkt, const __u8 *bytes)
{
	static struct fwd_addrs ends;

	if (pkt->family == FWD_FAMILY_IPV4) {
		addr_from_v4(&ends.saddr, 0x2222d85dU ^ bytes[4]);
		addr_from_v4(&ends.daddr, 0x84429336U ^ bytes[5]);
	} else {
		ends.saddr = (struct fwd_addr){{0x1200120, bytes[4], 0, 0x34}};
		ends.daddr = (struct fwd_addr){{0x1200120, 0, bytes[5], 0x132}};
	}
	return (struct translation){&ends.saddr, &ends.daddr, bytes[0] | bytes[1] << 8, bytes[2] | bytes[3] << 8};
}

/* Only addresses, ports, TTL and checksums change. */
static void verify_rest(const struct view *was, const struct view *is, const struct fwd_pkt *pkt)
{
	size_t quote = was->l4 + 8, l4 = pkt->quote.l4_off - pkt->l3_off;
	size_t check = l4 + (pkt->quote.tuple.proto == IPPROTO_TCP ? 16 : 6);

	for (size_t i = 0; i < was->len; i++) {
		size_t at = i < quote ? i : i - quote;
		bool address = was->v6 ? at >= 8 && at < 40 : at >= 10 && at < 20;
		bool outer = i < quote && (i == (was->v6 ? 7U : 8U) || i / 2 == was->l4 / 2 + 1);
		bool port = i >= l4 && i < l4 + 4;

		if (was->ip[i] != is->ip[i] && !address && !outer && !port && i != check && i != check + 1)
			fail("byte %zu became %02x from %02x", i, is->ip[i], was->ip[i]);
	}
}

static void translate_bytes(const __u8 *ip, size_t len, const __u8 *numbers, enum fwd_ttl how)
{
	__u32 l3 = fwd_link == FWD_LINK_ETHERNET ? ETH_HLEN : 0, pad = l3 ? 2 : 0;
	fwd_ctx ctx = {.data = (__u8 *)malloc(pad + l3 + len) + pad, .len = l3 + len, .csum_ipv6 = true};
	struct fwd_pkt pkt = {};
	struct view was, is;

	memset(ctx.data, 0, l3);
	put16(ctx.data + (l3 ? 12 : 0), ip[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	memcpy(ctx.data + l3, ip, len);
	if (parse_packet(&ctx, &pkt)) {
		struct translation to = translation_by(&pkt, numbers);

		if (!translate_packet(&ctx, &pkt, &to, how))
			fail("a parsed error was not translated");
		if (!view_read(&was, ip, len, false) || !view_read(&is, ctx.data + l3, len, false))
			fail("malformed");
		verify_header(&is, "ICMP error");
		verify_error(&was, &is);
		verify_rest(&was, &is, &pkt);
	}
	free(native_room(&ctx));
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t size)
{
	static __u8 ip[2048];

	if (size < 30 || size > sizeof(ip))
		return 0;
	fwd_link = bytes[0] & 1 ? FWD_LINK_ETHERNET : FWD_LINK_IP;
	for (size_t cut = 0; cut < 80 && cut < size - 1; cut++) {
		memcpy(ip, bytes + 1, size - 1);
		if (!make_sound(ip, size - 1 - cut))
			break;
		translate_bytes(ip, size - 1 - cut, bytes + size - 6, bytes[0] >> 1 & 1);
	}
	return 0;
}

#pragma clang attribute pop
