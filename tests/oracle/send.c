/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "mangle.h"
#include "send.h"

struct step *step_begin(enum side side, struct conn *c, enum end end)
{
	static struct step current;
	struct step *step = &current;

	step->what[0] = 0;
	step->side = side;
	step->to = TO_GATEWAY;
	step->tags = 0;
	step->conn = c;
	step->end = end;
	step->mangled = 0;
	step->note = NULL;
	return step;
}

void step_describe(struct step *step, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vsnprintf(step->what, sizeof(step->what), format, words);
	va_end(words);
}

/* Of either end, in any state. */
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

bool send_built(struct sequence *s, struct step *step, take_step take)
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

/* ---- fragments ----------------------------------------------------------------------------- */

struct piece {
	unsigned at, len;
};

/* The fragment of `whole` at piece.at bytes of IP payload, piece.len bytes long. */
static void make_fragment(const struct packet *whole, const struct layout *l, struct piece piece, uint32_t id,
			  struct packet *p)
{
	unsigned header = l->l4, total = l->end - l->l4;
	bool more = piece.at + piece.len < total;

	memcpy(p->data, whole->data, header);
	if (l->family == 4) {
		p->data[6] &= 0x80; /* without DF */
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
	/* Unique, so that fragments are not reassembled with those that are left of another datagram, or of this one
	 * when it is repeated. */
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
		count--; /* the last one is lost */
	else if (chance(5)) {
		pieces[count] = pieces[below(count)]; /* a duplicate, or an overlap */
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
		step_describe(step, "%.60s, fragment %u+%u", what, pieces[i].at, pieces[i].len);
		if (!send_built(s, step, take))
			return false;
	}
	return true;
}

bool send_spec(struct sequence *s, struct spec *spec, struct step *step, take_step take)
{
	bool odd = chance(s->mangle_percent), before_build = chance(50);

	if (odd && before_build)
		mangle_spec(spec, step);
	packet_build(&step->packet, spec);
	if (odd && !before_build)
		mangle_packet(&step->packet, step);
	/* An impossible source address is not unique to this sequence, so that fragments of two sequences could mix. */
	if (s->fragments && !odd && !step->mangled && chance(12) && spec->payload_len > 16)
		return send_fragments(s, step, take);
	return send_built(s, step, take);
}
