/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "actions.h"
#include "mangle.h"
#include "neighbour.h"
#include "send.h"
#include "spec.h"

/* The target rarely sends first. */
static enum end any_end(const struct conn *c)
{
	return c->has_sent || chance(8) ? below(2) : CLIENT;
}

static void follow(struct conn *c, enum end end, const struct spec *spec)
{
	c->next[end] = spec->seq + spec->payload_len + !!(spec->flags & TCP_SYN) + !!(spec->flags & TCP_FIN);
	c->syn[end] |= !!(spec->flags & TCP_SYN);
	c->fin[end] |= !!(spec->flags & TCP_FIN);
	c->rst |= !!(spec->flags & TCP_RST);
	if (end == CLIENT && (spec->flags & TCP_ACK) && c->syn[TARGET])
		c->acked = true;
}

static bool send_conn(struct sequence *s, struct conn *c, enum end end, struct spec *spec, const char *what,
		      take_step take)
{
	struct step *step = step_begin(end == CLIENT ? c->side : INSIDE, c, end);

	step_describe(step, "%s from %s of %u", what, end == CLIENT ? "client" : "target", (unsigned)(c - s->conn));
	if (c->proto == PROTO_TCP)
		follow(c, end, spec);
	c->has_sent |= end == CLIENT;
	return send_spec(s, spec, step, take);
}

static bool send_udp(struct sequence *s, struct conn *c, enum end end, take_step take)
{
	struct spec spec;

	spec_conn(&spec, s, c, end);
	spec.payload_len = spec_payload_len();
	return send_conn(s, c, end, &spec, "datagram", take);
}

static bool send_tcp(struct sequence *s, struct conn *c, enum end end, uint8_t flags, unsigned len, const char *what,
		     take_step take)
{
	struct spec spec;

	spec_conn(&spec, s, c, end);
	spec.flags = flags;
	if (flags & TCP_ACK)
		spec.ack = c->next[!end];
	spec.payload_len = len;
	if (flags & TCP_SYN)
		spec_syn_options(&spec);
	else if (chance(40)) {
		static const uint8_t stamp[] = {1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6};

		spec_add_tcp_option(&spec, stamp, sizeof(stamp));
	}
	return send_conn(s, c, end, &spec, what, take);
}

static bool send_syn(struct sequence *s, struct conn *c, take_step take)
{
	if (!c->syn[CLIENT] || c->rst || c->fin[CLIENT]) {
		c->next[CLIENT] = rnd();
		c->next[TARGET] = rnd();
		c->syn[TARGET] = c->target_syn = c->rst = c->acked = c->fin[CLIENT] = c->fin[TARGET] = false;
	}
	return send_tcp(s, c, CLIENT, TCP_SYN | (chance(5) ? 0xc0 : 0), chance(3) ? 50 : 0, "SYN", take);
}

/* The next packet of a well-behaved connection. */
static bool act_next(struct sequence *s, struct conn *c, take_step take)
{
	enum end end = any_end(c);

	if (c->proto == PROTO_UDP)
		return send_udp(s, c, end, take);
	if (!c->syn[CLIENT] || c->rst)
		return send_syn(s, c, take);
	if (!c->syn[TARGET])
		return send_tcp(s, c, TARGET, TCP_SYN | TCP_ACK, 0, "SYN-ACK", take);
	if (!c->acked)
		return send_tcp(s, c, CLIENT, TCP_ACK, chance(20) ? spec_payload_len() : 0, "ACK", take);
	if (c->fin[CLIENT] && c->fin[TARGET])
		return chance(40) ? send_syn(s, c, take) : send_tcp(s, c, end, TCP_ACK, 0, "last ACK", take);
	if (c->fin[end])
		return send_tcp(s, c, !end, TCP_ACK, chance(30) ? spec_payload_len() : 0, "ACK of FIN", take);
	if (chance(15))
		return send_tcp(s, c, end, TCP_FIN | TCP_ACK, chance(30) ? 100 : 0, "FIN", take);
	return send_tcp(s, c, end, TCP_ACK | TCP_PSH, spec_payload_len(), "data", take);
}

