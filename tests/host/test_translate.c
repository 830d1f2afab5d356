/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Translation: only the requested fields change, the reply's translation is the inverse, and the checksums are right in
 * each form in which the kernel keeps them (skb->ip_summed).
 */
#include "native.h"

#define V4     "54.147.66.132:40000 > 93.184.216.34:8000"
#define V4_OUT "10.172.16.1:40001 > 10.172.16.2:80"
#define V6     "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000"
#define V6_OUT "[fd10:172:16::1]:40001 > [fd10:172:16::2]:80"

static void translate_to(fwd_ctx *ctx, const char *flow, enum fwd_ttl ttl)
{
	struct translation to = translation_to(flow);
	struct fwd_pkt pkt = {};

	cr_assert(parse_packet(ctx, &pkt) == FWD_OK);
	cr_assert(translate(ctx, &pkt, &to, ttl));
}

static void check_sound(const fwd_ctx *ctx, const char *what)
{
	int l3 = fwd_link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	const char *wrong = packet_wrong(ctx->data + l3, ctx->len - l3);

	cr_expect(!wrong, "%s: %s", what, wrong);
}

/* The result equals the packet that is built with the new addresses. */
static void check_becomes(const struct packet *p, const char *flow, enum fwd_ttl ttl, enum fwd_link link)
{
	struct packet out = *p;
	const char *difference;
	struct frame want;
	fwd_ctx ctx = native_packet(p, link);

	out.flow = flow;
	out.ttl = 99 - (ttl == FWD_TTL_DECREMENT);
	packet_build(&want, &out, link == FWD_LINK_ETHERNET ? mac_a : NULL, mac_b);
	translate_to(&ctx, flow, ttl);
	difference = frame_difference(ctx.data, ctx.len, want.data, want.len);
	cr_expect(!difference, "%s -> %s: %s", p->flow, flow, difference);
	if (!p->padding)
		check_sound(&ctx, flow);
	native_free(&ctx);
}

Test(translate, packets)
{
	const struct packet v4[] = {
		TCP(V4, SYN, .ttl = 99),
		TCP(V4, ACK, .seq = 7, .ack = 9, .data = 1001, .ttl = 99),
		TCP(V4, SYN, .options = 4, .ttl = 99),
		TCP(V4, SYN, .options = 40, .data = 3, .ttl = 99),
		UDP(V4, .ttl = 99),
		UDP(V4, .data = 333, .options = 20, .ttl = 99),
		UDP(V4, .data = 3, .padding = 15, .ttl = 99),
	};
	const struct packet v6[] = {
		TCP(V6, SYN, .ttl = 99),
		TCP(V6, ACK, .data = 77, .ext = "h", .ttl = 99),
		UDP(V6, .data = 1, .ext = "hdDd", .ttl = 99),
		UDP(V6, .data = 1000, .ttl = 99),
	};

	for (int i = 0; i < 4; i++) {
		enum fwd_link link = i & 1;
		enum fwd_ttl ttl = i >> 1;

		for (size_t k = 0; k < sizeof(v4) / sizeof(v4[0]); k++)
			check_becomes(&v4[k], V4_OUT, ttl, link);
		for (size_t k = 0; k < sizeof(v6) / sizeof(v6[0]); k++)
			check_becomes(&v6[k], V6_OUT, ttl, link);
	}
}

/* With `--snat none` and for the gateway's own connections, a part of the tuple stays. */
Test(translate, one_field_changes)
{
	static const char *const flows[] = {
		V4,
		"10.172.16.1:40000 > 93.184.216.34:8000",
		"54.147.66.132:40000 > 10.172.16.2:8000",
		"54.147.66.132:40001 > 93.184.216.34:8000",
		"54.147.66.132:40000 > 93.184.216.34:80",
	};

	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		check_becomes(&TCP(V4, SYN, .ttl = 99), flows[i], FWD_TTL_KEEP, FWD_LINK_IP);
		check_becomes(&UDP(V4, .data = 5, .ttl = 99), flows[i], FWD_TTL_DECREMENT, FWD_LINK_IP);
	}
}

Test(translate, udp_without_checksum)
{
	check_becomes(&UDP(V4, .data = 64, .no_checksum = true, .ttl = 99), V4_OUT, FWD_TTL_DECREMENT,
		      FWD_LINK_ETHERNET);
}

