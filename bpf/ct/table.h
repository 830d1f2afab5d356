/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connection table: records in an array, and a hash index (struct fwd_bucket).
 *
 * A record never moves, so an index that was found stays valid, and the reverse direction is next to it. An entry is a
 * record's index and a direction in one number: index << 1 | enum fwd_dir.
 *
 * There are no locks. Cells are set and cleared by compare-and-swap, which is a full barrier, so a CPU that sees a cell
 * also sees the record. If two CPUs insert the same tuple, one has to lose. Therefore a cell is a claim first
 * (FWD_CELL_CLAIM), which lookups ignore, and becomes valid once its owner has compared it with all other cells of that
 * tuple. See table_insert() and docs/concurrency.md.
 */
#ifndef FWD_BPF_CT_TABLE_H
#define FWD_BPF_CT_TABLE_H

#include <linux/errno.h>
#include "fwd/tuple.h"
#include "base/maps.h"

static __always_inline __u32 entry_of(__u32 index, enum fwd_dir dir)
{
	return index << 1 | dir;
}

static __always_inline enum fwd_dir entry_dir(__u32 entry)
{
	return entry & 1;
}

static __always_inline __u32 entry_index(__u32 entry)
{
	return entry >> 1;
}

static __always_inline struct fwd_conn *conn_at(__u32 index)
{
	return bpf_map_lookup_elem(&conns, &index);
}

/* The tuple of an entry's packets on arrival. */
static __always_inline void tuple_of_entry(struct fwd_tuple *tuple, const struct fwd_conn *conn, enum fwd_dir dir)
{
	const struct fwd_flow *flow = &conn->flow[dir];

	tuple->saddr = conn->addrs[dir].saddr;
	tuple->daddr = conn->addrs[dir].daddr;
	tuple->sport = flow->sport;
	tuple->dport = flow->dport;
	tuple->proto = fwd_ct_proto(flow->ct_state);
	__builtin_memset(tuple->pad, 0, sizeof(tuple->pad));
}

static __always_inline __u64 hash_pair(const __u32 *secret, __u32 a, __u32 b)
{
	return (__u64)(__u32)(a + secret[0]) * (__u32)(b + secret[1]);
}

static __always_inline __u64 hash_mix(__u64 h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */
	h ^= h >> 29;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* A hash of an address that nobody outside can predict. */
static __always_inline __u32 addr_hash(const struct fwd_addr *addr)
{
	const struct fwd_config *c = config_get();

	if (!c)
		return 0;
	return hash_mix(hash_pair(c->secret, addr->w[0], addr->w[1]) +
			hash_pair(c->secret + 2, addr->w[2], addr->w[3]));
}

/* NH (RFC 4418 5.2.2) of the tuple's words: any two tuples collide with a probability of 2^-32, because nobody
 * outside knows the secret. Then a mix, because NH alone leaves differences in some of the bits only. */
static __always_inline __u64 hash_flow(const struct fwd_addr *saddr, const struct fwd_addr *daddr, __be16 sport,
				       __be16 dport, __u8 proto)
{
	const __u32 *s = saddr->w, *d = daddr->w;
	const struct fwd_config *c = config_get();
	__u64 h = 0;

	if (!c)
		return 0;
	h += hash_pair(c->secret, s[0], s[1]);
	h += hash_pair(c->secret + 2, s[2], s[3]);
	h += hash_pair(c->secret + 4, d[0], d[1]);
	h += hash_pair(c->secret + 6, d[2], d[3]);
	h += hash_pair(c->secret + 8, (__u32)sport << 16 | dport, proto);
	return hash_mix(h);
}

static __always_inline __u64 table_hash(const struct fwd_tuple *tuple)
{
	return hash_flow(&tuple->saddr, &tuple->daddr, tuple->sport, tuple->dport, tuple->proto);
}

static __always_inline struct fwd_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&buckets, &index);
}

static __always_inline __u32 bucket_of(__u32 hash)
{
	return (__u64)hash * fwd_sizes.buckets >> 32;
}

/* The bucket of a tuple with this hash, and its second bucket, used if that is full. They differ, because there are
 * at least two buckets. */
static __always_inline __u32 bucket_first(__u64 hash)
{
	return bucket_of(hash >> 32);
}

static __always_inline __u32 bucket_second(__u64 hash)
{
	__u32 step = 1 + ((__u64)(__u32)(hash >> 8) * (fwd_sizes.buckets - 1) >> 32);
	__u32 second = bucket_first(hash) + step;

	return second < fwd_sizes.buckets ? second : second - fwd_sizes.buckets;
}

