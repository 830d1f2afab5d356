/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of the pipeline that uses no BPF maps, compiled natively (ctx_native.h), and packets to run it on. Each
 * packet is in an allocation of exactly its length, so that the address sanitizer finds accesses behind it.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <criterion/criterion.h>
#include <time.h>
#include "ctx_native.h"
#include "pkt/parse.h"
#include "ct/ct_state.h"
#include "pkt/translate.h"
#include "../prog/packet.h"

static const __u8 mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

/* As drivers do (NET_IP_ALIGN): two bytes in front of an Ethernet header align the IP header. */
#define NATIVE_ALIGN(link) ((link) == FWD_LINK_ETHERNET ? 2 : 0)

/* A context of these bytes; release with native_free(). Sets fwd_link. */
static inline fwd_ctx native_bytes(const __u8 *bytes, size_t len, enum fwd_link link)
{
	__u8 *room = malloc(NATIVE_ALIGN(link) + len);
	fwd_ctx ctx = {.data = room + NATIVE_ALIGN(link), .len = len, .csum_ipv6 = true};

	memcpy(ctx.data, bytes, len);
	fwd_link = link;
	return ctx;
}

static inline fwd_ctx native_packet(const struct packet *p, enum fwd_link link)
{
	struct frame f;

	packet_build(&f, p, link == FWD_LINK_ETHERNET ? mac_a : NULL, mac_b);
	return native_bytes(f.data, f.len, link);
}

static inline void native_free(fwd_ctx *ctx)
{
	free(ctx->data - NATIVE_ALIGN(fwd_link));
	ctx->data = NULL;
}

static inline struct fwd_addr addr_of(const struct endpoint *e)
{
	struct fwd_addr addr = {};

	if (e->family == 4) {
		addr.w[2] = __constant_htonl(0xffff);
		memcpy(&addr.w[3], e->addr, 4);
	} else {
		memcpy(addr.w, e->addr, 16);
	}
	return addr;
}

static inline __be16 port_of(const struct endpoint *e)
{
	return bpf_htons(e->port);
}

static inline struct fwd_tuple tuple_of(const char *flow, __u8 proto)
{
	struct endpoint src, dst;
	struct fwd_tuple t = {.proto = proto};

	flow_parse(flow, &src, &dst);
	t.saddr = addr_of(&src);
	t.daddr = addr_of(&dst);
	t.sport = port_of(&src);
	t.dport = port_of(&dst);
	return t;
}

/* parse() is inlined into each caller, which costs seconds of compile time each with the sanitizers. */
static __attribute__((noinline, unused)) enum fwd_reason parse_packet(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	return parse(ctx, pkt);
}

/* A translation to this flow; valid for the next three calls. */
static inline struct translation translation_to(const char *flow)
{
	static struct fwd_tuple tuples[4];
	static unsigned turn;
	struct fwd_tuple *t = &tuples[turn++ % 4];

	*t = tuple_of(flow, 0);
	return (struct translation){&t->saddr, &t->daddr, t->sport, t->dport};
}

/* Random numbers for property tests: the same in each run, unless FWD_TEST_SEED is set. */
static __u64 random_state;

static inline void random_seed(void)
{
	const char *seed = getenv("FWD_TEST_SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 20240229;
	printf("FWD_TEST_SEED=%llu\n", (unsigned long long)random_state);
	random_state = random_state * 2 + 1;
}

/* xorshift64* */
static inline __u32 random32(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL) >> 32;
}

#endif
