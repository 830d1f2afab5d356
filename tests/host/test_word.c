/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Suggestions for mistyped words, and numbers. */
#include <criterion/criterion.h>
#include "base/word.h"

Test(word, distance)
{
	cr_assert_eq(word_distance("map", "map"), 0);
	cr_assert_eq(word_distance("MAP", "map"), 0);
	cr_assert_eq(word_distance("mpa", "map"), 1, "a transposition");
	cr_assert_eq(word_distance("mapp", "map"), 1, "an insertion");
	cr_assert_eq(word_distance("ma", "map"), 1, "a deletion");
	cr_assert_eq(word_distance("nap", "map"), 1, "a substitution");
	cr_assert_eq(word_distance("atttcah", "attach"), 2);
	cr_assert_eq(word_distance("", "ab"), 2);
	cr_assert_eq(word_distance("", ""), 0);
	cr_assert_eq(word_distance("abcdef", "uvwxyz"), 3, "beyond 2 it does not count");
	cr_assert_eq(word_distance("", "abcdef"), 3);
	cr_assert_eq(word_distance("a word of more characters than any name has", "map"), 3);
}

Test(word, suggest)
{
	static const char *const names[] = {"attach", "detach", "map", "tcp", "udp", "--json"};
	const size_t count = sizeof(names) / sizeof(names[0]);

	cr_assert_str_eq(word_suggest("mpa", names, count), "map");
	cr_assert_str_eq(word_suggest("Map", names, count), "map");
	cr_assert_str_eq(word_suggest("tcpp", names, count), "tcp");
	cr_assert_str_eq(word_suggest("dettach", names, count), "detach", "the nearest one");
	cr_assert_str_eq(word_suggest("--jsno", names, count), "--json");
	cr_assert_null(word_suggest("icmp", names, count), "two edits are too many for a short word");
	cr_assert_null(word_suggest("frobnicate", names, count));
	cr_assert_null(word_suggest("", names, count));
	cr_assert_null(word_suggest("mpa", names, 0));
}

Test(word, find)
{
	static const char *const names[] = {"tcp", "udp"};

	cr_assert_eq(word_find("udp", names, 2), 1);
	cr_assert_eq(word_find("UDP", names, 2), -1);
	cr_assert_eq(word_find("", names, 2), -1);
}

Test(word, numbers)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.5", "9", "101", "99999999999999999999999"};
	unsigned long value;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(number_parse(bad[i], 10, 100, &value), "\"%s\" is accepted", bad[i]);
	cr_assert(number_parse("10", 10, 100, &value));
	cr_assert_eq(value, 10);
	cr_assert(number_parse("100", 10, 100, &value));
	cr_assert_eq(value, 100);
}