static __always_inline __u32 cell_of(__u64 hash, __u32 entry)
{
	return ((__u32)hash & fwd_sizes.tag) | ((entry_index(entry) + 1) << FWD_CELL_SHIFT) |
	       (entry_dir(entry) == FWD_DIR_REPLY ? FWD_CELL_DIR : 0);
}

static __always_inline __u32 cell_entry(__u32 cell)
{
	return entry_of(((cell & ~fwd_sizes.tag) >> FWD_CELL_SHIFT) - 1,
			cell & FWD_CELL_DIR ? FWD_DIR_REPLY : FWD_DIR_FORWARD);
}

/* The cell may belong to a tuple of this hash, which may also be given as another cell. */
static __always_inline bool cell_fits(__u32 cell, __u32 hash)
{
	return cell && !((cell ^ hash) & fwd_sizes.tag);
}

/* The entry has this tuple. A function that the verifier checks once, not for each cell. */
__noinline int entry_is(__u32 entry, const struct fwd_tuple *tuple)
{
	struct fwd_conn *conn = conn_at(entry_index(entry));
	const struct fwd_addrs *ends;
	const struct fwd_flow *flow;

	if (!conn || !tuple)
		return 0;
	ends = &conn->addrs[entry_dir(entry)];
	flow = &conn->flow[entry_dir(entry)];
	return flow->sport == tuple->sport && flow->dport == tuple->dport &&
	       fwd_ct_proto(flow->ct_state) == tuple->proto && addr_equal(&ends->saddr, &tuple->saddr) &&
	       addr_equal(&ends->daddr, &tuple->daddr);
}

/* The entry, or -ENOENT. Cells with the bits `without` are ignored. */
static __always_inline int bucket_find(const struct fwd_bucket *bucket, __u64 hash, const struct fwd_tuple *tuple,
				       __u32 without)
{
	int i;

	for (i = 0; i < FWD_BUCKET_CELLS; i++) {
		__u32 cell = READ_ONCE(bucket->cell[i]);

		if (cell_fits(cell, hash) && !(cell & without) && entry_is(cell_entry(cell), tuple))
			return cell_entry(cell);
	}
	return -ENOENT;
}

/* The entry of this tuple, or -ENOENT. without: FWD_CELL_CLAIM, or 0 to find claims as well. */
__noinline int table_search(const struct fwd_tuple *tuple, __u32 without)
{
	const struct fwd_bucket *bucket;
	__u64 hash;
	int entry;

	if (!tuple)
		return -ENOENT;
	hash = table_hash(tuple);
	bucket = bucket_at(bucket_first(hash));
	if (!bucket)
		return -ENOENT;
	entry = bucket_find(bucket, hash, tuple, without);
	if (entry >= 0 || !READ_ONCE(bucket->overflow))
		return entry;
	bucket = bucket_at(bucket_second(hash));
	return bucket ? bucket_find(bucket, hash, tuple, without) : -ENOENT;
}

static __always_inline int table_find(const struct fwd_tuple *tuple)
{
	return table_search(tuple, FWD_CELL_CLAIM);
}

/* Replaces a cell of the bucket that equals `from`. Returns its number, or -ENOENT. */
__noinline int bucket_swap(__u32 index, __u32 from, __u32 to)
{
	struct fwd_bucket *bucket = bucket_at(index);
	int i;

	for (i = 0; bucket && i < FWD_BUCKET_CELLS; i++)
		if (bucket->cell[i] == from && __sync_val_compare_and_swap(&bucket->cell[i], from, to) == from)
			return i;
	return -ENOENT;
}

/* Adds to the number of cells that the bucket had no room for. Returns the old number. */
__noinline __u32 bucket_overflow(__u32 index, int change)
{
	struct fwd_bucket *bucket = bucket_at(index);

	return bucket ? __sync_fetch_and_add(&bucket->overflow, change) : 0;
}

/* Some cells of the bucket are in their second bucket. */
static __always_inline bool bucket_has_overflow(__u32 index)
{
	const struct fwd_bucket *bucket = bucket_at(index);

	return bucket && READ_ONCE(bucket->overflow);
}

/* Cell i of the bucket is another entry of the tuple that the claim `mine` is for. Of two claims the one further in
 * front wins: it clears the other one, so that the other can no longer become valid, however far its owner is.
 * mine_at: the number of the own cell; lower ones are in front of it. */
