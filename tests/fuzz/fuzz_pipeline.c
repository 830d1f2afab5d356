/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole pipeline (ingress(), egress(), fastpath(), the garbage collector), compiled natively with BPF maps, on a
 * sequence of packets and events (script.h). After each, verify.h checks the output and the table; at the end all
 * timeouts expire, and the table must be empty.
 */
#include "hooks.h"
#include "no_coverage.h"
#include "verify.h"
#include "mutate.h"

#define FLOWS       8
#define PACKET_MORE (FRAG_LEN_MAX + 1000) /* at most so many bytes are appended to the data of a step */

/* Forwarded packets, which later steps can refer to. */
static struct flow {
	struct fwd_tuple in, out; /* the packet, before and after */
	enum device from, to;
	__u8 ip[STEP_DATA_MAX]; /* after translation */
	size_t len;
} flows[FLOWS];
static unsigned int flow_count;

/* ---- packets ------------------------------------------------------------------------------- */

/* The IP packet of the current step. */
static struct {
	__u8 ip[STEP_DATA_MAX + PACKET_MORE];
	size_t len;
} current;

static size_t header_len(void)
{
	return current.ip[0] >> 4 == 6 ? 40 : (current.ip[0] & 15) * 4;
}

/* Sets the right lengths and checksums. */
static void make_sound(void)
{
	__u8 *ip = current.ip;
	struct view v;
	size_t check;

	if (current.len < 40)
		return;
	if (ip[0] >> 4 == 6) {
		put16(ip + 4, current.len - 40);
	} else {
		if ((ip[0] & 15) < 5)
			ip[0] = 0x45;
		put16(ip + 2, current.len);
		put16(ip + 10, 0);
		put16(ip + 10, ~sum16(0, ip, header_len()));
	}
	if (!view_read(&v, ip, current.len, false) || v.fragment || v.l4 + 8 > v.len)
		return;
	if (v.proto == PROTO_UDP)
		put16(ip + v.l4 + 4, v.len - v.l4);
	check = view_check(&v);
	if (!view_has_check(&v))
		return;
	put16(ip + check, 0);
	put16(ip + check,
	      ~sum16(v.proto == IPPROTO_ICMP ? 0
					     : sum_pseudo(view_addrs(&v), view_addrs_len(&v), v.proto, v.len - v.l4),
		     ip + v.l4, v.len - v.l4));
	if (v.proto == PROTO_UDP && !get16(ip + check))
		put16(ip + check, 0xffff);
}

/* Gives the current packet this family, protocol, addresses and ports. */
static void make_of_tuple(const struct fwd_tuple *t)
{
	bool v4 = addr_is_v4(&t->saddr);
	__u8 *ip = current.ip;
	struct view v;

	if (!view_read(&v, ip, current.len, false) || v.v6 == v4 || v.proto != t->proto || v.l4 + 20 > v.len) {
		/* An ordinary packet in its place. */
		size_t len = current.len < 120 ? 120 : current.len;

		memset(ip, 0, 120);
		current.len = len;
		ip[0] = v4 ? 0x45 : 0x60;
		ip[v4 ? 8 : 7] = 64;
		ip[v4 ? 9 : 6] = t->proto;
		v.l4 = v4 ? 20 : 40;
		if (t->proto == PROTO_TCP) {
			ip[v.l4 + 12] = 0x50;
			ip[v.l4 + 13] = ACK;
		}
		put16(ip + v.l4 + (t->proto == PROTO_TCP ? 16 : 6), 0xffff);
	}
	memcpy(ip + (v4 ? 12 : 8), v4 ? &t->saddr.w[3] : &t->saddr.w[0], v4 ? 4 : 16);
	memcpy(ip + (v4 ? 16 : 24), v4 ? &t->daddr.w[3] : &t->daddr.w[0], v4 ? 4 : 16);
	memcpy(ip + v.l4, &t->sport, 2);
	memcpy(ip + v.l4 + 2, &t->dport, 2);
}

