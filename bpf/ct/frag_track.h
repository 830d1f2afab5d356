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
 * The copies are kept in lanes. A source (IPv6: a /64) has one lane at a time, which holds more than one datagram of
 * 64 KiB in fragments of 1500 bytes. So a source that sends fragments without a first one overwrites its own copies
 * only. A new source takes the lane that was not used for the longest time.
 *
 * A datagram with overlapping fragments is an attempt to bypass a firewall (RFC 1858, RFC 5722): the rest of it is
 * dropped. So is a first fragment that does not contain the whole transport header.
 *
 * A datagram gets an entry only when its first fragment has arrived: ours in one table, those that are left to the
 * stack in another, so that a flood of the latter does not evict ours (RFC 4787 REQ-14 a).
 */
#ifndef FWD_BPF_CT_FRAG_TRACK_H
#define FWD_BPF_CT_FRAG_TRACK_H

#include "base/bound.h"
#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/table.h"
#include "pkt/ip_fragment.h"
#include "pkt/translate.h"

#define FRAG_LEN_MAX     9216 /* bytes of one fragment */
#define FRAG_MAX_AGE     FWD_TICKS(2)
#define FRAG_WORDS       (65536 / 8 / 64) /* one bit for each 8 bytes of a datagram */
#define FRAG_WORDS_MAX   (FRAG_LEN_MAX / 8 / 64 + 2)
#define FRAG_LANE_COPIES 128         /* copies in a lane; a power of two */
#define FRAG_LANE_BYTES  (128 << 10) /* of all of them; a power of two */

struct fwd_datagram_key {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
	__u32 id;
	__u8 proto;
	__u8 pad[3];
};

/* A datagram that is ours. */
struct fwd_datagram {
	__u32 started; /* ticks */
	__be16 sport;
	__be16 dport;
	__u32 overlaps; /* 1: fragments overlap; the rest is dropped */
	__u32 seen;     /* in units of 8 bytes */
	__u32 total;    /* in units of 8 bytes; 0: the last fragment has not arrived */
	__u32 pad;
	__u64 units[FRAG_WORDS];
};

struct fwd_frag_copy {
	struct fwd_datagram_key key;
	struct fwd_fragment place;
	__u32 copied_at; /* ticks */
	__u32 start;     /* of its bytes: the value of `end` before it */
	__u32 len;       /* bytes, from the IP header on; 0: not complete, or sent. Changed by exchange. */
};

/* A ring of copies and a ring of their bytes. Numbers of copies and of bytes are counted without end. */
struct fwd_frag_lane {
	__u32 oldest;  /* the first copy that is not overwritten */
	__u32 waiting; /* copies whose `len` is not 0 */
	__u32 next;    /* the next one is copy[next % FRAG_LANE_COPIES] */
	__u32 end;     /* its bytes begin at data[end % FRAG_LANE_BYTES] */
	struct fwd_frag_copy copy[FRAG_LANE_COPIES];
	__u8 data[FRAG_LANE_BYTES + FRAG_LEN_MAX]; /* a copy is contiguous: the last one extends beyond the ring */
};

struct fwd_frag_scratch {
	struct fwd_datagram empty; /* all zero except `started` and the ports */
	struct fwd_datagram_key key;
	__u32 addr_delta;                    /* frag_addr_delta() of the first fragment, the same for all */
	__u32 frame_len;                     /* bytes of the first fragment; 0: it is not saved */
	__u8 frame[FRAG_LEN_MAX + ETH_HLEN]; /* the first fragment, while copies are sent with its skb */
};

/* The lanes' sources, as frag_source() returns them, and the times of their last uses, in uses; 0: none yet. */
static __u32 frag_lane_source[FWD_FRAG_LANES];
static __u32 frag_lane_used[FWD_FRAG_LANES];
static __u32 frag_lane_uses;

static __always_inline struct fwd_frag_scratch *frag_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&frag_scratch, &zero);
}

static __always_inline struct fwd_frag_lane *frag_lane_at(__u32 index)
{
	return bpf_map_lookup_elem(&frag_lanes, &index);
}

static __always_inline struct fwd_frag_copy *frag_copy_of(struct fwd_frag_lane *lane, __u32 number)
{
	return &lane->copy[bound_mask(number, FRAG_LANE_COPIES - 1)];
}

/* Completes the copy, of len bytes. */
static __always_inline void frag_copy_put(struct fwd_frag_lane *lane, struct fwd_frag_copy *copy, __u32 len)
{
	__sync_lock_test_and_set(&copy->len, len);
	__sync_fetch_and_add(&lane->waiting, 1);
}

