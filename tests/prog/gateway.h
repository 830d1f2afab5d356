/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A gateway to run the programs on: the devices and routes of the story in a network namespace of
 * this process (which takes them along when it ends), the maps, and the loaded object, once for
 * Ethernet and once for devices without. Packets go in by BPF_PROG_RUN; the FIB, the neighbour
 * table and the sockets that the programs ask are the kernel's own.
 *
 *   eth0  93.184.216.34/24      2001:db8:93::34/64    the world, default route
 *   wg0   10.172.16.1/24        fd10:172:16::1/64     no Ethernet header
 *   eth1  192.168.7.1/24        fd07::1/64            a LAN behind the gateway
 *   eth2  192.168.8.1/24                              fwdctl is not attached to it
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "fwd/clock.h"
#include "fwd/maps.h"
#include "fwd/request.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"
#include "packet.h"

enum device {
	ETH0,
	WG0,
	ETH1,
	ETH2,
	DEVICES,
};

static const struct {
	const char *name;
	enum fwd_link link;
	__u8 mac[6];  /* its own */
	__u8 peer[6]; /* of who is behind it: router, target */
} devices[DEVICES] = {
	[ETH0] = {"eth0", FWD_LINK_ETHERNET, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 0xfe}},
	[WG0] = {"wg0", FWD_LINK_IP},
	[ETH1] = {"eth1", FWD_LINK_ETHERNET, {2, 0, 0, 0, 7, 1}, {2, 0, 0, 0, 7, 2}},
	[ETH2] = {"eth2", FWD_LINK_ETHERNET, {2, 0, 0, 0, 8, 1}, {2, 0, 0, 0, 8, 2}},
};

static struct gateway {
	struct fwd_tc *ingress[FWD_LINK_MAX];
	struct fwd_tc *egress[FWD_LINK_MAX]; /* loaded when they are asked for */
	struct fwd_control *maps;            /* the first of all: fwd_control, and the maps that all share */
	struct fwd_xdp *xdp[DEVICES];        /* NULL: packets go straight to tc */
	int ifindex[DEVICES];
	__u32 half_open, connections;
	__u32 buckets; /* 0: as many as a table of that size has */
} gw;

static inline void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

static inline void ip_batch(const char *commands)
{
	FILE *ip = popen("ip -batch -", "w");

	cr_assert(ip);
	fputs(commands, ip);
	cr_assert(pclose(ip) == 0, "ip -batch");
}

static inline void tun_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0, "/dev/net/tun: %s", strerror(errno));
	strcpy(ifr.ifr_name, name);
	cr_assert(!ioctl(fd, TUNSETIFF, &ifr), "TUNSETIFF: %s", strerror(errno));
}

static inline int ifindex_of(const char *name)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, name);
	cr_assert(!ioctl(fd, 0x8933 /* SIOCGIFINDEX */, &ifr), "%s: %s", name, strerror(errno));
	close(fd);
	return ifr.ifr_ifindex;
}

static inline void forwarding_set(bool on)
{
	write_file("/proc/sys/net/ipv4/ip_forward", on ? "1" : "0");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", on ? "1" : "0");
}

