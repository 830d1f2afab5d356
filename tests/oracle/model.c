/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"

/* ---- chance ---- */

static uint64_t random_state;

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint32_t rnd(void)
{
	random_state += 0x9e3779b97f4a7c15;
	return mix(random_state) >> 32;
}

static unsigned below(unsigned n)
{
	return n ? rnd() % n : 0;
}

static bool chance(unsigned percent)
{
	return below(100) < percent;
}

#define PICK(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

/* ---- the world ---- */

static struct map maps[64];
static unsigned map_count;
static const struct addr gateway_addrs[] = {
	{4, {93, 184, 216, 34}},
	{4, {93, 184, 216, 35}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [15] = 0x34}},
	{6, {0x20, 1, 0xd, 0xb8, 0, 0x93, [15] = 0x35}},
	{4, {10, 172, 16, 1}},
	{6, {0xfd, 0x10, 1, 0x72, 0, 0x16, [15] = 1}},
};

const struct addr *model_inner(int family)
{
	return &gateway_addrs[family == 4 ? 4 : 5];
}

bool model_is_gateway(const struct addr *a)
{
	unsigned i;

	for (i = 0; i < 6; i++)
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

static struct addr inner_host(int family, unsigned last)
{
	struct addr a = *model_inner(family);

	a.byte[family == 4 ? 3 : 15] = last;
	return a;
}

static struct addr client_addr(const struct sequence *s, int family, unsigned k)
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

/* Somewhere in the internet, or behind the tunnel: neither client nor target. */
static struct addr router_addr(int family, enum side side)
{
	if (side == INSIDE)
		return inner_host(family, 4);
	return family == 4 ? (struct addr){4, {203, 0, 113, 9}}
			   : (struct addr){6, {0x20, 1, 0xd, 0xb8, 0x2, 0x3, [15] = 9}};
}

static uint16_t client_port(const struct sequence *s)
{
	static const uint16_t low[] = {20, 53, 123, 500, 600, 1023};

	if (model_wants_flush(s->seed) && chance(30))
		return PICK(low);
	return 10000 + s->slot % 150 * 300 + below(chance(70) ? 6 : 250);
}

bool model_wants_flush(uint64_t seed)
{
	return mix(seed ^ 0x10) % 64 == 0;
}

unsigned model_action_count(uint64_t seed)
{
	return 4 + mix(seed ^ 0x20) % 17;
}

void model_begin(struct sequence *s, uint64_t seed, unsigned slot, bool frag_copies)
{
	static const unsigned wild[] = {0, 0, 5, 20, 50};

	s->seed = seed;
	s->slot = slot;
	s->frag_copies = frag_copies;
	s->conn_count = s->sent_count = s->seen_count = 0;
	s->wild = wild[mix(seed ^ 0x30) % 5];
}

static struct conn *find_conn(struct sequence *s, const struct map *m, enum side side, const struct addr *client,
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
	if (!m->snat)
		c->source_port[NFT] = c->source_port[FWD] = cport;
	c->next[CLIENT] = rnd();
	c->next[TARGET] = rnd();
	return c;
}

static struct conn *new_conn(struct sequence *s)
{
	const struct map *m = &maps[below(map_count)];
	struct addr client, listen = m->listen;
	enum side side = OUTSIDE;

	client = client_addr(s, m->target.family, below(3));
	/* A neighbour of the target, or itself, calls it at the public address. */
	if (m->snat && chance(8)) {
		side = INSIDE;
		client = inner_host(m->target.family, 2 + below(4));
	}
	if (m->any && chance(40))
		listen = gateway_addrs[(m->target.family == 4 ? 0 : 2) + below(2)];
	return find_conn(s, m, side, &client, client_port(s), &listen, m->low + below(m->high - m->low + 1));
}

static struct conn *any_conn(struct sequence *s)
{
	if (!s->conn_count || chance(15))
		return new_conn(s);
	/* Rather one of the last. */
	if (s->conn_count > 3 && chance(60))
		return &s->conn[s->conn_count - 1 - below(3)];
	return &s->conn[below(s->conn_count)];
}

/* ---- packets ---- */

static uint8_t payload_bytes[PACKET_MAX];

static unsigned payload_len(void)
{
	switch (below(10)) {
	case 0:
		return 0;
	case 1:
		return 1 + below(7);
	case 2:
		return 1300 + below(160); /* about the MTU of the inside, and some beyond */
	case 3:
		return 1350 + below(60);
	default:
		return 8 + below(200);
	}
}

static void spec_begin(struct spec *spec, const struct addr *src, const struct addr *dst, uint8_t proto)
{
	unsigned i;

	memset(spec, 0, sizeof(*spec));
	spec->src = *src;
	spec->dst = *dst;
	spec->proto = proto;
	spec->ttl = 40 + below(200);
	spec->id = 1 + below(65535);
	spec->ip_flags = chance(60) ? 0x40 : 0;
	if (chance(10))
		spec->tos = below(256) & 0xfc; /* ECN marks would be RFC 3168's business; see mangle */
	if (src->family == 6 && chance(20))
		spec->flow = rnd();
	spec->window = 512 + below(60000);
	spec->payload = payload_bytes;
	for (i = 0; i < 16; i++)
		payload_bytes[below(1600)] = rnd();
}

/* The target rarely speaks first. */
static enum end any_end(const struct conn *c)
{
	return c->called || chance(8) ? below(2) : CLIENT;
}

static void spec_conn(struct spec *spec, const struct sequence *s, const struct conn *c, enum end end)
{
	if (end == CLIENT) {
		spec_begin(spec, &c->client, &c->listen, c->proto);
		spec->sport = c->cport;
		spec->dport = c->lport;
	} else {
		spec_begin(spec, &c->target, &c->source, c->proto);
		spec->sport = c->tport;
		spec->dport = c->map->snat ? VIRTUAL_PORT + (c - s->conn) : c->cport;
	}
	spec->seq = c->next[end];
}

static void add_option(struct spec *spec, const uint8_t *bytes, unsigned len)
{
	if (spec->tcp_options_len + len <= 40) {
		memcpy(spec->tcp_options + spec->tcp_options_len, bytes, len);
		spec->tcp_options_len += len;
	}
}

static void syn_options(struct spec *spec)
{
	static const uint8_t sack[] = {4, 2, 1, 1}, scale[] = {1, 3, 3, 7}, odd[] = {1}, end[] = {0},
			     broken[] = {2, 3, 5}, empty[] = {9, 0};
	uint8_t mss[] = {2, 4, 0, 0}, stamp[] = {8, 10, 0, 0, 0, 0, 0, 0, 0, 0};

	put16(mss + 2, chance(70) ? 1460 : below(9000));
	put32(stamp + 2, rnd());
	if (chance(4))
		add_option(spec, odd, 1);
	if (chance(85))
		add_option(spec, mss, 4);
	if (chance(60))
		add_option(spec, sack, 4);
	if (chance(50))
		add_option(spec, stamp, 10);
	if (chance(60))
		add_option(spec, scale, 4);
	if (chance(3))
		add_option(spec, broken, 3);
	if (chance(3))
		add_option(spec, empty, 2);
	if (chance(10))
		add_option(spec, end, 1);
	if (chance(5))
		add_option(spec, mss, 4);
	while (spec->tcp_options_len % 4)
		add_option(spec, chance(50) ? odd : end, 1);
}

/* ---- what may be wrong with a packet ---- */

/* Before it is built. */
static void mangle_spec(struct spec *spec, struct step *step)
{
	static const uint8_t nops[] = {1, 1, 1, 0}, alert[] = {0x94, 4, 0, 0},
			     record[] = {7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			     stamp[] = {0x44, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			     loose[] = {0x83, 7, 4, 10, 172, 16, 2, 0}, strict[] = {0x89, 7, 4, 10, 172, 16, 2, 0},
			     bad[] = {7, 3, 99, 0}, unknown[] = {0x55, 4, 1, 2}, long_one[] = {0x55, 60, 1, 2},
			     stream[] = {0x88, 4, 0, 1};
	static const struct {
		const uint8_t *bytes;
		unsigned len;
	} v4[] = {{nops, 4},   {alert, 4}, {record, 12}, {stamp, 12},   {loose, 8},
		  {strict, 8}, {bad, 4},   {unknown, 4}, {long_one, 4}, {stream, 4}};
	static const uint8_t ext[] = {0, 0, 1, 4, 0, 0, 0, 0}, ext_alert[] = {0, 0, 5, 2, 0, 0, 1, 0},
			     skip[] = {0, 0, 0x1e, 4, 0, 0, 0, 0}, drop[] = {0, 0, 0x5e, 4, 0, 0, 0, 0},
			     error[] = {0, 0, 0x9e, 4, 0, 0, 0, 0}, route0[] = {0, 0, 0, 0, 0, 0, 0, 0},
			     route4[] = {0, 0, 4, 1, 0, 0, 0, 0}, two[] = {0, 1, 1, 12, [15] = 0};
	static const struct {
		const uint8_t *bytes;
		unsigned len;
		uint8_t type;
	} v6[] = {{ext, 8, EXT_HOP},    {ext, 8, EXT_DEST},       {ext_alert, 8, EXT_HOP},  {skip, 8, EXT_HOP},
		  {skip, 8, EXT_DEST},  {drop, 8, EXT_HOP},       {drop, 8, EXT_DEST},      {error, 8, EXT_HOP},
		  {error, 8, EXT_DEST}, {route0, 8, EXT_ROUTING}, {route4, 8, EXT_ROUTING}, {two, 16, EXT_DEST},
		  {two, 16, EXT_HOP}};
	unsigned i;

	switch (below(5)) {
	case 0:
		spec->ttl = PICK(((uint8_t[]){0, 1, 1, 1, 2, 255}));
		step->mangled |= MANGLE_TTL;
		break;
	case 1:
		spec->tos = below(256);
		step->mangled |= MANGLE_TOS;
		break;
	default:
		step->mangled |= MANGLE_OPTIONS;
		if (spec->src.family == 4) {
			i = below(sizeof(v4) / sizeof(v4[0]));
			memcpy(spec->options, v4[i].bytes, v4[i].len);
			spec->options_len = v4[i].len;
			break;
		}
		i = below(sizeof(v6) / sizeof(v6[0]));
		memcpy(spec->options, v6[i].bytes, v6[i].len);
		spec->options_len = v6[i].len;
		spec->first_ext = v6[i].type;
		spec->last_next = 0;
		if (chance(25)) {
			/* And another behind. */
			memcpy(spec->options + spec->options_len, ext, 8);
			spec->options[0] = EXT_DEST;
			spec->last_next = spec->options_len;
			spec->options_len += 8;
		}
	}
}

/* And after it. */
static void mangle_packet(struct packet *p, struct step *step)
{
	struct layout l;
	uint8_t *t, *check, *total;

	if (!packet_layout(p->data, p->len, &l) || !packet_check_at(l.proto))
		return;
	t = p->data + l.l4;
	check = t + packet_check_at(l.proto);
	total = p->data + (l.family == 4 ? 2 : 4);
	switch (below(9)) {
	case 0:
		if (l.family == 4) {
			p->data[10 + below(2)] ^= 1 << below(8);
			step->mangled |= MANGLE_IP_SUM;
			break;
		}
		/* fall through */
	case 1:
		check[below(2)] ^= 1 << below(8);
		step->mangled |= MANGLE_SUM;
		break;
	case 2:
		put16(check, 0);
		step->mangled |= MANGLE_NO_SUM;
		break;
	case 3:
		put16(total, get16(total) + PICK(((int[]){-1, 1, -8, 8, -20, 40, 1000})));
		if (l.family == 4 && chance(80))
			packet_fix_ip_sum(p->data);
		step->mangled |= MANGLE_LENGTH;
		break;
	case 4:
		p->len -= 1 + below(p->len - 1 < 60 ? p->len - 1 : 60);
		step->mangled |= MANGLE_CUT;
		break;
	case 5:
		memset(p->data + p->len, 0xee, 40);
		p->len += 1 + below(40);
		step->mangled |= MANGLE_PADDED;
		break;
	case 6:
		if (l.proto == PROTO_UDP)
			put16(t + 4, PICK(((uint16_t[]){0, 7, 8, 9, 2000, 65535})));
		else if (l.proto == PROTO_TCP)
			t[12] = below(16) << 4 | (t[12] & 15);
		if (chance(70)) {
			put16(check, 0);
			put16(check, sum_transport(p->data, &l));
		}
		step->mangled |= MANGLE_HEADER;
		break;
	case 7:
		p->data[below(2) ? 0 : 6] ^= PICK(((uint8_t[]){0x20, 0x10, 1, 0x40}));
		if (l.family == 4 && chance(80) && (p->data[0] & 15) * 4u <= p->len)
			packet_fix_ip_sum(p->data);
		step->mangled |= MANGLE_HEADER;
		break;
	default:
		step->to = chance(50) ? TO_OTHER : TO_ALL;
		step->mangled |= MANGLE_MAC;
	}
}

static void say(struct step *step, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vsnprintf(step->what, sizeof(step->what), format, words);
	va_end(words);
}

uint16_t model_real_port(const struct sequence *s, uint16_t port)
{
	return port >= VIRTUAL_PORT && port < VIRTUAL_PORT + s->conn_count ? s->conn[port - VIRTUAL_PORT].cport : port;
}

/* The connection whose target sends this, by its own source port; or, by chance, by that of another: where both kept their
 * client's. */
static bool is_reply_of(const struct sequence *s, const struct conn *c, const struct packet *p, const struct layout *l,
			bool by_chance)
{
	struct addr src = addr_of(p->data, false), dst = addr_of(p->data, true);
	uint16_t port = get16(p->data + l->l4 + 2), own = c->map->snat ? VIRTUAL_PORT + (c - s->conn) : c->cport;

	if (by_chance) {
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

/* A RST, whoever sent it and for whatever reason. */
static void note_reset(struct sequence *s, const struct packet *p)
{
	enum end end;
	struct conn *c = model_conn_of(s, p, &end);
	struct layout l;

	if (c && c->proto == PROTO_TCP && packet_layout(p->data, p->len, &l) && l.end >= l.l4 + 14)
		c->was_reset |= !!(p->data[l.l4 + 13] & TCP_RST);
}

static void remember(struct seen *list, unsigned *count, enum side side, unsigned mangled, const struct packet *p)
{
	struct seen *at = &list[*count < HISTORY_MAX ? (*count)++ : below(HISTORY_MAX)];

	at->side = side;
	at->mangled = mangled;
	at->packet.len = p->len;
	memcpy(at->packet.data, p->data, p->len);
}

static struct step the_step;

static struct step *step_begin(enum side side, struct conn *c, enum end end)
{
	struct step *step = &the_step;

	step->what[0] = 0;
	step->side = side;
	step->to = TO_GATEWAY;
	step->conn = c;
	step->end = end;
	step->mangled = 0;
	step->note = NULL;
	return step;
}

static bool send_built(struct sequence *s, struct step *step, take_step take)
{
	unsigned i;

	remember(s->sent, &s->sent_count, step->side, step->mangled, &step->packet);
	note_reset(s, &step->packet);
	if (!take(s, step))
		return false;
	for (i = 0; i < step->outs[NFT].count; i++)
		remember(s->seen, &s->seen_count, step->outs[NFT].out[i].side, step->mangled,
			 &step->outs[NFT].out[i].packet);
	return true;
}

static bool send_fragments(struct sequence *s, struct step *step, take_step take);

static bool send_spec(struct sequence *s, struct spec *spec, struct step *step, take_step take)
{
	bool odd = chance(s->wild), early = chance(50);

	if (odd && early)
		mangle_spec(spec, step);
	packet_build(&step->packet, spec);
	if (odd && !early)
		mangle_packet(&step->packet, step);
	/* An odd source isn't this sequence's own: pieces of another could meet these. */
	if (s->frag_copies && !odd && !step->mangled && chance(12) && spec->payload_len > 16)
		return send_fragments(s, step, take);
	return send_built(s, step, take);
}

/* ---- fragments ---- */

struct piece {
	unsigned at, len;
};

/* Cuts *whole at `at` bytes of IP payload, for `len` bytes. */
static void make_fragment(const struct packet *whole, const struct layout *l, struct piece piece, uint32_t id,
			  struct packet *p)
{
	unsigned header = l->l4, total = l->end - l->l4;
	bool more = piece.at + piece.len < total;

	memcpy(p->data, whole->data, header);
	if (l->family == 4) {
		p->data[6] &= 0x80; /* DF says never mind */
		put16(p->data + 6, get16(p->data + 6) | piece.at / 8 | (more ? 0x2000 : 0));
		put16(p->data + 2, header + piece.len);
		put16(p->data + 4, id);
		packet_fix_ip_sum(p->data);
	} else {
		p->data[40] = p->data[6];
		p->data[6] = EXT_FRAGMENT;
		p->data[41] = 0;
		put16(p->data + 42, piece.at | more);
		put32(p->data + 44, id);
		header += 8;
		put16(p->data + 4, header - 40 + piece.len);
	}
	memcpy(p->data + header, whole->data + l->l4 + piece.at, piece.len);
	p->len = header + piece.len;
}

static bool send_fragments(struct sequence *s, struct step *step, take_step take)
{
	struct packet whole = step->packet;
	/* Each its own: pieces of one datagram aren't to meet what is left of another, or of this
	 * one when it is repeated. */
	static uint32_t id;
	struct piece pieces[8], swap;
	unsigned count = 0, at = 0, total, i, j;
	char what[sizeof(step->what)];
	bool odd = false;
	struct layout l;

	memcpy(what, step->what, sizeof(what));
	if (!packet_layout(whole.data, whole.len, &l) || l.l4 > (l.family == 4 ? 60u : 40u))
		return send_built(s, step, take);
	total = l.end - l.l4;
	while (at < total && count < 6) {
		unsigned len = count == 5 ? total - at : 8 * (1 + below(total / 16 + 1));

		if (count == 0 && len < 24 && chance(90))
			len = 24;
		if (at + len > total)
			len = total - at;
		odd |= !count && l.proto == PROTO_TCP && len < (whole.data[l.l4 + 12] >> 4) * 4u;
		pieces[count++] = (struct piece){at, len};
		at += len;
	}
	if (chance(60))
		for (i = count - 1; i > 0; i--) {
			j = below(i + 1);
			swap = pieces[i];
			pieces[i] = pieces[j];
			pieces[j] = swap;
		}
	if (chance(5) && count > 1)
		count--; /* one is lost */
	else if (chance(5)) {
		pieces[count] = pieces[below(count)]; /* one comes twice, or overlaps */
		if (pieces[count].at && chance(50))
			pieces[count].at -= 8;
		odd = true;
		count++;
	}
	step->mangled |= MANGLE_FRAGMENTS;
	id++;
	if (odd)
		step->note = "odd fragments";
	for (i = 0; i < count; i++) {
		make_fragment(&whole, &l, pieces[i], id, &step->packet);
		say(step, "%.60s, fragment %u+%u", what, pieces[i].at, pieces[i].len);
		if (!send_built(s, step, take))
			return false;
	}
	return true;
}

/* ---- actions ---- */

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

	say(step, "%s from %s of %u", what, end == CLIENT ? "client" : "target", (unsigned)(c - s->conn));
	if (c->proto == PROTO_TCP)
		follow(c, end, spec);
	c->called |= end == CLIENT;
	return send_spec(s, spec, step, take);
}

static bool send_udp(struct sequence *s, struct conn *c, enum end end, take_step take)
{
	struct spec spec;

	spec_conn(&spec, s, c, end);
	spec.payload_len = payload_len();
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
		syn_options(&spec);
	else if (chance(40)) {
		static const uint8_t stamp[] = {1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6};

		add_option(&spec, stamp, sizeof(stamp));
	}
	return send_conn(s, c, end, &spec, what, take);
}

static bool send_syn(struct sequence *s, struct conn *c, take_step take)
{
	if (!c->syn[CLIENT] || c->rst || c->fin[CLIENT]) {
		c->next[CLIENT] = rnd();
		c->next[TARGET] = rnd();
		c->syn[TARGET] = c->rst = c->acked = c->fin[CLIENT] = c->fin[TARGET] = false;
	}
	return send_tcp(s, c, CLIENT, TCP_SYN | (chance(5) ? 0xc0 : 0), chance(3) ? 50 : 0, "SYN", take);
}

/* What well-behaved ends would do next. */
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
		return send_tcp(s, c, CLIENT, TCP_ACK, chance(20) ? payload_len() : 0, "ACK", take);
	if (c->fin[CLIENT] && c->fin[TARGET])
		return chance(40) ? send_syn(s, c, take) : send_tcp(s, c, end, TCP_ACK, 0, "last ACK", take);
	if (c->fin[end])
		return send_tcp(s, c, !end, TCP_ACK, chance(30) ? payload_len() : 0, "ACK of FIN", take);
	if (chance(15))
		return send_tcp(s, c, end, TCP_FIN | TCP_ACK, chance(30) ? 100 : 0, "FIN", take);
	return send_tcp(s, c, end, TCP_ACK | TCP_PSH, payload_len(), "data", take);
}

static bool act_handshake(struct sequence *s, take_step take)
{
	struct conn *c = new_conn(s);
	int i, rounds = 3 + below(4);

	for (i = 0; i < rounds; i++)
		if (!act_next(s, c, take))
			return false;
	return true;
}

static bool act_again(struct sequence *s, take_step take)
{
	struct step *step;
	const struct seen *old;

	if (!s->sent_count)
		return act_handshake(s, take);
	old = &s->sent[below(s->sent_count)];
	/* One fragment alone tells nothing. */
	if (old->mangled & MANGLE_FRAGMENTS)
		return act_handshake(s, take);
	step = step_begin(old->side, NULL, CLIENT);
	step->packet = old->packet;
	step->mangled = old->mangled;
	say(step, "an earlier packet again");
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
	struct conn *c = any_conn(s);
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
	spec.payload_len = chance(30) ? payload_len() : 0;
	return send_conn(s, c, end, &spec, "odd segment", take);
}

static bool act_reset(struct sequence *s, take_step take)
{
	struct conn *c = any_conn(s);
	enum end end = any_end(c);

	if (c->proto != PROTO_TCP)
		return send_udp(s, c, end, take);
	return send_tcp(s, c, end, TCP_RST | (chance(50) ? TCP_ACK : 0), 0, "RST", take);
}

static bool act_reopen(struct sequence *s, take_step take)
{
	struct conn *c = any_conn(s);

	return c->proto == PROTO_TCP ? send_syn(s, c, take) : send_udp(s, c, CLIENT, take);
}

/* From the inside, to the source of a connection: by the wrong host, from or to the wrong port. */
static bool act_wrong_inner(struct sequence *s, take_step take)
{
	struct conn *c = any_conn(s);
	struct spec spec;
	struct step *step;

	spec_conn(&spec, s, c, TARGET);
	switch (below(3)) {
	case 0:
		spec.src = inner_host(c->family, 2 + below(4));
		if (addr_equal(&spec.src, &c->target))
			spec.src = inner_host(c->family, 5);
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
	say(step, "wrong packet from the inside to %u", (unsigned)(c - s->conn));
	return send_spec(s, &spec, step, take);
}

static void spec_icmp(struct spec *spec, uint8_t type, uint8_t code, uint32_t rest)
{
	spec->icmp[0] = type;
	spec->icmp[1] = code;
	put32(spec->icmp + 4, rest);
}

static void error_type(struct spec *spec)
{
	static const uint8_t v4[] = {3, 3, 3, 3, 11, 11, 12, 4, 5}, v6[] = {1, 1, 2, 3, 4, 1, 2, 100, 127, 5};

	if (spec->src.family == 4) {
		uint8_t type = PICK(v4);

		spec_icmp(spec, type, type == 3 ? below(17) : below(3), chance(50) ? 0 : rnd());
		if (type == 3 && chance(40))
			spec_icmp(spec, 3, 4, 576 + below(1000));
		else if (type == 12)
			spec_icmp(spec, 12, 0, below(40) << 24);
		return;
	}
	spec_icmp(spec, PICK(v6), below(8), below(1500));
}

/* The packet as a router quotes it. Returns whether it is still the true one. */
static bool make_quote(struct packet *q)
{
	struct layout l;

	packet_layout(q->data, q->len, &l);
	if (chance(40)) {
		/* It was on its way for a while. */
		if (l.family == 4) {
			q->data[8] = 1 + below(20);
			packet_fix_ip_sum(q->data);
		} else {
			q->data[7] = 1 + below(20);
		}
	}
	if (l.family == 4 && l.l4 == 20 && chance(15)) {
		unsigned len = 4 * (1 + below(10));

		memmove(q->data + 20 + len, q->data + 20, q->len - 20);
		memset(q->data + 20, 1, len);
		q->data[0] += len / 4;
		q->len += len;
		put16(q->data + 2, get16(q->data + 2) + len);
		packet_fix_ip_sum(q->data);
		l.l4 += len;
		l.end += len;
	}
	if (chance(5))
		put16(q->data + (l.family == 4 ? 2 : 4), rnd()); /* some hosts swap the bytes */
	if (chance(5) && l.family == 4)
		put16(q->data + 10, rnd());
	if (!chance(10))
		return true;
	switch (below(6)) {
	case 0:
		q->data[l.l4 + below(4)] ^= 1;
		break;
	case 1:
		q->data[(l.family == 4 ? 12 : 8) + below(l.family == 4 ? 8 : 32)] ^= 1;
		break;
	case 2:
		q->data[l.family == 4 ? 9 : 6] = PICK(((uint8_t[]){1, 6, 17, 58, 0}));
		break;
	case 3:
		q->data[0] ^= 0x20;
		break;
	case 4:
		if (l.family == 4)
			put16(q->data + 6, PICK(((uint16_t[]){0x2000, 1, 0x2001, 100})));
		break;
	default:
		q->len = below(l.l4 + 8);
	}
	return false;
}

static struct conn *conn_of(struct sequence *s, const struct packet *p, enum end *sender)
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
		uint16_t virtual = c->map->snat ? VIRTUAL_PORT + i : c->cport;

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
	bool true_one;

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
	c = conn_of(s, &quote, &sender);
	dst = addr_of(quote.data, false);
	src = addr_of(quote.data, true);
	if (chance(40))
		src = router_addr(src.family, side);
	true_one = make_quote(&quote);
	if (chance(4)) {
		dst = chance(50) ? *model_inner(l.family) : gateway_addrs[l.family == 4 ? 1 : 3];
		true_one = false;
	}
	spec_begin(&spec, &src, &dst, l.family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
	error_type(&spec);
	spec.payload_len = quote.len;
	head = (l.family == 4 ? (quote.data[0] & 15) * 4 : 40) + 8;
	if (chance(40) && spec.payload_len > head)
		spec.payload_len = head + (chance(40) ? 0 : below(spec.payload_len - head));
	if (spec.payload_len > (l.family == 4 ? 548 : 1232))
		spec.payload_len = l.family == 4 ? 548 : 1232;
	spec.payload = quote.data;
	step = step_begin(side, true_one && side == about->side ? c : NULL, !sender);
	step->note = "icmp";
	say(step, "ICMP error%s about %s", true_one ? "" : " with a wrong quote",
	    c ? "a mapped packet" : "another packet");
	return send_spec(s, &spec, step, take);
}

/* To a port that no map has, on the gateway, or to hosts behind it. */
static bool act_stray(struct sequence *s, take_step take)
{
	int family = chance(60) ? 4 : 6;
	enum side side = below(2);
	struct addr src, dst;
	struct spec spec;
	struct step *step;

	src = side == OUTSIDE ? client_addr(s, family, below(3)) : inner_host(family, 2 + below(3));
	switch (below(3)) {
	case 0:
		dst = gateway_addrs[(family == 4 ? 0 : 2) + below(2)];
		break;
	case 1:
		dst = *model_inner(family);
		break;
	default:
		dst = side == OUTSIDE ? inner_host(family, 2 + below(3)) : client_addr(s, family, below(3));
	}
	spec_begin(&spec, &src, &dst, chance(50) ? PROTO_TCP : PROTO_UDP);
	spec.sport = client_port(s);
	spec.dport = chance(50) ? PICK(((uint16_t[]){22, 80, 8000, 8001, 2222, 443, 53})) : below(10000);
	if (model_is_gateway(&dst))
		spec.dport = PICK(((uint16_t[]){22, 80, 8002, 4499, 4508, 7}));
	spec.flags = PICK(((uint8_t[]){TCP_SYN, TCP_SYN, TCP_ACK, TCP_RST, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK}));
	spec.seq = rnd();
	spec.ack = rnd();
	spec.payload_len = chance(50) ? below(300) : 0;
	step = step_begin(side, NULL, CLIENT);
	say(step, "stray packet");
	return send_spec(s, &spec, step, take);
}

static bool act_ping(struct sequence *s, take_step take)
{
	int family = chance(60) ? 4 : 6;
	enum side side = below(2);
	struct addr src, dst;
	struct spec spec;
	struct step *step;

	src = side == OUTSIDE ? client_addr(s, family, below(3)) : inner_host(family, 2 + below(3));
	dst = chance(70)        ? gateway_addrs[(family == 4 ? 0 : 2) + below(2)]
	      : side == OUTSIDE ? inner_host(family, 2)
				: client_addr(s, family, 0);
	spec_begin(&spec, &src, &dst, family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
	if (chance(80))
		spec_icmp(&spec, family == 4 ? 8 : 128, 0, rnd());
	else
		spec_icmp(&spec, PICK(((uint8_t[]){0, 129, 15, 17, 30, 200})), 0, rnd());
	spec.payload_len = below(200);
	step = step_begin(side, NULL, CLIENT);
	say(step, "ping");
	return send_spec(s, &spec, step, take);
}

/* A new connection from an address that nobody can have, or that is on the other side. */
static bool act_martian(struct sequence *s, take_step take)
{
	static const struct addr v4[] = {{4, {0}},
					 {4, {127, 0, 0, 1}},
					 {4, {224, 0, 0, 1}},
					 {4, {255, 255, 255, 255}},
					 {4, {240, 1, 2, 3}},
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
	struct conn *c = new_conn(s);
	struct spec spec;
	struct step *step;

	spec_conn(&spec, s, c, CLIENT);
	spec.src = c->family == 4 ? PICK(v4) : PICK(v6);
	/* No connection of the model, and none like the one before: whose port is taken gets any other. */
	spec.sport = 10000 + s->slot % 150 * 300 + 250 + s->odd_sources++ % 50;
	spec.flags = TCP_SYN;
	spec.payload_len = c->proto == PROTO_UDP ? 20 : 0;
	step = step_begin(c->side, NULL, CLIENT);
	step->mangled |= MANGLE_SOURCE;
	say(step, "new connection from an odd source");
	return send_spec(s, &spec, step, take);
}

static bool act_burst(struct sequence *s, take_step take)
{
	const struct map *m = &maps[below(map_count)];
	struct addr client = client_addr(s, m->target.family, below(3));
	unsigned count = 5 + below(40), i;

	for (i = 0; i < count && s->conn_count < CONNS_MAX; i++) {
		struct conn *c =
			find_conn(s, m, OUTSIDE, &client, 10000 + s->slot % 150 * 300 + 100 + i, &m->listen, m->low);

		if (!(c->proto == PROTO_TCP ? send_syn(s, c, take) : send_udp(s, c, CLIENT, take)))
			return false;
	}
	return true;
}

/* Two clients with the same port to the same target; or one, by two maps. */
static bool act_clash(struct sequence *s, take_step take)
{
	struct conn *c = any_conn(s), *other;
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
		client = client_addr(s, c->family, below(3));
	other = find_conn(s, m, OUTSIDE, &client, c->cport, &m->listen, m->low + (c->lport - c->map->low));
	return act_next(s, other, take) && act_next(s, other, take) && act_next(s, c, take);
}

bool model_act(struct sequence *s, unsigned action, take_step take)
{
	unsigned i;

	random_state = mix(s->seed + action * 0x1234567);
	for (i = 0; i < sizeof(payload_bytes); i++)
		payload_bytes[i] = i * 7 + action;
	switch (below(30)) {
	case 0 ... 4:
		return act_handshake(s, take);
	case 5:
	case 6:
		return act_reopen(s, take);
	case 7:
		return act_again(s, take);
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
		return chance(30) ? act_burst(s, take) : act_clash(s, take);
	case 23:
	case 24:
		return act_clash(s, take);
	default:
		return act_next(s, any_conn(s), take);
	}
}
