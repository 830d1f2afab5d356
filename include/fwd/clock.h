/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Time in the tables: ticks of 2^20 ns (1.05 ms) of CLOCK_MONOTONIC, in 32 bits. They wrap after 52 days and are
 * compared by the sign of their difference, so no timeout may reach half of that.
 */
#ifndef FWD_CLOCK_H
#define FWD_CLOCK_H

#include <stdbool.h>
#include "fwd/abi.h"

#define FWD_TICK_SHIFT      20
#define FWD_NSEC            1000000000ULL
#define FWD_TICKS(sec)      ((__u32)(((__u64)(sec)*FWD_NSEC) >> FWD_TICK_SHIFT))
#define FWD_TIMEOUT_MAX_SEC (20 * 24 * 3600)

/* True from the tick `at` on. */
FWD_INLINE bool clock_is_due(__u32 now, __u32 at)
{
	return (__s32)(now - at) >= 0;
}

#endif
