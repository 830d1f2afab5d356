/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Words of a fixed vocabulary and numbers: finding them, and the message if the text is none. */
#ifndef FWD_USER_WORD_H
#define FWD_USER_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* Edits that turn one word into the other, upper and lower case being equal: insertions, deletions, substitutions, and
 * transpositions of neighbours (Damerau and Levenshtein, optimal string alignment). Beyond 2 it returns 3. */
unsigned int word_distance(const char *a, const char *b);

/* The name that is most likely meant: at most 2 edits away, 1 for words of less than 5 characters. NULL: none. */
const char *word_suggest(const char *word, const char *const *names, size_t count);

/* The fix `did you mean "NAME"?` with that name after `prefix`, in text[FWD_FIX_TEXT]. Returns text, or NULL: none. */
const char *word_fix(const char *word, const char *const *names, size_t count, const char *prefix, char *text);

/* The index of the name, or -1. */
int word_find(const char *word, const char *const *names, size_t count);

/* Reports that about->object is no NOUN, with a suggestion or else all of the names. Returns FWD_BAD_USAGE. */
enum fwd_exit report_unknown(struct fwd_report *report, const struct fwd_about *about, const char *noun,
			     const char *const *names, size_t count);

/* Decimal digits and nothing else, from min to max. */
bool number_parse(const char *text, unsigned long min, unsigned long max, unsigned long *value);

#endif
