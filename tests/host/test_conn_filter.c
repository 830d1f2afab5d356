/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filter options of `conn list`, `conn count` and `conn flush`. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include "model/conn.h"

static struct fwd_report nowhere;

static void setup(void)
{
	nowhere = report_nowhere();
}

TestSuite(conn_filter, .init = setup);

static struct conn_end end(const char *text)
{
	struct fwd_endpoint endpoint;

	cr_assert_null(endpoint_parse(text, &endpoint));
	return (struct conn_end){endpoint.addr, endpoint.low};
}

static bool matches(struct conn_filter_words words)
{
	const struct conn conn = {
		.proto = IPPROTO_TCP,
		.state = FWD_STATE_TCP_ESTABLISHED,
		.client = end("198.51.100.7:40000"),
		.listen = end("93.184.216.34:8000"),
		.source = end("10.172.16.1:40001"),
		.target = end("10.172.16.2:80"),
		.map = "web",
	};
	struct conn_filter filter;

	cr_assert_eq(conn_filter_parse(&words, &filter, &nowhere), FWD_DONE);
	return conn_matches(&conn, &filter);
}

#define MATCHES(...) matches((struct conn_filter_words){__VA_ARGS__})

Test(conn_filter, matches)
{
	cr_assert(MATCHES(.proto = NULL));
	cr_assert(MATCHES(.proto = "tcp"));
	cr_assert_not(MATCHES(.proto = "udp"));
	cr_assert(MATCHES(.client = "198.51.100.7"));
	cr_assert(MATCHES(.client = "198.51.100.0/24"));
	cr_assert_not(MATCHES(.client = "198.51.101.0/24"));
	cr_assert_not(MATCHES(.client = "::/0"));
	cr_assert(MATCHES(.listen = ":8000"));
	cr_assert(MATCHES(.listen = "93.184.216.34"));
	cr_assert(MATCHES(.listen = "93.184.216.34:7999-8000"));
	cr_assert_not(MATCHES(.listen = "93.184.216.34:8001"));
	cr_assert(MATCHES(.target = "10.172.16.2:80"));
	cr_assert_not(MATCHES(.target = "10.172.16.3:80"));
	cr_assert(MATCHES(.source = "10.172.16.1"));
	cr_assert_not(MATCHES(.source = "10.172.16.2"));
	cr_assert(MATCHES(.state = "established"));
	cr_assert_not(MATCHES(.state = "SYN_SENT"));
	cr_assert(MATCHES(.map = "web"));
	cr_assert_not(MATCHES(.map = "we"));
	cr_assert(MATCHES(.proto = "tcp", .client = "198.51.100.7", .map = "web"));
	cr_assert_not(MATCHES(.proto = "tcp", .client = "198.51.100.7", .map = "game"));
}

Test(conn_filter, bad)
{
	static const struct conn_filter_words bad[] = {
		{.proto = "icmp"},           {.client = "198.51.100.0/33"}, {.client = "x"},         {.listen = ":0"},
		{.target = "10.172.16.2:x"}, {.source = "10.172.16.1:80"},  {.state = "ESTABLISED"},
	};
	struct conn_filter filter;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(conn_filter_parse(&bad[i], &filter, &nowhere), FWD_BAD_USAGE, "%zu", i);
}

/* The tuple by which the programs know the connection, in network byte order. */
Test(conn_filter, tuple)
{
	const struct conn conn = {
		.proto = IPPROTO_UDP, .client = end("198.51.100.7:40000"), .listen = end("93.184.216.34:8000")};
	struct fwd_tuple tuple = conn_tuple(&conn);

	cr_assert(addr_equal(&tuple.saddr, &conn.client.addr) && addr_equal(&tuple.daddr, &conn.listen.addr));
	cr_assert_eq(tuple.sport, htons(40000));
	cr_assert_eq(tuple.dport, htons(8000));
	cr_assert_eq(tuple.proto, IPPROTO_UDP);
}
