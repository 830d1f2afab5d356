/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdlib.h>
#include "base/array.h"

void *array_grow(void *array, size_t count, size_t size)
{
	/* Doubled whenever the number is a power of two. */
	return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}
