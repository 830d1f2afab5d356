/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An input as words, each terminated by a newline. */
#ifndef WORDS_H
#define WORDS_H

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 24

struct words {
	int count;
	char *word[WORDS_MAX]; /* allocated separately, so that a read behind one is found */
};

static inline void words_read(struct words *w, const unsigned char *bytes, size_t size)
{
	w->count = 0;
	while (size && w->count < WORDS_MAX) {
		const unsigned char *end = memchr(bytes, '\n', size);
		size_t len = end ? (size_t)(end - bytes) : size;

		w->word[w->count] = strndup((const char *)bytes, len);
		w->count++;
		len += !!end;
		bytes += len;
		size -= len;
	}
}

static inline void words_free(struct words *w)
{
	while (w->count)
		free(w->word[--w->count]);
}

#endif
