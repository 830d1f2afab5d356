/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "mangle.h"

void mangle_spec(struct spec *spec, struct step *step)
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
			/* A second header after it. */
			memcpy(spec->options + spec->options_len, ext, 8);
			spec->options[0] = EXT_DEST;
			spec->last_next = spec->options_len;
			spec->options_len += 8;
		}
	}
}

void mangle_packet(struct packet *p, struct step *step)
{
	struct layout l;
	uint8_t *t, *check, *total;

	if (!packet_layout(p->data, p->len, &l) || !packet_check_at(l.proto))
		return;
	t = p->data + l.l4;
	check = t + packet_check_at(l.proto);
	total = p->data + (l.family == 4 ? 2 : 4);
	switch (below(10)) {
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
	case 8:
		/* As if it had none, so MANGLE_MAC is not set. */
		step->tags = 1 + below(2);
		break;
	default:
		step->to = chance(50) ? TO_OTHER : TO_ALL;
		step->mangled |= MANGLE_MAC;
	}
}

bool mangle_quote(struct packet *q)
{
	struct layout l;

	packet_layout(q->data, q->len, &l);
	if (chance(40)) {
		/* The TTL was decremented on the path. */
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