__noinline int cell_conflicts(__u32 index, __u32 i, __u32 mine, int mine_at, const struct fwd_tuple *tuple)
{
	struct fwd_bucket *bucket = bucket_at(index);
	__u32 cell;

	if (!bucket || i >= FWD_BUCKET_CELLS)
		return 0;
	cell = READ_ONCE(bucket->cell[i]);
	if (cell == mine || !entry_is(cell_entry(cell), tuple))
		return 0;
	return !(cell & FWD_CELL_CLAIM) || (int)i < mine_at ||
	       __sync_val_compare_and_swap(&bucket->cell[i], cell, 0) == (cell & ~FWD_CELL_CLAIM);
}

static __always_inline bool bucket_conflicts(__u32 index, __u32 mine, int mine_at, const struct fwd_tuple *tuple)
{
	const struct fwd_bucket *bucket = bucket_at(index);
	__u32 i;

	for (i = 0; bucket && i < FWD_BUCKET_CELLS; i++)
		if (cell_fits(READ_ONCE(bucket->cell[i]), mine) && cell_conflicts(index, i, mine, mine_at, tuple))
			return true;
	return false;
}

/* Before and behind all cells of a bucket. */
#define TABLE_BEFORE (-1)
#define TABLE_BEHIND FWD_BUCKET_CELLS

/* Another entry or claim of the tuple exists. at: the number of the claim's cell in its first bucket, or with
 * in_second in its second one. */
static __always_inline bool table_conflicts(__u64 hash, __u32 claim, int at, bool in_second,
					    const struct fwd_tuple *tuple)
{
	return bucket_conflicts(bucket_first(hash), claim, in_second ? TABLE_BEHIND : at, tuple) ||
	       (bucket_has_overflow(bucket_first(hash)) &&
		bucket_conflicts(bucket_second(hash), claim, in_second ? at : TABLE_BEFORE, tuple));
}

/*
 * Inserts an entry under its tuple. Returns 0; -EEXIST: there is an entry of that tuple, or another CPU is inserting
 * one; -ENOSPC: both buckets are full.
 *
 * The claim is written before the other cells are read. So of two CPUs that insert the same tuple at least one sees the
 * other's claim, and yields to it or clears it: at most one entry becomes valid.
 */
__noinline int table_insert(__u32 entry, const struct fwd_tuple *tuple)
{
	__u32 cell, bucket;
	bool in_second;
	__u64 hash;
	int at;

	if (!tuple)
		return -EINVAL;
	hash = table_hash(tuple);
	cell = cell_of(hash, entry);
	bucket = bucket_first(hash);
	at = bucket_swap(bucket, 0, cell | FWD_CELL_CLAIM);
	in_second = at < 0;
	if (in_second) {
		bucket_overflow(bucket, 1);
		bucket = bucket_second(hash);
		at = bucket_swap(bucket, 0, cell | FWD_CELL_CLAIM);
	}
	/* The claim may have been cleared by another CPU. */
	if (at >= 0 && !table_conflicts(hash, cell | FWD_CELL_CLAIM, at, in_second, tuple) &&
	    bucket_swap(bucket, cell | FWD_CELL_CLAIM, cell) >= 0)
		return 0;
	bucket_swap(bucket, cell | FWD_CELL_CLAIM, 0);
	if (in_second)
		bucket_overflow(bucket_first(hash), -1);
	return at < 0 ? -ENOSPC : -EEXIST;
}

/* The hash of the entry's tuple; 0: there is no such entry. */
__noinline __u64 entry_hash(__u32 entry)
{
	struct fwd_conn *conn = conn_at(entry_index(entry));
	const struct fwd_addrs *ends;
	const struct fwd_flow *flow;

	if (!conn)
		return 0;
	ends = &conn->addrs[entry_dir(entry)];
	flow = &conn->flow[entry_dir(entry)];
	return hash_flow(&ends->saddr, &ends->daddr, flow->sport, flow->dport, fwd_ct_proto(flow->ct_state));
}

/* Removes an entry from the index. Returns 0 or a negative errno. */
__noinline int table_remove(__u32 entry)
{
	__u64 hash = entry_hash(entry);
	__u32 cell = cell_of(hash, entry);

	if (bucket_swap(bucket_first(hash), cell, 0) >= 0)
		return 0;
	if (bucket_swap(bucket_second(hash), cell, 0) < 0)
		return -ENOENT;
	bucket_overflow(bucket_first(hash), -1);
	return 0;
}

#endif
