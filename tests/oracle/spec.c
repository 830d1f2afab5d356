/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "spec.h"

static uint8_t payload_bytes[PACKET_MAX];

void spec_payload(unsigned action)
{
	for (unsigned i = 0; i < sizeof(payload_bytes); i++)
		payload_bytes[i] = i * 7 + action;
}

unsigned spec_payload_len(void)
{
	switch (below(10)) {
	case 0:
		return 0;
	case 1:
		return 1 + below(7);
	case 2:
		return 1300 + below(160); /* around the MTU of the inside, and above */
	case 3:
		return 1350 + below(60);
	default:
		return 8 + below(200);
	}
}

void spec_begin(struct spec *spec, const struct addr *src, const struct addr *dst, uint8_t proto)
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
		spec->tos = below(256) & 0xfc; /* mangle_spec() sets the ECN bits, too */
	if (src->family == 6 && chance(20))
		spec->flow = rnd();
	spec->window = 512 + below(60000);
	spec->payload = payload_bytes;
	for (i = 0; i < 16; i++)
		payload_bytes[below(1600)] = rnd();
}

void spec_conn(struct spec *spec, const struct sequence *s, const struct conn *c, enum end end)
{
	if (end == CLIENT) {
		spec_begin(spec, &c->client, &c->listen, c->proto);
		spec->sport = c->cport;
		spec->dport = c->lport;
	} else {
		spec_begin(spec, &c->target, &c->source, c->proto);
		spec->sport = c->tport;
		spec->dport = VIRTUAL_PORT + (c - s->conn);
	}
	spec->seq = c->next[end];
}

void spec_add_tcp_option(struct spec *spec, const uint8_t *bytes, unsigned len)
{
	if (spec->tcp_options_len + len <= 40) {
		memcpy(spec->tcp_options + spec->tcp_options_len, bytes, len);
		spec->tcp_options_len += len;
	}
}

void spec_syn_options(struct spec *spec)
{
	static const uint8_t sack[] = {4, 2, 1, 1}, scale[] = {1, 3, 3, 7}, odd[] = {1}, end[] = {0},
			     broken[] = {2, 3, 5}, empty[] = {9, 0};
	uint8_t mss[] = {2, 4, 0, 0}, stamp[] = {8, 10, 0, 0, 0, 0, 0, 0, 0, 0};

	put16(mss + 2, chance(70) ? 1460 : below(9000));
	put32(stamp + 2, rnd());
	if (chance(4))
		spec_add_tcp_option(spec, odd, 1);
	if (chance(85))
		spec_add_tcp_option(spec, mss, 4);
	if (chance(60))
		spec_add_tcp_option(spec, sack, 4);
	if (chance(50))
		spec_add_tcp_option(spec, stamp, 10);
	if (chance(60))
		spec_add_tcp_option(spec, scale, 4);
	if (chance(3))
		spec_add_tcp_option(spec, broken, 3);
	if (chance(3))
		spec_add_tcp_option(spec, empty, 2);
	if (chance(10))
		spec_add_tcp_option(spec, end, 1);
	if (chance(5))
		spec_add_tcp_option(spec, mss, 4);
	while (spec->tcp_options_len % 4)
		spec_add_tcp_option(spec, chance(50) ? odd : end, 1);
}

void spec_icmp(struct spec *spec, uint8_t type, uint8_t code, uint32_t rest)
{
	spec->icmp[0] = type;
	spec->icmp[1] = code;
	put32(spec->icmp + 4, rest);
}

void spec_icmp_error(struct spec *spec)
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
