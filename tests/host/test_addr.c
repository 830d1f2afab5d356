/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses, endpoints and networks as people write them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "model/addr.h"

static const struct {
	const char *text;
	enum fwd_family family;
	unsigned int low, high;
	const char *printed; /* NULL: as text */
} good[] = {
	{"10.172.16.2:8000", FWD_FAMILY_IPV4, 8000, 8000, NULL},
	{"10.172.16.2:8000-8010", FWD_FAMILY_IPV4, 8000, 8010, NULL},
	{"10.172.16.2:8000-8000", FWD_FAMILY_IPV4, 8000, 8000, "10.172.16.2:8000"},
	{"1.2.3.4:1-65535", FWD_FAMILY_IPV4, 1, 65535, NULL},
	{":8000", FWD_FAMILY_NONE, 8000, 8000, NULL},
	{":1-2", FWD_FAMILY_NONE, 1, 2, NULL},
	{"[2001:db8::1]:80", FWD_FAMILY_IPV6, 80, 80, NULL},
	{"[2001:DB8:0::1]:80-81", FWD_FAMILY_IPV6, 80, 81, "[2001:db8::1]:80-81"},
	{"[::]:80", FWD_FAMILY_IPV6, 80, 80, NULL},
	{"0.0.0.0:80", FWD_FAMILY_IPV4, 80, 80, NULL},
	{"10.172.16.2", FWD_FAMILY_IPV4, 0, 0, NULL},
	{"2001:db8::1", FWD_FAMILY_IPV6, 0, 0, NULL},
	{"[2001:db8::1]", FWD_FAMILY_IPV6, 0, 0, NULL},
};

Test(endpoint, good)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *want = good[i].printed ? good[i].printed : good[i].text;
		char text[FWD_ENDPOINT_TEXT];
		struct fwd_endpoint e;

		cr_assert_null(endpoint_parse(good[i].text, &e), "%s", good[i].text);
		cr_assert_eq(e.family, good[i].family, "%s", good[i].text);
		cr_assert_eq(e.low, good[i].low, "%s", good[i].text);
		cr_assert_eq(e.high, good[i].high, "%s", good[i].text);
		if (!e.low)
			continue;
		endpoint_format(e.family ? &e.addr : NULL, e.low, e.high, text);
		cr_assert_str_eq(text, want);
	}
}

static const char *const bad[] = {
	"",
	":",
	"::0:",
	"x",
	"1.2.3.4:",
	"1.2.3.4:0",
	"1.2.3.4:65536",
	"1.2.3.4:80000",
	"1.2.3.4:4294967376",
	"1.2.3.4:99999999999999999999",
	"1.2.3.4:+80",
	"1.2.3.4: 80",
	"1.2.3.4:80 ",
	"1.2.3.4:80x",
	"1.2.3.4:0x50",
	"1.2.3.4:80-",
	"1.2.3.4:-80",
	"1.2.3.4:81-80",
	"1.2.3.4:80-81-82",
	"1.2.3:80",
	"1.2.3.4.5:80",
	"1.2.3.256:80",
	"01.2.3.4:80",
	"[1.2.3.4]:80",
	"[2001:db8::1",
	"[2001:db8::1]80",
	"[2001:db8::1]:",
	"[]:80",
	"[::ffff:1.2.3.4]:80",
	"::ffff:1.2.3.4",
	"2001:db8::1]:80",
	"fe80::1%eth0",
	"2001:db8:::1",
	"host:80",
	"[1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333:4444:5555]:80",
};

Test(endpoint, bad)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fwd_endpoint e;

		cr_assert_not_null(endpoint_parse(bad[i], &e), "\"%s\" was taken", bad[i]);
	}
}

/* Whatever is taken, is printed in a form that means the same. */
Test(endpoint, random_texts)
{
	static const char letters[] = "0123456789abf.:[]-% ";

	srand(1);
	for (int round = 0; round < 2000000; round++) {
		char text[24], again[FWD_ENDPOINT_TEXT];
		size_t length = rand() % (sizeof(text) - 1);
		struct fwd_endpoint e, f;

		for (size_t i = 0; i < length; i++)
			text[i] = letters[rand() % (sizeof(letters) - 1)];
		text[length] = '\0';
		if (endpoint_parse(text, &e) || !e.low)
			continue;
		endpoint_format(e.family ? &e.addr : NULL, e.low, e.high, again);
		cr_assert_null(endpoint_parse(again, &f), "%s -> %s", text, again);
		cr_assert(addr_equal(&e.addr, &f.addr) && e.family == f.family && e.low == f.low && e.high == f.high,
			  "%s -> %s", text, again);
	}
}

