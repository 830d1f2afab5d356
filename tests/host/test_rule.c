/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parsing the words of `map add`, and the port prefixes of a rule. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "message.h"
#include "model/rule.h"
#include "model/rule_order.h"

static struct fwd_report nowhere;

static void setup(void)
{
	nowhere = report_nowhere();
}

TestSuite(rule, .init = setup);

static enum fwd_exit parse(struct fwd_rule *rule, const char *proto, const char *listen, const char *target,
			   const char *snat)
{
	struct fwd_rule_words words = {proto, listen, target, snat, NULL, NULL};

	return rule_parse(&words, rule, &nowhere);
}

static struct fwd_rule good(const char *proto, const char *listen, const char *target)
{
	struct fwd_rule rule;

	cr_assert_eq(parse(&rule, proto, listen, target, NULL), FWD_DONE, "%s %s %s", proto, listen, target);
	return rule;
}

static void check_texts(const char *listen, const char *target, const char *listen_text, const char *target_text)
{
	struct fwd_rule rule = good("tcp", listen, target);
	char text[FWD_ENDPOINT_TEXT];

	cr_assert_str_eq(rule_listen_text(&rule, text), listen_text);
	cr_assert_str_eq(rule_target_text(&rule, text), target_text);
}

Test(rule, texts)
{
	check_texts("1.2.3.4:80", "10.0.0.2:8080", "1.2.3.4:80", "10.0.0.2:8080");
	check_texts("1.2.3.4:80", "10.0.0.2", "1.2.3.4:80", "10.0.0.2:80");
	check_texts(":80-89", "10.0.0.2", ":80-89", "10.0.0.2:80-89");
	check_texts(":80-89", "10.0.0.2:180-189", ":80-89", "10.0.0.2:180-189");
	check_texts("0.0.0.0:80", "10.0.0.2", ":80", "10.0.0.2:80");
	check_texts("[2001:db8::1]:80", "2001:db8::2", "[2001:db8::1]:80", "[2001:db8::2]:80");
	check_texts(":80", "[fd00::2]:81", ":80", "[fd00::2]:81");
	check_texts("1.2.3.4:65535", "10.0.0.2:1", "1.2.3.4:65535", "10.0.0.2:1");
}

Test(rule, wildcards)
{
	struct fwd_rule v4 = good("tcp", ":80", "10.0.0.2"), v6 = good("tcp", ":80", "fd00::2");

	cr_assert(v4.any_listen && v6.any_listen);
	cr_assert_eq(v4.family, 4);
	cr_assert_eq(v6.family, 6);
	cr_assert_eq(v4.listen.w[2], htonl(0xffff));
	cr_assert_eq(v6.listen.w[2], 0);
	cr_assert_not(rule_overlap(&v4, &v6));
}

Test(rule, bad)
{
	static const char *const words[][4] = {
		{"tcp", "1.2.3.4", "10.0.0.2", NULL},
		{"tcp", "10.0.0.2", "10.0.0.2:80000", NULL},
		{"tcp", ":80", ":80", NULL},
		{"tcp", ":80-89", "10.0.0.2:80", NULL},
		{"tcp", ":80", "10.0.0.2:80-89", NULL},
		{"tcp", ":80-89", "10.0.0.2:80-90", NULL},
		{"tcp", "1.2.3.4:80", "fd00::2", NULL},
		{"tcp", "0.0.0.0:80", "fd00::2", NULL},
		{"tcp", "[::]:80", "10.0.0.2", NULL},
		{"tcp", "1.2.3.4:80", "1.2.3.4:81", NULL},
		{"tcp", "127.0.0.1:80", "10.0.0.2", NULL},
		{"tcp", "224.0.0.1:80", "10.0.0.2", NULL},
		{"tcp", ":80", "0.0.0.0:80", NULL},
		{"tcp", ":80", "::", NULL},
		{"tcp", ":80", "10.0.0.2", ""},
		{"tcp", ":80", "10.0.0.2", "10.0.0.1,10.0.0.1"},
		{"tcp", ":80", "10.0.0.2", "fd00::1"},
		{"tcp", ":80", "10.0.0.2", "10.0.0.1,"},
		{"tcp", ":80", "10.0.0.2", "127.0.0.1"},
		{"tcp", ":80", "10.0.0.2",
		 "1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9,1.0.0.10,"
		 "1.0.0.11,1.0.0.12,1.0.0.13,1.0.0.14,1.0.0.15,1.0.0.16,1.0.0.17"},
	};
	struct fwd_rule rule;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_assert_eq(parse(&rule, words[i][0], words[i][1], words[i][2], words[i][3]), FWD_BAD_USAGE, "%s %s",
			     words[i][1], words[i][2]);
	cr_assert_eq(parse(&rule, "sctp", ":80", "10.0.0.2", NULL), FWD_BAD_USAGE);
}