static bool act_handshake(struct sequence *s, take_step take)
{
	struct conn *c = model_new_conn(s);
	int i, rounds = 3 + below(4);

	for (i = 0; i < rounds; i++)
		if (!act_next(s, c, take))
			return false;
	return true;
}

static bool act_repeat(struct sequence *s, take_step take)
{
	struct step *step;
	const struct seen *old;

	if (!s->sent_count)
		return act_handshake(s, take);
	old = &s->sent[below(s->sent_count)];
	/* A single fragment is not forwarded. */
	if (old->mangled & MANGLE_FRAGMENTS)
		return act_handshake(s, take);
	step = step_begin(old->side, NULL, CLIENT);
	step->packet = old->packet;
	step->mangled = old->mangled;
	step_describe(step, "an earlier packet repeated");
	return send_built(s, step, take);
}

static bool act_odd_tcp(struct sequence *s, take_step take)
{
	static const uint8_t flags[] = {0,
					TCP_FIN,
					TCP_RST,
					TCP_ACK,
					TCP_SYN | TCP_ACK,
					TCP_SYN | TCP_FIN,
					TCP_RST | TCP_ACK,
					TCP_FIN | TCP_PSH | TCP_URG,
					TCP_SYN,
					TCP_SYN | TCP_RST,
					TCP_FIN | TCP_ACK,
					0xff,
					TCP_URG | TCP_ACK,
					TCP_PSH};
	struct conn *c = model_any_conn(s);
	enum end end = any_end(c);
	struct spec spec;

	if (c->proto != PROTO_TCP)
		return send_udp(s, c, end, take);
	spec_conn(&spec, s, c, end);
	spec.flags = PICK(flags);
	if (chance(50))
		spec.seq += below(200000) - 100000;
	else if (chance(20))
		spec.seq = rnd();
	spec.ack = chance(70) ? c->next[!end] : rnd();
	spec.payload_len = chance(30) ? spec_payload_len() : 0;
	return send_conn(s, c, end, &spec, "odd segment", take);
}

static bool act_reset(struct sequence *s, take_step take)
{
	struct conn *c = model_any_conn(s);
	enum end end = any_end(c);

	if (c->proto != PROTO_TCP)
		return send_udp(s, c, end, take);
	return send_tcp(s, c, end, TCP_RST | (chance(50) ? TCP_ACK : 0), 0, "RST", take);
}

static bool act_reopen(struct sequence *s, take_step take)
{
	struct conn *c = model_any_conn(s);

	return c->proto == PROTO_TCP ? send_syn(s, c, take) : send_udp(s, c, CLIENT, take);
}

/* From the inside to the source address of a connection, from the wrong host, or from or to the wrong port. */
static bool act_wrong_inner(struct sequence *s, take_step take)
{
	struct conn *c = model_any_conn(s);
	struct spec spec;
	struct step *step;

	spec_conn(&spec, s, c, TARGET);
	switch (below(3)) {
	case 0:
		spec.src = model_inner_host(c->family, 2 + below(4));
		if (addr_equal(&spec.src, &c->target))
			spec.src = model_inner_host(c->family, 5);
		break;
	case 1:
		spec.sport += 1 + below(3);
		break;
	default:
		spec.dport = 20000 + below(30000);
	}
	spec.flags = PICK(((uint8_t[]){TCP_SYN, TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST}));
	spec.payload_len = below(40);
	step = step_begin(INSIDE, NULL, TARGET);
	step_describe(step, "wrong packet from the inside to %u", (unsigned)(c - s->conn));
	return send_spec(s, &spec, step, take);
}

static struct conn *conn_by_output(struct sequence *s, const struct packet *p, enum end *sender)
{
	struct addr src = addr_of(p->data, false), dst = addr_of(p->data, true);
	uint16_t sport, dport;
	struct layout l;
	unsigned i;

