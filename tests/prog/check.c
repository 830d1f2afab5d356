/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include "check.h"

const char *const reason_names[FWD_REASON_MAX] = {
#define X(symbol, value, name, class, text) [FWD_##symbol] = name,
	FWD_REASONS(X)
#undef X
};

const char *verdict_name(int verdict)
{
	return verdict == TC_ACT_REDIRECT ? "redirect"
	       : verdict == TC_ACT_UNSPEC ? "pass"
	       : verdict == TC_ACT_SHOT   ? "drop"
					  : "nonsense";
}

/* Offset of the IP packet in the output. */
static size_t fate_l3(enum device in, const struct fate *fate)
{
	if (devices[in].link == FWD_LINK_ETHERNET)
		return ETHER_LEN;
	return fate->type == FATE_LEAVES && devices[fate->out].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0;
}

static void endpoint_text(char *text, size_t size, bool v6, const __u8 *addr, int port)
{
	if (v6)
		snprintf(text, size, "[%x:%x:%x:%x:%x:%x:%x:%x]:%d", get16(addr), get16(addr + 2), get16(addr + 4),
			 get16(addr + 6), get16(addr + 8), get16(addr + 10), get16(addr + 12), get16(addr + 14), port);
	else
		snprintf(text, size, "%d.%d.%d.%d:%d", addr[0], addr[1], addr[2], addr[3], port);
}

const char *frame_flow(const struct frame *f, size_t l3)
{
	static char text[200];
	const __u8 *ip = f->data + l3;
	bool v6 = ip[0] >> 4 == 6;
	char src[80], dst[80];

	endpoint_text(src, sizeof(src), v6, ip + (v6 ? 8 : 12), get16(ip + (v6 ? 40 : 20)));
	endpoint_text(dst, sizeof(dst), v6, ip + (v6 ? 24 : 16), get16(ip + (v6 ? 42 : 22)));
	snprintf(text, sizeof(text), "%s > %s", src, dst);
	return text;
}

const char *flow_out(const struct result *r, enum device in, enum device out)
{
	struct fate fate = LEAVES_BY(out, NULL);

	return frame_flow(&r->out, fate_l3(in, &fate));
}

const char *reverse_of(const char *flow)
{
	static char text[4][200];
	static int next;
	const char *arrow = strstr(flow, " > ");
	char *back = text[next++ % 4];

	snprintf(back, sizeof(text[0]), "%s > %.*s", arrow + 3, (int)(arrow - flow), flow);
	return back;
}

/* The expected output, made from the input: new addresses and ports, TTL, link header. */
static void fate_frame(struct frame *want, enum device in, const struct packet *p, const struct fate *fate,
		       const struct frame *before)
{
	struct packet out = *p;
	int ttl = p->ttl ? p->ttl : TTL_NORMAL;
	bool ethernet_out = devices[fate->out].link == FWD_LINK_ETHERNET;

	out.flow = fate->flow;
	out.padding = out.tags = 0; /* belong to the link */
	if (fate->type == FATE_LEAVES)
		out.ttl = ttl - 1;
	if (fate->type == FATE_LEAVES && ethernet_out) {
		packet_build(want, &out, devices[fate->out].peer, devices[fate->out].mac);
	} else if (devices[in].link == FWD_LINK_ETHERNET) {
		/* bpf_redirect() removes the header later. */
		packet_build(want, &out, before->data, before->data + 6);
	} else {
		packet_build(want, &out, NULL, NULL);
	}
}

static void check_bytes(const char *what, enum device in, const struct packet *p, const struct fate *fate,
			const struct result *r)
{
	size_t l3 = fate_l3(in, fate);
	struct fate known = *fate;
	const char *wrong;
	struct frame want;

	if (fate->type == FATE_UNTOUCHED) {
		wrong = frame_difference(r->out.data, r->out.len, r->in.data, r->in.len);
		cr_expect(!wrong, "%s: a passed packet was changed: %s", what, wrong);
		return;
	}
	if (fate->type == FATE_DROPPED)
		return;
	/* Any flow is accepted: the rest must then match the packet's own flow. */
	if (!fate->flow)
		known.flow = frame_flow(&r->out, l3);
	fate_frame(&want, in, p, &known, &r->in);
	wrong = frame_difference(r->out.data, r->out.len, want.data, want.len);
	cr_expect(!wrong, "%s: not %s: %s", what, known.flow, wrong);
	wrong = packet_wrong(r->out.data + l3, r->out.len - l3);
	cr_expect(!wrong, "%s: %s", what, wrong);
}

static void check_route(const char *what, const struct packet *p, const struct fate *fate)
{
	struct entry conn;

	if (!conn_get(p->flow, p->proto, &conn)) {
		cr_expect_fail("%s: no connection", what);
		return;
	}
	cr_expect(route_ifindex(&conn.flow.route) == (__u32)gw.ifindex[fate->out], "%s: leaves by device %u", what,
		  route_ifindex(&conn.flow.route));
	cr_expect(route_link(&conn.flow.route) == devices[fate->out].link, "%s: kind of link", what);
}

