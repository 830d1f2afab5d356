/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPsec policies: those that apply to a map, and policies that cannot be read. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include "host/ipsec.h"
#include "model/rule.h"

#define MAX 4

struct policy {
	const char *src; /* ADDR/N; NULL: any */
	const char *dst;
	__u32 priority;
	bool clear;
	__u8 proto;
	__u16 sport, dport, mask; /* mask 0: the whole port, where one is given */
	int ifindex;
};

static void parse_prefix(const char *text, xfrm_address_t *addr, __u8 *bits, __u16 *family)
{
	struct fwd_cidr cidr;

	if (!text)
		return;
	cr_assert_null(cidr_parse(text, &cidr), "%s", text);
	*family = addr_family(&cidr.addr) == FWD_FAMILY_IPV4 ? AF_INET : AF_INET6;
	*bits = cidr.bits - (*family == AF_INET ? 96 : 0);
	if (*family == AF_INET)
		addr->a4 = cidr.addr.w[3];
	else
		memcpy(addr, &cidr.addr, sizeof(cidr.addr));
}

static struct ipsec_policy parse(const struct policy *from)
{
	struct ipsec_policy policy = {.priority = from->priority, .clear = from->clear};
	struct xfrm_selector *selector = &policy.selector;

	parse_prefix(from->src, &selector->saddr, &selector->prefixlen_s, &selector->family);
	parse_prefix(from->dst, &selector->daddr, &selector->prefixlen_d, &selector->family);
	selector->proto = from->proto;
	selector->ifindex = from->ifindex;
	selector->sport = htons(from->sport);
	selector->sport_mask = from->sport ? htons(from->mask ?: 0xffff) : 0;
	selector->dport = htons(from->dport);
	selector->dport_mask = from->dport ? htons(from->mask ?: 0xffff) : 0;
	return policy;
}

static bool apply(const struct fwd_rule_words *words, const struct policy *policies)
{
	struct fwd_report nowhere = report_nowhere();
	struct ipsec_policy policy[MAX];
	struct fwd_rule rule;
	size_t count = 0;

	cr_assert_eq(rule_parse(words, &rule, &nowhere), FWD_DONE, "%s %s", words->listen, words->target);
	for (; count < MAX && policies[count].dst; count++)
		policy[count] = parse(&policies[count]);
	return ipsec_policies_apply(policy, count, &rule);
}

#define CLEAR   .clear = true
#define WEB     "tcp", ":80", "10.0.0.2", "10.0.0.1", NULL, NULL
#define RANGE   "tcp", ":1-1000", "10.0.0.2", "10.0.0.1", NULL, NULL
#define WEB6    "udp", "[::]:80", "fd00::2", "fd00::1", NULL, NULL
#define VISITOR "tcp", ":80", "10.0.0.2", "none", NULL, NULL
#define AUTO    "tcp", ":80", "10.0.0.2", NULL, NULL, NULL
#define POOL    "tcp", ":80", "10.0.0.2", "10.0.0.1,10.9.0.1", NULL, NULL

