/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

/* ---- addresses and maps -------------------------------------------------------------------- */

struct map maps[MAPS_MAX];
unsigned map_count;

const struct addr gateway_addrs[GATEWAY_ADDRS] = {
	{4, {93, 184, 216, 34}},
	{4, {93, 184, 216, 35}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [15] = 0x34}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [15] = 0x35}},
	{4, {10, 172, 16, 1}},
	{6, {0xfd, 0x10, 1, 0x72, 0, 0x16, [15] = 1}},
	{4, {240, 1, 2, 3}},
};

const struct addr *model_inner(int family)
{
	return &gateway_addrs[family == 4 ? 4 : 5];
}

bool model_is_gateway(const struct addr *a)
{
	for (unsigned i = 0; i < GATEWAY_ADDRS; i++)
		if (addr_equal(a, &gateway_addrs[i]))
			return true;
	return false;
}

void model_read_maps(const char *path)
{
	char line[256], proto[8], listen[64], target[64], snat[8];
	FILE *f = fopen(path, "r");
	unsigned low, high, first;

	while (f && fgets(line, sizeof(line), f)) {
		struct map *m = &maps[map_count];

		if (line[0] == '#' ||
		    sscanf(line, "%7s %63s %u %u %63s %u %7s", proto, listen, &low, &high, target, &first, snat) != 7)
			continue;
		m->proto = strcmp(proto, "tcp") ? PROTO_UDP : PROTO_TCP;
		m->any = !strncmp(listen, "any", 3);
		m->target = addr_parse(target);
		m->listen = m->any ? gateway_addrs[m->target.family == 4 ? 0 : 2] : addr_parse(listen);
		m->snat = strcmp(snat, "none");
		m->low = low;
		m->high = high;
		m->first = first;
		map_count++;
	}
	if (!map_count) {
		fprintf(stderr, "oracle: no maps in %s\n", path);
		exit(2);
	}
	fclose(f);
}

struct addr model_inner_host(int family, unsigned last)
{
	struct addr a = *model_inner(family);

	a.byte[family == 4 ? 3 : 15] = last;
	return a;
}

struct addr model_client_addr(const struct sequence *s, int family, unsigned k)
{
	struct addr a = {.family = family};

	if (family == 4) {
		const uint8_t v4[] = {54, 128 + k, s->slot >> 8, s->slot};

		memcpy(a.byte, v4, 4);
	} else {
		const uint8_t v6[] = {0x20, 1, 0xd, 0xb8, 0, 0x54, 0, k, 0, 0, 0, 0, 0, 0, s->slot >> 8, s->slot};

		memcpy(a.byte, v6, 16);
	}
	return a;
}

struct addr model_router_addr(int family, enum side side)
{
	if (side == INSIDE)
		return model_inner_host(family, 4);
	return family == 4 ? (struct addr){4, {203, 0, 113, 9}}
			   : (struct addr){6, {0x20, 1, 0xd, 0xb8, 0x2, 0x3, [15] = 9}};
}

bool model_uses_low_ports(uint64_t seed)
{
	return mix(seed ^ 0x10) % 64 == 0;
}

uint16_t model_client_port(const struct sequence *s)
{
	static const uint16_t low[] = {20, 53, 123, 500, 600, 1023};

	if (model_uses_low_ports(s->seed) && chance(30))
		return PICK(low);
	return 10000 + s->slot % 150 * 300 + below(chance(70) ? 6 : 250);
}

/* ---- sequences ----------------------------------------------------------------------------- */

unsigned model_action_count(uint64_t seed)
{
	return 4 + mix(seed ^ 0x20) % 17;
}

void model_begin(struct sequence *s, uint64_t seed, unsigned slot, bool fragments)
{
	static const unsigned mangle_percent[] = {0, 0, 5, 20, 50};

	s->seed = seed;
	s->slot = slot;
	s->fragments = fragments;
	s->conn_count = s->sent_count = s->seen_count = 0;
	s->mangle_percent = mangle_percent[mix(seed ^ 0x30) % 5];
}

/* ---- connections --------------------------------------------------------------------------- */

