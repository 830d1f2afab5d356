/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The half-open ring: a bounded number of half-open connections, of which a new one evicts the oldest.
 */
#ifndef FWD_BPF_CT_RING_H
#define FWD_BPF_CT_RING_H

#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/slot.h"

/*
 * The next place of the half-open ring, for the connection in the slot that was taken; ownerever has that place and is still
 * unconfirmed is pushed out. Passed over, up to a bound, are those that are confirmed but found no room among the
 * confirmed, if there is none now either. False: none was to be had.
 */
#define RING_TRIES 4

/* Takes the old one out of the place, if it may be. */
static __always_inline bool ring_evict(__u64 owner)
{
	__u32 index = owner >> 32, gen_state = owner, now;
	struct fwd_slot *slot = slot_at(index);
	struct fwd_conn *conn = conn_at(index);

	if (!slot || !conn || !slot_is_live(gen_state))
		return true;
	now = slot_gen_state(slot);
	/* The one owner took the place isn't done yet: if it were given away, his connection would be in none. */
	if (now == slot_with_state(gen_state, FWD_SLOT_RESERVED))
		return false;
	/* Else it was confirmed, or has ended. */
	if (now != gen_state)
		return true;
	if (!(conn->flow[FWD_DIR_FORWARD].ct_state & FWD_CT_CONFIRMED)) {
		conn_end(index, gen_state, FWD_END_EVICTED);
		return true;
	}
	slot_confirm(slot, gen_state);
	return READ_ONCE(slot->gen_state) != gen_state;
}

__noinline int ring_insert(__u32 index)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_gc *s = gc_get();
	__u64 mine;
	int i;

	if (!slot || !s)
		return 0;
	mine = (__u64)index << 32 | slot_with_state(slot->gen_state, FWD_SLOT_HALF_OPEN);
	for (i = 0; i < RING_TRIES; i++) {
		__u32 at = __sync_fetch_and_add(&s->ring_head, 1) % fwd_sizes.half_open;
		struct fwd_ring_slot *place = bpf_map_lookup_elem(&ring, &at);
		__u64 owner;

		if (!place)
			return 0;
		owner = READ_ONCE(place->owner);
		if (ring_evict(owner) && __sync_val_compare_and_swap(&place->owner, owner, mine) == owner)
			return 1;
	}
	return 0;
}

#endif