static inline void devices_make(void)
{
	cr_assert(!unshare(CLONE_NEWNET), "unshare: %s (not root?)", strerror(errno));
	tun_open("wg0");
	ip_batch("link set lo up\n"
		 "link add eth0 address 02:00:00:00:00:01 type veth peer name eth0p\n"
		 "link add eth1 address 02:00:00:00:07:01 type veth peer name eth1p\n"
		 "link add eth2 address 02:00:00:00:08:01 type veth peer name eth2p\n"
		 "link set eth0 up\n"
		 "link set eth0p up\n"
		 "link set eth1 up\n"
		 "link set eth1p up\n"
		 "link set eth2 up\n"
		 "link set eth2p up\n"
		 "link set wg0 up\n"
		 "addr add 93.184.216.34/24 dev eth0\n"
		 "addr add 2001:db8:93::34/64 dev eth0 nodad\n"
		 "addr add 10.172.16.1/24 dev wg0\n"
		 "addr add 10.172.16.11/24 dev wg0\n"
		 "addr add fd10:172:16::1/64 dev wg0 nodad\n"
		 "addr add 192.168.7.1/24 dev eth1\n"
		 "addr add fd07::1/64 dev eth1 nodad\n"
		 "addr add 192.168.8.1/24 dev eth2\n"
		 "neigh add 93.184.216.1 lladdr 02:00:00:00:00:fe nud permanent dev eth0\n"
		 "neigh add 2001:db8:93::1 lladdr 02:00:00:00:00:fe nud permanent dev eth0\n"
		 "neigh add 192.168.7.2 lladdr 02:00:00:00:07:02 nud permanent dev eth1\n"
		 "neigh add fd07::2 lladdr 02:00:00:00:07:02 nud permanent dev eth1\n"
		 "neigh add 192.168.8.2 lladdr 02:00:00:00:08:02 nud permanent dev eth2\n"
		 "route add default via 93.184.216.1\n"
		 "route add default via 2001:db8:93::1\n"
		 "route add blackhole 10.99.0.0/24\n"
		 "route add unreachable 10.99.1.0/24\n"
		 "route add prohibit 10.99.2.0/24\n"
		 "route add throw 10.99.3.0/24\n"
		 "route add blackhole fd99::/64\n"
		 "route add unreachable fd99:1::/64\n"
		 "route add prohibit fd99:2::/64\n");
	forwarding_set(true);
	for (int i = 0; i < DEVICES; i++)
		gw.ifindex[i] = ifindex_of(devices[i].name);
}

static inline struct fwd_sizes gateway_sizes(void)
{
	struct fwd_sizes sizes = fwd_sizes_of(gw.connections, gw.half_open);

	if (gw.buckets)
		sizes.buckets = gw.buckets;
	return sizes;
}

/* Places for connections in all. */
static inline __u32 gateway_records(void)
{
	return gateway_sizes().records;
}

static inline __u32 gateway_buckets(void)
{
	return gateway_sizes().buckets;
}

static inline void object_size(struct fwd_control *o)
{
	bpf_map__set_max_entries(o->maps.conns, gateway_records());
	bpf_map__set_max_entries(o->maps.slots, gateway_records());
	bpf_map__set_max_entries(o->maps.free_slots, gateway_records());
	bpf_map__set_max_entries(o->maps.buckets, gateway_buckets());
	bpf_map__set_max_entries(o->maps.ring, gw.half_open);
}

/* The maps that both have. */
static inline void object_share(struct bpf_object *o, struct bpf_object *with)
{
	struct bpf_map *map, *theirs;

	bpf_object__for_each_map (map, o) {
		const char *name = bpf_map__name(map);

		theirs = bpf_object__find_map_by_name(with, name);
		if (!theirs || strchr(name, '.'))
			continue;
		cr_assert(!bpf_map__reuse_fd(map, bpf_map__fd(theirs)), "%s", name);
	}
}

static inline void control_load(void)
{
	struct fwd_control *o = fwd_control__open();

	cr_assert(o);
	o->rodata->fwd_sizes = gateway_sizes();
	object_size(o);
	cr_assert(!fwd_control__load(o), "load: %s", strerror(errno));
	gw.maps = o;
}

/* Of the programs only the one that is asked for, since it is the verifier that takes the time. */
static inline struct fwd_tc *object_load(enum fwd_link link, const char *program)
{
	struct fwd_tc *o = fwd_tc__open();
	struct bpf_program *p;

	cr_assert(o);
	o->rodata->fwd_link = link;
	o->rodata->fwd_device_index = link;
	o->rodata->fwd_sizes = gateway_sizes();
	if (!gw.maps)
		control_load();
	object_share(o->obj, gw.maps->obj);
	bpf_object__for_each_program (p, o->obj)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), program));
	cr_assert(!fwd_tc__load(o), "load: %s", strerror(errno));
	return o;
}

