/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The differences that are right. Each has its reason in docs/rfc.md, under its name; each test
 * here is to be as narrow as what it stands for.
 */
#include <string.h>
#include "compare.h"

#define INNER_MTU 1420 /* the smaller of the two, as scripts/oracle sets them */

/* ---- what went in ---- */

static bool is_tcp(const struct step *step, struct layout *l)
{
	return packet_layout(step->packet.data, step->packet.len, l) && l->proto == PROTO_TCP && !l->fragment &&
	       l->end >= l->l4 + 20;
}

static uint8_t icmp_type(const struct step *step, struct layout *l)
{
	if (!packet_layout(step->packet.data, step->packet.len, l) || !packet_is_icmp_error(step->packet.data, l))
		return 0;
	return step->packet.data[l->l4];
}

/* The one packet that came out of a gateway, or NULL. */
static const struct packet *the_out(const struct step *step, enum gateway g)
{
	return step->outs[g].count == 1 ? &step->outs[g].out[0].packet : NULL;
}

/* The connection that the packet belongs to. A later fragment doesn't say it. */
static const struct conn *conn_of(const struct sequence *s, const struct step *step, enum end *end)
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

/* The connection that an ICMP error is about, and which end would send the like of it. */
static const struct conn *conn_lookup_quote(const struct sequence *s, const struct step *step, enum end *end)
{
	struct packet quoted;
	struct layout l;

	if (!icmp_type(step, &l))
		return NULL;
	/* The quote, turned round, is as the connection's packets come in. */
	memcpy(quoted.data, step->packet.data + l.l4 + 8, l.end - l.l4 - 8);
	quoted.len = l.end - l.l4 - 8;
	return packet_turn(&quoted) ? model_conn_of((struct sequence *)s, &quoted, end) : NULL;
}

/* Has fwdctl sent the error on to the other end of that connection? */
static bool is_error_of(const struct step *step, const struct conn *c, enum end end)
{
	const struct packet *fwd = the_out(step, FWD);
	struct addr to;

	if (!fwd)
		return false;
	to = addr_of(fwd->data, true);
	return addr_equal(&to, end == TARGET ? &c->client : &c->target);
}

/* Where nft's `maxseg` finds the MSS option of a SYN: the first that it comes to, whether or not
 * the list has ended, whatever its length. From the TCP header on; 0: nowhere. */
static unsigned mss_place_of(const struct packet *p, unsigned l4, bool *ended)
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

/* Takes the MSS and the checksum from `from`: all else stays to be compared. */
static void ignore_mss(struct packet *p, const struct packet *from, unsigned l4)
{
	bool ended;
	unsigned at = mss_place_of(p, l4, &ended);

	if (!at)
		return;
	memcpy(p->data + l4 + at + 2, from->data + l4 + at + 2, 2);
	memcpy(p->data + l4 + 16, from->data + l4 + 16, 2);
}

/* Is what fwdctl sent on exactly the packet, translated as its connection says? */
static bool is_translated(const struct sequence *s, const struct step *step)
{
	const struct packet *out = the_out(step, FWD);
	struct packet want = step->packet;
	uint8_t before[PACKET_MAX], addrs[32], *check, *at;
	const struct addr *src, *dst;
	const struct conn *c;
	unsigned size;
	struct layout l;
	enum end end;

	c = conn_of(s, step, &end);
	if (!c || !out || !packet_layout(want.data, want.len, &l))
		return false;
	/* The last piece doesn't tell what the whole was. */
	if (l.fragment)
		return out->data[0] >> 4 == l.family;
	want.len = l.end; /* the link's padding is left behind */
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
	put16(want.data + l.l4, end == CLIENT ? (c->map->snat ? VIRTUAL_PORT + (c - s->conn) : c->cport) : c->lport);
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
		ignore_mss(&want, out, l.l4);
	return out->len == want.len && !memcmp(out->data, want.data, want.len);
}

/* Did fwdctl refuse the packet as a router has to, since it is too large or too old, and quote it
 * as it came? */
