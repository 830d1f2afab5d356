/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments that arrive before the first one of their datagram: the copies that are kept of them, and the share of each
 * source. BPF_PROG_RUN returns the first fragment alone; copies are counted by the connection, and
 * tests/net/47-fragments.sh compares the bytes.
 */
#include "fwd/maps.h"
#include "check.h"

#define PUBLIC "93.184.216.34:8000"
#define IN     "54.147.66.132:40000 > " PUBLIC
#define OUT    "10.172.16.1:40000 > 10.172.16.2:8000"

#define PIECE 1480 /* bytes of payload of a fragment of 1500 bytes */

static const struct rule rules[] = {
	{PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
};

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
}

TestSuite(fragments, .init = start, .fini = check_table_at_end, .timeout = 60);

/* The fragment that begins at `at` bytes and has `len`. The transport header is part of the payload of each. */
static struct packet fragment(const char *flow, __u16 id, int at, int len, bool more)
{
	return (struct packet)UDP(flow, .id = id, .data = len - 8, .fragment = at / 8 | (more ? 0x2000 : 0));
}

static void stays(const char *what, struct packet p, const char *reason)
{
	arrives(what, ETH0, p, IS_PASSED(reason));
}

/* The packets of the connection that have left, copies included. */
static __u64 sent(void)
{
	struct entry conn;

	return conn_get(IN, PROTO_UDP, &conn) ? conn.flow.packets : 0;
}

/* `pieces` fragments of a datagram, the first one last. Returns how many have left. */
static __u64 first_last(const char *flow, __u16 id, int pieces, int piece)
{
	__u64 before = sent();

	for (int i = 1; i < pieces; i++)
		stays("a later one", fragment(flow, id, i * piece, piece, i + 1 < pieces), "fragment_early");
	arrives("the first one", ETH0, fragment(flow, id, 0, piece, true), LEAVES_BY(WG0, OUT));
	return sent() - before;
}

/* All fragments of the largest datagrams are kept, whatever their number and size. */
Test(fragments, first_last)
{
	cr_expect(first_last(IN, 1, 2, PIECE) == 2);
	cr_expect(first_last(IN, 2, 44, PIECE) == 44, "64 KiB by Ethernet: %llu", sent());
	cr_expect(first_last(IN, 3, 52, 1232) == 52, "64 KiB, the minimum MTU of IPv6: %llu", sent());
	cr_expect(first_last(IN, 4, 120, 536) == 120, "64 KiB, the minimum of IPv4 hosts: %llu", sent());
	for (int id = 5; id < 30; id++)
		cr_expect(first_last(IN, id, 44, PIECE) == 44, "one after the other: %d", id);
}

static void flood(const char *source, int count)
{
	char flow[80];
	struct packet p;
	struct result r;

	snprintf(flow, sizeof(flow), "%s > " PUBLIC, source);
	for (int i = 0; i < count; i++) {
		p = fragment(flow, 1000 + i, PIECE, PIECE, true);
		run(ETH0, INGRESS, &p, &r);
	}
}

/* Sources that send fragments without a first one overwrite copies of their own. */
Test(fragments, fair_share)
{
	char source[40];

	stays("the second", fragment(IN, 7, PIECE, PIECE, true), "fragment_early");
	for (int i = 1; i < FWD_FRAG_LANES; i++) {
		snprintf(source, sizeof(source), "100.64.0.%d:1", i);
		flood(source, 1000);
	}
	stays("the third", fragment(IN, 7, 2 * PIECE, PIECE, false), "fragment_early");
	flood("100.64.0.1:1", 5000);
	arrives("the first", ETH0, fragment(IN, 7, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	cr_expect(sent() == 3, "%llu fragments left", sent());
}

/* A copy that is overwritten before its first fragment has arrived is counted. */
Test(fragments, overflow)
{
	const int most = 128 << 10;
	int kept = 0;

	for (; kept * 1500 < most - 9216; kept++)
		stays("kept", fragment(IN, 100 + kept, PIECE, PIECE, false), "fragment_early");
	stays("one more", fragment(IN, 100 + kept, PIECE, PIECE, false), "fragment_overflow");
	arrives("the first of the oldest", ETH0, fragment(IN, 100, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	cr_expect(sent() == 1, "its second fragment was overwritten");
	arrives("the first of the next", ETH0, fragment(IN, 101, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	cr_expect(sent() == 3);
}

/* Copies that are too old belong to another datagram of the same identification. */
Test(fragments, old_copies)
{
	stays("the second", fragment(IN, 7, PIECE, PIECE, false), "fragment_early");
	clock_advance(3);
	arrives("the first", ETH0, fragment(IN, 7, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	cr_expect(sent() == 1);
}

/* Copies that repeat or overlap others are not sent, and then nothing of their datagram is. */
Test(fragments, copies_overlap)
{
	stays("the third", fragment(IN, 7, 2 * PIECE, PIECE, false), "fragment_early");
	stays("the third again", fragment(IN, 7, 2 * PIECE, PIECE, false), "fragment_early");
	arrives("the first", ETH0, fragment(IN, 7, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	cr_expect(sent() == 2, "a repeated one");
	arrives("the second, and more", ETH0, fragment(IN, 7, PIECE, PIECE + 8, true), IS_DROPPED("fragment_overlap"));

	stays("the third", fragment(IN, 8, 2 * PIECE, PIECE, false), "fragment_early");
	stays("the second, and more", fragment(IN, 8, PIECE, PIECE + 8, true), "fragment_early");
	arrives("the first", ETH0, fragment(IN, 8, 0, PIECE, true), LEAVES_BY(WG0, OUT));
	arrives("the second", ETH0, fragment(IN, 8, PIECE, PIECE, true), IS_DROPPED("fragment_overlap"));
	cr_expect(sent() == 4, "%llu left", sent());
}
