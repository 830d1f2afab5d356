/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "facts.h"

bool fact_is_tcp(const struct step *step, struct layout *l)
{
	return packet_layout(step->packet.data, step->packet.len, l) && l->proto == PROTO_TCP && !l->fragment &&
	       l->end >= l->l4 + 20;
}

uint8_t fact_icmp_type(const struct step *step, struct layout *l)
{
	if (!packet_layout(step->packet.data, step->packet.len, l) || !packet_is_icmp_error(step->packet.data, l))
		return 0;
	return step->packet.data[l->l4];
}

const struct packet *fact_only_out(const struct step *step, enum gateway g)
{
	return step->outs[g].count == 1 ? &step->outs[g].out[0].packet : NULL;
}

const struct conn *fact_conn(const struct sequence *s, const struct step *step, enum end *end)
{
	struct layout l;

	if (packet_layout(step->packet.data, step->packet.len, &l) && l.fragment) {
		*end = step->end;
		return step->conn;
	}
	return model_conn_of((struct sequence *)s, &step->packet, end);
}

/* Swaps addresses and ports. */
static bool packet_turn(struct packet *p)
{
	struct addr src, dst;
	uint8_t ports[4];
	struct layout l;
	unsigned at;

	if (!packet_layout(p->data, p->len, &l) || l.end < l.l4 + 4)
		return false;
	src = addr_of(p->data, false);
	dst = addr_of(p->data, true);
	at = l.family == 4 ? 12 : 8;
	memcpy(p->data + at, dst.byte, l.family == 4 ? 4 : 16);
	memcpy(p->data + at + (l.family == 4 ? 4 : 16), src.byte, l.family == 4 ? 4 : 16);
	memcpy(ports, p->data + l.l4, 4);
	memcpy(p->data + l.l4, ports + 2, 2);
	memcpy(p->data + l.l4 + 2, ports, 2);
	return true;
}

const struct conn *fact_quoted_conn(const struct sequence *s, const struct step *step, enum end *end)
{
	struct packet quoted;
	struct layout l;

	if (!fact_icmp_type(step, &l))
		return NULL;
	/* The quote with source and destination exchanged has the tuple of the connection's received packets. */
	memcpy(quoted.data, step->packet.data + l.l4 + 8, l.end - l.l4 - 8);
	quoted.len = l.end - l.l4 - 8;
	return packet_turn(&quoted) ? model_conn_of((struct sequence *)s, &quoted, end) : NULL;
}

bool fact_error_reached(const struct step *step, const struct conn *c, enum end end)
{
	const struct packet *fwd = fact_only_out(step, FWD);
	struct addr to;

	if (!fwd)
		return false;
	to = addr_of(fwd->data, true);
	return addr_equal(&to, end == TARGET ? &c->client : &c->target);
}

unsigned fact_mss_offset(const struct packet *p, unsigned l4, bool *ended)
{
	const uint8_t *tcp = p->data + l4;
	unsigned len = (tcp[12] >> 4) * 4, i;

	*ended = false;
	for (i = 20; i + 4 <= len && l4 + len <= p->len; i += tcp[i] < 2 || !tcp[i + 1] ? 1 : tcp[i + 1]) {
		if (tcp[i] == 2)
			return tcp[i + 1] >= 4 ? i : 0;
		*ended |= !tcp[i];
	}
	return 0;
}

void fact_ignore_mss(struct packet *p, const struct packet *from, unsigned l4)
{
	bool ended;
	unsigned at = fact_mss_offset(p, l4, &ended);

	if (!at)
		return;
	memcpy(p->data + l4 + at + 2, from->data + l4 + at + 2, 2);
	memcpy(p->data + l4 + 16, from->data + l4 + 16, 2);
}

bool fact_is_translated(const struct sequence *s, const struct step *step)
{
	const struct packet *out = fact_only_out(step, FWD);
	struct packet want = step->packet;
	uint8_t before[PACKET_MAX], addrs[32], *check, *at;
	const struct addr *src, *dst;
	const struct conn *c;
	unsigned size;
	struct layout l;
	enum end end;

	c = fact_conn(s, step, &end);
	if (!c || !out || !packet_layout(want.data, want.len, &l))
		return false;
	/* Of a datagram only the last fragment is known here. */
	if (l.fragment)
		return out->data[0] >> 4 == l.family;
	want.len = l.end; /* without link padding */
	src = end == CLIENT ? &c->source : &c->listen;
	dst = end == CLIENT ? &c->target : &c->client;
	size = l.family == 4 ? 4 : 16;
	at = want.data + (l.family == 4 ? 12 : 8);
	memcpy(addrs, at, 2 * size);
	memcpy(at, src->byte, size);
	memcpy(at + size, dst->byte, size);
	want.data[l.family == 4 ? 8 : 7]--;
	if (l.family == 4)
		packet_fix_ip_sum(want.data);
	memcpy(before, want.data + l.l4, 4);
	put16(want.data + l.l4, end == CLIENT ? VIRTUAL_PORT + (c - s->conn) : c->lport);
	put16(want.data + l.l4 + 2, end == CLIENT ? c->tport : c->cport);
	check = want.data + l.l4 + packet_check_at(l.proto);
	if (l.proto != PROTO_UDP || get16(check)) {
		sum_replace(check, addrs, at, 2 * size);
		sum_replace(check, before, want.data + l.l4, 4);
	}
	if (l.proto == PROTO_TCP && get16(check) == 0xffff)
		put16(check, 0);
	if (l.proto == PROTO_UDP && get16(step->packet.data + l.l4 + 6) && !get16(check))
		put16(check, 0xffff);
	if (l.proto == PROTO_TCP && l.end >= l.l4 + 20 && want.data[l.l4 + 13] & TCP_SYN && out->len == want.len &&
	    packet_sums_right(step->packet.data, step->packet.len) == packet_sums_right(out->data, out->len))
		fact_ignore_mss(&want, out, l.l4);
	return out->len == want.len && !memcmp(out->data, want.data, want.len);
}

bool fact_is_refused(const struct step *step)
{
	const struct packet *p = fact_only_out(step, FWD);
	const uint8_t *in = step->packet.data, *icmp;
	struct layout l;

	if (!p || !packet_layout(p->data, p->len, &l) || !packet_is_icmp_error(p->data, &l) ||
	    l.end - l.l4 - 8 > step->packet.len)
		return false;
	icmp = p->data + l.l4;
	if (memcmp(icmp + 8, in, l.end - l.l4 - 8))
		return false;
	if (in[l.family == 4 ? 8 : 7] <= 1)
		return icmp[0] == (l.family == 4 ? 11 : 3) && !icmp[1];
	return step->packet.len > INNER_MTU && (l.family == 4 ? icmp[0] == 3 && icmp[1] == 4 : icmp[0] == 2);
}

bool fact_is_by_stack(const struct step *step, enum gateway g)
{
	struct addr src = addr_of(step->packet.data, false), dst = addr_of(step->packet.data, true);
	unsigned i;

	for (i = 0; i < step->outs[g].count; i++) {
		const uint8_t *out = step->outs[g].out[i].packet.data;
		struct addr from = addr_of(out, false), to = addr_of(out, true);

		if (!addr_equal(&to, &src) && !(addr_equal(&from, &src) && addr_equal(&to, &dst)))
			return false;
	}
	return true;
}
