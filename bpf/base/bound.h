/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bounds that must be in the object code, because the verifier needs them.
 *
 * Clang removes a mask or a comparison that it can prove to be redundant, merges two comparisons into one of a
 * difference, and compares another copy of the value than the one that is used. The verifier proves less than clang:
 * without the instruction it finds the value unbounded, and refuses the program. The instructions that clang removes
 * differ from version to version (clang 19 removed masks that 14 to 16 kept).
 *
 * barrier_var() makes a value opaque to clang. Before the instruction it hides what clang knows, so that the
 * instruction is not redundant; after it, it keeps clang from using the value as it was before.
 */
#ifndef FWD_BPF_BASE_BOUND_H
#define FWD_BPF_BASE_BOUND_H

#include <linux/types.h>

/* value & mask, with the AND in the object code. */
static __always_inline __u32 bound_mask(__u32 value, __u32 mask)
{
	barrier_var(value);
	value &= mask;
	barrier_var(value);
	return value;
}

/* len, which must be 1 to bound, a power of two. The verifier sees both limits; verifiers before 6.8 learn nothing
 * from a comparison with 0. */
static __always_inline __u32 bound_len(__u32 len, __u32 bound)
{
	return bound_mask(len - 1, bound - 1) + 1;
}

/* len <= max, as a separate comparison of the register that is used afterwards. */
#define bound_at_most(len, max)   \
	({                        \
		barrier_var(len); \
		(len) <= (max);   \
	})

#endif