static struct fwd_addr address(const char *text)
{
	struct fwd_addr addr;

	cr_assert_null(addr_parse(text, &addr), "%s", text);
	return addr;
}

Test(addr, mapped)
{
	struct fwd_addr addr = address("10.172.16.2");

	cr_assert_eq(addr.w[0], 0);
	cr_assert_eq(addr.w[1], 0);
	cr_assert_eq(addr.w[2], htonl(0xffff));
	cr_assert_eq(addr.w[3], htonl(0x0aac1002));
}

Test(addr, unspecified)
{
	struct fwd_addr v4 = address("0.0.0.0"), v6 = address("::"), one = address("::1");

	cr_assert(addr_is_unspecified(&v4));
	cr_assert(addr_is_unspecified(&v6));
	cr_assert_not(addr_is_unspecified(&one));
	cr_assert_not(addr_equal(&v4, &v6));
}

Test(addr, unicast)
{
	static const char *const no[] = {
		"0.0.0.0",         "0.1.2.3", "127.0.0.1", "127.255.0.1", "224.0.0.1", "239.1.1.1",
		"255.255.255.255", "::",      "::1",       "ff02::1",     "fe80::1"};
	static const char *const yes[] = {"1.0.0.1", "10.0.0.1", "223.1.1.1", "240.0.0.1", "fd00::1", "2001:db8::1"};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct fwd_addr addr = address(no[i]);

		cr_assert_not_null(addr_why_not_unicast(&addr), "%s", no[i]);
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct fwd_addr addr = address(yes[i]);

		cr_assert_null(addr_why_not_unicast(&addr), "%s", yes[i]);
	}
}

Test(addr, sockaddr_round_trip)
{
	static const char *const texts[] = {"10.1.2.3", "2001:db8::1"};

	for (size_t i = 0; i < 2; i++) {
		struct fwd_addr addr = address(texts[i]), back;
		struct sockaddr_storage to;

		cr_assert_eq(addr_to_sockaddr(&addr, 80, &to),
			     i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		cr_assert(addr_from_sockaddr((struct sockaddr *)&to, &back));
		cr_assert(addr_equal(&addr, &back));
	}
}

static bool contains(const char *network, const char *text)
{
	struct fwd_addr addr = address(text);
	struct fwd_cidr cidr;

	cr_assert_null(cidr_parse(network, &cidr), "%s", network);
	return cidr_contains(&cidr, &addr);
}

Test(cidr, contains)
{
	cr_assert(contains("10.0.0.0/8", "10.255.1.1"));
	cr_assert_not(contains("10.0.0.0/8", "11.0.0.0"));
	cr_assert(contains("10.1.2.3/8", "10.9.9.9"));
	cr_assert(contains("10.1.2.3", "10.1.2.3"));
	cr_assert_not(contains("10.1.2.3", "10.1.2.2"));
	cr_assert(contains("10.1.2.2/31", "10.1.2.3"));
	cr_assert(contains("0.0.0.0/0", "255.1.2.3"));
	cr_assert_not(contains("0.0.0.0/0", "2001:db8::1"));
	cr_assert_not(contains("::/0", "1.2.3.4"));
	cr_assert(contains("::/0", "2001:db8::1"));
	cr_assert(contains("2001:db8::/33", "2001:db8:7fff::"));
	cr_assert_not(contains("2001:db8::/33", "2001:db8:8000::"));
	cr_assert_not(contains("2001:db8::1/128", "2001:db8::2"));
}

Test(cidr, bad)
{
	static const char *const texts[] = {
		"",           "/",      "1.2.3.4/",     "1.2.3.4/33", "1.2.3.4/-1",       "1.2.3.4/x",
		"1.2.3.4/8x", "::/129", "1.2.3.4/0000", "1.2.3/8",    "::ffff:1.2.3.4/96"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct fwd_cidr cidr;

		cr_assert_not_null(cidr_parse(texts[i], &cidr), "\"%s\" was taken", texts[i]);
	}
}
