/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The places of connections: a ring for the unconfirmed, a pool for the confirmed (struct fwd_slot).
 */
#ifndef FWD_SLOT_H
#define FWD_SLOT_H

#include "maps.h"

struct fwd_slot_choice {
	__u32 index;
	__u32 pad;
	struct fwd_tuple old; /* room to copy the key of who was there */
};

static __always_inline bool slot_is_confirmed(__u32 index)
{
	return index >= fwd_half_open;
}

static __always_inline enum fwd_slot_state slot_state(__u32 use)
{
	return use & FWD_SLOT_STATE;
}

/* Changes the state, if nothing has changed since `use` was read. */
static __always_inline bool slot_change(struct fwd_slot *slot, __u32 use, enum fwd_slot_state state)
{
	return __sync_val_compare_and_swap(&slot->use, use, (use & ~FWD_SLOT_STATE) | state) == use;
}

/* Makes the place the caller's, to fill or to give back; whoever was in it must go. */
static __always_inline bool slot_take(struct fwd_slot *slot, __u32 use)
{
	__u32 mine = ((use & ~FWD_SLOT_STATE) + FWD_SLOT_NEXT) | FWD_SLOT_TAKEN;

	return slot_state(use) != FWD_SLOT_TAKEN &&
	       __sync_val_compare_and_swap(&slot->use, use, mine) == use;
}

/* Puts a connection into a place that was taken; from here on the sweeper sees it. */
static __always_inline void slot_fill(struct fwd_slot *slot, const struct fwd_tuple *forward,
				      __u32 check_at)
{
	slot->forward = *forward;
	slot->check_at = check_at;
	slot_change(slot, slot->use, FWD_SLOT_USED);
}

/* The sweeper is to look no later than at `at`. */
static __always_inline void slot_check_by(__u32 index, __u32 at)
{
	struct fwd_slot *slot = bpf_map_lookup_elem(&slots, &index);

	if (slot && clock_is_due(slot->check_at, at))
		slot->check_at = at;
}

/* Gives the place back, if it is still as it was when `use` was read. */
static __always_inline void slot_release(struct fwd_slot *slot, __u32 index, __u32 use)
{
	struct fwd_sweeper *s = sweeper_get();

	if (!s || slot_state(use) < FWD_SLOT_USED || !slot_change(slot, use, FWD_SLOT_FREE) ||
	    !slot_is_confirmed(index))
		return;
	__sync_fetch_and_add(&s->confirmed, -1);
	bpf_map_push_elem(&free_slots, &index, 0);
}

/* A place among the confirmed; false: all are taken. */
static __always_inline bool slot_take_confirmed(__u32 *index)
{
	struct fwd_sweeper *s = sweeper_get();

	if (!s)
		return false;
	if (bpf_map_pop_elem(&free_slots, index)) {
		__u32 fresh;

		if (s->high_water >= fwd_connections)
			return false;
		fresh = __sync_fetch_and_add(&s->high_water, 1);
		if (fresh >= fwd_connections) {
			__sync_fetch_and_add(&s->high_water, -1);
			return false;
		}
		*index = fwd_half_open + fresh;
	}
	__sync_fetch_and_add(&s->confirmed, 1);
	return true;
}

static __always_inline bool slot_confirmed_full(void)
{
	const struct fwd_sweeper *s = sweeper_get();

	return !s || s->confirmed >= fwd_connections;
}

#endif
