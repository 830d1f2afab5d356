/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters of the connection table: the map `counters`, per CPU, one element.
 */
#ifndef FWD_COUNTERS_H
#define FWD_COUNTERS_H

#include "fwd/abi.h"

/* X(symbol, index, name, text): `stats` prints name and text. New ones are appended. */
#define FWD_COUNTERS(X)                                                          \
	X(CREATED, 0, "created", "connections opened")                           \
	X(EXPIRED, 1, "expired", "ended by their timeout")                       \
	X(ENDED, 2, "ended", "ended, for whatever reason")                       \
	X(FAILED, 3, "failed", "not opened: no free source port, or table full") \
	X(EVICTED, 4, "evicted", "half-open, evicted by newer ones")

enum fwd_counter {
#define X(symbol, index, name, text) FWD_COUNTER_##symbol = index,
	FWD_COUNTERS(X)
#undef X
	FWD_COUNTER_MAX,
};

struct fwd_counters {
	__u64 value[FWD_COUNTER_MAX]; /* by enum fwd_counter */
};

FWD_ABI_SIZE(struct fwd_counters, 40);

#endif