/* An ICMP error about the last packet of the flow, from its receiver or from a router. */
static void make_error(const struct flow *f, const struct step *step, const __u8 *data)
{
	static const __u8 types[2][4] = {{3, 11, 12, 8}, {1, 2, 3, 4}};
	bool v6 = f->ip[0] >> 4 == 6;
	size_t header = v6 ? 40 : 20, quote = step->size && step->size < f->len ? step->size : f->len;
	__u8 *ip = current.ip, *icmp = ip + header;
	struct fwd_addr from = f->out.daddr;

	memset(ip, 0, header + 8);
	ip[0] = v6 ? 0x60 : 0x45;
	ip[v6 ? 7 : 8] = 64;
	ip[v6 ? 6 : 9] = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	if (step->arg & 0x80)
		from.w[3] ^= __constant_htonl(0x40);
	memcpy(ip + (v6 ? 8 : 12), v6 ? &from.w[0] : &from.w[3], v6 ? 16 : 4);
	memcpy(ip + (v6 ? 24 : 16), v6 ? &f->out.saddr.w[0] : &f->out.saddr.w[3], v6 ? 16 : 4);
	icmp[0] = types[v6][step->arg & 3];
	icmp[1] = step->arg >> 2 & 7;
	memcpy(icmp + 8, f->ip, quote);
	current.len = header + 8 + quote;
	for (int i = 0; i + 1 < step->len; i += 2)
		icmp[4 + data[i] % (4 + quote)] = data[i + 1];
	put16(icmp + 2, 0xffff);
	make_sound();
	/* make_sound() leaves the checksum of a packet with a quote to this. */
	put16(icmp + 2, 0);
	put16(icmp + 2, ~sum16(v6 ? sum_pseudo(ip + 8, 32, IPPROTO_ICMPV6, current.len - header) : 0, icmp,
			       current.len - header));
}

/* False: this step has no packet. */
static bool make_packet(struct step *step, const __u8 *data)
{
	const struct flow *f = flow_count ? &flows[step->nth % flow_count] : NULL;

	memcpy(current.ip, data, step->len);
	current.len = step->len;
	if (step->kind == STEP_ERROR) {
		if (!f)
			return false;
		make_error(f, step, data);
		step->where = (step->where & ~WHERE_DEVICE) | f->to;
		return true;
	}
	memset(current.ip + step->len, 0x5a, step->size % PACKET_MORE);
	current.len += step->size % PACKET_MORE;
	if (!f && step->kind > STEP_SOUND)
		return false;
	if (step->kind == STEP_SAME || step->kind == STEP_REPLY) {
		struct fwd_tuple tuple = step->kind == STEP_SAME ? f->in : tuple_reverse(f->out);

		make_of_tuple(&tuple);
		step->where = (step->where & ~WHERE_DEVICE) | (step->kind == STEP_SAME ? f->from : f->to);
	}
	if (step->kind != STEP_RAW)
		make_sound();
	return current.len > 0;
}

/* ---- running ------------------------------------------------------------------------------- */