/* The XDP program of a device, in the driver as the kernel wants it for BPF_PROG_RUN, or made for the stack. */
static inline struct fwd_xdp *xdp_load(enum device dev, enum fwd_mode mode)
{
	struct fwd_xdp *o = fwd_xdp__open();

	cr_assert(o);
	o->rodata->fwd_link = devices[dev].link;
	o->rodata->fwd_device_index = devices[dev].link;
	o->rodata->fwd_sizes = gateway_sizes();
	o->rodata->fwd_mode = mode;
	o->rodata->fwd_ifindex = gw.ifindex[dev];
	memcpy((void *)&o->rodata->fwd_mac, devices[dev].mac, sizeof(o->rodata->fwd_mac));
	object_share(o->obj, gw.maps->obj);
	for (int i = 0; i < DEVICES; i++)
		if (gw.xdp[i])
			cr_assert(!bpf_map__reuse_fd(o->maps.xdp_devices, bpf_map__fd(gw.xdp[i]->maps.xdp_devices)));
	cr_assert(!fwd_xdp__load(o), "load: %s", strerror(errno));
	cr_assert(!bpf_xdp_attach(gw.ifindex[dev], bpf_program__fd(o->progs.fwd_xdp), XDP_FLAGS_DRV_MODE, NULL));
	return o;
}

/* Frames may be sent from one of these to the other. */
static inline void xdp_start(enum fwd_mode mode)
{
	for (int i = 0; i < ETH2; i++) {
		__u32 ifindex = gw.ifindex[i];

		if (devices[i].link != FWD_LINK_ETHERNET)
			continue;
		gw.xdp[i] = xdp_load(i, mode);
		if (mode == FWD_MODE_XDP)
			cr_assert(!bpf_map_update_elem(bpf_map__fd(gw.xdp[i]->maps.xdp_devices), &ifindex, &ifindex,
						       BPF_ANY));
	}
}

#define MAP_FD(name) bpf_map__fd(gw.maps->maps.name)

static inline void map_put(int fd, const void *key, const void *value)
{
	cr_assert(!bpf_map_update_elem(fd, key, value, BPF_ANY), "map: %s", strerror(errno));
}

static inline struct fwd_config config_read(void)
{
	struct fwd_config c;
	__u32 zero = 0;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(config), &zero, &c));
	return c;
}

static inline void config_write(const struct fwd_config *c)
{
	__u32 zero = 0;

	map_put(MAP_FD(config), &zero, c);
}

/* The clock of the tables goes on by that many seconds at once. */
static inline void clock_advance(unsigned int seconds)
{
	struct fwd_config c = config_read();

	c.clock_offset += FWD_TICKS(seconds);
	config_write(&c);
}

static inline int control(enum fwd_request_type type, const struct fwd_tuple *forward)
{
	__u8 packet[ETHER_LEN + sizeof(struct fwd_request)] = {};
	struct fwd_request request = {.type = type};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);

	if (forward)
		request.forward = *forward;
	memcpy(packet + ETHER_LEN, &request, sizeof(request));
	cr_assert(!bpf_prog_test_run_opts(bpf_program__fd(gw.maps->progs.fwd_control), &opts));
	return (int)opts.retval;
}

/* ---- the maps of the user ("rules") -------------------------------------------------------- */

static inline struct fwd_addr addr_of(const struct endpoint *e)
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

static inline struct fwd_tuple tuple_of(const char *route, __u8 proto)
{
	struct endpoint src, dst;
	struct fwd_tuple t = {.proto = proto};

	way_parse(route, &src, &dst);
	t.saddr = addr_of(&src);
	t.daddr = addr_of(&dst);
	t.sport = __builtin_bswap16(src.port);
	t.dport = __builtin_bswap16(dst.port);
	return t;
}

static inline struct fwd_tuple tuple_turned(struct fwd_tuple t)
{
	struct fwd_tuple turned = {
		.saddr = t.daddr, .daddr = t.saddr, .sport = t.dport, .dport = t.sport, .proto = t.proto};

	return turned;
}

static inline void port_mark(enum fwd_ports which, __u16 port)
{
	static struct fwd_port_set set;
	__u32 key = which;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(ports), &key, &set));
	set.bits[port / 64] |= 1ULL << port % 64;
	map_put(MAP_FD(ports), &key, &set);
}

/* The prefixes that make up [low, high]. */
static inline void rule_index_put(const struct fwd_rule *r, __u32 index)
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

/* A map in words; see rule_put(). */
struct rule {
	__u8 proto;
	const char *listen; /* "ADDR:PORT", "ADDR:LOW" with `last`; 0.0.0.0 and [::] are wildcards */
	const char *target; /* "ADDR:PORT" */
	const char *source; /* "ADDR,ADDR"; NULL: the visitor's address stays */
	__u16 last;         /* of a range */
	enum fwd_rule_state state;
};

