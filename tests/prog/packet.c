/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include "packet.h"

void packet_die(const char *what, const char *text)
{
	fprintf(stderr, "bad test: %s: %s\n", what, text);
	abort();
}

struct endpoint endpoint_parse(const char *text, size_t len)
{
	char copy[80], *port, *addr = copy;
	struct endpoint e = {};

	if (len >= sizeof(copy))
		packet_die("endpoint", text);
	memcpy(copy, text, len);
	copy[len] = 0;
	port = strrchr(copy, ':');
	if (!port)
		packet_die("endpoint", text);
	*port++ = 0;
	e.port = atoi(port);
	e.family = copy[0] == '[' ? 6 : 4;
	if (e.family == 6) {
		addr = copy + 1;
		addr[strlen(addr) - 1] = 0;
	}
	if (inet_pton(e.family == 6 ? 10 : 2, addr, e.addr) != 1)
		packet_die("address", text);
	return e;
}

void flow_parse(const char *flow, struct endpoint *src, struct endpoint *dst)
{
	const char *arrow = strstr(flow, " > ");

	if (!arrow)
		packet_die("flow", flow);
	*src = endpoint_parse(flow, arrow - flow);
	*dst = endpoint_parse(arrow + 3, strlen(arrow + 3));
	if (src->family != dst->family)
		packet_die("families", flow);
}

static __u8 *packet_build_ext(__u8 *at, const char *ext, __u8 *next_at, __u8 proto)
{
	for (; ext && *ext; ext++) {
		int len = *ext == 'D' ? 24 : 8;

		switch (*ext) {
		case 'h':
			*next_at = 0;
			break;
		case 'd':
		case 'D':
			*next_at = 60;
			break;
		case 'r':
			*next_at = 43;
			break;
		case 'f':
		case 'F':
			*next_at = 44;
			break;
		case 'a':
			*next_at = 51;
			break;
		default:
			packet_die("extension header", ext);
		}
		memset(at, 0, len);
		if (*ext == 'h' || *ext == 'd' || *ext == 'D') {
			at[1] = len / 8 - 1;
			at[2] = 1; /* PadN */
			at[3] = len - 4;
		}
		if (*ext == 'f')
			put16(at + 2, 0x0001); /* more fragments */
		next_at = at;
		at += len;
	}
	*next_at = proto;
	return at;
}

static __u8 *packet_build_l4(__u8 *at, const struct packet *p, const struct endpoint *src, const struct endpoint *dst)
{
	/* A timestamp option: bytes that must not change. */
	static const __u8 tcp_options[12] = {1, 1, 8, 10, 0x11, 0x22, 0x33, 0x44, 5, 6, 7, 8};

	__u8 mss[8] = {1, 1, 2, 4, p->mss >> 8, p->mss, 1, 1};
	int mss_len = p->mss ? sizeof(mss) : 0;

	if (p->mss_odd) {
		memmove(mss + 1, mss + 2, 4);
		mss[5] = 1;
	}
	put16(at, src->port);
	put16(at + 2, dst->port);
	if (p->proto == PROTO_TCP) {
		put32(at + 4, p->seq);
		put32(at + 8, p->ack);
		at[12] = (20 + mss_len + sizeof(tcp_options)) / 4 << 4;
		at[13] = p->flags;
		put16(at + 14, 0xfaf0);
		put32(at + 16, 0);
		memcpy(at + 20, mss, mss_len);
		memcpy(at + 20 + mss_len, tcp_options, sizeof(tcp_options));
		at += 20 + mss_len + sizeof(tcp_options);
	} else if (p->proto == PROTO_UDP) {
		put16(at + 4, 8 + p->data);
		put16(at + 6, 0);
		at += 8;
	}
	for (int i = 0; i < p->data; i++)
		*at++ = i * 7 + 3;
	return at;
}

void packet_checksum(__u8 *l4, size_t len, __u8 proto, __u32 pseudo)
{
	__u8 *at = l4 + (proto == PROTO_TCP ? 16 : 6);
	__u16 check;

	put16(at, 0);
	check = ~sum16(pseudo, l4, len);
	put16(at, proto == PROTO_UDP && !check ? 0xffff : check);
}

/* The IP packet at f->data + f->len. */
static void packet_build_ip(struct frame *f, const struct packet *p)
{
	__u8 *ip = f->data + f->len, *l4, *end;
	int ttl = p->ttl ? (p->ttl < 0 ? 0 : p->ttl) : TTL_NORMAL;
	struct endpoint src, dst;
	__u32 pseudo;

	flow_parse(p->flow, &src, &dst);
	if (src.family == 4) {
		int header = 20 + p->options;

		memset(ip, 0, 20);
		ip[0] = 0x40 | header / 4;
		ip[1] = p->tos ? p->tos : 0x10;
		put16(ip + 4, p->id ? p->id : 0x1234);
		put16(ip + 6, p->fragment ? p->fragment : 0x4000);
		ip[8] = ttl;
		ip[9] = p->proto;
		memcpy(ip + 12, src.addr, 4);
		memcpy(ip + 16, dst.addr, 4);
		memset(ip + 20, 1, p->options); /* NOP */
		l4 = ip + header;
		end = packet_build_l4(l4, p, &src, &dst) - p->l4_cut;
		put16(ip + 2, end - ip);
		put16(ip + 10, ~sum16(0, ip, header));
		pseudo = sum_pseudo(ip + 12, 8, p->proto, end - l4);
	} else {
		put32(ip, 0x60012345);
		ip[7] = ttl;
		memcpy(ip + 8, src.addr, 16);
		memcpy(ip + 24, dst.addr, 16);
		l4 = packet_build_ext(ip + 40, p->ext, ip + 6, p->proto);
		end = packet_build_l4(l4, p, &src, &dst);
		put16(ip + 4, end - ip - 40);
		pseudo = sum_pseudo(ip + 8, 32, p->proto, end - l4);
	}
	if ((p->proto == PROTO_TCP || p->proto == PROTO_UDP) && !p->no_checksum)
		packet_checksum(l4, end - l4, p->proto, pseudo);
	if (p->poke_at)
		ip[p->poke_at] = p->poke;
	memset(end, 0xaa, p->padding);
	f->len = end - f->data + p->padding - p->cut;
}

