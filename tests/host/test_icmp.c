/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors: the quoted packet is translated back to the one that its sender sent, its checksum and that of the
 * message included, wherever the quote is truncated.
 */
#include "native.h"
#include "pkt/translate_icmp.h"

/* The visitor's packets, and the same as they leave for the target. */
#define IN   "54.147.66.132:40000 > 93.184.216.34:8000"
#define OUT  "10.172.16.1:40001 > 10.172.16.2:80"
#define IN6  "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000"
#define OUT6 "[fd10:172:16::1]:40001 > [fd10:172:16::2]:80"
/* The replies of that connection, as they leave. */
#define BACK  "93.184.216.34:8000 > 54.147.66.132:40000"
#define BACK6 "[2001:db8:93::34]:8000 > [2001:db8:54::132]:40000"

/* True if the checksums of the IP header and of the message are right. */
static bool icmp_sound(const fwd_ctx *ctx)
{
	const __u8 *ip = ctx->data + (fwd_link == FWD_LINK_ETHERNET ? ETHER_LEN : 0);
	size_t len = ctx->data + ctx->len - ip;

	if (ip[0] >> 4 == 4)
		return sum16(0, ip, 20) == 0xffff && sum16(0, ip + 20, len - 20) == 0xffff;
	return sum16(sum_pseudo(ip + 8, 32, 58, len - 40), ip + 40, len - 40) == 0xffff;
}

/* A quote that ends in the middle of the TCP checksum: the one byte is not updated. */
static bool checksum_is_cut(const struct fwd_pkt *pkt)
{
	return pkt->quote.tuple.proto == PROTO_TCP && pkt->quote.l4_len == 17;
}

static void check_error(const struct error *before, const char *to_flow, const char *quoted_flow,
			const char *outer_flow, enum fwd_link link, enum fwd_ttl ttl)
{
	const __u8 *dmac = link == FWD_LINK_ETHERNET ? mac_a : NULL;
	struct translation to = translation_to(to_flow);
	struct error after = *before;
	struct fwd_pkt pkt = {};
	const char *difference;
	struct frame f, want;
	fwd_ctx ctx;

	error_build(&f, before, dmac, mac_b);
	ctx = native_bytes(f.data, f.len, link);
	after.flow = outer_flow;
	after.quoted.flow = quoted_flow;
	after.ttl = TTL_NORMAL - (ttl == FWD_TTL_DECREMENT);
	error_build(&want, &after, dmac, mac_b);
	cr_assert(parse_packet(&ctx, &pkt) == FWD_OK && pkt.is_error, "%s", before->flow);
	cr_assert(translate_error(&ctx, &pkt, &to, ttl));
	difference = frame_difference(ctx.data, ctx.len, want.data, want.len);
	cr_expect(!difference || checksum_is_cut(&pkt), "%s, %d bytes of the quote: %s", before->flow,
		  before->quoted_len, difference);
	cr_expect(icmp_sound(&ctx), "%s, %d bytes of the quote: checksum", before->flow, before->quoted_len);
	native_free(&ctx);
}

static void check_all_lengths(struct error e, int least, int most, const char *to_flow, const char *quoted_flow,
			      const char *outer_flow)
{
	for (e.quoted_len = least; e.quoted_len <= most; e.quoted_len++)
		for (enum fwd_link link = FWD_LINK_IP; link < FWD_LINK_MAX; link++)
			for (int ttl = 0; ttl < 2; ttl++)
				check_error(&e, to_flow, quoted_flow, outer_flow, link, ttl);
}

/* From the target and from a router in the path, with 8 and more quoted bytes of the transport header. */
Test(icmp, ipv4)
{
	const char *flows[] = {"10.172.16.2:0 > 10.172.16.1:0", "10.172.16.9:0 > 10.172.16.1:0"};
	const char *outer = "93.184.216.34:0 > 54.147.66.132:0";

	for (size_t i = 0; i < 2; i++) {
		check_all_lengths((struct error){flows[i], 3, 3, .quoted = UDP(OUT, .data = 20)}, 28, 48, BACK, IN,
				  outer);
		check_all_lengths((struct error){flows[i], 3, 4, 1420, .quoted = TCP(OUT, ACK, .data = 20)}, 28, 72,
				  BACK, IN, outer);
		check_all_lengths((struct error){flows[i], 11, 0, .quoted = TCP(OUT, SYN, .options = 12)}, 40, 64, BACK,
				  IN, outer);
		check_all_lengths(
			(struct error){flows[i], 12, 0, 0x14000000, .quoted = UDP(OUT, .data = 9, .no_checksum = true)},
			28, 37, BACK, IN, outer);
	}
}

