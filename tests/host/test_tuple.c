/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses, and tuples as keys: equal byte by byte for equal connections.
 */
#include "native.h"

#define V4 "54.147.66.132:40000 > 93.184.216.34:8000"
#define V6 "[2001:db8:54::132]:40000 > [2001:db8:93::34]:8000"

Test(tuple, v4_is_mapped)
{
	static const __u8 want[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, 0, 2, 1};
	static const __u8 v4[4] = {192, 0, 2, 1};
	struct fwd_addr addr;
	__be32 word;

	memset(&addr, 0xff, sizeof(addr));
	memcpy(&word, v4, sizeof(word));
	addr_from_v4(&addr, word);
	cr_expect(!memcmp(&addr, want, sizeof(want)));
	cr_expect(addr_is_v4(&addr));
}

Test(tuple, v6_unchanged)
{
	struct in6_addr v6;
	struct fwd_addr addr;

	for (int i = 0; i < 16; i++)
		v6.in6_u.u6_addr8[i] = i * 17;
	addr_from_v6(&addr, v6.in6_u.u6_addr32);
	cr_expect(!memcmp(&addr, &v6, sizeof(addr)));
	cr_expect(!addr_is_v4(&addr));
}

/* Each bit of the prefix counts. */
Test(tuple, only_the_whole_prefix_is_v4)
{
	for (int bit = 0; bit < 96; bit++) {
		struct fwd_addr addr;

		addr_from_v4(&addr, 0x01020304);
		((__u8 *)&addr)[bit / 8] ^= 1 << bit % 8;
		cr_expect(!addr_is_v4(&addr), "bit %d", bit);
	}
}

/* A bug of einat and others: a key with uninitialized padding. */
Test(tuple, keys_have_zero_padding)
{
	struct fwd_tuple tuple = tuple_of(V4, PROTO_TCP), swapped;

	memset(&swapped, 0xaa, sizeof(swapped));
	tuple_swap(&swapped, &tuple);
	for (size_t i = 0; i < sizeof(swapped.pad); i++)
		cr_expect(!swapped.pad[i]);
}

Test(tuple, swap)
{
	const char *flows[][2] = {
		{V4, "93.184.216.34:8000 > 54.147.66.132:40000"},
		{V6, "[2001:db8:93::34]:8000 > [2001:db8:54::132]:40000"},
	};

	for (size_t i = 0; i < 2; i++) {
		struct fwd_tuple there = tuple_of(flows[i][0], PROTO_UDP), back, again;
		struct fwd_tuple want = tuple_of(flows[i][1], PROTO_UDP);

		tuple_swap(&back, &there);
		cr_expect(!memcmp(&back, &want, sizeof(want)));
		tuple_swap(&again, &back);
		cr_expect(!memcmp(&again, &there, sizeof(there)), "swapped twice");
	}
}

/* Packets of one direction leave with the addresses of the other, swapped. */
Test(tuple, translation)
{
	struct fwd_tuple in = tuple_of(V4, PROTO_TCP),
			 out = tuple_of("10.172.16.2:8000 > 10.172.16.1:40000", PROTO_TCP);
	struct fwd_conn conn = {.addrs = {{in.saddr, in.daddr}, {out.saddr, out.daddr}}};
	struct translation to;

	conn.flow[FWD_DIR_FORWARD].to_sport = out.dport;
	conn.flow[FWD_DIR_FORWARD].to_dport = out.sport;
	to = translation_of(&conn, FWD_DIR_FORWARD);
	cr_expect(addr_equal(to.saddr, &out.daddr) && addr_equal(to.daddr, &out.saddr));
	cr_expect(to.sport == out.dport && to.dport == out.sport);
	to = translation_of(&conn, FWD_DIR_REPLY);
	cr_expect(addr_equal(to.saddr, &in.daddr) && addr_equal(to.daddr, &in.saddr));
}
