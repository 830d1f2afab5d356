/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The places of connections (struct fwd_slot): taken, filled, confirmed, given back.
 */
#ifndef FWD_SLOT_H
#define FWD_SLOT_H

#include <linux/errno.h>
#include "maps.h"

static __always_inline struct fwd_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline enum fwd_slot_state slot_state(__u32 use)
{
	return use & FWD_SLOT_STATE;
}

static __always_inline __u32 slot_use(__u32 use, enum fwd_slot_state state)
{
	return (use & ~FWD_SLOT_STATE) | state;
}

/* Does a connection live there? */
static __always_inline bool slot_lives(__u32 use)
{
	return slot_state(use) >= FWD_SLOT_HALF_OPEN;
}

/* Changes the state, if nothing has changed since `use` was read. */
static __always_inline bool slot_change(struct fwd_slot *slot, __u32 use, enum fwd_slot_state state)
{
	return __sync_val_compare_and_swap(&slot->use, use, slot_use(use, state)) == use;
}

/* The word as it is now; what is read behind this is no older. */
static __always_inline __u32 slot_use_now(struct fwd_slot *slot)
{
	return __sync_fetch_and_add(&slot->use, 0);
}

/* The sweeper is to look no later than at `at`: at once, if somebody else has just said something, too. */
static __always_inline void slot_check_by(struct fwd_slot *slot, __u32 at, __u32 now)
{
	__u32 was = READ_ONCE(slot->check_at);

	if (clock_is_due(was, at) && __sync_val_compare_and_swap(&slot->check_at, was, at) != was)
		slot->check_at = now;
}

/* One that was never in use; false: there is none. */
static __always_inline bool slot_fresh(struct fwd_sweeper *s, __u32 *index)
{
	if (s->high_water >= fwd_sizes.records)
		return false;
	*index = __sync_fetch_and_add(&s->high_water, 1);
	if (*index < fwd_sizes.records)
		return true;
	__sync_fetch_and_add(&s->high_water, -1);
	return false;
}

/*
 * Takes a slot. Returns its index, or -ENOSPC. While fewer are at rest than there is room for, fresh ones are taken, then of
 * those at rest the one that rests longest.
 */
__noinline int slot_take(void)
{
	const __s32 rest = fwd_sizes.records - fwd_sizes.connections - fwd_sizes.half_open;
	struct fwd_sweeper *s = sweeper_get();
	struct fwd_slot *slot;
	__u32 index = 0;
	__s32 resting;
	bool found;

	if (!s)
		return -ENOSPC;
	/* Signed, for others may have counted theirs in one of the two only. */
	resting = s->high_water - __sync_fetch_and_add(&s->used, 1);
	found = (resting >= rest && !bpf_map_pop_elem(&free_slots, &index)) ||
		slot_fresh(s, &index) || !bpf_map_pop_elem(&free_slots, &index);
	if (!found) {
		__sync_fetch_and_add(&s->used, -1);
		return -ENOSPC;
	}
	slot = slot_at(index);
	if (slot)
		__sync_fetch_and_add(&slot->use, FWD_SLOT_NEXT + FWD_SLOT_TAKEN - FWD_SLOT_FREE);
	return index;
}

/* Gives back a slot that the caller has taken. */
static __always_inline void slot_give_back(__u32 index)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_sweeper *s = sweeper_get();

	if (!slot || !s)
		return;
	slot_change(slot, slot->use, FWD_SLOT_FREE);
	bpf_map_push_elem(&free_slots, &index, 0);
	__sync_fetch_and_add(&s->used, -1);
}

/* Makes the caller the only one who may end the connection that was there when `use` was read. */
static __always_inline bool slot_own(struct fwd_slot *slot, __u32 use)
{
	struct fwd_sweeper *s = sweeper_get();

	if (!s || !slot_lives(use) || !slot_change(slot, use, FWD_SLOT_TAKEN))
		return false;
	if (slot_state(use) == FWD_SLOT_CONFIRMED)
		__sync_fetch_and_add(&s->confirmed, -1);
	return true;
}

static __always_inline bool slot_confirmed_full(void)
{
	const struct fwd_sweeper *s = sweeper_get();

	return !s || s->confirmed >= fwd_sizes.connections;
}

/* From here on nobody pushes it out, if there may be another such: the connection that was there when `use` was read. */
static __always_inline void slot_confirm(struct fwd_slot *slot, __u32 use)
{
	struct fwd_sweeper *s = sweeper_get();

	if (!s || slot_state(use) != FWD_SLOT_HALF_OPEN)
		return;
	if (__sync_fetch_and_add(&s->confirmed, 1) >= fwd_sizes.connections ||
	    !slot_change(slot, use, FWD_SLOT_CONFIRMED))
		__sync_fetch_and_add(&s->confirmed, -1);
}

#endif
