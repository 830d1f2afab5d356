/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragment tracking. Only the first fragment of a datagram has the ports; the others find the connection by the
 * identification that all have in common. Nothing is reassembled: each fragment is translated and forwarded by itself.
 *
 * A fragment that arrives before the first may belong to any flow. It is left to the stack unchanged, and a copy is
 * kept. If the first fragment then belongs to a connection, the copies are sent before it, because the program's own
 * packet leaves only when the program returns. The stack keeps fragments of a datagram whose first one it never gets,
 * until they time out.
 *
 * A datagram with overlapping fragments is an attempt to bypass a firewall (RFC 1858, RFC 5722): the rest of it is
 * dropped. So is a first fragment that does not contain the whole transport header.
 *
 * Unclaimed datagrams, whose first fragment has not arrived or is not ours, are kept apart from ours, so that a flood
 * of them does not evict ours (RFC 4787 REQ-14 a).
 */
#ifndef FWD_BPF_CT_FRAG_TRACK_H
#define FWD_BPF_CT_FRAG_TRACK_H

#include "base/bound.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "pkt/ip_fragment.h"
#include "pkt/translate.h"

#define FRAG_COPIES_PER_DATAGRAM 8    /* copies kept of one datagram */
#define FRAG_LEN_MAX             9216 /* bytes of one fragment */
#define FRAG_MAX_AGE             FWD_TICKS(2)
#define FRAG_WORDS               (65536 / 8 / 64) /* one bit for each 8 bytes of a datagram */
#define FRAG_WORDS_MAX           (FRAG_LEN_MAX / 8 / 64 + 2)

struct fwd_datagram_key {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
	__u32 id;
	__u8 proto;
	__u8 pad[3];
};

enum fwd_datagram_state {
	FWD_DATAGRAM_WAITING, /* the first fragment has not arrived */
	FWD_DATAGRAM_OURS,
	FWD_DATAGRAM_NOT_OURS, /* left to the stack */
};

struct fwd_datagram {
	__u32 started; /* ticks */
	__u32 state;   /* enum fwd_datagram_state */
	__be16 sport;
	__be16 dport;
	__u32 overlaps; /* 1: fragments overlap; the rest is dropped */
	__u32 seen;     /* in units of 8 bytes */
	__u32 total;    /* in units of 8 bytes; 0: the last fragment has not arrived */
	__u32 copies;   /* number of copies, at the indices copy[] of `frag_copies` */
	__u32 copy[FRAG_COPIES_PER_DATAGRAM];
	__u32 pad;
	__u64 units[FRAG_WORDS];
};

struct fwd_frag_copy {
	struct fwd_datagram_key key;
	__u32 copied_at; /* ticks */
	__u32 len;       /* from the IP header on */
	__u8 data[FRAG_LEN_MAX];
};

struct fwd_frag_scratch {
	struct fwd_datagram empty; /* all zero except `started` */
	struct fwd_datagram_key key;
	__u8 frame[FRAG_LEN_MAX + ETH_HLEN]; /* the first fragment, while copies are sent with its skb */
};

/* The next index of `frag_copies`, of all CPUs. */
static __u32 frag_next_copy;

static __always_inline struct fwd_frag_scratch *frag_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&frag_scratch, &zero);
}

static __always_inline void datagram_key(struct fwd_datagram_key *key, const struct fwd_pkt *pkt)
{
	key->saddr = pkt->tuple.saddr;
	key->daddr = pkt->tuple.daddr;
	key->id = pkt->fragment.id;
	key->proto = pkt->tuple.proto;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
}

/* An old datagram of the same identification is another one: senders wrap IPv4's 65,536 identifications quickly. */
static __always_inline bool datagram_is_recent(const struct fwd_datagram *d, __u32 now)
{
	return d && now - d->started < FRAG_MAX_AGE;
}

