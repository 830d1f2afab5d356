/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <sys/random.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <bpf/libbpf.h>
#include "fwd/maps.h"
#include "host/conntrack.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"
#include "gateway.h"

struct gateway gw;

static struct {
	struct fwd_control *control; /* loaded first; its BPF maps are shared with all others */
	struct fwd_tc *ingress[FWD_LINK_MAX];
	struct fwd_tc *egress[FWD_LINK_MAX]; /* loaded on demand */
	struct fwd_xdp *xdp[DEVICES];
} objects;

/* ---- loading ------------------------------------------------------------------------------- */

static struct fwd_sizes gateway_sizes(void)
{
	struct fwd_sizes sizes = fwd_sizes_of(gw.connections, gw.half_open);

	if (gw.buckets)
		sizes.buckets = gw.buckets;
	return sizes;
}

__u32 gateway_records(void)
{
	return gateway_sizes().records;
}

__u32 gateway_buckets(void)
{
	return gateway_sizes().buckets;
}

static void object_size(struct fwd_control *o)
{
	bpf_map__set_max_entries(o->maps.conns, gateway_records());
	bpf_map__set_max_entries(o->maps.slots, gateway_records());
	bpf_map__set_max_entries(o->maps.free_slots, gateway_records());
	bpf_map__set_max_entries(o->maps.buckets, gateway_buckets());
	bpf_map__set_max_entries(o->maps.ring, gw.half_open);
}

/* Reuses the BPF maps that both objects have. */
static void object_share(struct bpf_object *o, struct bpf_object *with)
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

static void control_load(void)
{
	struct fwd_control *o = fwd_control__open();

	cr_assert(o);
	o->rodata->fwd_sizes = gateway_sizes();
	object_size(o);
	cr_assert(!fwd_control__load(o), "load: %s", strerror(errno));
	objects.control = o;
}

/* As user/attach/plan.c decides it. */
static bool has_conntrack(void)
{
	static int has = -1;

	if (has < 0)
		has = conntrack_has_kfuncs();
	return has;
}

/* Loads one program only, because verification takes most of the time. */
static struct fwd_tc *object_load(enum fwd_link link, const char *program)
{
	struct fwd_tc *o = fwd_tc__open();
	struct bpf_program *p;

	cr_assert(o);
	o->rodata->fwd_conntrack = has_conntrack();
	o->rodata->fwd_link = link;
	o->rodata->fwd_device_index = link;
	o->rodata->fwd_sizes = gateway_sizes();
	if (!objects.control)
		control_load();
	object_share(o->obj, objects.control->obj);
	bpf_object__for_each_program (p, o->obj)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), program));
	cr_assert(!fwd_tc__load(o), "load: %s", strerror(errno));
	return o;
}

/* Attached in native mode in any case, as BPF_PROG_RUN requires; `mode` is the one that the program is compiled for. */
static struct fwd_xdp *xdp_load(enum device dev, enum fwd_mode mode)
{
	struct fwd_xdp *o = fwd_xdp__open();

	cr_assert(o);
	o->rodata->fwd_conntrack = has_conntrack();
	o->rodata->fwd_link = devices[dev].link;
	o->rodata->fwd_device_index = devices[dev].link;
	o->rodata->fwd_sizes = gateway_sizes();
	o->rodata->fwd_mode = mode;
	o->rodata->fwd_ifindex = gw.ifindex[dev];
	memcpy((void *)&o->rodata->fwd_mac, devices[dev].mac, sizeof(o->rodata->fwd_mac));
	object_share(o->obj, objects.control->obj);
	for (int i = 0; i < DEVICES; i++)
		if (objects.xdp[i])
			cr_assert(
				!bpf_map__reuse_fd(o->maps.xdp_devices, bpf_map__fd(objects.xdp[i]->maps.xdp_devices)));
	cr_assert(!fwd_xdp__load(o), "load: %s", strerror(errno));
	cr_assert(!bpf_xdp_attach(gw.ifindex[dev], bpf_program__fd(o->progs.fwd_xdp), XDP_FLAGS_DRV_MODE, NULL));
	return o;
}