Test(icmp, ipv6)
{
	const char *flows[] = {"[fd10:172:16::2]:0 > [fd10:172:16::1]:0", "[fd10:172:16::9]:0 > [fd10:172:16::1]:0"};
	const char *outer = "[2001:db8:93::34]:0 > [2001:db8:54::132]:0";

	for (size_t i = 0; i < 2; i++) {
		check_all_lengths((struct error){flows[i], 1, 4, .quoted = UDP(OUT6, .data = 20)}, 48, 68, BACK6, IN6,
				  outer);
		check_all_lengths((struct error){flows[i], 2, 0, 1420, .quoted = TCP(OUT6, ACK, .data = 20)}, 48, 92,
				  BACK6, IN6, outer);
		check_all_lengths((struct error){flows[i], 3, 0, .quoted = TCP(OUT6, SYN, .ext = "h")}, 56, 80, BACK6,
				  IN6, outer);
	}
}

static bool taken_for_error(const struct error *e)
{
	struct fwd_pkt pkt = {};
	struct frame f;
	fwd_ctx ctx;
	bool taken;

	error_build(&f, e, NULL, NULL);
	ctx = native_bytes(f.data, f.len, FWD_LINK_IP);
	taken = parse_packet(&ctx, &pkt) == FWD_OK;
	native_free(&ctx);
	return taken;
}

#define ERROR(...) taken_for_error(&(struct error){"10.172.16.9:0 > 10.172.16.1:0", ##__VA_ARGS__})

Test(icmp, passed_to_the_stack)
{
	cr_expect(ERROR(3, 1, .quoted = UDP(OUT)), "of a packet that left");
	cr_expect(!ERROR(8, 0, .quoted = UDP(OUT)), "echo");
	cr_expect(!ERROR(0, 0, .quoted = UDP(OUT)), "echo reply");
	cr_expect(!ERROR(5, 1, .quoted = UDP(OUT)), "redirect");
	cr_expect(!ERROR(4, 0, .quoted = UDP(OUT)), "source quench");
	cr_expect(!ERROR(3, 1, .quoted = {OUT, 1, .data = 20}), "about ICMP");
	cr_expect(!ERROR(3, 1, .quoted = UDP(OUT), .quoted_len = 27), "less than 8 bytes quoted");
	cr_expect(!ERROR(3, 1, .quoted = UDP(OUT), .quoted_len = 19), "less than an IP header");
	cr_expect(!ERROR(3, 1, .quoted = UDP("10.172.16.7:1 > 10.172.16.2:80")), "about a packet of another host");
	cr_expect(!ERROR(3, 1, .quoted = UDP(OUT, .fragment = 0x0004, .data = 20)), "about a fragment without ports");
	cr_expect(ERROR(3, 1, .quoted = UDP(OUT, .fragment = 0x2000, .data = 20)), "about a first fragment");
}

/* Random quotes: no access behind the packet (ASan). */
Test(icmp, any_bytes)
{
	struct translation to = translation_to(BACK), to6 = translation_to(BACK6);

	random_seed();
	for (int i = 0; i < 100000; i++) {
		bool v6 = random32() & 1;
		struct error e = {v6 ? "[fd10:172:16::9]:0 > [fd10:172:16::1]:0" : "10.172.16.9:0 > 10.172.16.1:0",
				  v6 ? 1 : 3, .quoted = UDP(v6 ? OUT6 : OUT, .data = 20)};
		size_t header = v6 ? 48 : 28;
		struct fwd_pkt pkt = {};
		struct frame f;
		fwd_ctx ctx;

		if (random32() & 1)
			e.quoted.proto = PROTO_TCP;
		error_build(&f, &e, NULL, NULL);
		for (int n = random32() % 3; n > 0; n--)
			f.data[header + random32() % (f.len - header)] = random32();
		if (random32() % 2 == 0)
			f.len = header + random32() % (f.len - header + 1);
		put16(f.data + (v6 ? 4 : 2), f.len - (v6 ? 40 : 0));
		ctx = native_bytes(f.data, f.len, FWD_LINK_IP);
		if (parse_packet(&ctx, &pkt) == FWD_OK && pkt.is_error)
			cr_assert(translate_error(&ctx, &pkt, v6 ? &to6 : &to, FWD_TTL_DECREMENT));
		native_free(&ctx);
	}
}