/* The datagram of s->key, added if this is its first fragment to arrive. */
static __always_inline struct fwd_datagram *datagram_get(struct fwd_frag_scratch *s, __u32 now)
{
	struct fwd_datagram *d = bpf_map_lookup_elem(&datagrams, &s->key);

	if (datagram_is_recent(d, now))
		return d;
	d = bpf_map_lookup_elem(&datagrams_unclaimed, &s->key);
	if (datagram_is_recent(d, now))
		return d;
	s->empty.started = now;
	if (bpf_map_update_elem(&datagrams_unclaimed, &s->key, &s->empty, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&datagrams_unclaimed, &s->key);
}

/* The datagram of s->key, whose first fragment has arrived and is ours, with the state of the fragments that arrived
 * before. */
static __always_inline struct fwd_datagram *datagram_claim_ours(struct fwd_frag_scratch *s, __u32 now)
{
	struct fwd_datagram *d = datagram_get(s, now);

	if (!d || d->state == FWD_DATAGRAM_OURS)
		return d;
	if (bpf_map_update_elem(&datagrams, &s->key, d, BPF_ANY))
		return NULL;
	bpf_map_delete_elem(&datagrams_unclaimed, &s->key);
	return bpf_map_lookup_elem(&datagrams, &s->key);
}

/* The number of bits set (Hacker's Delight 5-1); the target has no instruction for it. */
static __always_inline __u32 bits_set(__u64 v)
{
	v -= v >> 1 & 0x5555555555555555ULL;
	v = (v & 0x3333333333333333ULL) + (v >> 2 & 0x3333333333333333ULL);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return v * 0x0101010101010101ULL >> 56;
}

/* Marks the units [start, end) of this word as seen. Returns how many were marked before. */
__noinline int datagram_mark_word(struct fwd_datagram *d, __u32 word, __u32 start, __u32 end)
{
	__u32 low = word * 64, from = start > low ? start - low : 0, to = end - low < 64 ? end - low : 64;
	__u64 mask;

	if (!d || word >= FRAG_WORDS || from >= 64 || to == 0 || to > 64)
		return 0;
	mask = (~0ULL >> (64 - to)) & (~0ULL << from);
	return bits_set(__sync_fetch_and_or(&d->units[word], mask) & mask);
}

/* Marks the fragment's bytes as seen. Returns how many units of 8 bytes had been seen before. */
__noinline int datagram_mark(struct fwd_datagram *d, __u32 start, __u32 units, __u32 more)
{
	__u32 end = start + units, overlap = 0, turn;

	if (!d)
		return 0;
	for (turn = 0; turn < FRAG_WORDS_MAX; turn++) {
		__u32 word = start / 64 + turn;

		if (word * 64 >= end)
			break;
		overlap += datagram_mark_word(d, word, start, end);
	}
	__sync_fetch_and_add(&d->seen, units - overlap);
	if (!more)
		d->total = end;
	return overlap;
}

static __always_inline bool datagram_is_overlapped(struct fwd_datagram *d, const struct fwd_fragment *f)
{
	__u32 overlap = datagram_mark(d, f->offset, f->units, f->more);

	/* A fragment that only repeats others is dropped: the network may duplicate packets. */
	if (overlap && overlap < f->units)
		d->overlaps = 1;
	return overlap || d->overlaps;
}

static __always_inline void datagram_remove_if_complete(const struct fwd_datagram *d,
							const struct fwd_datagram_key *key)
{
	if (d->total && d->seen >= d->total)
		bpf_map_delete_elem(&datagrams, key);
}

/* Keeps a copy until the first fragment arrives. Returns the reason to count. */
static __always_inline enum fwd_reason frag_keep(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_frag_scratch *s,
						 struct fwd_datagram *d)
{
	__u32 index = __sync_fetch_and_add(&frag_next_copy, 1) % FWD_FRAG_COPIES, len = pkt->bytes;
	struct fwd_frag_copy *copy = bpf_map_lookup_elem(&frag_copies, &index);
	__u32 nth;

	if (!copy || len < sizeof(struct iphdr) || d->copies >= FRAG_COPIES_PER_DATAGRAM)
		return FWD_FRAGMENT_OVERFLOW;
	if (!bound_at_most(len, FRAG_LEN_MAX))
		return FWD_FRAGMENT_OVERFLOW;
	copy->len = 0;
	copy->key = s->key;
	copy->copied_at = pkt->now;
	if (!ctx_load(ctx, pkt->l3_off, copy->data, len))
		return FWD_FRAGMENT_OVERFLOW;
	copy->len = len;
	nth = __sync_fetch_and_add(&d->copies, 1);
	if (nth >= FRAG_COPIES_PER_DATAGRAM)
		return FWD_FRAGMENT_OVERFLOW;
	d->copy[nth] = index;
	return FWD_FRAGMENT_EARLY;
}

/* A fragment other than the first. FWD_OK: its datagram is ours, and the ports are in pkt->tuple. */
__noinline enum fwd_reason frag_later(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	struct fwd_datagram *d;
	bool overlapped;

	if (!s || !pkt)
		return FWD_FRAGMENT_OVERFLOW;
	datagram_key(&s->key, pkt);
	d = datagram_get(s, pkt->now);
	if (!d)
		return FWD_FRAGMENT_OVERFLOW;
	if (d->state == FWD_DATAGRAM_NOT_OURS)
		return FWD_NOT_OURS;
	overlapped = datagram_is_overlapped(d, &pkt->fragment);
	if (d->state == FWD_DATAGRAM_WAITING)
		return overlapped ? FWD_FRAGMENT_EARLY : frag_keep(ctx, pkt, s, d);
	if (overlapped)
		return FWD_FRAGMENT_OVERLAP;
	pkt->tuple.sport = d->sport;
	pkt->tuple.dport = d->dport;
	datagram_remove_if_complete(d, &s->key);
	return FWD_OK;
}

/* The first fragment of a datagram that is ours, or not. False: it has to be dropped. */
__noinline bool frag_first(const struct fwd_pkt *pkt, bool ours)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	struct fwd_datagram *d;

	if (!s || !pkt)
		return false;
	datagram_key(&s->key, pkt);
	d = ours ? datagram_claim_ours(s, pkt->now) : datagram_get(s, pkt->now);
	if (!d)
		return false;
	if (!ours) {
		d->state = FWD_DATAGRAM_NOT_OURS;
		return true;
	}
	if (datagram_is_overlapped(d, &pkt->fragment))
		return false;
	d->sport = pkt->tuple.sport;
	d->dport = pkt->tuple.dport;
	d->state = FWD_DATAGRAM_OURS;
	return true;
}