void check_reasons(const char *what, const __u64 *before, const char *reason)
{
	__u64 after[FWD_REASON_MAX];

	reasons_read(after);
	for (int i = 0; i < FWD_REASON_MAX; i++) {
		__u64 want = reason && !strcmp(reason, reason_names[i]);

		cr_expect(after[i] - before[i] == want, "%s: \"%s\" incremented by %llu instead of %llu", what,
			  reason_names[i], after[i] - before[i], want);
	}
}

static void check_icmp_error_ip(const char *what, const struct icmp_error *a, const __u8 *ip, const __u8 *packet,
				size_t len)
{
	bool v6 = ip[0] >> 4 == 6;
	const __u8 *icmp = ip + (v6 ? 40 : 20);
	__u8 from[4];

	if (v6) {
		cr_expect(get16(ip + 4) == len - 40, "%s: length", what);
		cr_expect(!memcmp(ip + 8, packet + 24, 16), "%s: source", what);
		cr_expect(!memcmp(ip + 24, packet + 8, 16), "%s: destination", what);
		cr_expect(sum16(sum_pseudo(ip + 8, 32, 58, len - 40), icmp, len - 40) == 0xffff, "%s: ICMPv6 checksum",
			  what);
		return;
	}
	memcpy(from, packet + 16, sizeof(from));
	if (a->from)
		cr_assert(inet_pton(2, a->from, from) == 1);
	/* Internetwork control, and the packet's own type of service (RFC 1812 4.3.2.5). */
	cr_expect(ip[1] == (0xc0 | (packet[1] & 0x1e)), "%s: TOS %#x", what, ip[1]);
	cr_expect(get16(ip + 2) == len, "%s: length", what);
	cr_expect(!memcmp(ip + 12, from, 4), "%s: source", what);
	cr_expect(!memcmp(ip + 16, packet + 12, 4), "%s: destination", what);
	cr_expect(sum16(0, ip, 20) == 0xffff, "%s: header checksum", what);
	cr_expect(sum16(0, icmp, len - 20) == 0xffff, "%s: ICMP checksum", what);
}

void check_icmp_error(const char *what, enum device in, const struct packet *p, const struct icmp_error *a)
{
	bool v6 = p->flow[0] == '[';
	size_t header = v6 ? 40 : 20, l3 = devices[in].link == FWD_LINK_ETHERNET ? ETHER_LEN : 0, len;
	size_t in_l3 = l3 + 4 * p->tags;
	__u64 reasons[FWD_REASON_MAX];
	const __u8 *icmp;
	struct result r;

	reasons_read(reasons);
	run(in, INGRESS, p, &r);
	cr_expect(r.verdict == TC_ACT_REDIRECT, "%s: %s", what, verdict_name(r.verdict));
	check_reasons(what, reasons, a->reason);
	cr_expect(!l3 || (!memcmp(r.out.data, r.in.data + 6, 6) && !memcmp(r.out.data + 6, r.in.data, 6)),
		  "%s: MAC addresses", what);
	len = r.out.len - l3;
	cr_assert(len == (v6 ? 1280 : 576) || len == r.in.len - in_l3 + header + 8, "%s: %zu bytes", what, len);
	check_icmp_error_ip(what, a, r.out.data + l3, r.in.data + in_l3, len);
	icmp = r.out.data + l3 + header;
	cr_expect(icmp[0] == a->type && icmp[1] == a->code, "%s: type %u, code %u", what, icmp[0], icmp[1]);
	cr_expect(get16(icmp + 6) == a->info, "%s: MTU %u", what, get16(icmp + 6));
	cr_expect(!memcmp(icmp + 8, r.in.data + in_l3, len - header - 8), "%s: quote", what);
}

const struct result *packet_at(const char *what, enum device in, enum hook hook, struct packet p, struct fate fate)
{
	static const int verdicts[] = {
		[FATE_LEAVES] = TC_ACT_REDIRECT,
		[FATE_STAYS] = TC_ACT_UNSPEC,
		[FATE_UNTOUCHED] = TC_ACT_UNSPEC,
		[FATE_DROPPED] = TC_ACT_SHOT,
	};
	static struct result r;
	__u64 reasons[FWD_REASON_MAX], packets = device_packets(devices[in].link);

	if (fate.type == FATE_ICMP_ERROR) {
		check_icmp_error(what, in, &p, &(struct icmp_error){fate.icmp_type, fate.code, 0, fate.reason});
		return &r;
	}
	reasons_read(reasons);
	run_summed(in, hook, &p, nic_can_sum(in, &p, fate.type != FATE_LEAVES), &r);
	if (r.verdict != verdicts[fate.type]) {
		cr_expect_fail("%s: %s instead of %s", what, verdict_name(r.verdict),
			       verdict_name(verdicts[fate.type]));
		check_reasons(what, reasons, fate.reason);
		return &r;
	}
	check_bytes(what, in, &p, &fate, &r);
	if (fate.type == FATE_LEAVES)
		check_route(what, &p, &fate);
	check_reasons(what, reasons, fate.reason);
	if (hook == INGRESS)
		cr_expect(device_packets(devices[in].link) - packets == (__u64)(p.gso_segs ? p.gso_segs : 1),
			  "%s: packets of the device", what);
	return &r;
}

const struct result *arrives(const char *what, enum device in, struct packet p, struct fate fate)
{
	return packet_at(what, in, INGRESS, p, fate);
}