/* RFC 768: a computed checksum of 0 is sent as all ones. */
Test(translate, udp_checksum_never_becomes_0)
{
	int zeros = 0;

	for (unsigned int last = 0; last < 65536; last++) {
		struct packet p = UDP(V4, .data = 2);
		struct frame f;
		fwd_ctx ctx;
		__u8 *check;

		packet_build(&f, &p, NULL, NULL);
		put16(f.data + 28, last);
		packet_checksum(f.data + 20, 10, PROTO_UDP, sum_pseudo(f.data + 12, 8, 17, 10));
		ctx = native_bytes(f.data, f.len, FWD_LINK_IP);
		translate_to(&ctx, V4_OUT, FWD_TTL_DECREMENT);
		check = ctx.data + 26;
		cr_assert(get16(check) != 0, "payload %x", last);
		zeros += get16(check) == 0xffff;
		cr_assert(!packet_wrong(ctx.data, ctx.len), "payload %x", last);
		native_free(&ctx);
	}
	cr_expect(zeros > 0, "the case did not occur");
}

static __u32 random_v4(void)
{
	__u32 a = random32();

	/* All zeros and all ones are edge cases of ones' complement. */
	return random32() % 8 ? a : (a & 1 ? 0xffffffff : 0);
}

static void random_flow(char *flow, size_t size, bool v6)
{
	unsigned int sport = random32() % 65536, dport = random32() % 65536;

	if (v6) {
		snprintf(flow, size, "[2001:%x:%x::%x]:%u > [fd00:%x::%x:%x]:%u", random32() % 65536,
			 random32() % 65536, random32() % 65536, sport, random32() % 65536, random32() % 65536,
			 random32() % 65536, dport);
	} else {
		__u32 s = random_v4(), d = random_v4();

		snprintf(flow, size, "%u.%u.%u.%u:%u > %u.%u.%u.%u:%u", s >> 24, s >> 16 & 255, s >> 8 & 255, s & 255,
			 sport, d >> 24, d >> 16 & 255, d >> 8 & 255, d & 255, dport);
	}
}

static struct packet random_packet(const char *flow, bool v6)
{
	struct packet p = {.flow = flow, .proto = random32() & 1 ? PROTO_TCP : PROTO_UDP};

	p.data = random32() % 200;
	p.ttl = 2 + random32() % 250;
	p.seq = random32();
	p.flags = ACK;
	if (v6)
		p.ext = (const char *[]){NULL, "h", "d", "hD"}[random32() % 4];
	else
		p.options = random32() % 11 * 4;
	p.no_checksum = !v6 && p.proto == PROTO_UDP && random32() % 4 == 0;
	return p;
}

/* Random packets: the result is sound, and the reply's translation restores each byte but the TTL. */
Test(translate, reply_is_the_inverse)
{
	random_seed();
	for (int i = 0; i < 50000; i++) {
		char there[120], back[120];
		bool v6 = random32() & 1;
		enum fwd_link link = random32() & 1;
		struct frame before;
		struct packet p;
		int l3, ttl_at;
		fwd_ctx ctx;

		random_flow(back, sizeof(back), v6);
		random_flow(there, sizeof(there), v6);
		p = random_packet(back, v6);
		ctx = native_packet(&p, link);
		memcpy(before.data, ctx.data, ctx.len);
		before.len = ctx.len;
		l3 = link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
		ttl_at = l3 + (v6 ? 7 : 8);

		translate_to(&ctx, there, FWD_TTL_DECREMENT);
		cr_assert(!packet_wrong(ctx.data + l3, ctx.len - l3), "%s -> %s: %s", back, there,
			  packet_wrong(ctx.data + l3, ctx.len - l3));
		cr_assert(ctx.data[ttl_at] == p.ttl - 1);
		translate_to(&ctx, back, FWD_TTL_KEEP);
		if (v6)
			ctx.data[ttl_at]++;
		else
			ctx.data[ttl_at] = p.ttl;
		if (!v6) { /* and with it the header checksum */
			int header = (ctx.data[l3] & 15) * 4;

			put16(ctx.data + l3 + 10, 0);
			put16(ctx.data + l3 + 10, ~sum16(0, ctx.data + l3, header));
		}
		cr_assert(!frame_difference(ctx.data, ctx.len, before.data, before.len), "%s -> %s and back: %s", back,
			  there, frame_difference(ctx.data, ctx.len, before.data, before.len));
		native_free(&ctx);
	}
}

