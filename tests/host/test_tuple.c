/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and the tuples that are keys: equal for equal connections, byte by byte.
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

Test(tuple, v6_stays)
{
	struct in6_addr v6;
	struct fwd_addr addr;

	for (int i = 0; i < 16; i++)
		v6.in6_u.u6_addr8[i] = i * 17;
	addr_from_v6(&addr, &v6);
	cr_expect(!memcmp(&addr, &v6, sizeof(addr)));
	cr_expect(!addr_is_v4(&addr));
}

/* One wrong bit in the prefix is another prefix. */
Test(tuple, only_the_whole_prefix_is_v4)
{
	for (int bit = 0; bit < 96; bit++) {
		struct fwd_addr addr;

		addr_from_v4(&addr, 0x01020304);
		((__u8 *)&addr)[bit / 8] ^= 1 << bit % 8;
		cr_expect(!addr_is_v4(&addr), "bit %d", bit);
	}
}

/* einat's and others' bug: a key whose padding holds what the stack held. */
Test(tuple, keys_have_no_garbage)
{
	struct fwd_tuple tuple = tuple_of(V4, PROTO_TCP), swapped, twin;
	struct fwd_conn conn = conn_to(V4);

	memset(&swapped, 0xaa, sizeof(swapped));
	memset(&twin, 0xbb, sizeof(twin));
	tuple_swap(&swapped, &tuple);
	tuple_of_twin(&twin, &conn, PROTO_TCP);
	cr_expect(!memcmp(&swapped, &twin, sizeof(twin)));
	for (size_t i = 0; i < sizeof(twin.pad); i++)
		cr_expect(!swapped.pad[i] && !twin.pad[i]);
}

Test(tuple, swap)
{
	const char *ways[][2] = {
	    {V4, "93.184.216.34:8000 > 54.147.66.132:40000"},
	    {V6, "[2001:db8:93::34]:8000 > [2001:db8:54::132]:40000"},
	};

	for (size_t i = 0; i < 2; i++) {
		struct fwd_tuple there = tuple_of(ways[i][0], PROTO_UDP), back, again;
		struct fwd_tuple want = tuple_of(ways[i][1], PROTO_UDP);

		tuple_swap(&back, &there);
		cr_expect(!memcmp(&back, &want, sizeof(want)));
		tuple_swap(&again, &back);
		cr_expect(!memcmp(&again, &there, sizeof(there)), "twice is not at all");
	}
}

/* Each entry leads to its twin, and that one back. */
Test(tuple, twins)
{
	struct fwd_tuple forward = tuple_of(V4, PROTO_TCP), reply, again;
	struct fwd_conn to_home = conn_to("10.172.16.1:40000 > 10.172.16.2:8000");
	struct fwd_conn to_client = conn_to("93.184.216.34:8000 > 54.147.66.132:40000");
	struct fwd_tuple want = tuple_of("10.172.16.2:8000 > 10.172.16.1:40000", PROTO_TCP);

	tuple_of_twin(&reply, &to_home, PROTO_TCP);
	cr_expect(!memcmp(&reply, &want, sizeof(want)));
	tuple_of_twin(&again, &to_client, PROTO_TCP);
	cr_expect(!memcmp(&again, &forward, sizeof(forward)));
}
