/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "base/word.h"
#include "model/settings.h"

static const char *const names[FWD_TIMEOUT_MAX] = {
#define X(symbol, index, name, seconds) [index] = name,
	FWD_TIMEOUTS(X)
#undef X
};

static const __u32 defaults[FWD_TIMEOUT_MAX] = {
#define X(symbol, index, name, seconds) [index] = seconds,
	FWD_TIMEOUTS(X)
#undef X
};

const char *setting_name(enum fwd_timeout setting)
{
	return names[setting];
}

__u32 setting_default(enum fwd_timeout setting)
{
	return defaults[setting];
}

enum fwd_exit setting_parse(const char *name, enum fwd_timeout *setting, struct fwd_report *report)
{
	int found = word_find(name, names, FWD_TIMEOUT_MAX);

	if (found < 0)
		return report_unknown(report, ABOUT(.object = name), "setting", names, FWD_TIMEOUT_MAX);
	*setting = found;
	return FWD_DONE;
}

enum fwd_exit setting_parse_value(enum fwd_timeout setting, const char *text, __u32 *seconds, struct fwd_report *report)
{
	unsigned long value = setting_default(setting);

	if (strcmp(text, "default") && !number_parse(text, 1, FWD_TIMEOUT_MAX_SEC, &value))
		return report_usage(report, ABOUT(.option = setting_name(setting), .object = text),
				    "expected a number of seconds from 1 to %d, or default", FWD_TIMEOUT_MAX_SEC);
	*seconds = value;
	return FWD_DONE;
}

/* Rounded to the nearest second, because FWD_TICKS() rounds down and a tick is longer than a millisecond. */
__u32 setting_seconds(__u32 ticks)
{
	return (((__u64)ticks << FWD_TICK_SHIFT) + FWD_NSEC / 2) / FWD_NSEC;
}

struct fwd_config settings_default(void)
{
	struct fwd_config config = {};

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++)
		config.timeout[i] = FWD_TICKS(defaults[i]);
	config.icmp_per_second = FWD_ICMP_PER_SECOND_DEFAULT;
	config.icmp_interval[FWD_ICMP_IPV4] = FWD_ICMP_INTERVAL_DEFAULT;
	config.icmp_interval[FWD_ICMP_IPV6] = FWD_ICMP_INTERVAL_DEFAULT;
	return config;
}
