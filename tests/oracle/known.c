/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The differences that are accepted. Each is explained in docs/rfc.md under its name; each test here must be as narrow
 * as the difference that it accepts.
 */
#include <string.h>
#include "compare.h"
#include "facts.h"

/* netfilter may take it for the beginning of another connection, to the gateway itself. */
static bool is_syn_of_target(const struct sequence *s, const struct step *step)
{
	struct layout l;
	enum end end;

	return fact_is_tcp(step, &l) && fact_conn(s, step, &end) && end == TARGET &&
	       (step->packet.data[l.l4 + 13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* netfilter checks TCP flags against the connection's state; fwdctl leaves that to the ends. */
static bool tcp_state(const struct sequence *s, const struct step *step)
{
	struct layout l;

	if (!packet_layout(step->packet.data, step->packet.len, &l) || l.proto != PROTO_TCP ||
	    !(step->invalid || is_syn_of_target(s, step)))
		return false;
	return fact_is_by_stack(step, NFT) && (fact_is_translated(s, step) || fact_is_refused(step));
}

/* nft's `maxseg` ignores the end of the option list and the option's length; at an odd offset it writes a wrong
 * checksum. */
static bool mss_offset(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	struct packet a;
	struct layout l;
	unsigned at;
	bool ended;

	(void)s;
	if (!nft || !fwd || nft->len != fwd->len || !packet_layout(nft->data, nft->len, &l) || l.proto != PROTO_TCP ||
	    l.end < l.l4 + 20 || !(nft->data[l.l4 + 13] & TCP_SYN))
		return false;
	at = fact_mss_offset(nft, l.l4, &ended);
	if (!at || !(ended || at & 1 || nft->data[l.l4 + at + 1] != 4))
		return false;
	a = *nft;
	fact_ignore_mss(&a, fwd, l.l4);
	return !memcmp(a.data, fwd->data, a.len);
}

/* True if only the chosen source port differs. */
static bool is_port_alone(const struct sequence *s, const struct step *step)
{
	return step->same_packets || (fact_is_translated(s, step) && step->outs[NFT].count == 1);
}

/* netfilter tracks all packets, also those without a rule: such a flow between the same ends occupies the source port
 * that the map's visitor would keep. */
static bool passing_flow(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;
	unsigned i;

	c = fact_conn(s, step, &end);
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
		/* Or a flow of the visitor directly to the target (`--snat none`). */
		if (addr_equal(&src, &c->source) && addr_equal(&dst, &c->target) && sport == c->cport &&
		    dport == c->tport)
			return true;
	}
	return false;
}

/* fwdctl forwards only the error types that RFC 4443 defines. */
static bool icmpv6_unknown(const struct sequence *s, const struct step *step)
{
	struct layout l;
	uint8_t type = fact_icmp_type(step, &l);

	(void)s;
	return l.family == 6 && type > 4 && type < 128 && step->outs[NFT].count == 1 && fact_is_by_stack(step, FWD);
}

/* Deprecated by RFC 6633. */
static bool source_quench(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return fact_icmp_type(step, &l) == 4 && l.family == 4 && step->outs[NFT].count == 1 &&
	       fact_is_by_stack(step, FWD);
}

/* The gateways' own ICMPv6 errors: fwdctl sets the traffic class that RFC 1812 requires for IPv4. */
static bool icmpv6_class(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	struct packet b;
	struct layout l;

	(void)s;
	if (fact_icmp_type(step, &l) || !nft || !fwd || nft->len != fwd->len ||
	    !packet_layout(fwd->data, fwd->len, &l) || l.family != 6 || !packet_is_icmp_error(fwd->data, &l))
		return false;
	b = *fwd;
	b.data[0] = 0x60; /* the class is 0xc0 */
	b.data[7] = nft->data[7];
	return fwd->data[0] == 0x6c && !memcmp(b.data, nft->data, b.len);
}

/* fwdctl does not process hop-by-hop options, and forwards the packet. */
static bool hop_by_hop(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	struct layout l, out;

	if (!packet_layout(step->packet.data, step->packet.len, &l) || l.family != 6 || step->packet.data[6] != EXT_HOP)
		return false;
	/* An error must have been forwarded as the same error. */
	if (fact_icmp_type(step, &l)) {
		if (!fwd || !packet_layout(fwd->data, fwd->len, &out) || out.l4 != l.l4 ||
		    fwd->data[l.l4] != step->packet.data[l.l4])
			return false;
	} else if (!fact_is_translated(s, step) && !fact_is_refused(step) && !(step->mangled & MANGLE_SOURCE)) {
		return false;
	}
	return !step->outs[NFT].count || (nft && packet_layout(nft->data, nft->len, &l) &&
					  packet_is_icmp_error(nft->data, &l) && nft->data[l.l4] == 4);
}

/* Copies record route and timestamp options from `from`. False: *p has none. */
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

/* fwdctl forwards record route and timestamp options unchanged. */
static bool options_not_recorded(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	struct packet a;
	struct layout l;

	(void)s;
	if (!nft || !fwd || nft->len != fwd->len)
		return false;
	a = *nft;
	if (!ignore_recorded(&a, fwd))
		return false;
	if (fact_is_tcp(step, &l) && step->packet.data[l.l4 + 13] & TCP_SYN)
		fact_ignore_mss(&a, fwd, l.l4);
	return !memcmp(a.data, fwd->data, a.len);
}

/* Sources that fwdctl does not forward for: unspecified, loopback, multicast, broadcast, IPv6 link-local, mapped, and
 * the gateway's own. */
static bool source_not_forwardable(const struct sequence *s, const struct step *step)
{
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, none[15] = {0};
	struct addr src = addr_of(step->packet.data, false);
	const struct packet *fwd = fact_only_out(step, FWD);
	struct addr from;

	(void)s;
	if (!(step->mangled & MANGLE_SOURCE) || step->outs[FWD].count > 1)
		return false;
	/* The stack may reply, but nothing may be forwarded. */
	if (fwd) {
		from = addr_of(fwd->data, false);
		if (!model_is_gateway(&from) || addr_equal(&from, model_inner(from.family)))
			return false;
	}
	if (model_is_gateway(&src))
		return true;
	/* The broadcast addresses of the two networks, too; 240.0.0.0/4 is unicast. */
	if (src.family == 4)
		return src.byte[0] == 0 || (src.byte[0] & 0xf0) == 224 || src.byte[3] == 255;
	return (src.byte[0] == 0xfe && src.byte[1] >> 6 == 2) || !memcmp(src.byte, mapped, 12) ||
	       !memcmp(src.byte, none, 15);
}

/* True if the two connections would have the same source port towards the same target. */
static bool wants_port_of(const struct conn *c, const struct conn *o)
{
	return o != c && o->cport == c->cport && o->proto == c->proto && o->tport == c->tport &&
	       addr_equal(&o->target, &c->target);
}

static bool has_reset_rival(const struct sequence *s, const struct conn *c)
{
	unsigned i;

	for (i = 0; i < s->conn_count; i++)
		if (s->conn[i].was_reset && wants_port_of(c, &s->conn[i]))
			return true;
	return false;
}

/* A connection that was reset stays in fwdctl's table for some seconds: late packets match it, and its source port is
 * not free. */
static bool after_reset(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;

	c = fact_conn(s, step, &end);
	if (c && c->was_reset && fact_is_by_stack(step, NFT))
		return fact_is_translated(s, step) || fact_is_refused(step);
	if (c)
		return end == CLIENT && is_port_alone(s, step) && (c->was_reset || has_reset_rival(s, c));
	c = fact_quoted_conn(s, step, &end);
	return c && c->was_reset && fact_error_reached(step, c, end);
}

/* Before the target's SYN netfilter forwards its other segments, fwdctl leaves them to the stack: they belong to an
 * earlier connection between the same ports, which the stack resets. */
static bool before_the_syn(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	struct layout l;
	enum end end;

	/* The stack may have forwarded some of the fragments, or all. */
	if (step->mangled & MANGLE_FRAGMENTS && step->conn && step->conn->proto == PROTO_TCP)
		return step->end == TARGET && !step->conn->target_syn;
	if (!fact_is_tcp(step, &l) || step->packet.data[l.l4 + 13] & (TCP_SYN | TCP_RST))
		return false;
	c = fact_conn(s, step, &end);
	return c && end == TARGET && !c->target_syn && fact_is_by_stack(step, FWD);
}

/* True if netfilter dropped an ICMP error that the stack of fwdctl's gateway forwarded unchanged, IP options aside. */
static bool is_error_forwarded(const struct step *step, const struct layout *l)
{
	const struct packet *in = &step->packet, *fwd = fact_only_out(step, FWD);

	return !step->outs[NFT].count && fwd && l->end == fwd->len && fact_is_by_stack(step, FWD) &&
	       !memcmp(in->data + l->l4, fwd->data + l->l4, l->end - l->l4);
}

/* Redirects have no meaning across a NAT: netfilter drops them, fwdctl passes them to the stack. */
static bool icmp_redirect(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return fact_icmp_type(step, &l) == 5 && l.family == 4 && is_error_forwarded(step, &l);
}

/* fwdctl passes packets with a routing header to the stack, which takes them as addressed to itself. */
static bool routing_header(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return packet_layout(step->packet.data, step->packet.len, &l) && l.family == 6 &&
	       step->packet.data[6] == EXT_ROUTING && fact_is_by_stack(step, FWD);
}

/* A quote of another IP version than the error's, or of less than 8 bytes of the transport header, identifies no
 * connection. netfilter does not check the former, and drops the latter. */
static bool quote_unusable(const struct sequence *s, const struct step *step)
{
	struct layout l, q;

	(void)s;
	if (!fact_icmp_type(step, &l) || l.end < l.l4 + 28 || !fact_is_by_stack(step, FWD))
		return false;
	if (step->packet.data[l.l4 + 8] >> 4 != l.family)
		return true;
	return !step->outs[NFT].count && packet_layout(step->packet.data + l.l4 + 8, l.end - l.l4 - 8, &q) &&
	       q.end - q.l4 < 8;
}

/* A quoted TCP header of 18 or 19 bytes includes the checksum; netfilter updates it only in complete headers. */
static bool quote_truncated(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	struct packet a;
	struct layout l, q;

	(void)s;
	if (!fact_icmp_type(step, &l) || !nft || !fwd || nft->len != fwd->len ||
	    !packet_layout(nft->data, nft->len, &l) || !packet_layout(nft->data + l.l4 + 8, l.end - l.l4 - 8, &q) ||
	    q.proto != PROTO_TCP || q.end - q.l4 < 18 || q.end - q.l4 > 19)
		return false;
	a = *nft;
	memcpy(a.data + l.l4 + 2, fwd->data + l.l4 + 2, 2);
	memcpy(a.data + l.l4 + 8 + q.l4 + 16, fwd->data + l.l4 + 8 + q.l4 + 16, 2);
	ignore_recorded(&a, fwd);
	return !memcmp(a.data, fwd->data, a.len);
}

/* True if the client sent fragments, and netfilter has forwarded none of its packets yet. */
static bool came_in_pieces(const struct sequence *s, const struct conn *c)
{
	const struct packet *p;
	struct layout l;
	struct addr src;
	unsigned i;

	if (c->forwarded_by_nft)
		return false;
	for (i = 0; i < s->sent_count; i++) {
		p = &s->sent[i].packet;
		src = addr_of(p->data, false);
		if (packet_layout(p->data, p->len, &l) && l.fragment && addr_equal(&src, &c->client))
			return true;
	}
	return false;
}

/* The first datagram came in fragments, of which one is missing: netfilter could not reassemble it. fwdctl forwarded
 * the fragments and opened the connection with the first one, or refused one. */
static bool incomplete_datagram(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	struct layout l;
	unsigned i;
	enum end end;

	if (packet_layout(step->packet.data, step->packet.len, &l) && l.fragment && !step->outs[NFT].count &&
	    fact_is_refused(step))
		return true;
	c = fact_conn(s, step, &end);
	if (c && end == TARGET)
		return came_in_pieces(s, c) && (fact_is_translated(s, step) || fact_is_refused(step));
	/* Errors about it are forwarded, too. */
	c = fact_quoted_conn(s, step, &end);
	if (c && !step->outs[NFT].count)
		return came_in_pieces(s, c) && fact_error_reached(step, c, end);
	/* Or it occupies the source port of another connection. */
	c = fact_conn(s, step, &end);
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

/* ICMP errors are short enough not to be fragmented; fwdctl passes fragmented ones to the stack. */
static bool icmp_fragments(const struct sequence *s, const struct step *step)
{
	(void)s;
	return fragment_of(step, true) && fact_is_by_stack(step, FWD);
}

/* First fragments without the whole TCP header, and overlapping fragments, are dropped. */
static bool tiny_or_overlapping(const struct sequence *s, const struct step *step)
{
	struct addr from, src = addr_of(step->packet.data, false);

	(void)s;
	if (!fragment_of(step, false) || !step->note || strcmp(step->note, "odd fragments"))
		return false;
	if (!step->outs[FWD].count)
		return true;
	/* Those of no map are not dropped by fwdctl: the stack forwards them unchanged. */
	from = addr_of(step->outs[FWD].out[0].packet.data, false);
	return !step->outs[NFT].count && addr_equal(&from, &src);
}

/* netfilter reuses the source port that the visitor's port has towards another target. */
static bool same_mapping(const struct sequence *s, const struct step *step)
{
	const struct conn *c, *o;
	enum end end;
	unsigned i;

	c = fact_conn(s, step, &end);
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

/* fwdctl passes an error with a wrong checksum to the stack, which forwards it if it is addressed to another host. */
static bool icmp_checksum(const struct sequence *s, const struct step *step)
{
	struct layout l;

	(void)s;
	return fact_icmp_type(step, &l) && sum_transport(step->packet.data, &l) && is_error_forwarded(step, &l);
}

/* True if this address has sent a packet from that side. */
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

/* fwdctl sends replies by the device that the requests arrived by, not by the route to the client's address. */
static bool same_device(const struct sequence *s, const struct step *step)
{
	const struct out *nft = step->outs[NFT].out, *fwd = step->outs[FWD].out;
	struct addr to;

	if (!fact_only_out(step, NFT) || !fact_only_out(step, FWD) || nft->side == fwd->side || fwd->wrong_macs ||
	    !compare_same_packet(step, &nft->packet, &fwd->packet))
		return false;
	to = addr_of(fwd->packet.data, true);
	return has_sent_from(s, &to, fwd->side);
}

/* Both are the same error about the packet, but netfilter's gateway copies the packet's IP options into the error's
 * header, and has updated them there and in the quote. */
static bool error_options(const struct sequence *s, const struct step *step)
{
	const struct packet *nft = fact_only_out(step, NFT), *fwd = fact_only_out(step, FWD);
	const uint8_t *a, *b;
	struct layout l, in, out;
	unsigned len;

	(void)s;
	if (!nft || !fact_is_refused(step) || !packet_layout(step->packet.data, step->packet.len, &in) ||
	    in.family != 4 || in.l4 == 20 || !packet_layout(nft->data, nft->len, &l) ||
	    !packet_layout(fwd->data, fwd->len, &out) || l.l4 != in.l4 || out.l4 != 20 ||
	    !packet_is_icmp_error(nft->data, &l) || memcmp(nft->data + 12, fwd->data + 12, 8))
		return false;
	a = nft->data + l.l4;
	b = fwd->data + 20;
	len = l.end - l.l4;
	/* Type, code and MTU; the quote without the options. */
	return len <= out.end - 20 && len >= 8 + in.l4 && !memcmp(a, b, 2) && !memcmp(a + 4, b + 4, 24) &&
	       !memcmp(a + 8 + in.l4, b + 8 + in.l4, len - 8 - in.l4);
}

/* Neither gateway forwarded the client's last SYN (its TTL was used up, or the stack rejects its options), but one of
 * them may have ended the previous connection of this tuple. */
static bool refused_syn(const struct sequence *s, const struct step *step)
{
	const struct conn *c;
	enum end end;

	c = fact_conn(s, step, &end);
	if (c)
		return c->syn_refused &&
		       (fact_is_by_stack(step, FWD) || (fact_is_by_stack(step, NFT) && fact_is_translated(s, step)));
	c = fact_quoted_conn(s, step, &end);
	return c && c->syn_refused && (fact_is_by_stack(step, FWD) || fact_error_reached(step, c, end));
}

struct known known[] = {
	{"tcp-state", tcp_state, false, 0, false},
	{"before-the-syn", before_the_syn, false, 0, false},
	{"mss-offset", mss_offset, true, 0, false},
	{"passing-flow", passing_flow, false, 0, false},
	{"icmpv6-unknown", icmpv6_unknown, true, 0, false},
	{"source-quench", source_quench, true, 0, false},
	{"icmpv6-class", icmpv6_class, true, 0, false},
	{"hop-by-hop", hop_by_hop, false, 0, false},
	{"options-not-recorded", options_not_recorded, true, 0, false},
	{"source-not-forwardable", source_not_forwardable, false, 0, false},
	{"icmp-checksum", icmp_checksum, true, 0, false},
	{"after-reset", after_reset, false, 0, false},
	{"icmp-redirect", icmp_redirect, true, 0, false},
	{"routing-header", routing_header, false, 0, false},
	{"quote-unusable", quote_unusable, true, 0, false},
	{"quote-truncated", quote_truncated, true, 0, false},
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

	/* Nothing excuses a right checksum that became wrong. A fragment has no checksum of its own; packets that the
	 * stack creates are not fwdctl's. */
	if (packet_layout(step->packet.data, step->packet.len, &l) && !l.fragment &&
	    packet_sums_right(step->packet.data, step->packet.len) && compare_has_wrong_sums(step, FWD) &&
	    (fact_is_refused(step) || !fact_is_by_stack(step, FWD)))
		return NULL;
	for (i = 0; i < known_count; i++)
		if (known[i].applies && known[i].applies(s, step))
			return &known[i];
	return NULL;
}
