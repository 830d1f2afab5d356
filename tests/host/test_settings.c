/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names, limits and units of `fwdctl set`. */
#include <criterion/criterion.h>
#include "model/settings.h"

Test(settings, names)
{
	enum fwd_timeout setting;

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++) {
		cr_assert_eq(setting_parse(setting_name(i), &setting), FWD_DONE);
		cr_assert_eq((int)setting, i);
	}
	cr_assert_eq(setting_parse("udp_", &setting), FWD_BAD_USAGE);
	cr_assert_eq(setting_parse("UDP", &setting), FWD_BAD_USAGE);
	cr_assert_eq(setting_parse("", &setting), FWD_BAD_USAGE);
}

Test(settings, values)
{
	static const char *const bad[] = {"",   "0",   "-1",      "+1",         " 1",
					  "1s", "1.5", "1728001", "4294967297", "99999999999999999999"};
	__u32 seconds;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, bad[i], &seconds), FWD_BAD_USAGE, "%s", bad[i]);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, "1728000", &seconds), FWD_DONE);
	cr_assert_eq(seconds, FWD_TIMEOUT_MAX_SEC);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, "1", &seconds), FWD_DONE);
	cr_assert_eq(seconds, 1);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_TCP_ESTABLISHED, "default", &seconds), FWD_DONE);
	cr_assert_eq(seconds, 432000);
}

/* `get` shows what `set` was given, though the tables hold ticks. */
Test(settings, seconds)
{
	struct fwd_config config = settings_default();

	for (__u32 seconds = 1; seconds <= FWD_TIMEOUT_MAX_SEC; seconds++)
		cr_assert_eq(setting_seconds(FWD_TICKS(seconds)), seconds);
	for (int i = 0; i < FWD_TIMEOUT_MAX; i++)
		cr_assert_eq(setting_seconds(config.timeout[i]), setting_default(i));
}
