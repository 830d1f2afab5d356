/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "compare.h"
#include "facts.h"

/* ---- ports ---- */

#define UNKNOWN_PORT 601 /* neither gateway chooses one below 1024 by chance */

struct port_question {
	struct sequence *s;
	enum gateway g;
	const struct conn *first; /* preferred if two connections match */
};

/* The address is the source that the connection's target sees. Without SNAT it is the client's, which has it in other
 * packets, too. */
static bool is_source(const struct conn *c, const struct addr *own, const struct addr *other, uint16_t other_port)
{
	return addr_equal(own, &c->source) &&
	       (c->map->snat || (addr_equal(other, &c->target) && other_port == c->tport));
}

static bool real_port(void *arg, uint8_t proto, const struct addr *own, const struct addr *other, uint16_t other_port,
		      uint16_t *port)
{
	struct port_question *q = arg;
	unsigned i = *port - VIRTUAL_PORT;
	struct conn *c = &q->s->conn[i];

	if (*port < VIRTUAL_PORT || i >= q->s->conn_count || c->proto != proto || !is_source(c, own, other, other_port))
		return false;
	/* Before the client's first packet: a port that no connection has. */
	*port = c->source_port[q->g] ? c->source_port[q->g] : UNKNOWN_PORT + i;
	return true;
}

void compare_make_real(struct sequence *s, const struct step *step, enum gateway g, struct packet *p)
{
	struct port_question q = {s, g, NULL};

	p->len = step->packet.len;
	memcpy(p->data, step->packet.data, p->len);
	packet_rename(p, real_port, &q);
}

static bool virtual_port(void *arg, uint8_t proto, const struct addr *own, const struct addr *other,
			 uint16_t other_port, uint16_t *port)
{
	struct port_question *q = arg;
	const struct conn *c, *best = NULL;
	int fit, best_fit = 0;
	unsigned i;

	for (i = 0; i < q->s->conn_count; i++) {
		c = &q->s->conn[i];
		if (c->proto != proto || c->source_port[q->g] != *port || !is_source(c, own, other, other_port))
			continue;
		fit = 1 + (c == q->first);
		if (addr_equal(other, &c->target) && other_port == c->tport)
			fit += 2;
		if (fit > best_fit) {
			best = c;
			best_fit = fit;
		}
	}
	if (best)
		i = best - q->s->conn;
	else if (*port >= UNKNOWN_PORT && *port < UNKNOWN_PORT + q->s->conn_count &&
		 is_source(&q->s->conn[*port - UNKNOWN_PORT], own, other, other_port))
		i = *port - UNKNOWN_PORT;
	else
		return false;
	*port = VIRTUAL_PORT + i;
	return true;
}

static bool is_syn(const struct packet *p)
{
	struct layout l;

	return packet_layout(p->data, p->len, &l) && l.proto == PROTO_TCP && !l.frag_at && l.end >= l.l4 + 14 &&
	       p->data[l.l4 + 13] & TCP_SYN;
}

/* Notes the source port that the gateway chose. False: it did not forward the packet. */
static bool learn(struct conn *c, enum gateway g, const struct outs *outs)
{
	bool sent = false;
	unsigned i;

	for (i = 0; i < outs->count; i++) {
		const struct packet *p = &outs->out[i].packet;
		struct addr src, dst;
		struct layout l;

		if (outs->out[i].side != INSIDE || !packet_layout(p->data, p->len, &l) || l.proto != c->proto ||
		    l.frag_at || l.end < l.l4 + 4)
			continue;
		src = addr_of(p->data, false);
		dst = addr_of(p->data, true);
		if (!addr_equal(&src, &c->source) || !addr_equal(&dst, &c->target) ||
		    get16(p->data + l.l4 + 2) != c->tport)
			continue;
		sent = true;
		c->forwarded_by_nft |= g == NFT;
		c->source_port[g] = get16(p->data + l.l4);
	}
	return sent;
}

static bool is_alive(const struct conn *c)
{
	return c->proto == PROTO_UDP || (c->acked && !c->rst && !c->fin[CLIENT] && !c->fin[TARGET]);
}

/* Another live connection with the same source port to the same target; NULL: none. */
static const struct conn *shares_port(const struct sequence *s, const struct conn *c, enum gateway g)
{
	unsigned i;

	for (i = 0; i < s->conn_count; i++) {
		const struct conn *o = &s->conn[i];

		if (o != c && addr_equal(&o->source, &c->source) && o->proto == c->proto && is_alive(o) &&
		    addr_equal(&o->target, &c->target) && o->tport == c->tport && c->source_port[g] &&
		    o->source_port[g] == c->source_port[g])
			return o;
	}
	return NULL;
}