static inline void rule_read(__u32 index, struct fwd_rule *r)
{
	cr_assert(!bpf_map_lookup_elem(MAP_FD(rules), &index, r));
}

static inline void rule_write(__u32 index, const struct fwd_rule *r)
{
	map_put(MAP_FD(rules), &index, r);
}

static inline void rule_pool(struct fwd_rule *r, const char *source, bool v6)
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
	/* One address, or none yet: as `--snat auto` is stored. */
	if (r->snat_count < 2)
		r->snat = FWD_SNAT_AUTO;
}

/* What `fwdctl map add` does. */
static inline void rule_put(__u32 index, const struct rule *rule)
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

/* What `fwdctl map del` does to the place. */
static inline void rule_give_up(__u32 index)
{
	struct fwd_rule r;

	rule_read(index, &r);
	r.gen++;
	r.state = FWD_RULE_FREE;
	rule_write(index, &r);
}

/* ---- starting ------------------------------------------------------------------------------ */

static inline void devices_register(void)
{
	for (int i = 0; i < ETH2; i++) {
		struct fwd_device d = {.link = devices[i].link, .index = devices[i].link};
		__u32 ifindex = gw.ifindex[i];

		strcpy(d.name, devices[i].name);
		map_put(MAP_FD(devices), &ifindex, &d);
	}
}

static inline void config_start(void)
{
	struct fwd_config c = {
		.timeout =
			{
#define X(symbol, index, name, seconds) [FWD_TIMEOUT_##symbol] = FWD_TICKS(seconds),
				FWD_TIMEOUTS(X)
#undef X
			},
	};

	cr_assert(getrandom(c.secret, sizeof(c.secret), 0) == sizeof(c.secret));
	c.csum_ipv6 = control(FWD_REQUEST_PROBE_CSUM_IPV6, NULL) == 0;
	config_write(&c);
}

static inline void gateway_start(__u32 connections, __u32 half_open)
{
	gw.connections = connections;
	gw.half_open = half_open;
	devices_make();
	gw.ingress[FWD_LINK_ETHERNET] = object_load(FWD_LINK_ETHERNET, "fwd_ingress");
	gw.ingress[FWD_LINK_IP] = object_load(FWD_LINK_IP, "fwd_ingress");
	config_start();
	devices_register();
	/* Each test can be run with XDP before tc: what comes out must be the same. */
	if (getenv("FWD_TEST_XDP"))
		xdp_start(FWD_MODE_XDP);
}

/* The usual size, with these maps. */
static inline void gateway_start_with(const struct rule *rules, size_t count)
{
	gateway_start(64, 64);
	for (size_t i = 0; i < count; i++)
		rule_put(i, &rules[i]);
}

/* ---- running ------------------------------------------------------------------------------- */

enum hook {
	INGRESS,
	EGRESS,
	EGRESS_FORWARDED, /* of a packet that came in by another device */
};

struct result {
	int verdict;
	struct frame in, out;
};

static inline int program_fd(enum device dev, enum hook hook)
{
	enum fwd_link link = devices[dev].link;

	if (hook == INGRESS)
		return bpf_program__fd(gw.ingress[link]->progs.fwd_ingress);
	if (!gw.egress[link])
		gw.egress[link] = object_load(link, "fwd_egress");
	return bpf_program__fd(gw.egress[link]->progs.fwd_egress);
}

/* Kernel 6.11. */
#ifndef BPF_F_TEST_SKB_CHECKSUM_COMPLETE
#define BPF_F_TEST_SKB_CHECKSUM_COMPLETE (1U << 2)
#endif

/*
 * Whether the run can be done as if a NIC had summed up the packet (CHECKSUM_COMPLETE); the kernel
 * then fails it with EBADMSG if afterwards the sum isn't the packet's. A hop limit that goes down
 * is made up for by no checksum, and a UDP packet may have none: those can't.
 */
static inline bool nic_can_sum(enum device dev, const struct packet *p, bool stays)
{
	return devices[dev].link == FWD_LINK_ETHERNET && !p->no_checksum && !p->padding && !p->poke_at &&
	       (p->route[0] != '[' || stays);
}