void xdp_start(enum fwd_mode mode)
{
	for (int i = 0; i < ETH2; i++) {
		__u32 ifindex = gw.ifindex[i];

		if (devices[i].link != FWD_LINK_ETHERNET)
			continue;
		objects.xdp[i] = xdp_load(i, mode);
		if (mode == FWD_MODE_XDP)
			cr_assert(!bpf_map_update_elem(bpf_map__fd(objects.xdp[i]->maps.xdp_devices), &ifindex,
						       &ifindex, BPF_ANY));
	}
}

int program_fd(enum device dev, enum hook hook)
{
	enum fwd_link link = devices[dev].link;

	if (hook == INGRESS)
		return bpf_program__fd(objects.ingress[link]->progs.fwd_ingress);
	if (!objects.egress[link])
		objects.egress[link] = object_load(link, "fwd_egress");
	return bpf_program__fd(objects.egress[link]->progs.fwd_egress);
}

int xdp_program_fd(enum device dev)
{
	return objects.xdp[dev] ? bpf_program__fd(objects.xdp[dev]->progs.fwd_xdp) : -1;
}

/* ---- BPF maps ------------------------------------------------------------------------------ */

int map_fd(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(objects.control->obj, name);

	cr_assert(fd >= 0, "%s", name);
	return fd;
}

int xdp_devices_fd(void)
{
	return bpf_map__fd(objects.xdp[ETH0]->maps.xdp_devices);
}

void map_put(int fd, const void *key, const void *value)
{
	cr_assert(!bpf_map_update_elem(fd, key, value, BPF_ANY), "map: %s", strerror(errno));
}

struct fwd_config config_read(void)
{
	struct fwd_config c;
	__u32 zero = 0;

	cr_assert(!bpf_map_lookup_elem(MAP_FD(config), &zero, &c));
	return c;
}

void config_write(const struct fwd_config *c)
{
	__u32 zero = 0;

	map_put(MAP_FD(config), &zero, c);
}

void clock_advance(unsigned int seconds)
{
	struct fwd_config c = config_read();

	c.clock_offset += FWD_TICKS(seconds);
	config_write(&c);
}

int control(enum fwd_request_type type, const struct fwd_tuple *forward)
{
	__u8 packet[ETH_HLEN + sizeof(struct fwd_request)] = {};
	struct fwd_request request = {.type = type};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);

	if (forward)
		request.forward = *forward;
	memcpy(packet + ETH_HLEN, &request, sizeof(request));
	cr_assert(!bpf_prog_test_run_opts(bpf_program__fd(objects.control->progs.fwd_control), &opts));
	return (int)opts.retval;
}

/* ---- starting ------------------------------------------------------------------------------ */

static void devices_register(void)
{
	for (int i = 0; i < ETH2; i++) {
		struct fwd_device d = {
			.link = devices[i].link, .index = devices[i].link, .tunnel = devices[i].link == FWD_LINK_IP};
		__u32 ifindex = gw.ifindex[i];

		strcpy(d.name, devices[i].name);
		map_put(MAP_FD(devices), &ifindex, &d);
		map_put(MAP_FD(live_devices), &ifindex, &ifindex);
	}
}

static void config_start(void)
{
	struct fwd_config c = {
		.timeout =
			{
#define X(symbol, index, name, seconds) [FWD_TIMEOUT_##symbol] = FWD_TICKS(seconds),
				FWD_TIMEOUTS(X)
#undef X
			},
	};

	c.icmp_per_second =
		FWD_ICMP_PER_SECOND_DEFAULT; /* and no limit of each address: some tests cause many errors */
	cr_assert(getrandom(c.secret, sizeof(c.secret), 0) == sizeof(c.secret));
	c.csum_ipv6 = control(FWD_REQUEST_PROBE_CSUM_IPV6, NULL) == 0;
	config_write(&c);
}

void gateway_start(__u32 connections, __u32 half_open)
{
	gw.connections = connections;
	gw.half_open = half_open;
	netns_create(gw.ifindex);
	objects.ingress[FWD_LINK_ETHERNET] = object_load(FWD_LINK_ETHERNET, "fwd_ingress");
	objects.ingress[FWD_LINK_IP] = object_load(FWD_LINK_IP, "fwd_ingress");
	config_start();
	devices_register();
	if (getenv("FWD_TEST_XDP"))
		xdp_start(FWD_MODE_XDP);
}