/* ---- reassembly ---- */

/* Fragments are reassembled before they are compared, because the sizes of fragments are the gateway's choice.
 * Incomplete datagrams are not compared. */
#define WHOLES_MAX 64

struct whole {
	bool used;
	enum side side;
	struct addr src, dst;
	uint8_t proto;
	uint32_t id;
	unsigned header, total; /* bytes; total 0: the last fragment is missing */
	bool first;             /* the first fragment is there */
	struct packet packet;   /* header of the first fragment, then the payload */
	bool have[PACKET_MAX / 8 + 1];
};

static struct whole wholes[GATEWAYS][WHOLES_MAX];

void compare_begin(void)
{
	unsigned g, i;

	for (g = 0; g < GATEWAYS; g++)
		for (i = 0; i < WHOLES_MAX; i++)
			wholes[g][i].used = false;
}

static struct whole *whole_find(enum gateway g, enum side side, const struct packet *p, const struct layout *l)
{
	struct addr src = addr_of(p->data, false), dst = addr_of(p->data, true);
	struct whole *w, *empty = NULL;
	unsigned i;

	for (i = 0; i < WHOLES_MAX; i++) {
		w = &wholes[g][i];
		if (!w->used)
			empty = empty ? empty : w;
		else if (w->side == side && w->id == l->frag_id && w->proto == l->proto && addr_equal(&w->src, &src) &&
			 addr_equal(&w->dst, &dst))
			return w;
	}
	if (!empty)
		return NULL;
	memset(empty, 0, sizeof(*empty));
	empty->used = true;
	empty->side = side;
	empty->src = src;
	empty->dst = dst;
	empty->proto = l->proto;
	empty->id = l->frag_id;
	return empty;
}

static void whole_finish(struct whole *w, struct packet *p)
{
	p->len = w->header + w->total;
	memcpy(p->data, w->packet.data, p->len);
	if (p->data[0] >> 4 == 4) {
		put16(p->data + 6, get16(p->data + 6) & 0xc000);
		put16(p->data + 2, p->len);
		packet_fix_ip_sum(p->data);
	} else {
		put16(p->data + 4, p->len - 40);
	}
	w->used = false;
}

/* Adds a fragment. True: *p is now the complete datagram. */
static bool whole_add(enum gateway g, enum side side, struct packet *p, const struct layout *l)
{
	struct whole *w = whole_find(g, side, p, l);
	unsigned header = l->frag_header ? l->frag_header : l->l4, size = l->end - l->l4, i;

	/* The header, without a fragment header, needs room in front. */
	if (!w || l->frag_at + size + 64 > PACKET_MAX)
		return false;
	if (!l->more)
		w->total = l->frag_at + size;
	if (!l->frag_at) {
		uint8_t body[PACKET_MAX];

		memcpy(body, w->packet.data + w->header, PACKET_MAX - 64);
		memcpy(w->packet.data, p->data, header);
		memcpy(w->packet.data + header, body, PACKET_MAX - 64);
		if (l->frag_header)
			w->packet.data[l->frag_next] = l->proto;
		w->header = header;
		w->first = true;
	}
	memcpy(w->packet.data + w->header + l->frag_at, p->data + l->l4, size);
	for (i = l->frag_at / 8; i < (l->frag_at + size + 7) / 8; i++)
		w->have[i] = true;
	if (!w->first || !w->total)
		return false;
	for (i = 0; i < (w->total + 7) / 8; i++)
		if (!w->have[i])
			return false;
	whole_finish(w, p);
	return true;
}

static void reassemble(enum gateway g, struct outs *outs)
{
	unsigned i, kept = 0;

	for (i = 0; i < outs->count; i++) {
		struct out *out = &outs->out[i];
		struct layout l;

		if (packet_layout(out->packet.data, out->packet.len, &l) && l.fragment &&
		    !whole_add(g, out->side, &out->packet, &l))
			continue;
		if (kept != i)
			outs->out[kept] = *out;
		kept++;
	}
	outs->count = kept;
}

/* "Fragment reassembly time exceeded", which a gateway's stack sends at any time. */
static bool is_fragment_timeout(const struct packet *p)
{
	struct layout l;

	return packet_layout(p->data, p->len, &l) && packet_is_icmp_error(p->data, &l) &&
	       p->data[l.l4] == (l.family == 4 ? 11 : 3) && p->data[l.l4 + 1] == 1;
}