/* Overwrites the first fragment in the skb with a copy, and sends a clone. */
static __always_inline void frag_send_copy(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn,
					   const struct fwd_frag_copy *copy, __u32 addr_delta)
{
	struct translation to = translation_of(conn, pkt_dir(pkt));
	struct fwd_flow *flow = conn_flow(conn, pkt);
	__u32 len = copy->len, mtu = flow->route.mtu;
	__u8 ttl;

	if (len < sizeof(struct iphdr))
		return;
	if (!bound_at_most(len, FRAG_LEN_MAX))
		return;
	ttl = pkt->family == FWD_FAMILY_IPV4 ? copy->data[offsetof(struct iphdr, ttl)]
					     : copy->data[offsetof(struct ipv6hdr, hop_limit)];
	if (ttl <= 1 || !ctx_set_len(ctx, pkt->l3_off + len) || !ctx_store(ctx, pkt->l3_off, copy->data, len) ||
	    !translate_ip(ctx, pkt, to.saddr, to.daddr, ttl - 1, addr_delta))
		return;
	if (mtu && len > mtu &&
	    (pkt->dont_fragment || !ip_fragment(ctx, pkt->l3_off, mtu, route_ifindex(&flow->route))))
		return;
	if (ctx_send_clone(ctx, route_ifindex(&flow->route)))
		return;
	flow->packets++;
	flow->bytes += len;
}

/* Sends the copies of fragments that arrived before this first one, which is translated and framed already. They are
 * sent with its skb, which is restored afterwards. pkt->l3_off: the IP header in the frame that leaves. False: the
 * skb could not be restored, and must be dropped. */
__noinline bool frag_release(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	__u32 len = ctx_len(ctx), addr_delta, i;
	struct fwd_datagram *d;
	struct translation to;

	if (!s || !pkt || !conn)
		return true;
	datagram_key(&s->key, pkt);
	d = bpf_map_lookup_elem(&datagrams, &s->key);
	if (!d || !d->copies || len < sizeof(struct iphdr))
		return true;
	if (!bound_at_most(len, sizeof(s->frame)))
		return true;
	if (!ctx_load(ctx, 0, s->frame, len))
		return true;
	to = translation_of(conn, pkt_dir(pkt));
	addr_delta = translation_addr_delta(pkt, &to);
	for (i = 0; i < FRAG_COPIES_PER_DATAGRAM; i++) {
		struct fwd_frag_copy *copy;
		__u32 index = d->copy[i];

		if (i >= d->copies)
			break;
		copy = bpf_map_lookup_elem(&frag_copies, &index);
		/* Another copy may have overwritten it, or it may be too old. */
		if (copy && copy->key.id == s->key.id && copy->key.proto == s->key.proto &&
		    addr_equal(&copy->key.saddr, &s->key.saddr) && addr_equal(&copy->key.daddr, &s->key.daddr) &&
		    pkt->now - copy->copied_at < FRAG_MAX_AGE)
			frag_send_copy(ctx, pkt, conn, copy, addr_delta);
	}
	datagram_remove_if_complete(d, &s->key);
	return ctx_set_len(ctx, len) && ctx_store(ctx, 0, s->frame, len);
}

#endif
