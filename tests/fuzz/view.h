/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A second parser. It shares no code with bpf/, because a check with the same arithmetic would find no error in it.
 */
#ifndef VIEW_H
#define VIEW_H

#include <linux/in.h>
#include "fail.h"
#include "../prog/packet.h"

/* An IP packet without link header and padding. */
struct view {
	const __u8 *ip;
	size_t len;
	bool v6;
	__u8 proto;
	size_t l4;     /* offset of the transport header */
	bool fragment; /* of a datagram: first or later */
	bool later;    /* not the first */
};

/* False: malformed. `truncated`: it is a quote, which may end anywhere. */
static bool view_read(struct view *v, const __u8 *ip, size_t len, bool truncated)
{
	*v = (struct view){.ip = ip};
	if (len < 20)
		return false;
	v->v6 = ip[0] >> 4 == 6;
	if (v->v6 && len < 40)
		return false;
	v->len = v->v6 ? get16(ip + 4) + 40 : get16(ip + 2);
	if (v->len > len && !truncated)
		return false;
	if (v->len > len || truncated)
		v->len = len;
	v->proto = v->v6 ? ip[6] : ip[9];
	v->l4 = v->v6 ? 40 : (ip[0] & 15) * 4;
	if (!v->v6) {
		v->fragment = get16(ip + 6) & 0x3fff;
		v->later = get16(ip + 6) & 0x1fff;
	}
	while (v->v6 && (v->proto == 0 || v->proto == 60 || v->proto == 44) && v->l4 + 8 <= v->len) {
		const __u8 *ext = ip + v->l4;

		if (v->proto == 44) {
			v->fragment = get16(ext + 2) & 0xfff9;
			v->later = get16(ext + 2) & 0xfff8;
		}
		v->l4 += v->proto == 44 ? 8 : (ext[1] + 1) * 8;
		v->proto = ext[0];
	}
	return v->l4 <= v->len;
}

static const __u8 *view_addrs(const struct view *v)
{
	return v->ip + (v->v6 ? 8 : 12);
}

static size_t view_addrs_len(const struct view *v)
{
	return v->v6 ? 32 : 8;
}

static size_t view_check(const struct view *v)
{
	return v->l4 + (v->proto == PROTO_TCP ? 16 : v->proto == PROTO_UDP ? 6 : 2);
}

static bool view_has_check(const struct view *v)
{
	return view_check(v) + 2 <= v->len && (v->proto != PROTO_UDP || get16(v->ip + view_check(v)));
}

/* The sum of addresses, transport header and payload; it does not change if the checksum is updated for each change. */
static __u32 view_sum(const struct view *v)
{
	bool pseudo = v->proto != IPPROTO_ICMP;
	__u32 sum = pseudo ? sum16(0, view_addrs(v), view_addrs_len(v)) : 0;

	return sum16(sum, v->ip + v->l4, v->len - v->l4) % 0xffff;
}

static void verify_header(const struct view *v, const char *what)
{
	if (!v->v6 && sum16(0, v->ip, (v->ip[0] & 15) * 4) != 0xffff)
		fail("%s: IPv4 header checksum", what);
}

/* A forwarded ICMP error: it quotes a packet that the error's receiver sent. */
static void verify_error(const struct view *was, const struct view *is)
{
	struct view quoted_was, quoted_is;
	size_t half = view_addrs_len(is) / 2;

	if (is->len != was->len)
		fail("ICMP error: %zu bytes instead of %zu", is->len, was->len);
	if (view_sum(was) != view_sum(is))
		fail("ICMP error: checksum");
	if (!view_read(&quoted_was, was->ip + was->l4 + 8, was->len - was->l4 - 8, true) ||
	    !view_read(&quoted_is, is->ip + is->l4 + 8, is->len - is->l4 - 8, true))
		fail("ICMP error: forwarded without a quote");
	if (memcmp(view_addrs(&quoted_is), view_addrs(is) + half, half))
		fail("ICMP error: the receiver did not send the quoted packet");
	if (!is->v6 && sum16(0, quoted_was.ip, quoted_was.l4) != sum16(0, quoted_is.ip, quoted_is.l4))
		fail("ICMP error: checksum of the quoted IP header");
	if (!view_has_check(&quoted_was))
		return;
	if (view_sum(&quoted_was) != view_sum(&quoted_is))
		fail("ICMP error: quoted transport checksum");
}

#endif
