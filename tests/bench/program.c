// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * program: the run time of fwdctl's programs alone, by BPF_PROG_RUN, in the gateway's network namespace.
 *
 *   program tc|xdp OUTER INNER LISTEN SOURCE TARGET     prints a JSON line for each path
 *   program load                                        prints the latency of a load from memory
 *
 * A run changes its packet, so each run gets a new one (repeat 1): each figure includes the kernel's clock readings,
 * the reference program's too. Medians, because an interrupt makes a run many times as long.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench.h"
#include "flow.h"
#include "program.skel.h"

#define RUNS        20000
#define NEW_FLOWS   8000 /* fewer than fwdctl's ring holds */
#define TCX_INGRESS 46   /* libbpf 1.1 has no name for it */

#define RECORDS (1u << 20) /* of RECORD bytes: a million connections */
#define RECORD  256u
#define LOADS   2000000u

struct device {
	int tc_fd, xdp_fd; /* of the programs on it; -1: none */
	int ifindex;
	__u8 mac[6];
};

static bool xdp;

static int tc_program_on(int ifindex)
{
	__u32 ids[8] = {}, count = 8;

	if (bpf_prog_query(ifindex, TCX_INGRESS, 0, NULL, ids, &count) || !count)
		return -1;
	return bpf_prog_get_fd_by_id(ids[0]);
}

static int xdp_program_on(int ifindex)
{
	__u32 id = 0;

	return bpf_xdp_query_id(ifindex, 0, &id) || !id ? -1 : bpf_prog_get_fd_by_id(id);
}

static struct device device_open(const char *name)
{
	struct device d = {.ifindex = if_nametoindex(name)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (!d.ifindex || ioctl(fd, SIOCGIFHWADDR, &ifr))
		die("%s: %m", name);
	close(fd);
	memcpy(d.mac, ifr.ifr_hwaddr.sa_data, 6);
	d.tc_fd = tc_program_on(d.ifindex);
	d.xdp_fd = xdp_program_on(d.ifindex);
	if (d.tc_fd < 0 || (xdp && d.xdp_fd < 0))
		die("%s: no program at this hook (tc: TCX, kernel 6.6)", name);
	return d;
}

struct outcome {
	__u32 ns, verdict;
};

static struct outcome run(int fd, bool at_xdp, const struct device *d, const struct flow_kind *kind, __u32 flow)
{
	__u8 frame[FLOW_FRAME_LEN] = {}, out[256];
	struct __sk_buff skb = {.ifindex = d->ifindex, .ingress_ifindex = d->ifindex};
	struct xdp_md md = {.data_end = sizeof(frame), .ingress_ifindex = d->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);

	if (at_xdp) {
		opts.ctx_in = &md;
		opts.ctx_size_in = sizeof(md);
	} else {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	memcpy(frame, d->mac, 6);
	frame[6] = 2;
	frame[12] = 0x08;
	flow_make(frame + FLOW_ETHER_LEN, kind, flow);
	if (bpf_prog_test_run_opts(fd, &opts))
		die("BPF_PROG_RUN: %m");
	return (struct outcome){opts.duration, opts.retval};
}

/* XDP first, as on the wire; a packet that XDP passes goes to tc. */
static void arrive(const struct device *d, const struct flow_kind *kind)
{
	if (!xdp || run(d->xdp_fd, true, d, kind, 0).verdict == XDP_PASS)
		run(d->tc_fd, false, d, kind, 0);
}

static int compare(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/* step: 0: the same flow in each run, 1: another one. A packet with an unexpected verdict was on another path. */
static void path(const char *name, const struct device *d, const struct flow_kind *kind, bool forwarded, __u32 first,
		 __u32 runs, __u32 step)
{
	__u32 redirect = xdp ? XDP_REDIRECT : TC_ACT_REDIRECT;
	static __u32 ns[RUNS];

	for (__u32 i = 0; i < runs; i++) {
		struct outcome o = run(xdp ? d->xdp_fd : d->tc_fd, xdp, d, kind, first + i * step);

		if ((o.verdict == redirect) != forwarded)
			die("%s: the verdict is %u", name, o.verdict);
		ns[i] = o.ns;
	}
	qsort(ns, runs, sizeof(*ns), compare);
	printf("{\"path\":\"%s\",\"ns\":%u}\n", name, ns[runs / 2]);
}

static void size(const char *name, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		die("bpf_obj_get_info_by_fd: %m");
	printf("{\"size\":\"%s\",\"xlated\":%u,\"jited\":%u,\"verified\":%u}\n", name, info.xlated_prog_len / 8,
	       info.jited_prog_len, info.verified_insns);
}

/* The latency in ns of a load that depends on the previous one, as a connection's depends on its bucket's, from random
 * places in as much memory as a million connections have. In huge pages if possible. */
static double load_ns(void)
{
	size_t size = (size_t)RECORDS * RECORD;
	__u32 *memory = aligned_alloc(2 << 20, size), at = 0;
	__u64 took;

	if (!memory)
		die("%zu MB: %m", size >> 20);
	madvise(memory, size, MADV_HUGEPAGE);
	/* Each names the next: one cycle through all (Hull-Dobell theorem), with large distances. */
	for (__u32 i = 0; i < RECORDS; i++)
		memory[i * (RECORD / sizeof(*memory))] = (1664525 * i + 1013904223) % RECORDS;
	took = now_ns();
	for (__u32 i = 0; i < LOADS; i++)
		at = memory[at * (RECORD / sizeof(*memory))];
	took = now_ns() - took;
	if (at >= RECORDS) /* uses the result, so that the loop is not removed */
		die("the cycle is broken");
	free(memory);
	return (double)took / LOADS;
}

int main(int argc, char **argv)
{
	struct flow_kind in = {.proto = FLOW_UDP, .services = 1, .to_service = 1, .ttl = FLOW_TTL};
	struct flow_kind back = in, stranger = in;
	struct program *reference;
	struct device outer, inner;

	if (argc == 2 && !strcmp(argv[1], "load")) {
		printf("{\"load\":%.1f}\n", load_ns());
		return 0;
	}
	reference = program__open_and_load();
	if (argc != 7 || !reference)
		die("usage: program tc|xdp OUTER INNER LISTEN SOURCE TARGET, or program load");
	xdp = !strcmp(argv[1], "xdp");
	outer = device_open(argv[2]);
	inner = device_open(argv[3]);
	in.view.service = address(argv[4]);
	back.view = (struct flow_view){address(argv[5]), address(argv[6])};
	back.to_service = 0;
	stranger.view.service = in.view.service + 1;
	arrive(&outer, &in);
	arrive(&inner, &back);
	arrive(&outer, &in);
	path("hit, in", &outer, &in, true, 0, RUNS, 0);
	path("hit, back", &inner, &back, true, 0, RUNS, 0);
	/* XDP passes it to tc. */
	path(xdp ? "left to tc" : "new connection", &outer, &in, !xdp, 1, NEW_FLOWS, 1);
	path("no match", &outer, &stranger, false, 0, RUNS, 0);
	size("program", xdp ? outer.xdp_fd : outer.tc_fd);
	outer.tc_fd = bpf_program__fd(reference->progs.reference_tc);
	outer.xdp_fd = bpf_program__fd(reference->progs.reference_xdp);
	path("reference", &outer, &in, false, 0, RUNS, 0);
	size("reference", xdp ? outer.xdp_fd : outer.tc_fd);
	return 0;
}
