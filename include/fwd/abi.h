/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI between the BPF programs and fwdctl: above all the values of the pinned BPF maps.
 *
 * include/fwd has one file per noun; maps.h lists the BPF maps. They outlive any one program: a change of a size, an
 * offset or a meaning requires a new FWD_ABI_VERSION, which fwdctl compares with the one in the pinned map
 * `meta` before it reads anything else. Numbers that index a map (reasons, timeouts, counters) are explicit and
 * dense, and new ones are only appended.
 *
 * All padding is explicit, because keys are compared byte by byte. Fields of type __be16 and __be32 are in
 * network byte order, all others in the host's.
 */
#ifndef FWD_ABI_H
#define FWD_ABI_H

#include <stddef.h>
#include <linux/types.h>

#define FWD_ABI_VERSION 8

/* In a program a call costs instructions and stack, so shared functions are always inlined. */
#define FWD_INLINE static inline __attribute__((always_inline))

/* The layout that FWD_ABI_VERSION stands for. */
#define FWD_ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), "ABI: size of " #type)
#define FWD_ABI_OFFSET(type, field, offset) \
	_Static_assert(offsetof(type, field) == (offset), "ABI: offset of " #field " in " #type)

#endif