Test(ipsec, matching)
{
	static const struct {
		struct fwd_rule_words words;
		struct policy policy[MAX];
		bool applies;
	} table[] = {
		{{WEB}, {{}}, false},
		{{WEB}, {{.dst = "10.0.0.0/24"}}, true},
		{{WEB}, {{.dst = "10.0.0.3/32"}}, false},
		{{WEB}, {{.dst = "10.0.0.0/24", CLEAR}}, false},
		{{WEB}, {{.dst = "::/0"}}, false},
		{{WEB6}, {{.dst = "0.0.0.0/0"}}, false},
		{{WEB6}, {{.dst = "fd00::/8", .src = "fd00::/127"}}, true},
		{{WEB6}, {{.dst = "fd00::/8", .proto = IPPROTO_TCP}}, false},
		/* The lowest priority. Of equals the one that demands encryption, in any order. */
		{{WEB}, {{.dst = "10.0.0.0/24", .priority = 2}, {.dst = "0.0.0.0/0", .priority = 1, CLEAR}}, false},
		{{WEB}, {{.dst = "10.0.0.0/24", .priority = 1}, {.dst = "0.0.0.0/0", .priority = 2, CLEAR}}, true},
		{{WEB}, {{.dst = "10.0.0.0/24"}, {.dst = "0.0.0.0/0", CLEAR}}, true},
		{{WEB}, {{.dst = "10.0.0.0/24", CLEAR}, {.dst = "0.0.0.0/0"}}, true},
		/* One port of many in clear: the others are not. One port of many encrypted. */
		{{RANGE}, {{.dst = "10.0.0.0/24", .priority = 9}, {.dst = "10.0.0.2/32", .dport = 22, CLEAR}}, true},
		{{RANGE}, {{.dst = "10.0.0.2/32", .dport = 22}}, true},
		{{RANGE}, {{.dst = "10.0.0.2/32", .dport = 1001}}, false},
		{{WEB}, {{.dst = "10.0.0.0/24", .priority = 9}, {.dst = "10.0.0.2/32", .dport = 80, CLEAR}}, false},
		{{WEB},
		 {{.dst = "10.0.0.0/24", .priority = 9}, {.dst = "10.0.0.2/32", .dport = 64, .mask = 0xffc0, CLEAR}},
		 false},
		/* The source port is any. */
		{{WEB}, {{.dst = "10.0.0.0/24", .priority = 9}, {.dst = "10.0.0.2/32", .sport = 22, CLEAR}}, true},
		{{WEB}, {{.dst = "10.0.0.2/32", .sport = 22}}, true},
		/* So is the device. */
		{{WEB}, {{.dst = "10.0.0.0/24", .priority = 9}, {.dst = "0.0.0.0/0", .ifindex = 3, CLEAR}}, true},
		{{WEB}, {{.dst = "10.0.0.0/24", .ifindex = 3}}, true},
		/* The source address: one, any of a pool, a visitor's, not chosen yet. */
		{{WEB}, {{.src = "10.0.0.0/24", .dst = "10.0.0.0/24"}}, true},
		{{WEB}, {{.src = "10.9.0.0/24", .dst = "10.0.0.0/24"}}, false},
		{{POOL}, {{.src = "10.9.0.0/24", .dst = "10.0.0.0/24"}}, true},
		{{POOL},
		 {{.dst = "10.0.0.0/24", .priority = 9}, {.src = "10.0.0.0/24", .dst = "10.0.0.0/24", CLEAR}},
		 true},
		{{POOL},
		 {{.dst = "10.0.0.0/24", .priority = 9}, {.src = "10.0.0.0/8", .dst = "10.0.0.0/24", CLEAR}},
		 false},
		{{VISITOR}, {{.src = "10.9.0.0/24", .dst = "10.0.0.0/24"}}, true},
		{{VISITOR},
		 {{.dst = "10.0.0.0/24", .priority = 9}, {.src = "10.0.0.0/8", .dst = "10.0.0.0/24", CLEAR}},
		 true},
		{{AUTO}, {{.src = "10.9.0.0/24", .dst = "10.0.0.0/24"}}, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		cr_expect_eq(apply(&table[i].words, table[i].policy), table[i].applies, "row %zu", i);
}

/* Without a descriptor for the socket nothing is known about policies. That is not the same as none. */
Test(ipsec, unreadable)
{
	struct fwd_error_list errors = error_list_init();
	struct ipsec_policies policies = {};
	struct rlimit before, none;
	enum fwd_exit ret;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = ipsec_read(&policies, &errors.report);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(ret, FWD_NOT_DONE);
	cr_assert_not(policies.read);
	cr_assert_eq(errors.count, 1);
	cr_assert_not_null(strstr(errors.error[0].text, "IPsec policies"), "%s", errors.error[0].text);
	cr_assert_not_null(strstr(errors.error[0].fix, "ulimit"), "%s", errors.error[0].fix);
	error_list_free(&errors);
	ipsec_free(&policies);
}
