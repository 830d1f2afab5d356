/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slots (struct fwd_slot): allocation, states, and release.
 */
#ifndef FWD_BPF_CT_SLOT_H
#define FWD_BPF_CT_SLOT_H

#include <linux/errno.h>
#include "base/maps.h"

static __always_inline struct fwd_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline enum fwd_slot_state slot_state(__u32 gen_state)
{
	return gen_state & FWD_SLOT_STATE_MASK;
}

static __always_inline __u32 slot_with_state(__u32 gen_state, enum fwd_slot_state state)
{
	return (gen_state & ~FWD_SLOT_STATE_MASK) | state;
}

/* The slot has a connection. */
static __always_inline bool slot_is_live(__u32 gen_state)
{
	return slot_state(gen_state) >= FWD_SLOT_HALF_OPEN;
}

/* Sets the state, if the word is still gen_state. False: another CPU changed it. */
static __always_inline bool slot_set_state(struct fwd_slot *slot, __u32 gen_state, enum fwd_slot_state state)
{
	return __sync_val_compare_and_swap(&slot->gen_state, gen_state, slot_with_state(gen_state, state)) == gen_state;
}

/* The current word, with a full barrier: later reads are not older. */
static __always_inline __u32 slot_gen_state(struct fwd_slot *slot)
{
	return __sync_fetch_and_add(&slot->gen_state, 0);
}

/* The collector has to check the connection at the tick `at` or before; at once if another CPU changes check_at at
 * the same time. */
static __always_inline void slot_check_before(struct fwd_slot *slot, __u32 at, __u32 now)
{
	__u32 was = READ_ONCE(slot->check_at);

	if (clock_is_due(was, at) && __sync_val_compare_and_swap(&slot->check_at, was, at) != was)
		slot->check_at = now;
}

/* A slot that was never used. False: there is none. */
static __always_inline bool slot_alloc_unused(struct fwd_gc *s, __u32 *index)
{
	if (s->high_water >= fwd_sizes.records)
		return false;
	*index = __sync_fetch_and_add(&s->high_water, 1);
	if (*index < fwd_sizes.records)
		return true;
	__sync_fetch_and_add(&s->high_water, -1);
	return false;
}

/* Allocates a slot. Returns its index, or -ENOSPC. Slots that were never used are preferred until FWD_QUARANTINE()
 * freed ones wait, then the one that was freed first. */
__noinline int slot_alloc(void)
{
	const __s32 quarantine = fwd_sizes.records - fwd_sizes.connections - fwd_sizes.half_open;
	struct fwd_gc *s = gc_get();
	struct fwd_slot *slot;
	__u32 index = 0;
	__s32 quarantined;
	bool found;

	if (!s)
		return -ENOSPC;
	/* Signed, because another CPU may have updated only one of the two counters. */
	quarantined = s->high_water - __sync_fetch_and_add(&s->used, 1);
	found = (quarantined >= quarantine && !bpf_map_pop_elem(&free_slots, &index)) || slot_alloc_unused(s, &index) ||
		!bpf_map_pop_elem(&free_slots, &index);
	if (!found) {
		__sync_fetch_and_add(&s->used, -1);
		return -ENOSPC;
	}
	slot = slot_at(index);
	if (slot)
		__sync_fetch_and_add(&slot->gen_state, FWD_SLOT_GENERATION + FWD_SLOT_RESERVED - FWD_SLOT_FREE);
	return index;
}

/* Frees a slot that the caller owns (FWD_SLOT_RESERVED). */
static __always_inline void slot_free(__u32 index)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_gc *s = gc_get();

	if (!slot || !s)
		return;
	slot_set_state(slot, slot->gen_state, FWD_SLOT_FREE);
	bpf_map_push_elem(&free_slots, &index, 0);
	__sync_fetch_and_add(&s->used, -1);
}

/* Makes the caller the owner that may end the connection of gen_state. False: it is another connection by now, or
 * another CPU ends it. */
static __always_inline bool slot_reserve(struct fwd_slot *slot, __u32 gen_state)
{
	struct fwd_gc *s = gc_get();

	if (!s || !slot_is_live(gen_state) || !slot_set_state(slot, gen_state, FWD_SLOT_RESERVED))
		return false;
	if (slot_state(gen_state) == FWD_SLOT_CONFIRMED)
		__sync_fetch_and_add(&s->confirmed, -1);
	return true;
}

static __always_inline bool slot_confirmed_limit(void)
{
	const struct fwd_gc *s = gc_get();

	return !s || s->confirmed >= fwd_sizes.connections;
}

/* Makes the connection of gen_state confirmed, so that it is no longer evicted, unless --connections is reached. */
static __always_inline void slot_confirm(struct fwd_slot *slot, __u32 gen_state)
{
	struct fwd_gc *s = gc_get();

	if (!s || slot_state(gen_state) != FWD_SLOT_HALF_OPEN)
		return;
	if (__sync_fetch_and_add(&s->confirmed, 1) >= fwd_sizes.connections ||
	    !slot_set_state(slot, gen_state, FWD_SLOT_CONFIRMED))
		__sync_fetch_and_add(&s->confirmed, -1);
}

#endif
