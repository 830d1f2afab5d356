/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The garbage collector: one timer that walks the slots and ends connections at their timeout.
 *
 * A bpf_timer for each connection would cost 192 bytes each, and a red-black tree of a million hrtimers. Instead each
 * slot says when its connection has to be checked; until then the walk only reads memory sequentially. The timer
 * belongs to the BPF map `gc`, so it runs without any process.
 */
#ifndef FWD_BPF_CT_GC_H
#define FWD_BPF_CT_GC_H

#include "base/maps.h"
#include "ct/conntrack.h"
#include "ct/slot.h"

#define GC_CHUNK      64  /* slots in one call of gc_chunk() */
#define GC_CHUNKS     256 /* calls in one run of the timer: 16,384 slots, about 80 us */
#define GC_CHECKS_MAX 512 /* connections checked in one run, about 0.3 us each */

/* More half-open connections than this are a flood. */
#define GC_FLOOD(half_open) ((half_open) / 2)

/* With more confirmed connections than this, closed ones get a short timeout. */
#define GC_NEARLY_FULL(connections) ((connections) - (connections) / 8)

#define GC_CLOCK      1                      /* CLOCK_MONOTONIC; time.h is not available to the BPF target */
#define GC_NEXT_RUN   (4ULL * 1000 * 1000)   /* ns, within a round */
#define GC_NEXT_ROUND (500ULL * 1000 * 1000) /* ns, between two rounds */

/* The run of the collector began at `now`, so a packet of another CPU may be newer. */
#define GC_NEWER FWD_TICKS(1)

/* The connection is still live. *until: the tick of its timeout if no packet arrives. */
static __always_inline bool gc_conn_is_live(const struct fwd_conn *conn, __u32 now, __u32 *until)
{
	const struct fwd_flow *flow = &conn->flow[FWD_DIR_FORWARD], *reverse = &conn->flow[FWD_DIR_REPLY];
	__u32 last = READ_ONCE(flow->last_seen), reply = READ_ONCE(reverse->last_seen), newest = now + GC_NEWER;

	if (flow_is_dead(flow))
		return false;
	/* The later of the two by age: after a month without packets the sign of a difference is meaningless. */
	if (newest - reply < newest - last)
		last = reply;
	*until = last + conn_timeout(flow->ct_state);
	return !clock_is_due(now, *until);
}

/* Checks the connection of one slot. Returns 1 if it ended it. */
__noinline int gc_conn(__u32 index, __u32 now)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_conn *conn = conn_at(index);
	__u32 until, gen_state, ct_state;
	bool dead;

	if (!slot || !conn)
		return 0;
	gen_state = slot_gen_state(slot);
	ct_state = READ_ONCE(conn->flow[FWD_DIR_FORWARD].ct_state);
	if (gc_conn_is_live(conn, now, &until)) {
		/* Meanwhile a packet may have changed the state to one with a shorter timeout. */
		__sync_lock_test_and_set(&slot->check_at, until);
		if (READ_ONCE(conn->flow[FWD_DIR_FORWARD].ct_state) != ct_state)
			slot->check_at = now;
		return 0;
	}
	dead = flow_is_dead(&conn->flow[FWD_DIR_FORWARD]);
	return conn_end(index, gen_state, dead ? FWD_END_REMOVED : FWD_END_EXPIRED);
}

/*
 * Checks one slot. Returns 1 if it checked a connection.
 *
 * A function of its own, without a loop: within a loop, the verifier of kernel 6.1 follows all paths in all iterations.
 */
__noinline int gc_slot(__u32 index, __u32 now)
{
	struct fwd_slot *slot = slot_at(index);
	struct fwd_gc *s = gc_get();
	bool half_open, checked = false;

	if (!s || !slot || index >= s->high_water || !slot_is_live(slot->gen_state))
		return 0;
	half_open = slot_state(slot->gen_state) == FWD_SLOT_HALF_OPEN;
	if (s->all || (s->flood && half_open) || clock_is_due(now, slot->check_at)) {
		gc_conn(index, now);
		checked = true;
	}
	s->half_open += half_open && slot_is_live(slot->gen_state);
	return checked;
}

/* Checks GC_CHUNK slots from `first` on. Returns the number of connections checked. */
__noinline int gc_chunk(__u32 first, __u32 now)
{
	int checks = 0, i;

	for (i = 0; i < GC_CHUNK; i++)
		checks += gc_slot(first + i, now);
	return checks;
}

/* At the end of a round: so many half-open connections that most of them must be a flood's get a short timeout, like
 * pf(4)'s adaptive timeouts, because a real client answers within a second or retries. The flood state lasts for
 * some seconds after their number has dropped, so that the flood's last connections expire too. */
static __always_inline void gc_update_flood(struct fwd_gc *s, __u32 now)
{
	const struct fwd_config *c = config_get();

	if (c && s->half_open > GC_FLOOD(fwd_sizes.half_open)) {
		s->flood = 1;
		s->flood_until = now + 2 * c->timeout[FWD_TIMEOUT_FLOOD];
	} else if (clock_is_due(now, s->flood_until)) {
		s->flood = 0;
	}
	s->half_open = 0;
}

/* A round checks all connections if a timeout has changed, and when the table becomes nearly full, because closed
 * connections have a shorter timeout from then on (conn_timeout()). */
static __always_inline void gc_begin_round(struct fwd_gc *s)
{
	bool nearly_full = s->confirmed > GC_NEARLY_FULL(fwd_sizes.connections);
	const struct fwd_config *c = config_get();

	if (!c)
		return;
	s->all = c->gc_all != s->gc_all_seen || (nearly_full && !s->nearly_full);
	s->gc_all_seen = c->gc_all;
	s->nearly_full = nearly_full;
}

/* One run of the timer, from the slot at which the last run stopped. Returns the time to the next run in ns. */
static __always_inline __u64 gc_run(struct fwd_gc *s)
{
	__u32 end = s->high_water, now = clock_now(), cursor = s->cursor;
	int i, checks = 0;

	if (cursor == 0)
		gc_begin_round(s);
	for (i = 0; i < GC_CHUNKS; i++) {
		if (cursor >= end || checks >= GC_CHECKS_MAX)
			break;
		checks += gc_chunk(cursor, now);
		cursor += GC_CHUNK;
	}
	s->cursor = cursor < end ? cursor : 0;
	if (s->cursor)
		return GC_NEXT_RUN;
	gc_update_flood(s, now);
	return GC_NEXT_ROUND;
}

static int gc_timer(void *map, __u32 *key, struct fwd_gc *s)
{
	bpf_timer_start(&s->timer, gc_run(s), 0);
	return 0;
}

/* Starts the timer, or replaces the callback of the running one by that of this program. Returns 0 or a negative
 * errno. */
static __always_inline int gc_start(void)
{
	struct fwd_gc *s = gc_get();
	long err;

	if (!s)
		return -ENOENT;
	err = bpf_timer_init(&s->timer, &gc, GC_CLOCK);
	if (err && err != -EBUSY)
		return err;
	err = bpf_timer_set_callback(&s->timer, gc_timer);
	return err ? err : bpf_timer_start(&s->timer, GC_NEXT_RUN, 0);
}

#endif