static bool is_refused(const struct step *step)
{
	const struct packet *p = the_out(step, FWD);
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

/* Is all that came out of the gateway its stack's: the packet with its own addresses, or an answer
 * to its sender? */
static bool is_the_stacks(const struct step *step, enum gateway g)
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

/* ---- the table ---- */

/* For netfilter it may be the beginning of another connection, to the gateway itself. */
static bool is_syn_of_target(const struct sequence *s, const struct step *step)
{
	struct layout l;
	enum end end;

	return is_tcp(step, &l) && conn_of(s, step, &end) && end == TARGET &&
	       (step->packet.data[l.l4 + 13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Sequence numbers aside, netfilter judges TCP's flags and states; fwdctl leaves that to the ends.
 */
static bool tcp_state(const struct sequence *s, const struct step *step)
{
	struct layout l;

	if (!packet_layout(step->packet.data, step->packet.len, &l) || l.proto != PROTO_TCP ||
	    !(step->invalid || is_syn_of_target(s, step)))
		return false;
	return is_the_stacks(step, NFT) && (is_translated(s, step) || is_refused(step));
}

/* nft's `maxseg` doesn't know that the list may have ended, nor how long the option is, nor that it
 * may begin at an odd place; then it writes a wrong checksum. */
static bool mss_place(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	struct packet a;
	struct layout l;
	unsigned at;
	bool ended;

	(void)s;
	if (!nft || !fwd || nft->len != fwd->len || !packet_layout(nft->data, nft->len, &l) || l.proto != PROTO_TCP ||
	    l.end < l.l4 + 20 || !(nft->data[l.l4 + 13] & TCP_SYN))
		return false;
	at = mss_place_of(nft, l.l4, &ended);
	if (!at || !(ended || at & 1 || nft->data[l.l4 + at + 1] != 4))
		return false;
	a = *nft;
	ignore_mss(&a, fwd, l.l4);
	return !memcmp(a.data, fwd->data, a.len);
}

/* Is the choice of the source port all that differs? */
static bool is_port_alone(const struct sequence *s, const struct step *step)
{
	return step->same_packets || (is_translated(s, step) && step->outs[NFT].count == 1);
}

/* netfilter tracks whatever passes, also what no rule concerns: a flow between the same ends takes
 * the port from the map's visitor. */
static bool passing_flow(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;
	unsigned i;

	c = conn_of(s, step, &end);
	if (!c || end != CLIENT || !is_port_alone(s, step))
		return false;
	for (i = 0; i + 1 < s->sent_count; i++) {
		const struct packet *p = &s->sent[i].packet;
		struct addr src, dst;
		uint16_t sport, dport;
		struct layout l;

		if (!packet_layout(p->data, p->len, &l) || l.proto != c->proto || l.frag_at || l.end < l.l4 + 4)
			continue;
		src = addr_of(p->data, false);
		dst = addr_of(p->data, true);
		sport = get16(p->data + l.l4);
		dport = get16(p->data + l.l4 + 2);
		if (addr_equal(&src, &c->target) && addr_equal(&dst, &c->source) && sport == c->tport &&
		    model_real_port(s, dport) == c->cport)
			return true;
		/* Or by the visitor himself, past the map (`--snat none`). */
		if (addr_equal(&src, &c->source) && addr_equal(&dst, &c->target) && sport == c->cport &&
		    dport == c->tport)
			return true;
	}
	return false;
}

/* Errors that RFC 4443 does not define. */
static bool icmpv6_unknown(const struct sequence *s, const struct step *step)
{
	struct layout l;
	uint8_t type = icmp_type(step, &l);

	(void)s;
	return l.family == 6 && type > 4 && type < 128 && step->outs[NFT].count == 1 && is_the_stacks(step, FWD);
}

static bool source_quench(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return icmp_type(step, &l) == 4 && l.family == 4 && step->outs[NFT].count == 1 && is_the_stacks(step, FWD);
}

/* The gateways' own ICMPv6 errors: fwdctl's have the traffic class that RFC 1812 wants of IPv4's.
 */
static bool icmpv6_class(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	struct packet b;
	struct layout l;

	(void)s;
	if (icmp_type(step, &l) || !nft || !fwd || nft->len != fwd->len || !packet_layout(fwd->data, fwd->len, &l) ||
	    l.family != 6 || !packet_is_icmp_error(fwd->data, &l))
		return false;
	b = *fwd;
	b.data[0] = 0x60; /* the class is 0xc0 */
	b.data[7] = nft->data[7];
	return fwd->data[0] == 0x6c && !memcmp(b.data, nft->data, b.len);
}

/* fwdctl doesn't look into hop-by-hop options, and goes on. */
static bool hop_by_hop(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	struct layout l, out;

	if (!packet_layout(step->packet.data, step->packet.len, &l) || l.family != 6 || step->packet.data[6] != EXT_HOP)
		return false;
	/* An error must have gone on as the same error. */
	if (icmp_type(step, &l)) {
		if (!fwd || !packet_layout(fwd->data, fwd->len, &out) || out.l4 != l.l4 ||
		    fwd->data[l.l4] != step->packet.data[l.l4])
			return false;
	} else if (!is_translated(s, step) && !is_refused(step) && !(step->mangled & MANGLE_SOURCE)) {
		return false;
	}
	return !step->outs[NFT].count || (nft && packet_layout(nft->data, nft->len, &l) &&
					  packet_is_icmp_error(nft->data, &l) && nft->data[l.l4] == 4);
}

/* Takes record route and timestamp options from `from`. False: *p has none. */
static bool ignore_recorded(struct packet *p, const struct packet *from)
{
	struct layout l;

	if (!packet_layout(p->data, p->len, &l) || l.family != 4 || l.l4 == 20 ||
	    (p->data[20] != 7 && p->data[20] != 0x44))
		return false;
	memcpy(p->data + 20, from->data + 20, l.l4 - 20);
	packet_fix_ip_sum(p->data);
	return true;
}

/* Record route and timestamp go through as they came. */
static bool options_not_recorded(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	struct packet a;
	struct layout l;

	(void)s;
	if (!nft || !fwd || nft->len != fwd->len)
		return false;
	a = *nft;
	if (!ignore_recorded(&a, fwd))
		return false;
	if (is_tcp(step, &l) && step->packet.data[l.l4 + 13] & TCP_SYN)
		ignore_mss(&a, fwd, l.l4);
	return !memcmp(a.data, fwd->data, a.len);
}

/* Sources that fwdctl doesn't forward for: reserved, link-local, broadcast, mapped and its own. */
static bool source_not_forwardable(const struct sequence *s, const struct step *step)
{
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, none[15] = {0};
	struct addr src = addr_of(step->packet.data, false);
	const struct packet *fwd = the_out(step, FWD);
	struct addr from;

	(void)s;
	if (!(step->mangled & MANGLE_SOURCE) || step->outs[FWD].count > 1)
		return false;
	/* It may answer; it doesn't send it on. */
	if (fwd) {
		from = addr_of(fwd->data, false);
		if (!model_is_gateway(&from) || addr_equal(&from, model_inner(from.family)))
			return false;
	}
	if (model_is_gateway(&src))
		return true;
	/* The broadcast addresses of the two networks, too. */
	if (src.family == 4)
		return src.byte[0] == 0 || src.byte[0] >= 224 || src.byte[3] == 255;
	return (src.byte[0] == 0xfe && src.byte[1] >> 6 == 2) || !memcmp(src.byte, mapped, 12) ||
	       !memcmp(src.byte, none, 15);
}

/* Would another connection, if it is still there, have the source port that this one wants? */
static bool wants_port_of(const struct conn *c, const struct conn *o)
{
	return o != c && o->cport == c->cport && o->proto == c->proto && o->tport == c->tport &&
	       addr_equal(&o->target, &c->target);
}

static bool has_reset_twin(const struct sequence *s, const struct conn *c)
{
	unsigned i;

	for (i = 0; i < s->conn_count; i++)
		if (s->conn[i].was_reset && wants_port_of(c, &s->conn[i]))
			return true;
	return false;
}

/* A connection that was refused stays in fwdctl's table for some seconds: what comes late finds it,
 * and its source port isn't free. */
static bool after_reset(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;

	c = conn_of(s, step, &end);
	if (c && c->was_reset && is_the_stacks(step, NFT))
		return is_translated(s, step) || is_refused(step);
	if (c)
		return end == CLIENT && is_port_alone(s, step) && (c->was_reset || has_reset_twin(s, c));
	c = conn_lookup_quote(s, step, &end);
	return c && c->was_reset && is_error_of(step, c, end);
}

/* Did netfilter drop an ICMP error that fwdctl's stack forwarded as it came? (Into options it
 * writes.) */
static bool is_error_forwarded(const struct step *step, const struct layout *l)
{
	const struct packet *in = &step->packet, *fwd = the_out(step, FWD);

	return !step->outs[NFT].count && fwd && l->end == fwd->len && is_the_stacks(step, FWD) &&
	       !memcmp(in->data + l->l4, fwd->data + l->l4, l->end - l->l4);
}

/* Redirects through a NAT mean nothing, and netfilter drops them; to fwdctl they are the stack's.
 */
static bool icmp_redirect(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return icmp_type(step, &l) == 5 && l.family == 4 && is_error_forwarded(step, &l);
}

/* A routing header is for the stack to judge, which then takes the packet for its own. */
static bool routing_header(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return packet_layout(step->packet.data, step->packet.len, &l) && l.family == 6 &&
	       step->packet.data[6] == EXT_ROUTING && is_the_stacks(step, FWD);
}

/* A quote of another IP version than the error's, or of less than 8 bytes of the transport header,
 * says nothing about a connection. netfilter doesn't look at the former, and drops the latter. */
static bool quote_unfit(const struct sequence *s, const struct step *step)
{
	struct layout l, q;

	(void)s;
	if (!icmp_type(step, &l) || l.end < l.l4 + 28 || !is_the_stacks(step, FWD))
		return false;
	if (step->packet.data[l.l4 + 8] >> 4 != l.family)
		return true;
	return !step->outs[NFT].count && packet_layout(step->packet.data + l.l4 + 8, l.end - l.l4 - 8, &q) &&
	       q.end - q.l4 < 8;
}

/* A quoted TCP header of 18 or 19 bytes has its checksum in it; netfilter looks for it in whole
 * ones. */
static bool quote_cut_at_sum(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	struct packet a;
	struct layout l, q;

	(void)s;
	if (!icmp_type(step, &l) || !nft || !fwd || nft->len != fwd->len || !packet_layout(nft->data, nft->len, &l) ||
	    !packet_layout(nft->data + l.l4 + 8, l.end - l.l4 - 8, &q) || q.proto != PROTO_TCP || q.end - q.l4 < 18 ||
	    q.end - q.l4 > 19)
		return false;
	a = *nft;
	memcpy(a.data + l.l4 + 2, fwd->data + l.l4 + 2, 2);
	memcpy(a.data + l.l4 + 8 + q.l4 + 16, fwd->data + l.l4 + 8 + q.l4 + 16, 2);
	ignore_recorded(&a, fwd);
	return !memcmp(a.data, fwd->data, a.len);
}

/* Has netfilter sent on nothing of this client yet, which sends fragments? */
static bool came_in_pieces(const struct sequence *s, const struct conn *c)
{
	const struct packet *p;
	struct layout l;
	struct addr src;
	unsigned i;

	if (c->passed)
		return false;
	for (i = 0; i < s->sent_count; i++) {
		p = &s->sent[i].packet;
		src = addr_of(p->data, false);
		if (packet_layout(p->data, p->len, &l) && l.fragment && addr_equal(&src, &c->client))
			return true;
	}
	return false;
}

/* The first datagram came in pieces, of which one is missing: netfilter never saw it whole. fwdctl
 * sent the pieces on, and opened the connection with the first; or refused one. */
static bool incomplete_datagram(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	struct layout l;
	unsigned i;
	enum end end;

	if (packet_layout(step->packet.data, step->packet.len, &l) && l.fragment && !step->outs[NFT].count &&
	    is_refused(step))
		return true;
	c = conn_of(s, step, &end);
	if (c && end == TARGET)
		return came_in_pieces(s, c) && (is_translated(s, step) || is_refused(step));
	/* Errors about it find their way, too. */
	c = conn_lookup_quote(s, step, &end);
	if (c && !step->outs[NFT].count)
		return came_in_pieces(s, c) && is_error_of(step, c, end);
	/* Or it has the port that another wants. */
	c = conn_of(s, step, &end);
	for (i = 0; c && i < s->conn_count; i++) {
		const struct conn *o = &s->conn[i];

		if (wants_port_of(c, o) && came_in_pieces(s, o))
			return c->source_port[NFT] == c->cport && is_port_alone(s, step);
	}
	return false;
}

static bool fragment_of(const struct step *step, bool icmp)
{
	struct layout l;

	return packet_layout(step->packet.data, step->packet.len, &l) && l.fragment &&
	       icmp == (l.proto == PROTO_ICMP || l.proto == PROTO_ICMPV6);
}

/* ICMP errors are made not to need fragmentation; those that come in pieces are the stack's. */
static bool icmp_fragments(const struct sequence *s, const struct step *step)
{
	(void)s;
	return fragment_of(step, true) && is_the_stacks(step, FWD);
}

/* First fragments that don't hold the whole TCP header, and fragments that overlap, are dropped. */
static bool tiny_or_overlapping(const struct sequence *s, const struct step *step)
{
	struct addr from, src = addr_of(step->packet.data, false);

	(void)s;
	if (!fragment_of(step, false) || !step->note || strcmp(step->note, "odd fragments"))
		return false;
	if (!step->outs[FWD].count)
		return true;
	/* Those that are not for a map are not fwdctl's to drop; the stack sends them on as they
	 * are. */
	from = addr_of(step->outs[FWD].out[0].packet.data, false);
	return !step->outs[NFT].count && addr_equal(&from, &src);
}

/* netfilter gives a visitor's port the source port that it has towards another target. */
static bool same_mapping(const struct sequence *s, const struct step *step)
{
	const struct conn *c, *o;
	enum end end;
	unsigned i;

	c = conn_of(s, step, &end);
	if (!c || end != CLIENT || c->source_port[FWD] != c->cport || !is_port_alone(s, step))
		return false;
	for (i = 0; i < s->conn_count; i++) {
		o = &s->conn[i];
		if (o != c && o->proto == c->proto && addr_equal(&o->client, &c->client) && o->cport == c->cport &&
		    o->source_port[NFT] == c->source_port[NFT])
			return true;
	}
	return false;
}

/* An error whose own checksum is wrong is the stack's, which sends on what is for somebody else. */
static bool icmp_sum(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return icmp_type(step, &l) && sum_transport(step->packet.data, &l) && is_error_forwarded(step, &l);
}

/* Has this address sent something from that side? */
static bool has_sent_from(const struct sequence *s, const struct addr *from, enum side side)
{
	struct addr src;
	unsigned i;

	for (i = 0; i < s->sent_count; i++) {
		src = addr_of(s->sent[i].packet.data, false);
		if (s->sent[i].side == side && addr_equal(&src, from))
			return true;
	}
	return false;
}

/* What goes back to a visitor leaves by the device that he came in by, not by his address's route.
 */
static bool same_device(const struct sequence *s, const struct step *step)
{
	const struct out *nft = step->outs[NFT].out, *fwd = step->outs[FWD].out;
	struct addr to;

	if (!the_out(step, NFT) || !the_out(step, FWD) || nft->side == fwd->side || fwd->wrong_macs ||
	    !compare_same_packet(step, &nft->packet, &fwd->packet))
		return false;
	to = addr_of(fwd->packet.data, true);
	return has_sent_from(s, &to, fwd->side);
}

/* Both are the same error about the packet, but one has the options of the packet in its own
 * header, and has written into them, also into those that it quotes. */
static bool error_options(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = the_out(step, NFT), *fwd = the_out(step, FWD);
	const uint8_t *a, *b;
	struct layout l, in, out;
	unsigned len;

	(void)s;
	if (!nft || !is_refused(step) || !packet_layout(step->packet.data, step->packet.len, &in) || in.family != 4 ||
	    in.l4 == 20 || !packet_layout(nft->data, nft->len, &l) || !packet_layout(fwd->data, fwd->len, &out) ||
	    l.l4 != in.l4 || out.l4 != 20 || !packet_is_icmp_error(nft->data, &l) ||
	    memcmp(nft->data + 12, fwd->data + 12, 8))
		return false;
	a = nft->data + l.l4;
	b = fwd->data + 20;
	len = l.end - l.l4;
	/* Type and code, the MTU; of the quote all but the options. */
	return len <= out.end - 20 && len >= 8 + in.l4 && !memcmp(a, b, 2) && !memcmp(a + 4, b + 4, 24) &&
	       !memcmp(a + 8 + in.l4, b + 8 + in.l4, len - 8 - in.l4);
}

/* The client's last SYN was for neither to send on (its TTL was used up, or the stack dislikes its
 * options), but the one that looked at it first may have ended the connection before it. */
static bool refused_syn(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;

	c = conn_of(s, step, &end);
	if (c)
		return c->syn_refused &&
		       (is_the_stacks(step, FWD) || (is_the_stacks(step, NFT) && is_translated(s, step)));
	c = conn_lookup_quote(s, step, &end);
	return c && c->syn_refused && (is_the_stacks(step, FWD) || is_error_of(step, c, end));
}

struct known known[] = {
	{"tcp-state", tcp_state, false, 0, false},
	{"mss-place", mss_place, true, 0, false},
	{"passing-flow", passing_flow, false, 0, false},
	{"icmpv6-unknown", icmpv6_unknown, true, 0, false},
	{"source-quench", source_quench, true, 0, false},
	{"icmpv6-class", icmpv6_class, true, 0, false},
	{"hop-by-hop", hop_by_hop, false, 0, false},
	{"options-not-recorded", options_not_recorded, true, 0, false},
	{"source-not-forwardable", source_not_forwardable, false, 0, false},
	{"icmp-sum", icmp_sum, true, 0, false},
	{"after-reset", after_reset, false, 0, false},
	{"icmp-redirect", icmp_redirect, true, 0, false},
	{"routing-header", routing_header, false, 0, false},
	{"quote-unfit", quote_unfit, true, 0, false},
	{"quote-cut-at-sum", quote_cut_at_sum, true, 0, false},
	{"same-mapping", same_mapping, false, 0, false},
	{"incomplete-datagram", incomplete_datagram, false, 0, false},
	{"icmp-fragments", icmp_fragments, true, 0, false},
	{"tiny-fragment", tiny_or_overlapping, false, 0, false},
	{"same-device", same_device, true, 0, false},
	{"error-options", error_options, true, 0, false},
	{"refused-syn", refused_syn, false, 0, false},
};

const unsigned known_count = sizeof(known) / sizeof(known[0]);

struct known *compare_known(const struct sequence *s, const struct step *step)
{
	struct layout l;
	unsigned i;

	/* There's no good reason for a checksum that was right and no longer is. (A piece tells
	 * nothing about the whole's; what the stack says is its own business.) */
	if (packet_layout(step->packet.data, step->packet.len, &l) && !l.fragment &&
	    packet_sums_right(step->packet.data, step->packet.len) && compare_has_wrong_sums(step, FWD) &&
	    (is_refused(step) || !is_the_stacks(step, FWD)))
		return NULL;
	for (i = 0; i < known_count; i++)
		if (known[i].applies && known[i].applies(s, step))
			return &known[i];
	return NULL;
}