/* Removes such errors, but not one that the step itself injected, recognized by its length. */
static void drop_timeouts(const struct step *step, struct outs *outs)
{
	unsigned i, kept = 0;

	for (i = 0; i < outs->count; i++) {
		if (is_fragment_timeout(&outs->out[i].packet) &&
		    !(is_fragment_timeout(&step->packet) && outs->out[i].packet.len == step->packet.len))
			continue;
		if (kept != i)
			outs->out[kept] = outs->out[i];
		kept++;
	}
	outs->count = kept;
}

/* ---- comparison ---- */

/* True for a packet that the gateway created: it chooses identification, DF and TTL. */
static bool is_made_here(const struct step *step, const struct packet *p)
{
	struct layout in, out;
	const uint8_t *ti = step->packet.data, *to = p->data;

	if (!packet_layout(p->data, p->len, &out))
		return false;
	if (!packet_layout(step->packet.data, step->packet.len, &in))
		return true;
	ti += in.l4;
	to += out.l4;
	if (packet_is_icmp_error(p->data, &out))
		return !packet_is_icmp_error(step->packet.data, &in) || ti[0] != to[0];
	if (out.proto == PROTO_TCP && out.end >= out.l4 + 20 && to[13] & TCP_RST)
		return in.proto != PROTO_TCP || in.end < in.l4 + 20 || !(ti[13] & TCP_RST);
	if (out.proto == PROTO_ICMP || out.proto == PROTO_ICMPV6)
		return in.proto != out.proto || ti[0] != to[0];
	return false;
}

/* Clears the timestamp option of an IP header; `check` is the checksum that covers it. */
static void forget_time(uint8_t *ip, unsigned len, uint8_t *check)
{
	unsigned header = (ip[0] & 15) * 4;
	uint8_t before[40];

	if (len < header || header <= 24 || ip[0] >> 4 != 4 || ip[20] != 0x44)
		return;
	memcpy(before, ip + 24, header - 24);
	memset(ip + 24, 0, header - 24);
	sum_replace(check, before, ip + 24, header - 24);
}

/* Clears timestamps, which the two stacks write at different times. */
static void forget_times(struct packet *p)
{
	struct layout l;

	forget_time(p->data, p->len, p->data + 10);
	if (packet_layout(p->data, p->len, &l) && packet_is_icmp_error(p->data, &l) && l.end > l.l4 + 28)
		forget_time(p->data + l.l4 + 8, l.end - l.l4 - 8, p->data + l.l4 + 2);
}

/* A stack that forwards a reassembled datagram chooses another identification. */
static void forget_identification(const struct step *step, struct packet *p)
{
	struct layout l;

	if ((step->mangled & MANGLE_FRAGMENTS) && packet_layout(p->data, p->len, &l) && l.frag_header)
		put32(p->data + l.frag_header + 4, 0);
}

static void mask(const struct step *step, struct packet *p)
{
	forget_times(p);
	forget_identification(step, p);
	if (!is_made_here(step, p))
		return;
	if (p->data[0] >> 4 == 4) {
		put32(p->data + 4, 0);
		p->data[8] = 64;
		packet_fix_ip_sum(p->data);
	} else {
		p->data[7] = 64;
	}
}

bool compare_same_packet(const struct step *step, const struct packet *a, const struct packet *b)
{
	struct packet x = *a, y = *b;

	mask(step, &x);
	mask(step, &y);
	return x.len == y.len && !memcmp(x.data, y.data, x.len);
}

/* Packet n of one side; the order across the two sides is arbitrary. */
static const struct out *nth(const struct outs *outs, enum side side, unsigned n)
{
	unsigned i;

	for (i = 0; i < outs->count; i++)
		if (outs->out[i].side == side && !n--)
			return &outs->out[i];
	return NULL;
}

static bool same_side(const struct step *step, enum side side)
{
	const struct out *a, *b;
	unsigned n;

	for (n = 0;; n++) {
		a = nth(&step->outs[NFT], side, n);
		b = nth(&step->outs[FWD], side, n);
		if (!a || !b)
			return !a && !b;
		if (a->wrong_macs != b->wrong_macs || !compare_same_packet(step, &a->packet, &b->packet))
			return false;
	}
}

bool compare_has_wrong_sums(const struct step *step, enum gateway g)
{
	unsigned i;

	for (i = 0; i < step->outs[g].count; i++)
		if (!packet_sums_right(step->outs[g].out[i].packet.data, step->outs[g].out[i].packet.len))
			return true;
	return false;
}