/* Takes the copy. Returns its length, or 0: it is not complete, or another CPU has taken it. */
static __always_inline __u32 frag_copy_take(struct fwd_frag_lane *lane, struct fwd_frag_copy *copy)
{
	__u32 len = __sync_lock_test_and_set(&copy->len, 0);

	if (len)
		__sync_fetch_and_add(&lane->waiting, -1);
	return len;
}

/* A number that stands for the source, not 0: the same for all addresses of a /64. Only the secret determines which
 * sources share a number. */
static __always_inline __u32 frag_source(const struct fwd_addr *addr)
{
	struct fwd_addr source = *addr;

	if (!addr_is_v4(addr))
		source.w[2] = source.w[3] = 0;
	return addr_hash(&source) | 1;
}

/* The index of the lane of this source, or -1. take: if it has none, it gets one. */
__noinline int frag_lane_find(__u32 source, bool take)
{
	__u32 now = __sync_fetch_and_add(&frag_lane_uses, 1) + 1, i, oldest, was;
	__u64 best = 0;

	for (i = 0; i < FWD_FRAG_LANES; i++) {
		/* Age and index in one number, because the verifier would follow each possible index by itself. */
		__u64 candidate = (__u64)(now - frag_lane_used[i]) << 32 | i;

		if (READ_ONCE(frag_lane_source[i]) == source) {
			frag_lane_used[i] = now;
			return i;
		}
		best = candidate > best ? candidate : best;
	}
	if (!take)
		return -1;
	oldest = bound_mask(best, FWD_FRAG_LANES - 1);
	was = READ_ONCE(frag_lane_source[oldest]);
	/* Of two CPUs that take the same lane, one succeeds. */
	if (__sync_val_compare_and_swap(&frag_lane_source[oldest], was, source) != was)
		return -1;
	frag_lane_used[oldest] = now;
	return oldest;
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

/* The datagram of the key, if it is ours. */
static __always_inline struct fwd_datagram *datagram_find(const struct fwd_datagram_key *key, __u32 now)
{
	struct fwd_datagram *d = bpf_map_lookup_elem(&datagrams, key);

	return datagram_is_recent(d, now) ? d : NULL;
}

/* The datagram of s->key, whose first fragment has arrived and is ours. */
static __always_inline struct fwd_datagram *datagram_claim(struct fwd_frag_scratch *s, const struct fwd_pkt *pkt)
{
	struct fwd_datagram *d = datagram_find(&s->key, pkt->now);

	if (d)
		return d;
	/* With its ports at once, because another CPU may find it while it has a later fragment. */
	s->empty.started = pkt->now;
	s->empty.sport = pkt->tuple.sport;
	s->empty.dport = pkt->tuple.dport;
	if (bpf_map_update_elem(&datagrams, &s->key, &s->empty, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&datagrams, &s->key);
}

/* The first fragment of the datagram was left to the stack. */
static __always_inline bool datagram_is_not_ours(const struct fwd_datagram_key *key, __u32 now)
{
	const __u32 *started = bpf_map_lookup_elem(&datagrams_not_ours, key);

	return started && now - *started < FRAG_MAX_AGE;
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
	if (d->total && d->seen >= d->total && !d->overlaps)
		bpf_map_delete_elem(&datagrams, key);
}

/* Before copy `next`, whose bytes begin at `end`, is written: gives up the copies that it and the ones before it
 * overwrite. Returns 1 if one of those was still waiting for its first fragment. */
__noinline int frag_lane_make_room(__u32 index, __u32 next, __u32 end, __u32 now)
{
	struct fwd_frag_lane *lane = frag_lane_at(index);
	int turn, lost = 0;

	for (turn = 0; lane && turn < FRAG_LANE_COPIES; turn++) {
		__u32 oldest = READ_ONCE(lane->oldest);
		struct fwd_frag_copy *copy = frag_copy_of(lane, oldest);

		if ((__s32)(next - oldest) <= 0 ||
		    (next - oldest < FRAG_LANE_COPIES && end - copy->start <= FRAG_LANE_BYTES - FRAG_LEN_MAX))
			break;
		if (frag_copy_take(lane, copy) && now - copy->copied_at < FRAG_MAX_AGE)
			lost = 1;
		lane->oldest = oldest + 1;
	}
	return lost;
}

/* Keeps a copy until the first fragment arrives. *in, *kept: its lane and the copy. Returns the reason to count. */
static __always_inline enum fwd_reason frag_keep(fwd_ctx *ctx, const struct fwd_pkt *pkt,
						 const struct fwd_datagram_key *key, struct fwd_frag_lane **in,
						 struct fwd_frag_copy **kept)
{
	__u32 len = pkt->bytes, next, start;
	struct fwd_frag_lane *lane;
	struct fwd_frag_copy *copy;
	int index, lost;

	if (len < sizeof(struct iphdr) || !bound_at_most(len, FRAG_LEN_MAX))
		return FWD_FRAGMENT_OVERFLOW;
	index = frag_lane_find(frag_source(&pkt->tuple.saddr), true);
	lane = index < 0 ? NULL : frag_lane_at(index);
	if (!lane)
		return FWD_FRAGMENT_OVERFLOW;
	next = __sync_fetch_and_add(&lane->next, 1);
	start = __sync_fetch_and_add(&lane->end, len);
	lost = frag_lane_make_room(index, next, start, pkt->now);
	copy = frag_copy_of(lane, next);
	copy->key = *key;
	copy->place = pkt->fragment;
	copy->copied_at = pkt->now;
	copy->start = start;
	if (!ctx_load(ctx, pkt->l3_off, lane->data + bound_mask(start, FRAG_LANE_BYTES - 1), len))
		return FWD_FRAGMENT_OVERFLOW;
	frag_copy_put(lane, copy, len);
	*in = lane;
	*kept = copy;
	return lost ? FWD_FRAGMENT_OVERFLOW : FWD_FRAGMENT_EARLY;
}

/* A fragment other than the first. FWD_OK: its datagram is ours, and the ports are in pkt->tuple. */
__noinline enum fwd_reason frag_later(fwd_ctx *ctx, struct fwd_pkt *pkt)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	struct fwd_frag_copy *kept = NULL;
	struct fwd_frag_lane *lane = NULL;
	enum fwd_reason reason;
	struct fwd_datagram *d;

	if (!s || !pkt)
		return FWD_FRAGMENT_OVERFLOW;
	datagram_key(&s->key, pkt);
	d = datagram_find(&s->key, pkt->now);
	if (!d) {
		if (datagram_is_not_ours(&s->key, pkt->now))
			return FWD_NOT_OURS;
		reason = frag_keep(ctx, pkt, &s->key, &lane, &kept);
		/* Another CPU may have received the first fragment meanwhile. The CPU that takes the copy sends the
		 * fragment. */
		d = datagram_find(&s->key, pkt->now);
		if (!d || !lane || !kept || !frag_copy_take(lane, kept))
			return reason;
	}
	if (datagram_is_overlapped(d, &pkt->fragment))
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
	__u32 now;

	if (!s || !pkt)
		return false;
	now = pkt->now;
	datagram_key(&s->key, pkt);
	if (!ours)
		return !bpf_map_update_elem(&datagrams_not_ours, &s->key, &now, BPF_ANY);
	d = datagram_claim(s, pkt);
	return d && !datagram_is_overlapped(d, &pkt->fragment);
}

/* Overwrites the first fragment in the skb with these bytes of a later one, and sends a clone. */
static __always_inline bool frag_send(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn, const __u8 *bytes,
				      __u32 len, __u32 addr_delta)
{
	/* As translation_of(), whose ports a later fragment does not have. */
	const struct fwd_addrs *ends = &conn->addrs[dir_reverse(pkt_dir(pkt))];
	struct fwd_flow *flow = conn_flow(conn, pkt);
	__u32 mtu = flow->route.mtu;
	__u8 ttl = pkt->family == FWD_FAMILY_IPV4 ? bytes[offsetof(struct iphdr, ttl)]
						  : bytes[offsetof(struct ipv6hdr, hop_limit)];

	if (ttl <= 1 || !ctx_set_len(ctx, pkt->l3_off + len) || !ctx_store(ctx, pkt->l3_off, bytes, len) ||
	    !translate_ip(ctx, pkt, &ends->daddr, &ends->saddr, ttl - 1, addr_delta))
		return false;
	if (mtu && len > mtu &&
	    (pkt->dont_fragment || !ip_fragment(ctx, pkt->l3_off, mtu, route_ifindex(&flow->route))))
		return false;
	if (ctx_send_clone(ctx, route_ifindex(&flow->route)))
		return false;
	flow->packets++;
	flow->bytes += len;
	return true;
}

static __always_inline bool frag_copy_is_of(const struct fwd_frag_copy *copy, const struct fwd_datagram_key *key,
					    __u32 now)
{
	return copy->key.id == key->id && copy->key.proto == key->proto && addr_equal(&copy->key.saddr, &key->saddr) &&
	       addr_equal(&copy->key.daddr, &key->daddr) && now - copy->copied_at < FRAG_MAX_AGE;
}

/* The change of the checksum by the packet's new addresses. A function of its own for the sake of the stack. */
__noinline __u32 frag_addr_delta(const struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct translation to;

	if (!pkt || !conn)
		return CSUM_NO_CHANGE;
	to = translation_of(conn, pkt_dir(pkt));
	return translation_addr_delta(pkt, &to);
}

/* Copies the frame, of len bytes, to the scratch memory. A function of its own, as frag_restore(), so that len stays in
 * the register whose bound the verifier of kernel 6.1 has seen. */
__noinline bool frag_save(fwd_ctx *ctx, __u32 len)
{
	struct fwd_frag_scratch *s = frag_scratch_get();

	if (!s || len < sizeof(struct iphdr) || !bound_at_most(len, sizeof(s->frame)) ||
	    !ctx_load(ctx, 0, s->frame, len))
		return false;
	s->frame_len = len;
	return true;
}

/* Makes the frame again what frag_save() has copied. */
__noinline bool frag_restore(fwd_ctx *ctx, __u32 len)
{
	struct fwd_frag_scratch *s = frag_scratch_get();

	if (!s || !ctx_set_len(ctx, len) || len < sizeof(struct iphdr))
		return false;
	return bound_at_most(len, sizeof(s->frame)) && ctx_store(ctx, 0, s->frame, len);
}

/* Sends a copy, if it is of the datagram in the scratch memory; frees it if it is too old. index: of the lane. Returns
 * 1 if it was sent. */
__noinline int frag_release_copy(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn, __u32 index, __u32 number)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	struct fwd_frag_lane *lane = frag_lane_at(index);
	struct fwd_frag_copy *copy;
	struct fwd_datagram *d;
	__u32 len, start;

	if (!s || !lane || !pkt || !conn)
		return 0;
	copy = frag_copy_of(lane, number);
	if (!frag_copy_is_of(copy, &s->key, pkt->now)) {
		if (READ_ONCE(copy->len) && pkt->now - copy->copied_at >= FRAG_MAX_AGE)
			frag_copy_take(lane, copy);
		return 0;
	}
	len = frag_copy_take(lane, copy);
	start = copy->start;
	d = datagram_find(&s->key, pkt->now);
	if (!d || len < sizeof(struct iphdr) || !bound_at_most(len, FRAG_LEN_MAX) ||
	    lane->end - start > FRAG_LANE_BYTES || datagram_is_overlapped(d, &copy->place) ||
	    (!s->frame_len && !frag_save(ctx, ctx_len(ctx))))
		return 0;
	return frag_send(ctx, pkt, conn, lane->data + bound_mask(start, FRAG_LANE_BYTES - 1), len, s->addr_delta);
}