Test(rule, snat)
{
	struct fwd_rule rule;
	char text[FWD_SNAT_TEXT];

	cr_assert_eq(parse(&rule, "udp", ":80", "fd00::2", "fd00::1,2001:db8::1"), FWD_DONE);
	cr_assert_eq(rule.snat_count, 2);
	cr_assert_str_eq(rule_snat_text(&rule, text), "fd00::1,2001:db8::1");
	cr_assert_eq(parse(&rule, "udp", ":80", "10.0.0.2", "none"), FWD_DONE);
	cr_assert_str_eq(rule_snat_text(&rule, text), "none");
}

static enum fwd_exit parse_mss(struct fwd_rule *rule, const char *proto, const char *mss)
{
	struct fwd_rule_words words = {proto, ":80", "10.0.0.2", NULL, NULL, mss};

	return rule_parse(&words, rule, &nowhere);
}

Test(rule, mss)
{
	static const char *const bad[] = {"",   "87", "65496", "65535", "-1",
					  "+1", " 1", "1400x", "0",     "99999999999999999999"};
	struct fwd_rule rule;

	cr_assert_eq(good("tcp", ":80", "10.0.0.2").mss, FWD_MSS_AUTO);
	cr_assert_eq(parse_mss(&rule, "tcp", "auto"), FWD_DONE);
	cr_assert_eq(rule.mss, FWD_MSS_AUTO);
	cr_assert_eq(parse_mss(&rule, "tcp", "off"), FWD_DONE);
	cr_assert_eq(rule.mss, FWD_MSS_OFF);
	cr_assert_eq(parse_mss(&rule, "tcp", "88"), FWD_DONE);
	cr_assert_eq(rule.mss, 88);
	cr_assert_eq(parse_mss(&rule, "tcp", "65495"), FWD_DONE);
	cr_assert_eq(rule.mss, 65495);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(parse_mss(&rule, "tcp", bad[i]), FWD_BAD_USAGE, "%s", bad[i]);
	cr_assert_eq(parse_mss(&rule, "udp", "auto"), FWD_DONE);
	cr_assert_eq(parse_mss(&rule, "udp", "off"), FWD_BAD_USAGE);
	cr_assert_eq(parse_mss(&rule, "udp", "1400"), FWD_BAD_USAGE);
}

Test(rule, names)
{
	struct fwd_rule_words words = {"tcp", ":80", "10.0.0.2", NULL, NULL, NULL};
	static const char *const bad_names[] = {"", "a b", "a/b", "\xc3\xa4", "12345678901234567890123456789012"};
	struct fwd_rule rule;

	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		words.name = bad_names[i];
		cr_assert_eq(rule_parse(&words, &rule, &nowhere), FWD_BAD_USAGE, "%s", words.name);
	}
	words.name = "A.b_c-9012345678901234567890123";
	cr_assert_eq(rule_parse(&words, &rule, &nowhere), FWD_DONE);
	cr_assert_str_eq(rule.name, words.name);
}

Test(rule, overlap)
{
	struct fwd_rule a = good("tcp", "1.2.3.4:80-90", "10.0.0.2");
	struct fwd_rule touching = good("tcp", "1.2.3.4:90-95", "10.0.0.3");
	struct fwd_rule beside = good("tcp", "1.2.3.4:91-95", "10.0.0.3");
	struct fwd_rule any = good("tcp", ":85", "10.0.0.3");
	struct fwd_rule other = good("tcp", "1.2.3.5:80-90", "10.0.0.3");
	struct fwd_rule udp = good("udp", "1.2.3.4:80-90", "10.0.0.3");

	cr_assert(rule_overlap(&a, &a));
	cr_assert(rule_overlap(&a, &touching) && rule_overlap(&touching, &a));
	cr_assert_not(rule_overlap(&a, &beside));
	cr_assert(rule_overlap(&a, &any) && rule_overlap(&any, &a));
	cr_assert_not(rule_overlap(&a, &other));
	cr_assert_not(rule_overlap(&a, &udp));
}