	if (!packet_layout(p->data, p->len, &l) || l.end < l.l4 + 4 || l.frag_at)
		return NULL;
	sport = get16(p->data + l.l4);
	dport = get16(p->data + l.l4 + 2);
	for (i = 0; i < s->conn_count; i++) {
		struct conn *c = &s->conn[i];
		uint16_t virtual = VIRTUAL_PORT + i;

		if (c->proto != l.proto)
			continue;
		*sender = CLIENT;
		if (addr_equal(&src, &c->source) && addr_equal(&dst, &c->target) && sport == virtual &&
		    dport == c->tport)
			return c;
		*sender = TARGET;
		if (addr_equal(&src, &c->listen) && addr_equal(&dst, &c->client) && sport == c->lport &&
		    dport == c->cport)
			return c;
	}
	return NULL;
}

static bool act_icmp_error(struct sequence *s, take_step take)
{
	struct packet quote;
	const struct seen *about = NULL;
	struct addr src, dst;
	struct spec spec;
	struct step *step;
	struct layout l;
	unsigned i, head;
	enum side side;
	enum end sender = CLIENT;
	struct conn *c;
	bool intact;

	for (i = 0; i < 8 && s->seen_count; i++) {
		about = &s->seen[s->seen_count - 1 - below(chance(50) && s->seen_count > 4 ? 4 : s->seen_count)];
		if (packet_layout(about->packet.data, about->packet.len, &l) && l.end >= l.l4 + 8 &&
		    l.family == about->packet.data[0] >> 4 &&
		    (l.proto == PROTO_TCP || l.proto == PROTO_UDP || chance(5)))
			break;
	}
	if (!s->seen_count || i == 8)
		return act_handshake(s, take);
	side = chance(95) ? about->side : !about->side;
	quote = about->packet;
	c = conn_by_output(s, &quote, &sender);
	dst = addr_of(quote.data, false);
	src = addr_of(quote.data, true);
	if (chance(40))
		src = model_router_addr(src.family, side);
	intact = mangle_quote(&quote);
	if (chance(4)) {
		dst = chance(50) ? *model_inner(l.family) : gateway_addrs[l.family == 4 ? 1 : 3];
		intact = false;
	}
	spec_begin(&spec, &src, &dst, l.family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
	spec_icmp_error(&spec);
	spec.payload_len = quote.len;
	head = (l.family == 4 ? (quote.data[0] & 15) * 4 : 40) + 8;
	if (chance(40) && spec.payload_len > head)
		spec.payload_len = head + (chance(40) ? 0 : below(spec.payload_len - head));
	if (spec.payload_len > (l.family == 4 ? 548 : 1232))
		spec.payload_len = l.family == 4 ? 548 : 1232;
	spec.payload = quote.data;
	step = step_begin(side, intact && side == about->side ? c : NULL, !sender);
	step->note = "icmp";
	step_describe(step, "ICMP error%s about %s", intact ? "" : " with a wrong quote",
		      c ? "a mapped packet" : "another packet");
	return send_spec(s, &spec, step, take);
}

/* An address of this side that is not the gateway's. */
static struct addr random_host(const struct sequence *s, int family, enum side side)
{
	return side == OUTSIDE ? model_client_addr(s, family, below(3)) : model_inner_host(family, 2 + below(3));
}

/* To a port that no map has, on the gateway, or to hosts behind it. */
static bool act_stray(struct sequence *s, take_step take)
{
	int family = chance(60) ? 4 : 6;
	enum side side = below(2);
	struct addr src, dst;
	struct spec spec;
	struct step *step;

	src = random_host(s, family, side);
	switch (below(3)) {
	case 0:
		dst = gateway_addrs[(family == 4 ? 0 : 2) + below(2)];
		break;
	case 1:
		dst = *model_inner(family);
		break;
	default:
		dst = random_host(s, family, side == OUTSIDE ? INSIDE : OUTSIDE);
	}
	spec_begin(&spec, &src, &dst, chance(50) ? PROTO_TCP : PROTO_UDP);
	spec.sport = model_client_port(s);
	spec.dport = chance(50) ? PICK(((uint16_t[]){22, 80, 8000, 8001, 2222, 443, 53})) : below(10000);
	if (model_is_gateway(&dst))
		spec.dport = PICK(((uint16_t[]){22, 80, 8002, 4499, 4508, 7}));
	spec.flags = PICK(((uint8_t[]){TCP_SYN, TCP_SYN, TCP_ACK, TCP_RST, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK}));
	spec.seq = rnd();
	spec.ack = rnd();
	spec.payload_len = chance(50) ? below(300) : 0;
	step = step_begin(side, NULL, CLIENT);
	step_describe(step, "stray packet");
	return send_spec(s, &spec, step, take);
}

static bool act_ping(struct sequence *s, take_step take)
{
	int family = chance(60) ? 4 : 6;
	enum side side = below(2);
	struct addr src, dst;
	struct spec spec;
	struct step *step;

	src = random_host(s, family, side);
	dst = chance(70)        ? gateway_addrs[(family == 4 ? 0 : 2) + below(2)]
	      : side == OUTSIDE ? model_inner_host(family, 2)
				: model_client_addr(s, family, 0);
	spec_begin(&spec, &src, &dst, family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
	if (chance(80))
		spec_icmp(&spec, family == 4 ? 8 : 128, 0, rnd());
	else
		spec_icmp(&spec, PICK(((uint8_t[]){0, 129, 15, 17, 30, 200})), 0, rnd());
	spec.payload_len = below(200);
	step = step_begin(side, NULL, CLIENT);
	step_describe(step, "ping");
	return send_spec(s, &spec, step, take);
}

/* A new connection from an impossible address, or from one that is on the other side. */
static bool act_martian(struct sequence *s, take_step take)
{
	static const struct addr v4[] = {{4, {0}},
					 {4, {127, 0, 0, 1}},
					 {4, {224, 0, 0, 1}},
					 {4, {255, 255, 255, 255}},
					 {4, {241, 1, 2, 3}},
					 {4, {10, 172, 16, 1}},
					 {4, {10, 172, 16, 2}},
					 {4, {93, 184, 216, 34}},
					 {4, {10, 172, 16, 255}},
					 {4, {0, 1, 2, 3}},
					 {4, {169, 254, 1, 1}},
					 {4, {93, 184, 216, 255}}};
	static const struct addr v6[] = {{6, {0}},
					 {6, {[15] = 1}},
					 {6, {0xff, 2, [15] = 1}},
					 {6, {[10] = 0xff, 0xff, 54, 1, 1, 1}},
					 {6, {0xfe, 0x80, [15] = 9}},
					 {6, {0xfd, 0x10, 1, 0x72, 0, 0x16, [15] = 1}},
					 {6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [15] = 0x34}},
					 {6, {0xfd, 0x10, 1, 0x72, 0, 0x16, [15] = 2}}};
	struct conn *c = model_new_conn(s);
	struct spec spec;
	struct step *step;

	spec_conn(&spec, s, c, CLIENT);
	spec.src = c->family == 4 ? PICK(v4) : PICK(v6);
	/* Not a connection of the model, and not the tuple of the previous one: a taken port is replaced by a random
	 * one. */
	spec.sport = 10000 + s->slot % 150 * 300 + 250 + s->odd_sources++ % 50;
	spec.flags = TCP_SYN;
	spec.payload_len = c->proto == PROTO_UDP ? 20 : 0;
	step = step_begin(c->side, NULL, CLIENT);
	step->mangled |= MANGLE_SOURCE;
	step_describe(step, "new connection from an impossible source");
	return send_spec(s, &spec, step, take);
}

static bool act_burst(struct sequence *s, take_step take)
{
	const struct map *m = &maps[below(map_count)];
	struct addr client = model_client_addr(s, m->target.family, below(3));
	unsigned count = 5 + below(40), i;

	for (i = 0; i < count && s->conn_count < CONNS_MAX; i++) {
		struct conn *c = model_find_conn(s, m, OUTSIDE, &client, 10000 + s->slot % 150 * 300 + 100 + i,
						 &m->listen, m->low);

		if (!(c->proto == PROTO_TCP ? send_syn(s, c, take) : send_udp(s, c, CLIENT, take)))
			return false;
	}
	return true;
}

/* Two clients with the same port to the same target, or one client through two maps. */
static bool act_same_port(struct sequence *s, take_step take)
{
	struct conn *c = model_any_conn(s), *other;
	struct addr client = c->client;
	const struct map *m = c->map;
	unsigned i, first = below(map_count);

	if (c->side != OUTSIDE)
		return act_next(s, c, take);
	for (i = 0; i < map_count && chance(50); i++) {
		const struct map *o = &maps[(first + i) % map_count];

		if (o->proto == m->proto && addr_equal(&o->target, &m->target) && o->first == m->first)
			m = o;
	}
	if (m == c->map)
		client = model_client_addr(s, c->family, below(3));
	other = model_find_conn(s, m, OUTSIDE, &client, c->cport, &m->listen, m->low + (c->lport - c->map->low));
	return act_next(s, other, take) && act_next(s, other, take) && act_next(s, c, take);
}

/* The forged part of an off-path hijack: RSTs across the sequence space, each followed by a SYN. The connection
 * continues. */
static bool act_sweep(struct sequence *s, take_step take)
{
	struct conn *c = model_any_conn(s);
	enum end end = any_end(c);
	struct conn before = *c;
	unsigned i;

	if (c->proto != PROTO_TCP || !c->acked || c->rst || c->fin[CLIENT] || c->fin[TARGET])
		return act_next(s, c, take);
	for (i = 1; i < 6; i++) {
		struct spec spec;
		bool goes_on;

		spec_conn(&spec, s, c, end);
		spec.seq += i << 22;
		spec.flags = TCP_RST;
		goes_on = send_conn(s, c, end, &spec, "forged RST", take);
		if (goes_on && end == CLIENT) {
			spec.flags = TCP_SYN;
			goes_on = send_conn(s, c, end, &spec, "forged SYN", take);
		}
		/* The ends ignore it. */
		c->next[end] = before.next[end];
		c->rst = false;
		if (!goes_on)
			return false;
	}
	return act_next(s, c, take) && act_next(s, c, take);
}

/* A stream that only the target feeds. */
static bool act_feed(struct sequence *s, take_step take)
{
	struct conn *c = model_new_conn(s);
	int i;

	if (c->proto != PROTO_UDP)
		return act_next(s, c, take);
	if (!send_udp(s, c, CLIENT, take))
		return false;
	for (i = 0; i < 5; i++)
		if (!send_udp(s, c, TARGET, take))
			return false;
	return true;
}

bool action_run(struct sequence *s, unsigned action, take_step take)
{
	chance_seed(mix(s->seed + action * 0x1234567));
	spec_payload(action);
	switch (below(36)) {
	case 0 ... 4:
		return act_handshake(s, take);
	case 5:
	case 6:
		return act_reopen(s, take);
	case 7:
		return act_repeat(s, take);
	case 8:
	case 9:
		return act_odd_tcp(s, take);
	case 10:
		return act_reset(s, take);
	case 11:
	case 12:
		return act_wrong_inner(s, take);
	case 13 ... 18:
		return act_icmp_error(s, take);
	case 19:
		return act_stray(s, take);
	case 20:
		return act_ping(s, take);
	case 21:
		return act_martian(s, take);
	case 22:
		return chance(30) ? act_burst(s, take) : act_same_port(s, take);
	case 23:
	case 24:
		return act_same_port(s, take);
	case 25:
	case 26:
		return neighbour_replies(s, take);
	case 27:
	case 28:
		return neighbour_first(s, act_next, take);
	case 29:
		return act_sweep(s, take);
	case 30:
		return act_feed(s, take);
	default:
		return act_next(s, model_any_conn(s), take);
	}
}