/* Where the packet in a frame ends by its own words. */
static inline size_t frame_end(const struct frame *f)
{
	const __u8 *ip = f->data + ETHER_LEN;

	return ETHER_LEN + (ip[0] >> 4 == 6 ? 40 + get16(ip + 4) : get16(ip + 2));
}

/* What XDP_REDIRECT and the others are at tc. -1: passed on, untouched. */
static inline int run_xdp(enum device dev, struct result *r)
{
	struct xdp_md ctx = {.ingress_ifindex = gw.ifindex[dev], .data_end = r->in.len};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->in.data, .data_size_in = r->in.len, .data_out = r->out.data,
		    .data_size_out = sizeof(r->out.data), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	cr_assert(!bpf_prog_test_run_opts(bpf_program__fd(gw.xdp[dev]->progs.fwd_xdp), &opts),
		  "BPF_PROG_RUN of XDP with %zu bytes: %s", r->in.len, strerror(errno));
	r->out.len = opts.data_size_out;
	if (opts.retval == XDP_REDIRECT) {
		/* What is padding the link may keep: a frame has 60 bytes. */
		if (r->out.len == 60)
			r->out.len = frame_end(&r->out);
		return TC_ACT_REDIRECT;
	}
	if (opts.retval == XDP_DROP)
		return TC_ACT_SHOT;
	cr_expect(opts.retval == XDP_PASS, "XDP returned %u", opts.retval);
	cr_expect(r->out.len == r->in.len && !memcmp(r->out.data, r->in.data, r->in.len),
		  "XDP changed a packet that it passed on");
	return -1;
}

/* Longer ones go by drivers that have no XDP then (BPF_PROG_RUN: a page, with what is in front and behind). */
#define XDP_FRAME_MAX 3000

static inline bool xdp_sees(enum device dev, enum hook hook, const struct frame *f, int gso_segs)
{
	return hook == INGRESS && gw.xdp[dev] && !gso_segs && f->len >= ETHER_LEN && f->len <= XDP_FRAME_MAX;
}

/* May be called by several threads, once programs are loaded. */
static inline void run_frame(enum device dev, enum hook hook, int gso_segs, bool sum, struct result *r)
{
	static bool no_sums;
	int fd = program_fd(dev, hook);
	struct __sk_buff ctx = {.ifindex = gw.ifindex[dev], .gso_segs = gso_segs};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->in.data, .data_size_in = r->in.len, .data_out = r->out.data,
		    .data_size_out = sizeof(r->out.data), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	if (xdp_sees(dev, hook, &r->in, gso_segs)) {
		r->verdict = run_xdp(dev, r);
		if (r->verdict != -1)
			return;
	}
	if (hook != EGRESS)
		ctx.ingress_ifindex = hook == INGRESS ? gw.ifindex[dev] : gw.ifindex[WG0];
	if (gso_segs)
		ctx.gso_size = 1000;
	if (sum && !no_sums)
		opts.flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE;
	if (bpf_prog_test_run_opts(fd, &opts)) {
		cr_expect(errno != EBADMSG, "the NIC's sum is no longer the packet's");
		/* Older kernels don't know the flag. */
		no_sums |= opts.flags && errno == EINVAL;
		cr_assert((errno == EINVAL && opts.flags) || errno == EBADMSG, "BPF_PROG_RUN: %s", strerror(errno));
		if (errno == EINVAL)
			return run_frame(dev, hook, gso_segs, false, r);
	}
	r->verdict = (int)opts.retval;
	r->out.len = opts.data_size_out;
}

static inline void run_summed(enum device dev, enum hook hook, const struct packet *p, bool sum, struct result *r)
{
	__u8 to[6];

	memcpy(to, hook == INGRESS ? devices[dev].mac : devices[dev].peer, 6);
	if (p->to)
		cr_assert(sscanf(p->to, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to[0], &to[1], &to[2], &to[3], &to[4],
				 &to[5]) == 6);
	packet_build(&r->in, p, devices[dev].link == FWD_LINK_ETHERNET ? to : NULL,
		     hook == INGRESS ? devices[dev].peer : devices[dev].mac);
	run_frame(dev, hook, p->gso_segs, sum, r);
}

static inline void run(enum device dev, enum hook hook, const struct packet *p, struct result *r)
{
	run_summed(dev, hook, p, false, r);
}

#endif
