/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names, limits and units of `fwdctl set`. */
#include <criterion/criterion.h>
#include "model/settings.h"

static struct fwd_report nowhere;

static void setup(void)
{
	nowhere = report_nowhere();
}

TestSuite(settings, .init = setup);

Test(settings, names)
{
	enum fwd_timeout setting;

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++) {
		cr_assert_eq(setting_parse(setting_name(i), &setting, &nowhere), FWD_DONE);
		cr_assert_eq((int)setting, i);
	}
	cr_assert_eq(setting_parse("udp_", &setting, &nowhere), FWD_BAD_USAGE);
	cr_assert_eq(setting_parse("UDP", &setting, &nowhere), FWD_BAD_USAGE);
	cr_assert_eq(setting_parse("", &setting, &nowhere), FWD_BAD_USAGE);
}

Test(settings, values)
{
	static const char *const bad[] = {"",   "0",   "-1",      "+1",         " 1",
					  "1s", "1.5", "1728001", "4294967297", "99999999999999999999"};
	__u32 seconds;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, bad[i], &seconds, &nowhere), FWD_BAD_USAGE, "%s",
			     bad[i]);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, "1728000", &seconds, &nowhere), FWD_DONE);
	cr_assert_eq(seconds, FWD_TIMEOUT_MAX_SEC);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_UDP, "1", &seconds, &nowhere), FWD_DONE);
	cr_assert_eq(seconds, 1);
	cr_assert_eq(setting_parse_value(FWD_TIMEOUT_TCP_ESTABLISHED, "default", &seconds, &nowhere), FWD_DONE);
	cr_assert_eq(seconds, 432000);
}

/* `get` shows the number that `set` was given, although the BPF map holds ticks. */
Test(settings, seconds)
{
	struct fwd_config config = settings_default();

	for (__u32 seconds = 1; seconds <= FWD_TIMEOUT_MAX_SEC; seconds++)
		cr_assert_eq(setting_seconds(FWD_TICKS(seconds)), seconds);
	for (int i = 0; i < FWD_TIMEOUT_MAX; i++)
		cr_assert_eq(setting_seconds(config.timeout[i]), setting_default(i));
}
