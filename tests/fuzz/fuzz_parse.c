/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse() on any bytes, truncated at each length. The first byte of the input selects the kind of link.
 */
#include "ctx_native.h"
#include "pkt/parse.h"

/* Not inlined, so that its coverage is counted. */
static __noinline enum fwd_reason parse_packet(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	return parse(ctx, pkt);
}

#include "no_coverage.h"
#include "fail.h"

/* The previous content of *pkt must not affect the result. */
static enum fwd_reason parse_over(fwd_ctx *ctx, struct fwd_pkt *pkt, __u8 garbage)
{
	memset(pkt, garbage, sizeof(*pkt));
	return parse_packet(ctx, pkt);
}

static void verify_pkt(const fwd_ctx *ctx, const struct fwd_pkt *p)
{
	__u32 end = p->l3_off + p->bytes;
	bool first = p->fragment.kind == FWD_FRAG_FIRST;

	if (p->family != FWD_FAMILY_IPV4 && p->family != FWD_FAMILY_IPV6)
		fail("family %d", p->family);
	if (addr_is_v4(&p->tuple.saddr) != (p->family == FWD_FAMILY_IPV4) ||
	    addr_is_v4(&p->tuple.daddr) != (p->family == FWD_FAMILY_IPV4))
		fail("addresses of the other family");
	if (end > ctx->len || p->l4_off < p->l3_off + 20 || p->l4_off > end)
		fail("IP from %u to %u, transport at %u, of %u bytes", p->l3_off, end, p->l4_off, ctx->len);
	if (p->l4_off + p->l4_len > end && !(first && p->fragment.tiny))
		fail("a transport header of %u at %u, and an end at %u", p->l4_len, p->l4_off, end);
	if (p->tuple.pad[0] || p->tuple.pad[1] || p->tuple.pad[2])
		fail("garbage in a key");
	if (p->is_error && (p->quote.l4_off + p->quote.l4_len > end || p->quote.l4_len < 8))
		fail("a quote beyond the end");
	if (p->is_error && !addr_equal(&p->quote.tuple.saddr, &p->tuple.daddr))
		fail("an error about another host's packet");
	if (p->fragment.kind != FWD_FRAG_NONE &&
	    (!p->fragment.units || p->fragment.offset * 8 + p->fragment.units * 8 > 65536 + 7))
		fail("a fragment from %u of %u units", p->fragment.offset, p->fragment.units);
}

static void verify_same(const struct fwd_pkt *a, const struct fwd_pkt *b)
{
	bool whole = a->fragment.kind == FWD_FRAG_NONE;

	/* frag_later() fills in the ports of a later fragment. */
	if (memcmp(&a->tuple, &b->tuple, offsetof(struct fwd_tuple, sport)) ||
	    (a->fragment.kind != FWD_FRAG_LATER && memcmp(&a->tuple, &b->tuple, sizeof(a->tuple))))
		fail("a tuple with garbage");
	if (a->family != b->family || a->l3_off != b->l3_off || a->l4_off != b->l4_off || a->ttl != b->ttl ||
	    a->tos != b->tos || a->tcp_flags != b->tcp_flags || a->l4_len != b->l4_len || a->is_error != b->is_error ||
	    a->bytes != b->bytes || a->dont_fragment != b->dont_fragment || a->segments != b->segments ||
	    a->fragment.kind != b->fragment.kind || a->next_hop.how != b->next_hop.how)
		fail("a field with garbage");
	if (!whole && (a->fragment.id != b->fragment.id || a->fragment.offset != b->fragment.offset ||
		       a->fragment.units != b->fragment.units || a->fragment.tiny != b->fragment.tiny ||
		       a->fragment.more != b->fragment.more))
		fail("a fragment with garbage");
	if (a->is_error && memcmp(&a->quote, &b->quote, sizeof(a->quote)))
		fail("a quote with garbage");
	if (a->tuple.proto == IPPROTO_TCP && whole && (a->seq != b->seq || a->ack != b->ack))
		fail("seq or ack with garbage");
}

static void parse_bytes(const __u8 *bytes, __u32 len)
{
	__u32 pad = fwd_link == FWD_LINK_ETHERNET ? 2 : 0;
	fwd_ctx ctx = {.data = (__u8 *)malloc(pad + len) + pad, .len = len};
	struct fwd_pkt pkt, again;
	enum fwd_reason reason;

	memcpy(ctx.data, bytes, len);
	reason = parse_over(&ctx, &pkt, 0);
	if (parse_over(&ctx, &again, 0xff) != reason)
		fail("the reason depends on the previous content");
	if (memcmp(ctx.data, bytes, len))
		fail("parse() changed the packet");
	if (reason == FWD_OK) {
		verify_pkt(&ctx, &pkt);
		verify_same(&pkt, &again);
	}
	free(native_room(&ctx));
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t size)
{
	if (!size)
		return 0;
	fwd_link = bytes[0] & 1 ? FWD_LINK_ETHERNET : FWD_LINK_IP;
	for (size_t cut = 0; cut < size && cut < 160; cut++)
		parse_bytes(bytes + 1, size - 1 - cut);
	return 0;
}

#pragma clang attribute pop
