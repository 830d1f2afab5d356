/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Arrays that grow by one element at a time. */
#ifndef FWD_USER_ARRAY_H
#define FWD_USER_ARRAY_H

#include <stddef.h>

/* Makes room for one more element in an array that holds `count` elements of `size` bytes (NULL: none yet), and that
 * was allocated by this function. Returns the array, which may have moved and is for free(3); NULL: out of memory, and
 * `array` is as it was. */
void *array_grow(void *array, size_t count, size_t size);

#endif