/* The connection whose virtual port the packet is sent to. */
static const struct conn *addressed(const struct sequence *s, const struct step *step)
{
	struct layout l;
	unsigned i;

	if (!packet_layout(step->packet.data, step->packet.len, &l) || l.frag_at || l.end < l.l4 + 4)
		return NULL;
	i = get16(step->packet.data + l.l4 + 2) - VIRTUAL_PORT;
	return i < s->conn_count ? &s->conn[i] : NULL;
}

static bool is_too_long(const struct outs *outs)
{
	unsigned i;

	for (i = 0; i < outs->count; i++)
		if (outs->out[i].packet.len > world_mtu(outs->out[i].side))
			return true;
	return false;
}

bool compare_step(struct sequence *s, struct step *step, char *why, size_t size)
{
	enum end end = CLIENT;
	struct conn *c = model_conn_of(s, &step->packet, &end);
	struct conn *of_target = end == TARGET ? c : NULL;
	const bool fragments = step->mangled & MANGLE_FRAGMENTS;
	unsigned g, i;
	bool kept[GATEWAYS], sent = false;

	if (end != CLIENT)
		c = NULL;
	if (!c && fragments && step->end == CLIENT)
		c = step->conn;
	step->same_packets = false;
	step->same_ports = true;
	if (is_too_long(&step->outs[FWD]) && !is_too_long(&step->outs[NFT])) {
		snprintf(why, size, "larger than the MTU");
		return false;
	}
	for (g = 0; g < GATEWAYS; g++)
		drop_timeouts(step, &step->outs[g]);
	for (g = 0; g < GATEWAYS; g++) {
		struct port_question q = {s, g, c ? c : step->conn ? step->conn : addressed(s, step)};

		if (c)
			sent |= learn(c, g, &step->outs[g]);
		reassemble(g, &step->outs[g]);
		for (i = 0; i < step->outs[g].count; i++)
			packet_rename(&step->outs[g].out[i].packet, virtual_port, &q);
		kept[g] = c && c->source_port[g] == c->cport;
	}
	if (c && is_syn(&step->packet))
		c->syn_refused = !sent;
	if (of_target && is_syn(&step->packet) && !fact_is_by_stack(step, FWD))
		for (i = 0; i < step->outs[FWD].count; i++)
			of_target->target_syn |= is_syn(&step->outs[FWD].out[i].packet);
	step->same_ports = !c || !c->source_port[NFT] || !c->source_port[FWD] || kept[NFT] == kept[FWD];
	step->same_packets = same_side(step, OUTSIDE) && same_side(step, INSIDE);
	if (!step->same_packets) {
		snprintf(why, size, "packets");
		return false;
	}
	if (!step->same_ports) {
		snprintf(why, size, "port %s", kept[FWD] ? "kept by fwdctl alone" : "kept by nft alone");
		return false;
	}
	if (c && shares_port(s, c, FWD) && !shares_port(s, c, NFT)) {
		snprintf(why, size, "port shared with connection %u", (unsigned)(shares_port(s, c, FWD) - s->conn));
		return false;
	}
	if (!step->mangled && packet_sums_right(step->packet.data, step->packet.len) &&
	    compare_has_wrong_sums(step, FWD)) {
		snprintf(why, size, "wrong checksum in both");
		return false;
	}
	return true;
}

void compare_kinds(const struct step *step, enum gateway g, char *text, size_t size)
{
	size_t n = 0;
	unsigned i;

	text[0] = 0;
	for (i = 0; i < step->outs[g].count && n + 40 < size; i++) {
		const struct out *out = &step->outs[g].out[i];
		struct layout l;

		n += snprintf(text + n, size - n, "%s%s", i ? " " : "", out->side == INSIDE ? "in:" : "out:");
		if (!packet_layout(out->packet.data, out->packet.len, &l))
			n += snprintf(text + n, size - n, "unreadable");
		else if (l.proto == PROTO_ICMP || l.proto == PROTO_ICMPV6)
			n += snprintf(text + n, size - n, "icmp%u/%u", out->packet.data[l.l4],
				      out->packet.data[l.l4 + 1]);
		else if (l.proto == PROTO_TCP && is_made_here(step, &out->packet))
			n += snprintf(text + n, size - n, "rst");
		else
			n += snprintf(text + n, size - n, "%s", l.proto == PROTO_TCP ? "tcp" : "udp");
	}
}