static void verify_frame(const fwd_ctx *ctx, enum device in, __u32 ifindex, const char *what)
{
	enum device out = DEVICE_OF(ifindex);
	size_t l3 = devices_model[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	struct view v;

	if (out >= ETH2)
		fail("%s: sent to device %u, which is not attached", what, ifindex);
	if (devices_model[out].link == FWD_LINK_ETHERNET)
		l3 = ETHER_LEN;
	if (ctx->len < l3 || !view_read(&v, ctx->data + l3, ctx->len - l3, false))
		fail("%s: malformed", what);
	verify_header(&v, what);
	if (devices_model[out].link == FWD_LINK_ETHERNET && get16(ctx->data + 12) != (v.v6 ? ETH_P_IPV6 : ETH_P_IP))
		fail("%s: Ethernet type", what);
}

/* Reassembles the fragments of the current packet, which arrive in order. The packet may itself be a fragment. */
static struct {
	__u8 header[60], data[65536];
	size_t header_len, len;
	unsigned int flags_offset; /* flags and offset of the received packet */
	bool taken;                /* false: clones may also be kept copies of other fragments */
	bool begun;
} whole;

static void whole_begin(const struct view *was)
{
	whole.flags_offset = was->v6 ? 0 : get16(was->ip + 6);
	whole.taken = !was->v6 && (!was->fragment || was->later);
	whole.begun = false;
}

static void whole_add(const struct view *v)
{
	size_t start = ((get16(v->ip + 6) & 0x1fff) - (whole.flags_offset & 0x1fff)) * 8;
	bool more = get16(v->ip + 6) & 0x2000;

	if (start == 0) {
		whole.begun = true;
		whole.len = 0;
		whole.header_len = v->l4;
		memcpy(whole.header, v->ip, v->l4);
	}
	if (!whole.begun || start != whole.len || (more && (v->len - v->l4) % 8))
		fail("a fragment at %zu of %zu bytes, after %zu", start, v->len - v->l4, whole.len);
	memcpy(whole.data + start, v->ip + v->l4, v->len - v->l4);
	whole.len += v->len - v->l4;
}

static struct view whole_view(void)
{
	static __u8 ip[sizeof(whole.header) + sizeof(whole.data)];
	struct view v;

	memcpy(ip, whole.header, whole.header_len);
	memcpy(ip + whole.header_len, whole.data, whole.len);
	put16(ip + 2, whole.header_len + whole.len);
	put16(ip + 6, whole.flags_offset);
	view_read(&v, ip, whole.header_len + whole.len, false);
	return v;
}

static long take_clone(struct native_ctx *ctx, __u32 ifindex)
{
	size_t l3 = devices_model[DEVICE_OF(ctx->ifindex)].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	struct view v;

	verify_frame(ctx, DEVICE_OF(ctx->ifindex), ifindex, "a copy");
	if (devices_model[DEVICE_OF(ifindex)].link == FWD_LINK_ETHERNET)
		l3 = ETHER_LEN;
	view_read(&v, ctx->data + l3, ctx->len - l3, false);
	if (whole.taken)
		whole_add(&v);
	return 0;
}

/* No packet is larger than the device's MTU, except those that the kernel fragments. */
static void verify_size(const fwd_ctx *ctx, const struct view *was, const struct view *is, enum device out)
{
	bool fixed = was->v6 || get16(was->ip + 6) & 0x4000;

	if (fixed && !ctx->gso_size && world.mtu[out] && is->len > world.mtu[out] &&
	    (was->proto == PROTO_TCP || was->proto == PROTO_UDP))
		fail("%zu bytes were sent to a device of %u", is->len, world.mtu[out]);
}

/* The frame: link header, packet, padding. */
static fwd_ctx ctx_make(const struct step *step)
{
	enum device in = step->where & WHERE_DEVICE;
	size_t l2 = devices_model[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	size_t padding = step->where & WHERE_PADDING ? 1 + step->arg % 46 : 0, pad = l2 ? 2 : 0;
	fwd_ctx ctx = {
		.len = l2 + current.len + padding,
		.ifindex = IFINDEX(in),
		.from_host = (step->where & (WHERE_EGRESS | WHERE_FORWARDED)) == WHERE_EGRESS,
		.not_for_us = step->where & WHERE_NOT_OURS,
		.csum_ipv6 = true,
		.send_clone = take_clone,
	};

	ctx.data = (__u8 *)malloc(pad + ctx.len) + pad;
	if (l2) {
		memcpy(ctx.data, devices_model[in].mac, 6);
		memcpy(ctx.data + 6, devices_model[in].peer, 6);
		put16(ctx.data + 12, current.ip[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	}
	memcpy(ctx.data + l2, current.ip, current.len);
	memset(ctx.data + l2 + current.len, 0xaa, padding);
	return ctx;
}

/* CHECKSUM_PARTIAL, and GSO: as from a process or from GRO. */
static void ctx_offload(fwd_ctx *ctx, const struct step *step, const struct view *v, size_t l2)
{
	if (v->fragment || !view_has_check(v) || (v->proto != PROTO_TCP && v->proto != PROTO_UDP) ||
	    step->kind == STEP_RAW)
		return;
	ctx->summed = NATIVE_CHECKSUM_PARTIAL;
	ctx->csum_at = l2 + view_check(v);
	put16(ctx->data + ctx->csum_at, sum_pseudo(view_addrs(v), view_addrs_len(v), v->proto, v->len - v->l4));
	memcpy(current.ip, ctx->data + l2, current.len);
	if (step->where & WHERE_GSO && current.len > 100) {
		ctx->gso_size = 20 + step->arg * 8;
		ctx->segments = current.len / ctx->gso_size + 1;
	}
}

static void flow_remember(const struct view *was, const struct view *is, enum device in, enum device out)
{
	struct flow *f = &flows[flow_count < FLOWS ? flow_count++ : FLOWS - 1];

	f->in = view_tuple(was);
	f->out = view_tuple(is);
	f->from = in;
	f->to = out;
	f->len = is->len < sizeof(f->ip) ? is->len : sizeof(f->ip);
	memcpy(f->ip, is->ip, f->len);
}

/* A packet that was forwarded, or translated back for a socket of the gateway. */
static void verify_translated(const fwd_ctx *ctx, const struct view *was, enum device in, int action)
{
	bool leaves = action == TC_ACT_REDIRECT;
	enum device out = leaves ? DEVICE_OF(world.redirected) : in;
	size_t l3 = devices_model[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	struct view is;

	if (leaves && !world.redirected)
		fail("redirected without a device");
	verify_frame(ctx, in, IFINDEX(out), "forwarded");
	if (devices_model[out].link == FWD_LINK_ETHERNET)
		l3 = ETHER_LEN;
	view_read(&is, ctx->data + l3, ctx->len - l3, false);
	if (ctx->len - l3 != is.len && !ctx->gso_size)
		fail("link padding was forwarded");
	if (leaves)
		verify_size(ctx, was, &is, out);
	if (whole.begun) {
		whole_add(&is);
		if ((get16(is.ip + 6) ^ whole.flags_offset) & 0x2000)
			fail("the last fragment has the wrong MF flag");
		is = whole_view();
	}
	if (is.ip[is.v6 ? 7 : 8] != was->ip[was->v6 ? 7 : 8] - leaves)
		fail("TTL %d after %d", is.ip[is.v6 ? 7 : 8], was->ip[was->v6 ? 7 : 8]);
	if (was->proto != PROTO_TCP && was->proto != PROTO_UDP) {
		verify_error(was, &is);
		return;
	}
	if (!was->v6 && !whole.taken && is.len != was->len)
		return; /* a first fragment that was fragmented: its fragments and kept copies can't be told apart */
	verify_bytes(was, &is);
	verify_checksum(was, &is, ctx->summed == NATIVE_CHECKSUM_PARTIAL);
	verify_reply(was, &is);
	if (!was->later)
		flow_remember(was, &is, in, out);
}

static void verify_packet(const fwd_ctx *ctx, const struct view *was, const __u8 *before, __u32 before_len,
			  enum device in, enum fwd_reason reason, int action)
{
	size_t l3 = devices_model[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;

	if (world.held)
		fail("%d sockets were not released", world.held);
	if (reason == FWD_OK) {
		verify_translated(ctx, was, in, action);
	} else if (action == TC_ACT_UNSPEC) {
		if (ctx->len != before_len || memcmp(ctx->data, before, before_len))
			fail("a passed packet was changed, reason %d", reason);
	} else if (reason_class(reason) == FWD_CLASS_ICMP_ERROR && action == TC_ACT_REDIRECT) {
		if (ctx->returned_to != ctx->ifindex)
			fail("an ICMP error was not returned");
		verify_icmp_error(was, ctx->data + l3, ctx->len - l3, ctx->summed == NATIVE_CHECKSUM_PARTIAL);
	} else if (action != TC_ACT_SHOT) {
		fail("action %d for reason %d", action, reason);
	}
}

static void run_packet(const struct step *step)
{
	enum device in = step->where & WHERE_DEVICE;
	size_t l2 = devices_model[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
	fwd_ctx ctx = ctx_make(step);
	enum fwd_reason reason;
	int action;
	__u8 *before;
	__u32 before_len;
	struct view was;
	struct ends ends;
	bool readable;

	if (view_read(&was, current.ip, current.len, false) && step->where & WHERE_PARTIAL)
		ctx_offload(&ctx, step, &was, l2);
	before_len = ctx.len;
	before = native_copy(ctx.data, ctx.len);
	/* With the padding, because the length in a header may reach into it. */
	readable = view_read(&was, before + l2, ctx.len - l2, false);
	ends = ends_count();
	fwd_link = devices_model[in].link;
	fwd_device_index = in;
	world.redirected = 0;
	if (readable)
		whole_begin(&was);
	action = step->where & WHERE_EGRESS ? hook_egress(&ctx, &reason)
					    : hook_ingress(&ctx, &reason, world.flags & SETUP_XDP);
	if (reason == FWD_OK && !readable)
		fail("a malformed packet was forwarded");
	verify_packet(&ctx, &was, before, before_len, in, reason, action);
	verify_evicted(&ends);
	free(before);
	free(native_room(&ctx));
}

/* ---- events -------------------------------------------------------------------------------- */

static void run_time(const struct step *step)
{
	if (step->arg & 0x80)
		world_wait(FWD_NSEC / 1000 * (step->arg & 0x7f) * 10);
	else /* up to six days */
		world_wait(FWD_NSEC << step->arg % 20);
	if (step->arg & 0x80)
		world_gc();
	verify_gc();
}

static void run_rule(const struct step *step)
{
	__u32 index = step->nth % RULES;

	if (step->arg % 3 == 0)
		world_rule_add(index);
	else
		world_rule_del(index, step->arg % 3 == 1);
}

static void run_world(const struct step *step)
{
	switch (step->arg % 6) {
	case 0:
		world.flags ^= step->nth;
		break;
	case 1:
		world.sockets = step->nth;
		break;
	case 2:
		world.mtu[step->where & WHERE_DEVICE] = step->size;
		world_wait(2 * FWD_NSEC); /* a connection caches the old MTU for a second */
		break;
	case 3:
		world_setting(step->nth, step->size);
		break;
	case 4:
		world.random_bits = step->nth;
		break;
	case 5: /* `conn flush` of one connection */
		if (flow_count) {
			const struct fwd_tuple key = flows[step->nth % flow_count].in;
			int entry = table_find(&key);

			if (entry >= 0)
				conn_end_found(entry, &key, FWD_END_FLUSHED);
		}
		break;
	}
}

static void run_step(struct step *step, const __u8 *data)
{
	step->kind %= STEP_MAX;
	/* There is no program on eth2. */
	if ((step->where & WHERE_DEVICE) == ETH2)
		step->where ^= ETH2;
	switch (step->kind) {
	case STEP_TIME:
		run_time(step);
		break;
	case STEP_RULE:
		run_rule(step);
		break;
	case STEP_WORLD:
		run_world(step);
		break;
	default:
		if (make_packet(step, data))
			run_packet(step);
	}
	verify_table();
}

/* All connections expire. */
static void run_out(void)
{
	struct fwd_config *c = config_get();

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++)
		c->timeout[i] = FWD_TICKS(FWD_TIMEOUT_MAX_SEC);
	world_wait((FWD_TIMEOUT_MAX_SEC + 1) * FWD_NSEC);
	if (verify_table())
		fail("connections are left");
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t size)
{
	struct script_setup setup;
	size_t at = sizeof(setup);
	struct step step;
	const __u8 *data;

	if (size < sizeof(setup))
		return 0;
	memcpy(&setup, bytes, sizeof(setup));
	flow_count = 0;
	world_start(&setup);
	for (int i = 0; i < SCRIPT_STEPS_MAX && script_next(bytes, size, &at, &step, &data); i++)
		run_step(&step, data);
	run_out();
	native_maps_clear();
	return 0;
}

#pragma clang attribute pop
