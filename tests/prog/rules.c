/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include "rules.h"

struct fwd_addr addr_of(const struct endpoint *e)
{
	struct fwd_addr addr = {};

	if (e->family == 4) {
		((__u8 *)&addr)[10] = 0xff;
		((__u8 *)&addr)[11] = 0xff;
		memcpy(&addr.w[3], e->addr, 4);
	} else {
		memcpy(addr.w, e->addr, 16);
	}
	return addr;
}

struct fwd_tuple tuple_of(const char *flow, __u8 proto)
{
	struct endpoint src, dst;
	struct fwd_tuple t = {.proto = proto};

	flow_parse(flow, &src, &dst);
	t.saddr = addr_of(&src);
	t.daddr = addr_of(&dst);
	t.sport = htons(src.port);
	t.dport = htons(dst.port);
	return t;
}

struct fwd_tuple tuple_reverse(struct fwd_tuple t)
{
	struct fwd_tuple reverse = {
		.saddr = t.daddr, .daddr = t.saddr, .sport = t.dport, .dport = t.sport, .proto = t.proto};

	return reverse;
}

bool tuple_same(const struct fwd_tuple *a, const struct fwd_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void port_mark(enum fwd_ports which, __u16 port)
{
	static struct fwd_port_set set;
	__u32 key = which;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(ports), &key, &set));
	set.bits[port / 64] |= 1ULL << port % 64;
	map_put(MAP_FD(ports), &key, &set);
}

/* The prefixes that make up [low, high]. */
static void rule_index_put(const struct fwd_rule *r, __u32 index)
{
	__u32 at = r->listen_low;

	while (at <= r->listen_high) {
		struct fwd_rule_key key = {.addr = r->listen, .port = at, .proto = r->proto};
		struct fwd_config c = config_read();
		int bits = 0;

		while (bits < 16 && !(at & 1 << bits) && at + (2U << bits) - 1 <= r->listen_high)
			bits++;
		key.plen = 16 - bits;
		c.plens |= 1U << key.plen;
		config_write(&c);
		map_put(MAP_FD(rule_index), &key, &index);
		at += 1U << bits;
	}
}

void rule_read(__u32 index, struct fwd_rule *r)
{
	cr_assert(!bpf_map_lookup_elem(MAP_FD(rules), &index, r));
}

void rule_write(__u32 index, const struct fwd_rule *r)
{
	map_put(MAP_FD(rules), &index, r);
}

static void rule_pool(struct fwd_rule *r, const char *source, bool v6)
{
	char copy[256], *addr, *rest = NULL;

	r->snat = source ? FWD_SNAT_LIST : FWD_SNAT_NONE;
	if (!source)
		return;
	strcpy(copy, source);
	for (addr = strtok_r(copy, ",", &rest); addr; addr = strtok_r(NULL, ",", &rest)) {
		struct endpoint e = {.family = v6 ? 6 : 4};

		cr_assert(inet_pton(v6 ? AF_INET6 : AF_INET, addr, e.addr) == 1);
		r->pool[r->snat_count++] = addr_of(&e);
	}
	/* One address, or none yet: stored as `--snat auto` is. */
	if (r->snat_count < 2)
		r->snat = FWD_SNAT_AUTO;
}

void rule_put(__u32 index, const struct rule *rule)
{
	struct endpoint listen = endpoint_parse(rule->listen, strlen(rule->listen));
	struct endpoint target = endpoint_parse(rule->target, strlen(rule->target));
	bool udp = rule->proto == PROTO_UDP;
	struct fwd_rule r = {
		.gen = 1,
		.state = rule->state ? rule->state : FWD_RULE_ACTIVE,
		.listen = addr_of(&listen),
		.target = addr_of(&target),
		.listen_low = listen.port,
		.listen_high = rule->last ? rule->last : listen.port,
		.target_low = target.port,
		.proto = rule->proto,
		.family = listen.family,
	};

	r.any_listen = !r.listen.w[0] && !r.listen.w[3];
	rule_pool(&r, rule->source, target.family == 6);
	rule_write(index, &r);
	rule_index_put(&r, index);
	for (__u32 i = 0; i <= (__u32)(r.listen_high - r.listen_low); i++) {
		port_mark(FWD_PORTS_LISTEN_TCP + udp, r.listen_low + i);
		port_mark(FWD_PORTS_TARGET_TCP + udp, r.target_low + i);
	}
}

void rule_delete(__u32 index)
{
	struct fwd_rule r;

	rule_read(index, &r);
	r.gen++;
	r.state = FWD_RULE_FREE;
	rule_write(index, &r);
}

void gateway_start_with(const struct rule *rules, size_t count)
{
	gateway_start(64, 64);
	for (size_t i = 0; i < count; i++)
		rule_put(i, &rules[i]);
}
