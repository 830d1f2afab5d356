/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of the connection table, and the timer of its garbage collector: the map `gc`, one element.
 */
#ifndef FWD_GC_H
#define FWD_GC_H

#include <linux/bpf.h>
#include "fwd/abi.h"

struct fwd_gc {
	struct bpf_timer timer;
	__u64 ring_head;   /* insertions into the ring so far; the next slot is this modulo its size */
	__u32 high_water;  /* slots from here on were never used */
	__u32 used;        /* slots in use */
	__u32 confirmed;   /* of these, that are FWD_SLOT_CONFIRMED */
	__u32 cursor;      /* the slot at which the walk continues */
	__u32 gc_all_seen; /* fwd_config.gc_all when this round began */
	__u32 all;         /* 1: this round checks every connection, due or not */
	__u32 half_open;   /* half-open connections that this round has seen so far */
	__u32 flood;       /* 1: most of the ring is in use, see gc_update_flood() */
	__u32 flood_until; /* ticks */
	__u32 nearly_full; /* 1: few records are left for confirmed connections, see gc_begin_round() */
};

FWD_ABI_SIZE(struct fwd_gc, 64);
FWD_ABI_OFFSET(struct fwd_gc, ring_head, 16);
FWD_ABI_OFFSET(struct fwd_gc, high_water, 24);
FWD_ABI_OFFSET(struct fwd_gc, used, 28);
FWD_ABI_OFFSET(struct fwd_gc, confirmed, 32);
FWD_ABI_OFFSET(struct fwd_gc, cursor, 36);
FWD_ABI_OFFSET(struct fwd_gc, gc_all_seen, 40);
FWD_ABI_OFFSET(struct fwd_gc, all, 44);
FWD_ABI_OFFSET(struct fwd_gc, half_open, 48);
FWD_ABI_OFFSET(struct fwd_gc, flood, 52);
FWD_ABI_OFFSET(struct fwd_gc, flood_until, 56);
FWD_ABI_OFFSET(struct fwd_gc, nearly_full, 60);

#endif
