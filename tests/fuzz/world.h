/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A model of the gateway of tests/prog/netns.h and of its kernel (clock, random numbers, FIB, neighbours, MTUs,
 * sockets) for the natively compiled pipeline. Steps change it at any time.
 *
 * This file and the other headers here stay headers: the pipeline is static functions of the target's translation unit,
 * whose helpers and BPF maps they define.
 */
#ifndef WORLD_H
#define WORLD_H

#include "hooks.h"
#include "../prog/packet.h"
#include "fail.h"
#include "script.h"

enum device {
	ETH0,
	WG0,
	ETH1,
	ETH2, /* fwdctl is not attached to it */
	DEVICES,
};

static const struct {
	enum fwd_link link;
	__u8 mac[6];  /* its own */
	__u8 peer[6]; /* of the host behind it: router, target */
} devices_model[DEVICES] = {
	[ETH0] = {FWD_LINK_ETHERNET, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 0xfe}},
	[WG0] = {FWD_LINK_IP},
	[ETH1] = {FWD_LINK_ETHERNET, {2, 0, 0, 0, 7, 1}, {2, 0, 0, 0, 7, 2}},
	[ETH2] = {FWD_LINK_ETHERNET, {2, 0, 0, 0, 8, 1}, {2, 0, 0, 0, 8, 2}},
};

/* No ifindex is 0. */
#define IFINDEX(device)    ((__u32)(device) + 2) /* 1 is lo, which isn't modelled */
#define DEVICE_OF(ifindex) ((enum device)((ifindex)-2))

static const char *const own_addresses[] = {
	"93.184.216.34:0", "10.172.16.1:0",       "10.172.16.11:0",     "192.168.7.1:0",
	"192.168.8.1:0",   "[2001:db8:93::34]:0", "[fd10:172:16::1]:0", "[fd07::1]:0",
};
#define OWN_ADDRESSES (sizeof(own_addresses) / sizeof(own_addresses[0]))

