/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/bpf.h>
#include "run.h"

/* Kernel 6.11. */
#ifndef BPF_F_TEST_SKB_CHECKSUM_COMPLETE
#define BPF_F_TEST_SKB_CHECKSUM_COMPLETE (1U << 2)
#endif

bool nic_can_sum(enum device dev, const struct packet *p, bool stays)
{
	return devices[dev].link == FWD_LINK_ETHERNET && !p->no_checksum && !p->padding && !p->poke_at && !p->tags &&
	       (p->flow[0] != '[' || stays);
}

/* Offset of the packet's end in a frame, by the length in its IP header. */
static size_t frame_end(const struct frame *f)
{
	const __u8 *ip = f->data + ETHER_LEN;

	return ETHER_LEN + (ip[0] >> 4 == 6 ? 40 + get16(ip + 4) : get16(ip + 2));
}

int run_xdp(enum device dev, struct result *r)
{
	struct xdp_md ctx = {.ingress_ifindex = gw.ifindex[dev], .data_end = r->in.len};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->in.data, .data_size_in = r->in.len, .data_out = r->out.data,
		    .data_size_out = sizeof(r->out.data), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	cr_assert(!bpf_prog_test_run_opts(xdp_program_fd(dev), &opts), "BPF_PROG_RUN of XDP with %zu bytes: %s",
		  r->in.len, strerror(errno));
	r->out.len = opts.data_size_out;
	if (opts.retval == XDP_REDIRECT) {
		/* XDP leaves link padding in place: a frame has at least 60 bytes. */
		if (r->out.len == 60)
			r->out.len = frame_end(&r->out);
		return TC_ACT_REDIRECT;
	}
	if (opts.retval == XDP_DROP)
		return TC_ACT_SHOT;
	cr_expect(opts.retval == XDP_PASS, "XDP returned %u", opts.retval);
	cr_expect(r->out.len == r->in.len && !memcmp(r->out.data, r->in.data, r->in.len),
		  "XDP changed a packet that it passed");
	return -1;
}

/* A driver has no XDP for longer frames (BPF_PROG_RUN: one page, with headroom and tailroom). */
#define XDP_FRAME_MAX 3000

static bool xdp_sees(enum device dev, enum hook hook, const struct frame *f, int gso_segs)
{
	return hook == INGRESS && xdp_program_fd(dev) >= 0 && !gso_segs && f->len >= ETHER_LEN &&
	       f->len <= XDP_FRAME_MAX;
}

__u32 run_mark;

void run_frame(enum device dev, enum hook hook, int gso_segs, bool sum, struct result *r)
{
	static bool no_sums;
	int fd = program_fd(dev, hook);
	struct __sk_buff ctx = {.ifindex = gw.ifindex[dev], .gso_segs = gso_segs, .mark = run_mark}, after = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->in.data, .data_size_in = r->in.len, .data_out = r->out.data,
		    .data_size_out = sizeof(r->out.data), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .ctx_out = &after,
		    .ctx_size_out = sizeof(after), .repeat = 1);

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
		cr_expect(errno != EBADMSG, "CHECKSUM_COMPLETE is not the packet's sum");
		/* Older kernels don't know the flag. */
		no_sums |= opts.flags && errno == EINVAL;
		cr_assert((errno == EINVAL && opts.flags) || errno == EBADMSG, "BPF_PROG_RUN: %s", strerror(errno));
		if (errno == EINVAL)
			return run_frame(dev, hook, gso_segs, false, r);
	}
	r->verdict = (int)opts.retval;
	r->priority = after.priority;
	r->out.len = opts.data_size_out;
}

void run_summed(enum device dev, enum hook hook, const struct packet *p, bool sum, struct result *r)
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

void run(enum device dev, enum hook hook, const struct packet *p, struct result *r)
{
	run_summed(dev, hook, p, false, r);
}