/* Offset of the transport header. */
static int l4_at(const fwd_ctx *ctx)
{
	struct fwd_pkt pkt = {};

	cr_assert(parse_packet((fwd_ctx *)ctx, &pkt) == FWD_OK);
	return pkt.l4_off;
}

/* The checksum field with CHECKSUM_PARTIAL: the sum of the pseudo header. */
static __u16 partial_sum(const fwd_ctx *ctx, int l4, __u8 proto)
{
	bool v6 = ctx->data[0] >> 4 == 6;

	return sum_pseudo(ctx->data + (v6 ? 8 : 12), v6 ? 32 : 8, proto, ctx->len - l4);
}

/* The checksum that the hardware then stores (skb_checksum_help()). */
static void finish_offload(fwd_ctx *ctx, int l4, int check_at)
{
	__u16 check = ~sum16(0, ctx->data + l4, ctx->len - l4);

	put16(ctx->data + check_at, check ? check : 0xffff);
}

/* CHECKSUM_PARTIAL, as in packets of local processes and of GRO: the ports are not part of the sum. */
Test(translate, checksum_partial)
{
	random_seed();
	for (int i = 0; i < 20000; i++) {
		char there[120], back[120];
		bool v6 = random32() & 1;
		struct packet p;
		int l4, check_at;
		fwd_ctx ctx;

		random_flow(back, sizeof(back), v6);
		random_flow(there, sizeof(there), v6);
		p = random_packet(back, v6);
		p.no_checksum = false;
		ctx = native_packet(&p, FWD_LINK_IP);
		l4 = l4_at(&ctx);
		check_at = l4 + (p.proto == PROTO_TCP ? 16 : 6);
		ctx.summed = NATIVE_CHECKSUM_PARTIAL;
		put16(ctx.data + check_at, partial_sum(&ctx, l4, p.proto));
		translate_to(&ctx, there, FWD_TTL_DECREMENT);
		finish_offload(&ctx, l4, check_at);
		cr_assert(!packet_wrong(ctx.data, ctx.len), "%s -> %s: %s", back, there,
			  packet_wrong(ctx.data, ctx.len));
		native_free(&ctx);
	}
}

/* CHECKSUM_COMPLETE: the NIC's sum must still match the packet, because the stack verifies it. With FWD_TTL_KEEP only:
 * forwarded packets are not verified again. */
Test(translate, checksum_complete)
{
	random_seed();
	for (int i = 0; i < 20000; i++) {
		char there[120], back[120];
		bool v6 = random32() & 1;
		struct packet p;
		fwd_ctx ctx;
		__u32 sum;

		random_flow(back, sizeof(back), v6);
		random_flow(there, sizeof(there), v6);
		p = random_packet(back, v6);
		p.no_checksum = false;
		ctx = native_packet(&p, FWD_LINK_IP);
		ctx.summed = NATIVE_CHECKSUM_COMPLETE;
		ctx.csum = bpf_htons(sum16(0, ctx.data, ctx.len));
		translate_to(&ctx, there, FWD_TTL_KEEP);
		sum = bpf_htons(sum16(0, ctx.data, ctx.len));
		cr_assert(native_fold((__u64)sum + 0xffff) == native_fold((__u64)ctx.csum + 0xffff),
			  "%s -> %s: %x instead of %x", back, there, ctx.csum, sum);
		native_free(&ctx);
	}
}

/* The kernel has no memory to make the packet writable: translate() fails. */
Test(translate, not_writable)
{
	struct translation to = translation_to(V4_OUT);
	fwd_ctx ctx = native_packet(&TCP(V4, SYN), FWD_LINK_IP);
	struct fwd_pkt pkt = {};

	cr_assert(parse_packet(&ctx, &pkt) == FWD_OK);
	for (__u32 len = 0; len < 20 + 18; len++) {
		fwd_ctx cut = ctx;

		cut.len = len;
		cr_expect(!translate(&cut, &pkt, &to, FWD_TTL_DECREMENT), "%u bytes", len);
	}
	native_free(&ctx);
}