/* The first match counts; the default route is the router behind eth0. */
static const struct {
	const char *net;
	__u8 bytes; /* of the prefix */
	int result; /* BPF_FIB_LKUP_RET_* */
	enum device out;
} routes[] = {
	{"10.172.16.0:0", 3, 0, WG0},
	{"[fd10:172:16::]:0", 8, 0, WG0},
	{"192.168.7.0:0", 3, 0, ETH1},
	{"[fd07::]:0", 8, 0, ETH1},
	{"192.168.8.0:0", 3, 0, ETH2},
	{"10.99.0.0:0", 3, BPF_FIB_LKUP_RET_BLACKHOLE, 0},
	{"10.99.1.0:0", 3, BPF_FIB_LKUP_RET_UNREACHABLE, 0},
	{"10.99.2.0:0", 3, BPF_FIB_LKUP_RET_PROHIBIT, 0},
	{"10.99.3.0:0", 3, BPF_FIB_LKUP_RET_NOT_FWDED, 0}, /* throw */
	{"[fd99::]:0", 8, BPF_FIB_LKUP_RET_BLACKHOLE, 0},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

/* source: "": `--snat auto` that found no address. last: of a range. */
static const struct {
	__u8 proto;
	const char *listen, *target, *source;
	__u16 last, mss;
} rules_model[] = {
	{PROTO_TCP, "93.184.216.34:8000", "10.172.16.2:8000", "10.172.16.1:0"},
	{PROTO_UDP, "93.184.216.34:8000", "10.172.16.2:8000", "10.172.16.1:0"},
	{PROTO_TCP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "[fd10:172:16::1]:0"},
	{PROTO_UDP, "[2001:db8:93::34]:8000", "[fd10:172:16::2]:8000", "[fd10:172:16::1]:0"},
	{PROTO_TCP, "0.0.0.0:9000", "10.172.16.2:90", "10.172.16.1:0"},
	{PROTO_UDP, "[::]:9000", "[fd10:172:16::2]:90", "[fd10:172:16::1]:0"},
	{PROTO_TCP, "93.184.216.34:5000", "10.172.16.2:6000", "10.172.16.1:0", .last = 5010},
	{PROTO_UDP, "93.184.216.34:7000", "10.172.16.2:7000", NULL, .last = 7001},
	{PROTO_TCP, "[2001:db8:93::34]:7000", "[fd10:172:16::2]:7000", NULL},
	{PROTO_UDP, "93.184.216.34:7010", "10.172.16.2:7010", "10.172.16.1:0,10.172.16.11:0"},
	{PROTO_TCP, "93.184.216.34:8080", "192.168.7.2:80", "192.168.7.1:0", .mss = 1000},
	{PROTO_UDP, "[2001:db8:93::34]:8080", "[fd07::2]:80", "[fd07::1]:0"},
	{PROTO_TCP, "93.184.216.34:7014", "192.168.8.2:80", "192.168.8.1:0", .mss = FWD_MSS_OFF},
	{PROTO_UDP, "93.184.216.34:7011", "10.99.1.1:80", ""},
	{PROTO_TCP, "93.184.216.34:7012", "10.99.2.1:80", "10.172.16.1:0,10.172.16.11:0"},
	{PROTO_TCP, "93.184.216.34:8001", "10.172.16.2:8000", "10.172.16.1:0"}, /* a second map of this target */
	{PROTO_UDP, "[2001:db8:93::34]:7010", "[fd99::1]:80", "[fd10:172:16::1]:0"},
	{PROTO_TCP, "93.184.216.34:7013", "10.99.3.1:80", "10.172.16.1:0"},
};
#define RULES (sizeof(rules_model) / sizeof(rules_model[0]))

static struct world {
	__u64 ns;
	__u64 random;
	__u8 random_bits, sockets, flags;
	__u16 mtu[DEVICES];
	int held; /* references to sockets */
	/* The last bpf_redirect() or bpf_redirect_neigh(). */
	__u32 redirected; /* ifindex; 0: none */
	bool by_neighbour;
	/* Parsed once. */
	struct fwd_addr own[OWN_ADDRESSES], net[ROUTES];
	struct fwd_rule rule[RULES];
} world;

#define MAP_PUT(map, key, value)                                   \
	do {                                                       \
		if (bpf_map_update_elem(map, key, value, BPF_ANY)) \
			fail("no room in " #map);                  \
	} while (0)

/* ---- helpers of the kernel ----------------------------------------------------------------- */

static __u64 bpf_ktime_get_ns(void)
{
	return world.ns;
}

static __u64 bpf_ktime_get_coarse_ns(void)
{
	return world.ns;
}

/* xorshift64* */
static __u32 bpf_get_prandom_u32(void)
{
	__u32 value;

	world.random ^= world.random >> 12;
	world.random ^= world.random << 25;
	world.random ^= world.random >> 27;
	value = (world.random * 0x2545f4914f6cdd1dULL) >> 32;
	return world.random_bits ? value & ((1U << world.random_bits % 8) - 1) : value;
}

static bool world_is_own(const struct fwd_addr *addr)
{
	for (size_t i = 0; i < OWN_ADDRESSES; i++)
		if (!memcmp(&world.own[i], addr, sizeof(*addr)) &&
		    !(world.flags & SETUP_TUNNEL_DOWN && (i == 1 || i == 2 || i == 6)))
			return true;
	return false;
}

static bool world_route_fits(size_t i, const struct fwd_addr *addr)
{
	size_t prefix = routes[i].net[0] == '[' ? 0 : 12;

	if (routes[i].out == WG0 && !routes[i].result && world.flags & SETUP_TUNNEL_DOWN)
		return false;
	return !memcmp(&world.net[i], addr, prefix + routes[i].bytes);
}

static long world_fib_result(struct bpf_fib_lookup *fib, enum device out, bool gateway)
{
	fib->ifindex = IFINDEX(out);
	if (gateway && fib->family == FIB_AF_INET)
		fib->ipv4_dst = __constant_htonl(0x5db8d801); /* 93.184.216.1 */
	else if (gateway)
		fib->ipv6_dst[3] = __constant_htonl(1);
	if (world.flags & SETUP_NO_NEIGHBOURS || devices_model[out].link == FWD_LINK_IP)
		return BPF_FIB_LKUP_RET_NO_NEIGH;
	memcpy(fib->smac, devices_model[out].mac, 6);
	memcpy(fib->dmac, devices_model[out].peer, 6);
	return BPF_FIB_LKUP_RET_SUCCESS;
}

static long bpf_fib_lookup(struct native_ctx *ctx, struct bpf_fib_lookup *fib, int len, __u32 flags)
{
	struct fwd_addr to;

	if (fib->family == FIB_AF_INET)
		addr_from_v4(&to, fib->ipv4_dst);
	else
		memcpy(&to, fib->ipv6_dst, sizeof(to));
	if (fib->ifindex < IFINDEX(0) || fib->ifindex >= IFINDEX(DEVICES))
		return -ENODEV;
	if (world.flags & SETUP_NO_FORWARDING)
		return BPF_FIB_LKUP_RET_FWD_DISABLED;
	if (world_is_own(&to))
		return BPF_FIB_LKUP_RET_NOT_FWDED;
	for (size_t i = 0; i < ROUTES; i++)
		if (world_route_fits(i, &to))
			return routes[i].result ? routes[i].result : world_fib_result(fib, routes[i].out, false);
	return world_fib_result(fib, ETH0, true);
}

static long bpf_check_mtu(struct native_ctx *ctx, __u32 ifindex, __u32 *mtu, __s32 diff, __u64 flags)
{
	__u32 len = *mtu ? *mtu : ctx->len;

	if (ifindex < IFINDEX(0) || ifindex >= IFINDEX(DEVICES))
		return -ENODEV;
	*mtu = world.mtu[DEVICE_OF(ifindex)];
	return len + diff > *mtu + ETH_HLEN ? BPF_MTU_CHK_RET_FRAG_NEEDED : 0;
}

static struct bpf_sock *world_socket(struct bpf_sock_tuple *tuple, __u32 size)
{
	static struct bpf_sock sock = {.state = BPF_TCP_ESTABLISHED};
	__u16 port = size == sizeof(tuple->ipv4) ? tuple->ipv4.dport : tuple->ipv6.dport;

	if (!world.sockets || bpf_ntohs(port) % world.sockets)
		return NULL;
	/* Bound to all addresses, or to one. */
	sock.src_ip4 = sock.src_ip6[3] = port >> 8 & 2;
	world.held++;
	return &sock;
}

static struct bpf_sock *bpf_skc_lookup_tcp(struct native_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size,
					   __u64 netns, __u64 flags)
{
	return world_socket(tuple, size);
}

static struct bpf_sock *bpf_sk_lookup_udp(struct native_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
					  __u64 flags)
{
	return world_socket(tuple, size);
}

static long bpf_sk_release(void *sock)
{
	world.held--;
	return 0;
}

static long bpf_redirect(__u32 ifindex, __u64 flags)
{
	world.redirected = ifindex;
	world.by_neighbour = false;
	return TC_ACT_REDIRECT;
}

static long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *neigh, int len, __u64 flags)
{
	world.redirected = ifindex;
	world.by_neighbour = true;
	return TC_ACT_REDIRECT;
}

/* ---- as fwdctl does ------------------------------------------------------------------------ */

static struct fwd_addr world_addr(const struct endpoint *e)
{
	struct fwd_addr addr;
	__be32 v4;

	memcpy(&addr, e->addr, sizeof(addr));
	memcpy(&v4, e->addr, sizeof(v4));
	if (e->family == 4)
		addr_from_v4(&addr, v4);
	return addr;
}

static struct fwd_rule world_rule_make(size_t i)
{
	struct endpoint listen = endpoint_parse(rules_model[i].listen, strlen(rules_model[i].listen));
	struct endpoint target = endpoint_parse(rules_model[i].target, strlen(rules_model[i].target));
	const char *source = rules_model[i].source;
	struct fwd_rule r = {
		.gen = 1,
		.listen = world_addr(&listen),
		.target = world_addr(&target),
		.listen_low = listen.port,
		.listen_high = rules_model[i].last ? rules_model[i].last : listen.port,
		.target_low = target.port,
		.proto = rules_model[i].proto,
		.family = listen.family,
		.mss = rules_model[i].mss,
		.snat = source ? FWD_SNAT_AUTO : FWD_SNAT_NONE,
	};

	r.any_listen = !r.listen.w[0] && !r.listen.w[3];
	while (source && *source) {
		size_t len = strcspn(source, ",");
		struct endpoint e = endpoint_parse(source, len);

		r.pool[r.snat_count++] = world_addr(&e);
		source += len + (source[len] == ',');
	}
	if (r.snat_count > 1)
		r.snat = FWD_SNAT_LIST;
	return r;
}

static void world_rule_ports(const struct fwd_rule *r)
{
	for (__u32 key = 0; key < FWD_PORTS_MAX; key++) {
		bool target = key >= FWD_PORTS_TARGET_TCP, udp = key & 1;
		struct fwd_port_set *set = bpf_map_lookup_elem(&ports, &key);

		for (int i = 0; udp == (r->proto == PROTO_UDP) && i <= r->listen_high - r->listen_low; i++) {
			__u16 port = (target ? r->target_low : r->listen_low) + i;

			set->bits[port / 64] |= 1ULL << port % 64;
		}
	}
}

/* Prefixes of one and two ports; fwdctl uses shorter ones, too, which only saves lookups. add: false: deletes. */
static void world_rule_keys(__u32 index, const struct fwd_rule *r, bool add)
{
	for (__u32 port = r->listen_low; port <= r->listen_high; port++) {
		struct fwd_rule_key key = {.addr = r->listen, .port = port, .proto = r->proto, .plen = 16};

		if (port % 2 == 0 && port < r->listen_high) {
			key.plen = 15; /* this one and the next */
			port++;
		}
		if (add)
			MAP_PUT(&rule_index, &key, &index);
		else
			bpf_map_delete_elem(&rule_index, &key);
	}
}

static void world_rule_add(__u32 index)
{
	struct fwd_rule *r = bpf_map_lookup_elem(&rules, &index);
	struct fwd_rule_stats *stats = bpf_map_lookup_elem(&rule_stats, &index);
	__u32 gen = r->gen;

	if (r->state != FWD_RULE_FREE)
		return;
	*r = world.rule[index];
	r->gen = gen + 1;
	r->state = FWD_RULE_ACTIVE;
	memset(stats, 0, sizeof(*stats));
	world_rule_ports(r);
	world_rule_keys(index, r, true);
}

/* `map del`; keep: --keep-connections. */
static void world_rule_del(__u32 index, bool keep)
{
	struct fwd_rule *r = bpf_map_lookup_elem(&rules, &index);

	if (r->state == FWD_RULE_FREE)
		return;
	world_rule_keys(index, r, false);
	r->state = keep ? FWD_RULE_DRAINING : FWD_RULE_FREE;
	if (!keep) {
		r->gen++;
		config_get()->gc_all++;
	}
}

static void world_gc(void)
{
	struct fwd_gc *s = gc_get();

	s->cursor = 0;
	do
		hook_gc(s);
	while (s->cursor);
}

/* The collector runs twice a second. */
static void world_wait(__u64 ns)
{
	world.ns += ns;
	if (ns >= FWD_NSEC / 2)
		world_gc();
}

static void world_setting(__u32 which, __u32 seconds)
{
	struct fwd_config *c = config_get();

	c->timeout[which % FWD_TIMEOUT_MAX] = FWD_TICKS(seconds % FWD_TIMEOUT_MAX_SEC + 1);
	c->gc_all++;
}

/* ---- the beginning ------------------------------------------------------------------------- */

static const __u16 world_mtus[4] = {1500, 1420, 1280, 200};

static void world_parse_once(void)
{
	if (world.rule[0].gen)
		return;
	for (size_t i = 0; i < OWN_ADDRESSES; i++) {
		struct endpoint e = endpoint_parse(own_addresses[i], strlen(own_addresses[i]));

		world.own[i] = world_addr(&e);
	}
	for (size_t i = 0; i < ROUTES; i++) {
		struct endpoint e = endpoint_parse(routes[i].net, strlen(routes[i].net));

		world.net[i] = world_addr(&e);
	}
	for (size_t i = 0; i < RULES; i++)
		world.rule[i] = world_rule_make(i);
}

static void world_sizes(__u32 half_open, __u32 connections, __u32 bucket_count)
{
	const __u32 records = connections + 2 * half_open;

	fwd_sizes = (struct fwd_sizes){connections, half_open, records, bucket_count, fwd_cell_tag(records)};
	NATIVE_MAP(&conns)->spec.max_entries = records;
	NATIVE_MAP(&slots)->spec.max_entries = records;
	NATIVE_QUEUE(&free_slots)->spec.max_entries = records;
	NATIVE_MAP(&buckets)->spec.max_entries = bucket_count;
	NATIVE_MAP(&ring)->spec.max_entries = half_open;
	NATIVE_MAP(&datagrams)->spec.max_entries = 4;
}

static void world_start(const struct script_setup *setup)
{
	struct fwd_config *c;

	world_parse_once();
	/* Often fewer buckets than fwdctl would create, so that some overflow. */
	world_sizes(1 + (setup->half_open & 7), 1 + (setup->connections & 7), 5 - (setup->connections >> 3 & 3));
	world.ns = 1000 * FWD_NSEC;
	world.random = setup->ports * 2 + 1;
	world.random_bits = setup->ports;
	world.sockets = setup->sockets;
	world.flags = setup->flags;
	world.held = 0;
	for (int i = 0; i < DEVICES; i++)
		world.mtu[i] = world_mtus[setup->mtu >> (2 * i) & 3];
	c = config_get();
#define X(symbol, index, name, seconds) c->timeout[FWD_TIMEOUT_##symbol] = FWD_TICKS(seconds);
	FWD_TIMEOUTS(X)
#undef X
	c->icmp_per_second = FWD_ICMP_PER_SECOND_DEFAULT;
	c->icmp_interval[FWD_ICMP_IPV4] = FWD_ICMP_INTERVAL_DEFAULT;
	c->icmp_interval[FWD_ICMP_IPV6] = FWD_ICMP_INTERVAL_DEFAULT;
	c->plens = 1U << 16 | 1U << 15;
	for (__u32 i = 0; i < ETH2; i++) {
		struct fwd_device d = {.link = devices_model[i].link, .index = i, .tunnel = i == WG0};
		__u32 ifindex = IFINDEX(i);

		MAP_PUT(&devices, &ifindex, &d);
		MAP_PUT(&live_devices, &ifindex, &ifindex);
	}
	for (__u32 i = 0; i < RULES; i++)
		if (i >= 16 || !(setup->rules[i / 8] >> i % 8 & 1))
			world_rule_add(i);
}

#endif