struct conn *model_find_conn(struct sequence *s, const struct map *m, enum side side, const struct addr *client,
			     uint16_t cport, const struct addr *listen, uint16_t lport)
{
	struct conn *c;
	unsigned i;

	for (i = 0; i < s->conn_count; i++) {
		c = &s->conn[i];
		if (c->map == m && addr_equal(&c->client, client) && c->cport == cport && c->lport == lport &&
		    addr_equal(&c->listen, listen))
			return c;
	}
	if (s->conn_count == CONNS_MAX)
		return &s->conn[below(CONNS_MAX)];
	c = &s->conn[s->conn_count++];
	*c = (struct conn){
		.map = m,
		.family = m->target.family,
		.proto = m->proto,
		.side = side,
		.client = *client,
		.listen = *listen,
		.target = m->target,
		.cport = cport,
		.lport = lport,
		.tport = m->first + (lport - m->low),
		.source = m->snat ? *model_inner(m->target.family) : *client,
	};
	c->next[CLIENT] = rnd();
	c->next[TARGET] = rnd();
	return c;
}

struct conn *model_new_conn(struct sequence *s)
{
	const struct map *m = &maps[below(map_count)];
	struct addr client, listen = m->listen;
	enum side side = OUTSIDE;

	client = model_client_addr(s, m->target.family, below(3));
	/* Hairpin: a neighbour of the target, or the target, connects to the public address. */
	if (m->snat && chance(8)) {
		side = INSIDE;
		client = model_inner_host(m->target.family, 2 + below(4));
	}
	if (m->any && chance(40))
		listen = gateway_addrs[(m->target.family == 4 ? 0 : 2) + below(2)];
	return model_find_conn(s, m, side, &client, model_client_port(s), &listen,
			       m->low + below(m->high - m->low + 1));
}

struct conn *model_any_conn(struct sequence *s)
{
	if (!s->conn_count || chance(15))
		return model_new_conn(s);
	/* Prefer one of the last. */
	if (s->conn_count > 3 && chance(60))
		return &s->conn[s->conn_count - 1 - below(3)];
	return &s->conn[below(s->conn_count)];
}

uint16_t model_real_port(const struct sequence *s, uint16_t port)
{
	return port >= VIRTUAL_PORT && port < VIRTUAL_PORT + s->conn_count ? s->conn[port - VIRTUAL_PORT].cport : port;
}

/* True if the connection's target sends this packet to the connection's source port. by_chance: or to the source port
 * of another connection that has the same number, because both kept their client's port. */
static bool is_reply_of(const struct sequence *s, const struct conn *c, const struct packet *p, const struct layout *l,
			bool by_chance)
{
	struct addr src = addr_of(p->data, false), dst = addr_of(p->data, true);
	uint16_t port = get16(p->data + l->l4 + 2), own = VIRTUAL_PORT + (c - s->conn);

	if (by_chance) {
		if (c->source_port[NFT] && c->source_port[NFT] != c->cport && c->source_port[FWD] &&
		    c->source_port[FWD] != c->cport)
			return false;
		port = model_real_port(s, port);
		own = c->cport;
	}
	return c->proto == l->proto && addr_equal(&src, &c->target) && addr_equal(&dst, &c->source) &&
	       get16(p->data + l->l4) == c->tport && port == own;
}

static bool is_request_of(const struct conn *c, const struct packet *p, const struct layout *l)
{
	struct addr src = addr_of(p->data, false), dst = addr_of(p->data, true);

	return c->proto == l->proto && addr_equal(&src, &c->client) && addr_equal(&dst, &c->listen) &&
	       get16(p->data + l->l4) == c->cport && get16(p->data + l->l4 + 2) == c->lport;
}

struct conn *model_conn_of(struct sequence *s, const struct packet *p, enum end *end)
{
	struct layout l;
	unsigned i;

	if (!packet_layout(p->data, p->len, &l) || l.end < l.l4 + 4 || l.frag_at)
		return NULL;
	*end = CLIENT;
	for (i = 0; i < s->conn_count; i++)
		if (is_request_of(&s->conn[i], p, &l))
			return &s->conn[i];
	*end = TARGET;
	for (i = 0; i < 2 * s->conn_count; i++)
		if (is_reply_of(s, &s->conn[i % s->conn_count], p, &l, i >= s->conn_count))
			return &s->conn[i % s->conn_count];
	return NULL;
}
