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

static enum fwd_addr_kind kind_of(const char *text)
{
	char copy[64];
	struct endpoint e;
	struct fwd_addr addr;

	snprintf(copy, sizeof(copy), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
	e = endpoint_parse(copy, strlen(copy));
	addr = addr_of(&e);
	return addr_kind(&addr);
}

/* The kinds of addresses at the borders of each prefix (RFC 6890; 240.0.0.0/4 as the kernel treats it). */
Test(tuple, address_kinds)
{
	static const struct {
		const char *addr;
		enum fwd_addr_kind kind;
	} rows[] = {
		{"0.0.0.0", FWD_ADDR_UNSPECIFIED},
		{"0.255.255.255", FWD_ADDR_UNSPECIFIED},
		{"1.0.0.0", FWD_ADDR_UNICAST},
		{"126.255.255.255", FWD_ADDR_UNICAST},
		{"127.0.0.0", FWD_ADDR_LOOPBACK},
		{"127.255.255.255", FWD_ADDR_LOOPBACK},
		{"128.0.0.0", FWD_ADDR_UNICAST},
		{"223.255.255.255", FWD_ADDR_UNICAST},
		{"224.0.0.0", FWD_ADDR_MULTICAST},
		{"239.255.255.255", FWD_ADDR_MULTICAST},
		{"240.0.0.0", FWD_ADDR_UNICAST},
		{"240.1.2.3", FWD_ADDR_UNICAST},
		{"255.255.255.254", FWD_ADDR_UNICAST},
		{"255.255.255.255", FWD_ADDR_BROADCAST},
		{"::", FWD_ADDR_UNSPECIFIED},
		{"::1", FWD_ADDR_LOOPBACK},
		{"::2", FWD_ADDR_UNICAST},
		{"2001:db8::1", FWD_ADDR_UNICAST},
		{"fe80::1", FWD_ADDR_UNICAST},
		{"feff::1", FWD_ADDR_UNICAST},
		{"ff00::", FWD_ADDR_MULTICAST},
		{"ff02::1", FWD_ADDR_MULTICAST},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", FWD_ADDR_MULTICAST},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(kind_of(rows[i].addr) == rows[i].kind, "%s: kind %d", rows[i].addr, kind_of(rows[i].addr));
}

/* A mapped IPv4 address and the IPv4 address are of one kind. */
Test(tuple, kind_of_mapped_addresses)
{
	struct fwd_addr addr;

	for (unsigned int first = 0; first < 256; first++) {
		const __u8 bytes[4] = {first, 1, 2, 3};
		__be32 v4;

		memcpy(&v4, bytes, sizeof(v4));
		addr_from_v4(&addr, v4);
		cr_expect(addr_kind(&addr) == addr_v4_kind(v4), "%u.1.2.3", first);
		cr_expect(addr_is_unicast(&addr) == (addr_v4_kind(v4) == FWD_ADDR_UNICAST), "%u.1.2.3", first);
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
