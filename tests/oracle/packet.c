/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "packet.h"

uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

struct addr addr_parse(const char *text)
{
	struct addr a = {.family = strchr(text, ':') ? 6 : 4};

	if (inet_pton(a.family == 6 ? AF_INET6 : AF_INET, text, a.byte) != 1) {
		fprintf(stderr, "oracle: not an address: %s\n", text);
		exit(2);
	}
	return a;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && !memcmp(a->byte, b->byte, a->family == 6 ? 16 : 4);
}

struct addr addr_of(const uint8_t *data, bool destination)
{
	struct addr a = {.family = data[0] >> 4};

	if (a.family == 4)
		memcpy(a.byte, data + (destination ? 16 : 12), 4);
	else
		memcpy(a.byte, data + (destination ? 24 : 8), 16);
	return a;
}

uint16_t sum(const uint8_t *data, unsigned len, uint32_t start)
{
	uint32_t s = start;
	unsigned i;

	for (i = 0; i + 1 < len; i += 2)
		s += get16(data + i);
	if (len & 1)
		s += data[len - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* RFC 1624, equation 3. */
void sum_replace(uint8_t *check, const uint8_t *before, const uint8_t *after, unsigned len)
{
	uint32_t s = (uint16_t)~get16(check);

	s += (uint16_t)~sum(before, len, 0);
	s += sum(after, len, 0);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	if (memcmp(before, after, len))
		put16(check, ~s);
}

unsigned packet_check_at(uint8_t proto)
{
	switch (proto) {
	case PROTO_TCP:
		return 16;
	case PROTO_UDP:
		return 6;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return 2;
	}
	return 0;
}

static uint32_t pseudo(const uint8_t *data, const struct layout *l, unsigned len)
{
	if (l->proto == PROTO_ICMP)
		return 0;
	if (l->family == 4)
		return sum(data + 12, 8, l->proto + len);
	return sum(data + 8, 32, l->proto + (len >> 16) + (len & 0xffff));
}

uint16_t sum_transport(const uint8_t *data, const struct layout *l)
{
	unsigned len = l->end - l->l4;

	if (l->proto == PROTO_UDP && len >= 8 && get16(data + l->l4 + 4) >= 8 && get16(data + l->l4 + 4) < len)
		len = get16(data + l->l4 + 4);
	return ~sum(data + l->l4, len, pseudo(data, l, len));
}

void packet_fix_ip_sum(uint8_t *data)
{
	put16(data + 10, 0);
	put16(data + 10, ~sum(data, (data[0] & 15) * 4, 0));
}

static unsigned build_ip(uint8_t *d, const struct spec *spec, unsigned payload)
{
	if (spec->src.family == 4) {
		unsigned header = 20 + spec->options_len;

		d[0] = 0x40 | header / 4;
		d[1] = spec->tos;
		put16(d + 2, header + payload);
		put16(d + 4, spec->id);
		put16(d + 6, spec->ip_flags << 8);
		d[8] = spec->ttl;
		d[9] = spec->proto;
		memcpy(d + 12, spec->src.byte, 4);
		memcpy(d + 16, spec->dst.byte, 4);
		memcpy(d + 20, spec->options, spec->options_len);
		packet_fix_ip_sum(d);
		return header;
	}
	put32(d, 0x60000000 | (uint32_t)spec->tos << 20 | (spec->flow & 0xfffff));
	put16(d + 4, spec->options_len + payload);
	d[6] = spec->options_len ? spec->first_ext : spec->proto;
	d[7] = spec->ttl;
	memcpy(d + 8, spec->src.byte, 16);
	memcpy(d + 24, spec->dst.byte, 16);
	memcpy(d + 40, spec->options, spec->options_len);
	if (spec->options_len)
		d[40 + spec->last_next] = spec->proto;
	return 40 + spec->options_len;
}

static unsigned build_transport(uint8_t *d, const struct spec *spec)
{
	if (spec->proto == PROTO_TCP) {
		put16(d, spec->sport);
		put16(d + 2, spec->dport);
		put32(d + 4, spec->seq);
		put32(d + 8, spec->ack);
		d[12] = (20 + spec->tcp_options_len) / 4 << 4;
		d[13] = spec->flags;
		put16(d + 14, spec->window);
		memcpy(d + 20, spec->tcp_options, spec->tcp_options_len);
		return 20 + spec->tcp_options_len;
	}
	if (spec->proto == PROTO_UDP) {
		put16(d, spec->sport);
		put16(d + 2, spec->dport);
		put16(d + 4, 8 + spec->payload_len);
		return 8;
	}
	memcpy(d, spec->icmp, 8);
	put16(d + 2, 0);
	return 8;
}

void packet_build(struct packet *p, const struct spec *spec)
{
	uint8_t transport[PACKET_MAX] = {};
	unsigned len = build_transport(transport, spec), ip, check = packet_check_at(spec->proto);
	struct layout l = {.family = spec->src.family, .proto = spec->proto};

	memcpy(transport + len, spec->payload, spec->payload_len);
	len += spec->payload_len;
	ip = build_ip(p->data, spec, len);
	memcpy(p->data + ip, transport, len);
	p->len = ip + len;
	l.l4 = ip;
	l.end = p->len;
	if (check) {
		uint16_t s = sum_transport(p->data, &l);

		put16(p->data + ip + check, s || spec->proto != PROTO_UDP ? s : 0xffff);
	}
}

static bool layout_v6(const uint8_t *d, unsigned len, struct layout *l)
{
	unsigned at = 40, next_at = 6;

	if (len < 40)
		return false;
	l->end = 40 + get16(d + 4);
	for (;;) {
		uint8_t next = d[next_at];

		if (next == EXT_FRAGMENT) {
			if (at + 8 > len)
				return false;
			l->frag_header = at;
			l->frag_next = next_at;
			l->frag_at = get16(d + at + 2) & 0xfff8;
			l->more = d[at + 3] & 1;
			l->frag_id = get32(d + at + 4);
			l->fragment = l->frag_at || l->more;
			next_at = at;
			at += 8;
			if (l->frag_at) {
				l->proto = d[next_at];
				break;
			}
			continue;
		}
		if (next != EXT_HOP && next != EXT_ROUTING && next != EXT_DEST) {
			l->proto = next;
			break;
		}
		if (at + 2 > len)
			return false;
		next_at = at;
		at += (d[at + 1] + 1) * 8;
	}
	l->l4 = at;
	return at <= len;
}

bool packet_layout(const uint8_t *d, unsigned len, struct layout *l)
{
	memset(l, 0, sizeof(*l));
	if (!len)
		return false;
	l->family = d[0] >> 4;
	if (l->family == 4) {
		if (len < 20 || (d[0] & 15) < 5 || (d[0] & 15u) * 4 > len)
			return false;
		l->l4 = (d[0] & 15) * 4;
		l->end = get16(d + 2);
		l->proto = d[9];
		l->frag_at = (get16(d + 6) & 0x1fff) * 8;
		l->more = d[6] & 0x20;
		l->frag_id = get16(d + 4);
		l->fragment = l->frag_at || l->more;
	} else if (l->family != 6 || !layout_v6(d, len, l)) {
		return false;
	}
	if (l->end > len)
		l->end = len;
	return l->l4 <= l->end;
}

bool packet_is_icmp_error(const uint8_t *d, const struct layout *l)
{
	if (l->frag_at || l->end < l->l4 + 8)
		return false;
	if (l->family == 4 && l->proto == PROTO_ICMP)
		return d[l->l4] == 3 || d[l->l4] == 4 || d[l->l4] == 5 || d[l->l4] == 11 || d[l->l4] == 12;
	return l->family == 6 && l->proto == PROTO_ICMPV6 && d[l->l4] < 128;
}

bool packet_sums_right(const uint8_t *d, unsigned len)
{
	struct layout l;
	unsigned check;

	if (!packet_layout(d, len, &l))
		return true;
	if (l.family == 4 && sum(d, (d[0] & 15) * 4, 0) != 0xffff)
		return false;
	/* A truncated quote or a fragment can't be verified. */
	if (l.fragment || (l.family == 4 ? get16(d + 2) : 40u + get16(d + 4)) > len)
		return true;
	check = packet_check_at(l.proto);
	if (!check || l.end < l.l4 + check + 2)
		return true;
	if (l.proto == PROTO_UDP && l.family == 4 && !get16(d + l.l4 + check))
		return true;
	if (sum_transport(d, &l))
		return false;
	return !packet_is_icmp_error(d, &l) || packet_sums_right(d + l.l4 + 8, l.end - l.l4 - 8);
}

static void rename_at(uint8_t *d, unsigned len, port_of ask, void *arg, int depth)
{
	uint8_t before[PACKET_MAX], *check;
	struct layout l;
	unsigned size;

	if (!packet_layout(d, len, &l) || l.frag_at)
		return;
	size = l.end - l.l4;
	memcpy(before, d + l.l4, size);
	check = d + l.l4 + packet_check_at(l.proto);
	if (l.proto == PROTO_TCP || l.proto == PROTO_UDP) {
		struct addr src = addr_of(d, false), dst = addr_of(d, true);
		uint16_t sport, dport, old;

		if (size < 4)
			return;
		sport = get16(d + l.l4);
		dport = get16(d + l.l4 + 2);
		if (ask(arg, l.proto, &src, &dst, get16(before + 2), &sport))
			put16(d + l.l4, sport);
		if (ask(arg, l.proto, &dst, &src, get16(before), &dport))
			put16(d + l.l4 + 2, dport);
		if (size < packet_check_at(l.proto) + 2)
			return;
		old = get16(check);
		if (l.proto == PROTO_UDP && !old)
			return;
		sum_replace(check, before, d + l.l4, 4);
		if (l.proto == PROTO_UDP && !get16(check))
			put16(check, 0xffff);
		/* Ones' complement has two zeros, which are equivalent. */
		if (l.proto == PROTO_TCP && get16(check) == 0xffff)
			put16(check, 0);
	} else if (!depth && packet_is_icmp_error(d, &l)) {
		rename_at(d + l.l4 + 8, size - 8, ask, arg, depth + 1);
		sum_replace(check, before + 8, d + l.l4 + 8, size - 8);
		if (get16(check) == 0xffff)
			put16(check, 0);
	}
}

void packet_rename(struct packet *p, port_of ask, void *arg)
{
	rename_at(p->data, p->len, ask, arg, 0);
}

static size_t describe_transport(const uint8_t *d, const struct layout *l, char *text, size_t size)
{
	static const char flag_names[] = "FSRPAUEC";
	unsigned len = l->end - l->l4;
	const uint8_t *t = d + l->l4;
	char flags[9] = "";
	int i, n = 0;

	if (l->frag_at)
		return snprintf(text, size, " proto %u +%u bytes", l->proto, len);
	if (l->proto == PROTO_TCP && len >= 20) {
		for (i = 0; i < 8; i++)
			if (t[13] >> i & 1)
				flags[n++] = flag_names[i];
		flags[n] = 0;
		return snprintf(text, size, " tcp %u > %u [%s] seq %u ack %u +%d", get16(t), get16(t + 2), flags,
				get32(t + 4), get32(t + 8), (int)len - (t[12] >> 4) * 4);
	}
	if ((l->proto == PROTO_UDP || l->proto == PROTO_TCP) && len >= 8)
		return snprintf(text, size, " %s %u > %u len %u", l->proto == PROTO_UDP ? "udp" : "tcp(cut)", get16(t),
				get16(t + 2), len);
	if ((l->proto == PROTO_ICMP || l->proto == PROTO_ICMPV6) && len >= 8)
		return snprintf(text, size, " icmp %u/%u rest %08x +%u", t[0], t[1], get32(t + 4), len - 8);
	return snprintf(text, size, " proto %u +%u bytes", l->proto, len);
}

void packet_describe(const uint8_t *d, unsigned len, char *text, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	struct addr a, b;
	struct layout l;
	size_t n;

	if (!packet_layout(d, len, &l)) {
		snprintf(text, size, "%u bytes, malformed", len);
		return;
	}
	a = addr_of(d, false);
	b = addr_of(d, true);
	inet_ntop(l.family == 4 ? AF_INET : AF_INET6, a.byte, src, sizeof(src));
	inet_ntop(l.family == 4 ? AF_INET : AF_INET6, b.byte, dst, sizeof(dst));
	n = snprintf(text, size, "%s > %s ttl %u len %u", src, dst, l.family == 4 ? d[8] : d[7], len);
	if (l.family == 4)
		n += snprintf(text + n, size - n, " id %u%s%s", get16(d + 4), d[6] & 0x40 ? " DF" : "",
			      (d[0] & 15) > 5 ? " options" : "");
	else if (l.l4 > 40)
		n += snprintf(text + n, size - n, " ext %u", l.l4 - 40);
	if (l.fragment)
		n += snprintf(text + n, size - n, " frag %u@%u%s", l.frag_id, l.frag_at, l.more ? "+" : "");
	n += describe_transport(d, &l, text + n, size - n);
	if (!packet_sums_right(d, len))
		n += snprintf(text + n, size - n, " WRONG SUM");
	if (packet_is_icmp_error(d, &l) && n + 20 < size) {
		n += snprintf(text + n, size - n, " {");
		packet_describe(d + l.l4 + 8, l.end - l.l4 - 8, text + n, size - n - 2);
		strcat(text, "}");
	}
}

void packet_dump(const struct packet *p, const char *indent)
{
	unsigned i;

	for (i = 0; i < p->len && i < 160; i++)
		printf("%s%02x%s", i % 32 == 0 ? indent : "", p->data[i],
		       i % 32 == 31 || i == p->len - 1 || i == 159 ? "\n"
		       : i % 2                                     ? " "
								   : "");
}