Test(rule, listens_on)
{
	struct fwd_rule any = good("tcp", ":80", "10.0.0.2");
	struct fwd_rule one = good("tcp", "1.2.3.4:80", "10.0.0.2");
	struct fwd_endpoint open, zero, exact;

	cr_assert_eq(listen_parse(":80", &open, &nowhere), FWD_DONE);
	cr_assert_eq(listen_parse("0.0.0.0:80", &zero, &nowhere), FWD_DONE);
	cr_assert_eq(listen_parse("1.2.3.4:80", &exact, &nowhere), FWD_DONE);
	cr_assert(rule_listens_on(&any, IPPROTO_TCP, &open));
	cr_assert(rule_listens_on(&any, IPPROTO_TCP, &zero));
	cr_assert_not(rule_listens_on(&any, IPPROTO_UDP, &open));
	cr_assert_not(rule_listens_on(&any, IPPROTO_TCP, &exact));
	cr_assert_not(rule_listens_on(&one, IPPROTO_TCP, &open));
	cr_assert(rule_listens_on(&one, IPPROTO_TCP, &exact));
	cr_assert(rule_touches(&one, IPPROTO_TCP, &open));
}

/* Every port of the range is in exactly one prefix, and no other port is in any. */
static void check_keys(__u16 low, __u16 high)
{
	static __u8 covered[65536];
	struct fwd_rule rule = {.listen_low = low, .listen_high = high, .proto = IPPROTO_TCP};
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(&rule, keys);

	cr_assert_leq(count, FWD_RULE_KEYS_MAX);
	memset(covered, 0, sizeof(covered));
	for (size_t i = 0; i < count; i++) {
		unsigned int size = 1U << (16 - keys[i].plen);

		cr_assert_eq(keys[i].port % size, 0);
		for (unsigned int p = keys[i].port; p < keys[i].port + size; p++)
			covered[p]++;
	}
	for (unsigned int p = 0; p < 65536; p++)
		cr_assert_eq(covered[p], p >= low && p <= high, "%u-%u: port %u", low, high, p);
}

Test(rule, keys)
{
	check_keys(1, 65535);
	check_keys(1, 65534);
	check_keys(80, 80);
	check_keys(65535, 65535);
	check_keys(32768, 65535);
	srand(1);
	for (int i = 0; i < 200; i++) {
		__u16 a = rand() % 65535 + 1, b = rand() % 65535 + 1;

		check_keys(a < b ? a : b, a < b ? b : a);
	}
}

Test(rule, messages)
{
	struct fwd_rule_words words = {"tcpp", ":80", "10.0.0.2", NULL, NULL, NULL};

	check_message(&words, "\"tcpp\": unknown protocol: did you mean \"tcp\"?");
	words.proto = "icmp";
	check_message(&words, "\"icmp\": unknown protocol; one of: tcp, udp");
	words.proto = "tcp";
	words.listen = ":99999";
	check_message(&words, "\":99999\": a port is 1 to 65535");
	words.listen = ":80";
	words.snat = "10.0.0.300";
	check_message(&words, "--snat: \"10.0.0.300\": not an IP address");
	words.snat = NULL;
	words.mss = "";
	check_message(&words, "--mss: \"\": expected auto, off, or a number of bytes from 88 to 65495");
}

/* Sorted rules, as check_conflicts() of state/rules.c uses them. */
Test(rule, order)
{
	struct fwd_rule rules[] = {
		good("tcp", "1.2.3.4:80-89", "10.0.0.2"), good("udp", "1.2.3.4:80", "10.0.0.2"),
		good("tcp", "1.2.3.4:90", "10.0.0.2"),    good("tcp", ":100", "10.0.0.2"),
		good("tcp", "1.2.3.4:85", "10.0.0.3"),
	};
	const struct fwd_rule *array[5], *a, *b;
	struct rule_order order = {.rule = array};

	for (int i = 0; i < 4; i++)
		array[order.count++] = &rules[i];
	rule_order_sort(&order);
	cr_assert_not(rule_order_overlap(&order, &a, &b));
	cr_assert_eq(rule_order_find(&order, &rules[4]), &rules[0]);
	array[order.count++] = &rules[4];
	rule_order_sort(&order);
	cr_assert(rule_order_overlap(&order, &a, &b));
	cr_assert((a == &rules[0] && b == &rules[4]) || (a == &rules[4] && b == &rules[0]));
	cr_assert_not(rule_order_same_name(&order, &a, &b));
	cr_assert_eq(order.count, 0);
}
