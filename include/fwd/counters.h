/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters of the connection table: the map `counters`, per CPU, one element.
 */
#ifndef FWD_COUNTERS_H
#define FWD_COUNTERS_H

#include "fwd/abi.h"

/* X(symbol, index, name, text): `stats` prints name and text. New ones are appended. */
#define FWD_COUNTERS(X)                                                           \
	X(CREATED, 0, "created", "connections opened")                            \
	X(EXPIRED, 1, "expired", "ended by their timeout")                        \
	X(ENDED, 2, "ended", "ended, for whatever reason")                        \
	X(FAILED, 3, "failed", "not opened: no free source port, or table full")  \
	X(EVICTED, 4, "evicted", "half-open, evicted by newer ones")              \
	X(REPLACED, 5, "replaced", "closed, replaced by a SYN of the same ports") \
	X(REMOVED, 6, "removed", "ended, because their map was removed")          \
	X(FLUSHED, 7, "flushed", "ended by a command")

/*
 * The reasons for the end of a connection: each end counts as ENDED and as one of these, so
 * CREATED = connections that exist + the sum of these. X(symbol)
 */
#define FWD_COUNTERS_OF_ENDS(X) \
	X(EXPIRED)              \
	X(EVICTED)              \
	X(REPLACED)             \
	X(REMOVED)              \
	X(FLUSHED)

enum fwd_counter {
#define X(symbol, index, name, text) FWD_COUNTER_##symbol = index,
	FWD_COUNTERS(X)
#undef X
	FWD_COUNTER_MAX,
};

struct fwd_counters {
	__u64 value[FWD_COUNTER_MAX]; /* by enum fwd_counter */
};

FWD_ABI_SIZE(struct fwd_counters, 64);

FWD_INLINE __u64 counters_of_ends(const struct fwd_counters *c)
{
#define X(symbol) c->value[FWD_COUNTER_##symbol] +
	return FWD_COUNTERS_OF_ENDS(X) 0;
#undef X
}

#endif
