/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/word.h"

#define TOO_FAR    3
#define LENGTH_MAX 40 /* of words that are compared */

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int word_distance(const char *a, const char *b)
{
	unsigned int row[LENGTH_MAX + 1][LENGTH_MAX + 1]; /* row[i][j]: of the first i and j characters */
	const size_t rows = strlen(a), columns = strlen(b);

	if (rows > LENGTH_MAX || columns > LENGTH_MAX)
		return TOO_FAR;
	for (size_t i = 0; i <= rows; i++) {
		for (size_t j = 0; j <= columns; j++) {
			if (!i || !j) {
				row[i][j] = i + j;
				continue;
			}
			row[i][j] = least(row[i - 1][j], row[i][j - 1]) + 1;
			row[i][j] = least(row[i][j], row[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[i][j] = least(row[i][j], row[i - 2][j - 2] + 1);
		}
	}
	return least(row[rows][columns], TOO_FAR);
}

const char *word_suggest(const char *word, const char *const *names, size_t count)
{
	unsigned int best = strlen(word) < 5 ? 2 : TOO_FAR;
	const char *suggestion = NULL;

	for (size_t i = 0; i < count; i++) {
		unsigned int distance = word_distance(word, names[i]);

		if (distance >= best)
			continue;
		best = distance;
		suggestion = names[i];
	}
	return suggestion;
}

const char *word_fix(const char *word, const char *const *names, size_t count, const char *prefix, char *text)
{
	const char *suggestion = word_suggest(word, names, count);

	if (!suggestion)
		return NULL;
	snprintf(text, FWD_FIX_TEXT, "did you mean \"%s%s\"?", prefix, suggestion);
	return text;
}

int word_find(const char *word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(word, names[i]))
			return i;
	return -1;
}

enum fwd_exit report_unknown(struct fwd_report *report, const struct fwd_about *about, const char *noun,
			     const char *const *names, size_t count)
{
	struct fwd_about with_fix = *about;
	char all[FWD_REASON_TEXT] = "", fix[FWD_FIX_TEXT];

	with_fix.fix = word_fix(about->object, names, count, "", fix);
	if (with_fix.fix)
		return report_usage(report, &with_fix, "unknown %s", noun);
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(all);

		snprintf(all + length, sizeof(all) - length, "%s%s", i ? ", " : "", names[i]);
	}
	return report_usage(report, about, "unknown %s; one of: %s", noun, all);
}

bool number_parse(const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	/* strtoul() accepts signs and blanks, and saturates. */
	if (*text < '0' || *text > '9')
		return false;
	*value = strtoul(text, &end, 10);
	return !*end && *value >= min && *value <= max;
}
