/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Incremental checksums compared with the sum computed from scratch.
 */
#include "native.h"

/* The checksum field over these bytes. */
static __u16 check_of(const void *data, size_t len)
{
	return bpf_htons((__u16)~sum16(0, data, len));
}

/* Ones' complement has two zeros; a field may hold either. */
static bool same_check(__u16 a, __u16 b)
{
	return a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0);
}

static const __u32 edges[] = {0,          1,          0xffff,     0x10000,    0xffff0000,
			      0xffffffff, 0xfffffffe, 0x80000000, 0x7fffffff, 0x00ff00ff};
#define EDGES (sizeof(edges) / sizeof(edges[0]))

/* Mostly random, often an edge. */
static __u32 number(void)
{
	return random32() % 4 ? random32() : edges[random32() % EDGES];
}

Test(csum, add_carries_round)
{
	cr_expect(csum_add(0, 0) == 0);
	cr_expect(csum_add(0xffffffff, 1) == 1);
	cr_expect(csum_add(0xffffffff, 0xffffffff) == 0xffffffff);
	cr_expect(csum_add(0x80000000, 0x80000000) == 1);
	for (size_t i = 0; i < EDGES; i++)
		for (size_t k = 0; k < EDGES; k++)
			cr_expect(csum_add(edges[i], edges[k]) == csum_add(edges[k], edges[i]));
}

Test(csum, fold)
{
	cr_expect(csum_fold(0) == 0xffff);
	cr_expect(csum_fold(0xffff) == 0);
	cr_expect(csum_fold(0xffffffff) == 0);
	cr_expect(csum_fold(0x10000) == 0xfffe);
	cr_expect(csum_fold(0x1ffff) == 0xfffe);
	cr_expect(csum_fold(0xfffeffff) == 1);
}

/* CSUM_NO_CHANGE, which ctx_csum_l4() skips, must result from equal values, and from those only. */
Test(csum, no_change)
{
	random_seed();
	for (int i = 0; i < 100000; i++) {
		__u32 a = number(), b = number();
		struct fwd_addr addr = {{a, b, number(), number()}}, other = addr;

		cr_assert(csum_delta(a, a) == CSUM_NO_CHANGE);
		cr_assert(csum_delta_addr(&addr, &addr) == CSUM_NO_CHANGE);
		cr_assert(csum_add(csum_delta(a, a), csum_delta(b, b)) == CSUM_NO_CHANGE);
		other.w[random32() % 4] ^= 1U << random32() % 32;
		cr_assert(csum_delta_addr(&addr, &other) != CSUM_NO_CHANGE);
		if (a != b && !(a + b == 0xffffffff && (a == 0 || b == 0)))
			cr_assert(csum_delta(a, b) != CSUM_NO_CHANGE, "%x %x", a, b);
	}
}

Test(csum, one_word)
{
	random_seed();
	for (int i = 0; i < 200000; i++) {
		__u32 words[8], to = number();
		__u16 before;
		int at = random32() % 8;
		__u32 delta;

		for (int k = 0; k < 8; k++)
			words[k] = number();
		before = check_of(words, sizeof(words));
		delta = csum_delta(words[at], to);
		words[at] = to;
		cr_assert(same_check(csum_apply(before, delta), check_of(words, sizeof(words))));
	}
}

Test(csum, ports)
{
	random_seed();
	for (int i = 0; i < 200000; i++) {
		__u16 words[8], to = number();
		__u16 before;
		int at = random32() % 8;
		__u32 delta;

		for (int k = 0; k < 8; k++)
			words[k] = number();
		before = check_of(words, sizeof(words));
		delta = csum_delta(words[at], to);
		words[at] = to;
		cr_assert(same_check(csum_apply(before, delta), check_of(words, sizeof(words))));
	}
}

Test(csum, addresses)
{
	random_seed();
	for (int i = 0; i < 200000; i++) {
		struct fwd_addr pair[2], to[2];
		__u32 delta;
		__u16 before;

		for (int k = 0; k < 8; k++) {
			pair[k / 4].w[k % 4] = number();
			to[k / 4].w[k % 4] = number();
		}
		before = check_of(pair, sizeof(pair));
		delta = csum_add(csum_delta_addr(&pair[0], &to[0]), csum_delta_addr(&pair[1], &to[1]));
		cr_assert(same_check(csum_apply(before, delta), check_of(to, sizeof(to))));
	}
}

/* RFC 1624, section 4: the case that equation 2 (RFC 1141) gets wrong. */
Test(csum, rfc_1624_example)
{
	cr_expect(csum_apply(0xdd2f, csum_delta(0x5555, 0x3285)) == 0x0000);
}

/* A change and its inverse restore the checksum. */
Test(csum, inverse)
{
	random_seed();
	for (int i = 0; i < 200000; i++) {
		__u32 from = number(), to = number();
		__u16 check = number(), there = csum_apply(check, csum_delta(from, to));

		cr_assert(same_check(csum_apply(there, csum_delta(to, from)), check));
	}
}
