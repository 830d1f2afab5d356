/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The message about the words of a map. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <criterion/criterion.h>
#include "base/err.h"
#include "model/rule.h"

/* Asserts that the words are refused with this one message. */
static inline void check_message(const struct fwd_rule_words *words, const char *message)
{
	struct fwd_error_list errors = error_list_init();
	char text[FWD_MESSAGE_TEXT];
	struct fwd_rule rule;

	cr_assert_eq(rule_parse(words, &rule, &errors.report), FWD_BAD_USAGE, "%s", message);
	cr_assert_eq(errors.count, 1);
	cr_assert_str_eq(error_format(&errors.error[0], text, sizeof(text)), message);
	error_list_free(&errors);
}

#endif