void packet_build(struct frame *f, const struct packet *p, const __u8 *dmac, const __u8 *smac)
{
	int tags = p->tags;

	memset(f, 0, sizeof(*f));
	if (dmac) {
		memcpy(f->data, dmac, 6);
		memcpy(f->data + 6, smac, 6);
		for (f->len = ETHER_LEN; tags > 0; tags--, f->len += 4) {
			put16(f->data + f->len - 2, tags > 1 ? 0x88a8 : 0x8100);
			put16(f->data + f->len, 0xa000 | (tags > 1 ? 0 : p->vlan)); /* priority 5 */
		}
		put16(f->data + f->len - 2, p->ether_type ? p->ether_type : (p->flow[0] == '[' ? 0x86dd : 0x0800));
	}
	packet_build_ip(f, p);
}

void error_build(struct frame *f, const struct error *e, const __u8 *dmac, const __u8 *smac)
{
	bool v6 = e->flow[0] == '[';
	struct packet p = {.flow = e->flow, .proto = v6 ? 58 : 1, .ttl = e->ttl};
	size_t icmp, quote, header = v6 ? 40 : 20;
	struct frame inner;
	__u32 pseudo = 0;
	__u8 *ip;

	packet_build(&inner, &e->quoted, NULL, NULL);
	quote = e->quoted_len ? (size_t)e->quoted_len : inner.len;
	p.data = 4 + quote; /* packet_build_l4() puts 4 bytes of ports in front */
	packet_build(f, &p, dmac, smac);
	ip = f->data + (dmac ? ETHER_LEN : 0);
	icmp = ip + header - f->data;
	memset(f->data + icmp, 0, 8);
	f->data[icmp] = e->type;
	f->data[icmp + 1] = e->code;
	put32(f->data + icmp + 4, e->info);
	memcpy(f->data + icmp + 8, inner.data, quote);
	f->len = icmp + 8 + quote;
	if (v6) {
		put16(ip + 4, 8 + quote);
		pseudo = sum_pseudo(ip + 8, 32, 58, 8 + quote);
	} else {
		put16(ip + 2, header + 8 + quote);
		put16(ip + 10, 0);
		put16(ip + 10, ~sum16(0, ip, header));
	}
	put16(f->data + icmp + 2, ~sum16(pseudo, f->data + icmp, 8 + quote));
}

const char *packet_wrong(const __u8 *ip, size_t len)
{
	size_t off, addr_len;
	const __u8 *addrs;
	__u8 proto;

	if (len < 20)
		return "shorter than an IP header";
	if (ip[0] >> 4 == 4) {
		off = (ip[0] & 15) * 4;
		if (get16(ip + 2) != len)
			return "total length";
		if (sum16(0, ip, off) != 0xffff)
			return "IPv4 header checksum";
		proto = ip[9];
		addrs = ip + 12;
		addr_len = 8;
	} else {
		if (len < 40 || get16(ip + 4) + 40 != len)
			return "payload length";
		off = 40;
		/* Also a fragment header of a whole packet, which has a 0 where the others have their length. */
		for (proto = ip[6]; (proto == 0 || proto == 44 || proto == 60) && off + 8 <= len;) {
			proto = ip[off];
			off += (ip[off + 1] + 1) * 8;
		}
		addrs = ip + 8;
		addr_len = 32;
	}
	if (off + 8 > len)
		return "no transport header";
	if (proto == PROTO_UDP && get16(ip + off + 4) != len - off)
		return "UDP length";
	if (proto == PROTO_UDP && !get16(ip + off + 6))
		return addr_len == 8 ? NULL : "UDP over IPv6 without a checksum";
	if (sum16(sum_pseudo(addrs, addr_len, proto, len - off), ip + off, len - off) != 0xffff)
		return "transport checksum";
	return NULL;
}

const char *frame_difference(const __u8 *got, size_t got_len, const __u8 *want, size_t want_len)
{
	static char text[160];
	size_t i;

	if (got_len != want_len) {
		snprintf(text, sizeof(text), "%zu bytes instead of %zu", got_len, want_len);
		return text;
	}
	for (i = 0; i < got_len && got[i] == want[i]; i++)
		;
	if (i == got_len)
		return NULL;
	snprintf(text, sizeof(text), "byte %zu is %02x instead of %02x", i, got[i], want[i]);
	return text;
}
