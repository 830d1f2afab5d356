/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments. Only the first of a datagram has the ports; the others follow it by what is noted here
 * under their common identification. Nothing is reassembled: each fragment is translated and sent on
 * by itself.
 *
 * A fragment that comes before the first may be anybody's. It goes to the stack, as it came, and a
 * copy is kept; if the first turns out to be ours, the copies are sent after it. (The stack then has a
 * few pieces of a datagram whose first it never sees, and forgets them.)
 *
 * A datagram in which fragments overlap is a way around firewalls, not a datagram (RFC 1858, RFC 5722):
 * from there on it is dropped. So is a first fragment that doesn't hold the whole transport header.
 */
#ifndef FWD_BPF_CT_FRAG_TRACK_H
#define FWD_BPF_CT_FRAG_TRACK_H

#include "base/bound.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "pkt/ip_fragment.h"
#include "pkt/translate.h"

#define FWD_DATAGRAMS_MAX        1024 /* under way at a time; the least recently used go first */
#define FWD_FRAG_COPIES          64   /* copies kept at a time; the oldest go first */
#define FRAG_COPIES_PER_DATAGRAM 8    /* of them for one datagram */
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
	FWD_DATAGRAM_WAITING, /* for its first fragment */
	FWD_DATAGRAM_OURS,
	FWD_DATAGRAM_FOREIGN, /* the stack's */
};

struct fwd_datagram {
	__u32 begun; /* ticks */
	__u32 state; /* enum fwd_datagram_state */
	__be16 sport;
	__be16 dport;
	__u32 overlaps; /* 1: don't send any more of it */
	__u32 seen;     /* units of 8 bytes */
	__u32 total;    /* units; 0: the last fragment has not come */
	__u32 kept;     /* copies, in places of `fragments` */
	__u32 place[FRAG_COPIES_PER_DATAGRAM];
	__u32 pad;
	__u64 units[FRAG_WORDS];
};

struct fwd_frag_copy {
	struct fwd_datagram_key key;
	__u32 kept_at; /* ticks */
	__u32 len;     /* from the IP header on */
	__u8 data[FRAG_LEN_MAX];
};

struct fwd_frag_scratch {
	struct fwd_datagram fresh; /* all zero but for `begun` */
	struct fwd_datagram_key key;
	__u32 next_place; /* in `fragments`; each CPU has its own round */
	__u32 pad;
	__u8 frame[FRAG_LEN_MAX + ETH_HLEN]; /* the first fragment, while others use its skb */
};

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

/* An old one of the same identification is another: senders use the 65,536 numbers of IPv4 up quickly. */
static __always_inline bool datagram_is_fresh(const struct fwd_datagram *d, __u32 now)
{
	return d && now - d->begun < FRAG_MAX_AGE;
}

