/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The half-open ring: half-open connections in the order of their opening. A new one evicts the oldest.
 */
#ifndef FWD_BPF_CT_RING_H
#define FWD_BPF_CT_RING_H

#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/slot.h"

/* Slots of the ring that ring_insert() tries. */
#define RING_TRIES 4

/* Evicts the ring slot's owner if it is still half-open. True: the ring slot can be taken. */
static __always_inline bool ring_evict(__u64 owner)
{
	__u32 index = owner >> 32, gen_state = owner, now;
	struct fwd_slot *slot = slot_at(index);
	struct fwd_conn *conn = conn_at(index);

	if (!slot || !conn || !slot_is_live(gen_state))
		return true;
	now = slot_gen_state(slot);
	/* Its CPU is still opening or ending it: if its ring slot were taken, the connection would be in none. */
	if (now == slot_with_state(gen_state, FWD_SLOT_RESERVED))
		return false;
	/* It was confirmed, or has ended. */
	if (now != gen_state)
		return true;
	if (!(conn->flow[FWD_DIR_FORWARD].ct_state & FWD_CT_CONFIRMED)) {
		conn_end(index, gen_state, FWD_END_EVICTED);
		return true;
	}
	slot_confirm(slot, gen_state);
	return READ_ONCE(slot->gen_state) != gen_state;
}

/*
 * Puts the half-open connection of the slot into the ring, in the place of the oldest one. Owners that are confirmed
 * but do not fit within --connections are skipped, up to RING_TRIES. Returns 1, or 0 if no ring slot could be had.
 */
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
		struct fwd_ring_slot *ring_slot = bpf_map_lookup_elem(&ring, &at);
		__u64 owner;

		if (!ring_slot)
			return 0;
		owner = READ_ONCE(ring_slot->owner);
		if (ring_evict(owner) && __sync_val_compare_and_swap(&ring_slot->owner, owner, mine) == owner)
			return 1;
	}
	return 0;
}

#endif
