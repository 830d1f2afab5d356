/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "neighbour.h"
#include "send.h"
#include "spec.h"

/* As scripts/oracle sets the rules. */
#define INNER_NEIGHBOUR 6
static const struct addr containers[] = {{4, {93, 184, 216, 200}},
					 {6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [14] = 2, [15] = 0}}};

/* Ports of the internet that no client uses. */
#define PEER_PORT 7000

struct ends {
	struct addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

static struct ends reverse(const struct ends *e)
{
	return (struct ends){e->dst, e->src, e->dport, e->sport, e->proto};
}

/* A sound packet that belongs to no connection of the model. */
static bool send_one(struct sequence *s, enum side side, const struct ends *e, uint8_t flags, const char *what,
		     take_step take)
{
	struct spec spec;
	struct step *step = step_begin(side, NULL, CLIENT);

	spec_begin(&spec, &e->src, &e->dst, e->proto);
	spec.sport = e->sport;
	spec.dport = e->dport;
	spec.flags = flags;
	spec.seq = 1000;
	spec.ack = flags & TCP_ACK ? 1001 : 0;
	spec.payload_len = e->proto == PROTO_UDP ? 20 : 0;
	step_describe(step, "%s", what);
	packet_build(&step->packet, &spec);
	return send_built(s, step, take);
}

bool neighbour_replies(struct sequence *s, take_step take)
{
	const struct map *m = &maps[below(map_count)];
	int family = m->target.family, i, rounds = 1 + below(3);
	struct ends out = {
		.src = model_inner_host(family, INNER_NEIGHBOUR),
		.dst = model_client_addr(s, family, below(3)),
		.sport = m->low + below(m->high - m->low + 1),
		.dport = PEER_PORT + s->slot % 150,
		.proto = m->proto,
	};
	struct ends in = reverse(&out);

	in.dst = gateway_addrs[family == 4 ? 0 : 2];
	for (i = 0; i < rounds; i++)
		if (!send_one(s, INSIDE, &out, i ? TCP_ACK : TCP_SYN, "neighbour's packet", take) ||
		    !send_one(s, OUTSIDE, &in, i ? TCP_ACK : TCP_SYN | TCP_ACK, "reply to the neighbour", take))
			return false;
	return true;
}

/* No other visitor has used the port towards the target. */
static bool is_free(const struct sequence *s, const struct conn *c)
{
	unsigned i;

	for (i = 0; i < s->conn_count; i++) {
		const struct conn *o = &s->conn[i];

		if (o != c && o->proto == c->proto && o->cport == c->cport && o->tport == c->tport &&
		    addr_equal(&o->target, &c->target))
			return false;
	}
	return !c->has_sent && !c->source_port[NFT] && !c->source_port[FWD] && c->cport >= 1024;
}

bool neighbour_first(struct sequence *s, bool (*next)(struct sequence *s, struct conn *c, take_step take),
		     take_step take)
{
	struct conn *c = model_new_conn(s);
	struct ends out, in;
	int i;

	if (!c->map->snat || c->side != OUTSIDE || !is_free(s, c))
		return next(s, c, take);
	out = (struct ends){containers[c->family == 6], c->target, c->cport, c->tport, c->proto};
	in = reverse(&out);
	in.dst = *model_inner(c->family);
	if (!send_one(s, OUTSIDE, &out, TCP_SYN, "container's packet", take))
		return false;
	for (i = 0; i < 3; i++)
		if (!next(s, c, take))
			return false;
	return send_one(s, INSIDE, &in, TCP_SYN | TCP_ACK, "reply to the container", take) && next(s, c, take);
}