/* The datagram of s->key, begun if this is the first fragment of it that came. */
static __always_inline struct fwd_datagram *datagram_get(struct fwd_frag_scratch *s, __u32 now)
{
	struct fwd_datagram *d = bpf_map_lookup_elem(&datagrams, &s->key);

	if (datagram_is_fresh(d, now))
		return d;
	d = bpf_map_lookup_elem(&datagrams_unclaimed, &s->key);
	if (datagram_is_fresh(d, now))
		return d;
	s->fresh.begun = now;
	if (bpf_map_update_elem(&datagrams_unclaimed, &s->key, &s->fresh, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&datagrams_unclaimed, &s->key);
}

/* The datagram of s->key, whose first fragment has come and is ours, with what is known from those that came
 * before it. */
static __always_inline struct fwd_datagram *datagram_take(struct fwd_frag_scratch *s, __u32 now)
{
	struct fwd_datagram *d = datagram_get(s, now);

	if (!d || d->state == FWD_DATAGRAM_OURS)
		return d;
	if (bpf_map_update_elem(&datagrams, &s->key, d, BPF_ANY))
		return NULL;
	bpf_map_delete_elem(&datagrams_unclaimed, &s->key);
	return bpf_map_lookup_elem(&datagrams, &s->key);
}

/* By adding neighbours (Hacker's Delight 5-1): the target has no instruction for it. */
static __always_inline __u32 bits_set(__u64 v)
{
	v -= v >> 1 & 0x5555555555555555ULL;
	v = (v & 0x3333333333333333ULL) + (v >> 2 & 0x3333333333333333ULL);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return v * 0x0101010101010101ULL >> 56;
}

/* Marks those of the units [start, end) that are in this word. Returns how many were marked before. */
__noinline int datagram_claim_word(struct fwd_datagram *d, __u32 word, __u32 start, __u32 end)
{
	__u32 low = word * 64, from = start > low ? start - low : 0, to = end - low < 64 ? end - low : 64;
	__u64 mask;

	if (!d || word >= FRAG_WORDS || from >= 64 || to == 0 || to > 64)
		return 0;
	mask = (~0ULL >> (64 - to)) & (~0ULL << from);
	return bits_set(__sync_fetch_and_or(&d->units[word], mask) & mask);
}

/* Marks the fragment's bytes as seen. Returns how many units of 8 had been seen before. */
__noinline int datagram_claim(struct fwd_datagram *d, __u32 start, __u32 units, __u32 more)
{
	__u32 end = start + units, overlap = 0, turn;

	if (!d)
		return 0;
	for (turn = 0; turn < FRAG_WORDS_MAX; turn++) {
		__u32 word = start / 64 + turn;

		if (word * 64 >= end)
			break;
		overlap += datagram_claim_word(d, word, start, end);
	}
	__sync_fetch_and_add(&d->seen, units - overlap);
	if (!more)
		d->total = end;
	return overlap;
}

static __always_inline bool datagram_is_overlapped(struct fwd_datagram *d, const struct fwd_fragment *f)
{
	__u32 overlap = datagram_claim(d, f->offset, f->units, f->more);

	/* One that repeats what has come is only dropped: the network may double packets. */
	if (overlap && overlap < f->units)
		d->overlaps = 1;
	return overlap || d->overlaps;
}

static __always_inline void datagram_forget_if_done(const struct fwd_datagram *d, const struct fwd_datagram_key *key)
{
	if (d->total && d->seen >= d->total)
		bpf_map_delete_elem(&datagrams, key);
}

/* Keeps a copy for when the first fragment comes. */
static __always_inline enum fwd_reason frag_keep(fwd_ctx *ctx, const struct fwd_pkt *pkt, struct fwd_frag_scratch *s,
						 struct fwd_datagram *d)
{
	__u32 place = s->next_place++ % FWD_FRAG_COPIES, len = pkt->bytes;
	struct fwd_frag_copy *copy = bpf_map_lookup_elem(&frag_copies, &place);
	__u32 nth;

	if (!copy || len < sizeof(struct iphdr) || d->kept >= FRAG_COPIES_PER_DATAGRAM)
		return FWD_FRAGMENT_OVERFLOW;
	/* Without it clang makes one comparison of the two, of a difference: verifiers before 6.8 learn
	 * nothing about len from that. */
	if (!bound_at_most(len, FRAG_LEN_MAX))
		return FWD_FRAGMENT_OVERFLOW;
	copy->len = 0;
	copy->key = s->key;
	copy->kept_at = pkt->now;
	if (!ctx_load(ctx, pkt->l3_off, copy->data, len))
		return FWD_FRAGMENT_OVERFLOW;
	copy->len = len;
	nth = __sync_fetch_and_add(&d->kept, 1);
	if (nth >= FRAG_COPIES_PER_DATAGRAM)
		return FWD_FRAGMENT_OVERFLOW;
	d->place[nth] = place;
	return FWD_FRAGMENT_EARLY;
}

/*
 * A fragment that is not the first. FWD_OK: it follows a first one that is ours, whose ports
 * are now in pkt->tuple.
 */
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
	if (d->state == FWD_DATAGRAM_FOREIGN)
		return FWD_NOT_OURS;
	overlapped = datagram_is_overlapped(d, &pkt->fragment);
	if (d->state == FWD_DATAGRAM_WAITING)
		return overlapped ? FWD_FRAGMENT_EARLY : frag_keep(ctx, pkt, s, d);
	if (overlapped)
		return FWD_FRAGMENT_OVERLAP;
	pkt->tuple.sport = d->sport;
	pkt->tuple.dport = d->dport;
	datagram_forget_if_done(d, &s->key);
	return FWD_OK;
}

/* The first fragment: ours, or not. False: drop it. */
__noinline bool frag_first(const struct fwd_pkt *pkt, bool ours)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	struct fwd_datagram *d;

	if (!s || !pkt)
		return false;
	datagram_key(&s->key, pkt);
	d = ours ? datagram_take(s, pkt->now) : datagram_get(s, pkt->now);
	if (!d)
		return false;
	if (!ours) {
		d->state = FWD_DATAGRAM_FOREIGN;
		return true;
	}
	if (datagram_is_overlapped(d, &pkt->fragment))
		return false;
	d->sport = pkt->tuple.sport;
	d->dport = pkt->tuple.dport;
	d->state = FWD_DATAGRAM_OURS;
	return true;
}

/* Puts a copy into the skb, in place of the first fragment, and sends a clone of that. */
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
	if (mtu && len > mtu && (pkt->dont_fragment || !ip_fragment(ctx, pkt->l3_off, mtu, flow->route.ifindex)))
		return;
	if (ctx_send_clone(ctx, flow->route.ifindex))
		return;
	flow->packets++;
	flow->bytes += len;
}

/*
 * Sends the fragments that came before this first one, which is translated and framed already: they
 * borrow its skb, and leave it as it was. False: it could not be restored.
 *
 * pkt->l3_off is where the IP header is in the frame that leaves.
 */
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
	if (!d || !d->kept || len < sizeof(struct iphdr))
		return true;
	if (!bound_at_most(len, sizeof(s->frame)))
		return true;
	if (!ctx_load(ctx, 0, s->frame, len))
		return true;
	to = translation_of(conn, pkt_dir(pkt));
	addr_delta = translation_addr_delta(pkt, &to);
	for (i = 0; i < FRAG_COPIES_PER_DATAGRAM; i++) {
		struct fwd_frag_copy *copy;
		__u32 place = d->place[i];

		if (i >= d->kept)
			break;
		copy = bpf_map_lookup_elem(&frag_copies, &place);
		/* It may be another's by now, or too old. */
		if (copy && copy->key.id == s->key.id && copy->key.proto == s->key.proto &&
		    addr_equal(&copy->key.saddr, &s->key.saddr) && addr_equal(&copy->key.daddr, &s->key.daddr) &&
		    pkt->now - copy->kept_at < FRAG_MAX_AGE)
			frag_send_copy(ctx, pkt, conn, copy, addr_delta);
	}
	datagram_forget_if_done(d, &s->key);
	return ctx_set_len(ctx, len) && ctx_store(ctx, 0, s->frame, len);
}

#endif
