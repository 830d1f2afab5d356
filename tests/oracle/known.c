/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The differences that are right. Each has its reason in docs/rfc.md, under its name; each test here
 * is to be as narrow as what it stands for.
 */
#include <string.h>
#include "compare.h"

struct known known[] = {
	{"none", NULL, false, 0, false},
};

const unsigned known_count = sizeof(known) / sizeof(known[0]);

struct known *compare_known(const struct sequence *s, const struct step *step)
{
	unsigned i;

	for (i = 0; i < known_count; i++)
		if (known[i].applies && known[i].applies(s, step))
			return &known[i];
	return NULL;
}