/* Sends the copies of fragments that arrived before this first one, which is translated and framed already. They are
 * sent with its skb, which is restored afterwards. pkt->l3_off: the IP header in the frame that leaves. False: the
 * skb could not be restored, and must be dropped. */
__noinline bool frag_release(fwd_ctx *ctx, struct fwd_pkt *pkt, struct fwd_conn *conn)
{
	struct fwd_frag_scratch *s = frag_scratch_get();
	__u32 oldest, count, i;
	struct fwd_frag_lane *lane;
	struct fwd_datagram *d;
	int index;

	if (!s || !pkt || !conn)
		return true;
	index = frag_lane_find(frag_source(&pkt->tuple.saddr), false);
	lane = index < 0 ? NULL : frag_lane_at(index);
	/* A full barrier: a fragment that is not seen here finds the datagram (frag_later()). */
	if (!lane || !__sync_fetch_and_add(&lane->waiting, 0))
		return true;
	datagram_key(&s->key, pkt);
	s->addr_delta = frag_addr_delta(pkt, conn);
	s->frame_len = 0;
	oldest = READ_ONCE(lane->oldest);
	count = READ_ONCE(lane->next) - oldest;
	for (i = 0; i < FRAG_LANE_COPIES; i++) {
		if (i >= count)
			break;
		frag_release_copy(ctx, pkt, conn, index, oldest + i);
	}
	d = bpf_map_lookup_elem(&datagrams, &s->key);
	if (d)
		datagram_remove_if_complete(d, &s->key);
	return !s->frame_len || frag_restore(ctx, s->frame_len);
}

#endif
