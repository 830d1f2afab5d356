/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connection table around `conns`: the maps `slots`, `free_slots`, `buckets` and `ring`.
 * docs/concurrency.md says who writes what.
 */
#ifndef FWD_TABLE_H
#define FWD_TABLE_H

#include "fwd/abi.h"

#define FWD_DEFAULT_CONNECTIONS 65536
#define FWD_DEFAULT_HALF_OPEN   16384

enum fwd_slot_state {
	FWD_SLOT_FREE = 0,
	FWD_SLOT_RESERVED = 1,  /* owned by the CPU that fills or clears it */
	FWD_SLOT_HALF_OPEN = 2, /* a connection that a newer one may evict */
	FWD_SLOT_CONFIRMED = 3, /* a connection that counts towards --connections */
};

/* fwd_slot.gen_state: the state in the lowest bits, above it a generation that is raised at each allocation, so that a
 * compare-and-swap meant for one connection never ends the next one in its slot. */
#define FWD_SLOT_STATE_MASK 3U
#define FWD_SLOT_GENERATION 4U

/* The slot of the connection at the same index of `conns`. The garbage collector walks this array; it is the one list
 * of all connections. */
struct fwd_slot {
	__u32 check_at;  /* ticks; the collector need not check the connection before */
	__u32 gen_state; /* enum fwd_slot_state and the generation */
	__u16 mss;       /* TCP: larger MSS options are lowered to it; 0: left as they are */
	__u16 pad;
	__u32 reopen; /* TCP, host order: the number after a SYN of the client while the connection closes */
};

FWD_ABI_SIZE(struct fwd_slot, 16);
FWD_ABI_OFFSET(struct fwd_slot, gen_state, 4);
FWD_ABI_OFFSET(struct fwd_slot, mss, 8);
FWD_ABI_OFFSET(struct fwd_slot, reopen, 12);

/* A freed record is quarantined until this many others have been freed, because a packet on another CPU may still be
 * reading it. A CPU that stalls for longer than that reads the record of another connection. */
#define FWD_QUARANTINE(half_open) ((half_open) > 1024 ? (half_open) : 1024)

/* Records: as many as there may be connections of both classes, and the quarantine. */
#define FWD_RECORDS(connections, half_open) ((connections) + (half_open) + FWD_QUARANTINE(half_open))

/*
 * The hash index. The hash of a tuple selects a bucket, whose cells name a direction of a connection. A bucket is one
 * cache line. In a full table 5 of 15 cells are used on average and one bucket in 15,000 overflows: a cell that finds
 * its bucket full goes to a second bucket, which the hash also selects.
 */
#define FWD_BUCKET_CELLS                    15
#define FWD_BUCKETS(connections, half_open) (FWD_RECORDS(connections, half_open) / 5 * 2 + 1)

struct fwd_bucket {
	__u32 cell[FWD_BUCKET_CELLS]; /* 0: free */
	__u32 overflow;               /* cells that belong here and are in their second bucket */
};

FWD_ABI_SIZE(struct fwd_bucket, 64);
FWD_ABI_OFFSET(struct fwd_bucket, overflow, 60);

/* A cell: the record's index, the direction, and in the bits above as much of the hash as fits, so that few records
 * are read in vain. */
#define FWD_CELL_CLAIM 1U /* being inserted: see table_insert() */
#define FWD_CELL_DIR   2U /* enum fwd_dir */
#define FWD_CELL_SHIFT 2  /* above: 1 + the index into `conns` */

/* The bits of a cell that hold the hash, in a table of that many records. */
static inline __u32 fwd_cell_tag(__u32 records)
{
	__u32 named = (records << FWD_CELL_SHIFT) | FWD_CELL_CLAIM | FWD_CELL_DIR, tag = ~0U;

	while (named & tag)
		tag <<= 1;
	return tag;
}

/* The size of a connection table, and what follows from it. */
struct fwd_sizes {
	__u32 connections; /* confirmed ones */
	__u32 half_open;
	__u32 records; /* FWD_RECORDS() */
	__u32 buckets; /* FWD_BUCKETS() */
	__u32 tag;     /* fwd_cell_tag() */
};

static inline struct fwd_sizes fwd_sizes_of(__u32 connections, __u32 half_open)
{
	__u32 records = FWD_RECORDS(connections, half_open);

	return (struct fwd_sizes){connections, half_open, records, FWD_BUCKETS(connections, half_open),
				  fwd_cell_tag(records)};
}

/* The half-open connections in the order of their openings: each new one evicts the oldest. */
struct fwd_ring_slot {
	__u64 owner; /* slot index << 32 | its gen_state while that connection is half-open */
};

FWD_ABI_SIZE(struct fwd_ring_slot, 8);

#endif
