/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/settings.h"

static const struct {
	const char *name;
	__u32 seconds;
} settings[FWD_TIMEOUT_MAX] = {
#define X(symbol, index, name, seconds) [FWD_TIMEOUT_##symbol] = {name, seconds},
	FWD_TIMEOUTS(X)
#undef X
};

const char *setting_name(enum fwd_timeout setting)
{
	return settings[setting].name;
}

__u32 setting_default(enum fwd_timeout setting)
{
	return settings[setting].seconds;
}

enum fwd_exit setting_parse(const char *name, enum fwd_timeout *setting)
{
	char names[256] = "";

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++) {
		size_t length = strlen(names);

		*setting = i;
		if (!strcmp(name, settings[i].name))
			return FWD_DONE;
		snprintf(names + length, sizeof(names) - length, "%s%s", i ? ", " : "", settings[i].name);
	}
	return fwd_usage("\"%s\": there is no such setting, but %s", name, names);
}

enum fwd_exit setting_parse_value(enum fwd_timeout setting, const char *text, __u32 *seconds)
{
	unsigned long value;
	char *end;

	if (!strcmp(text, "default")) {
		*seconds = setting_default(setting);
		return FWD_DONE;
	}
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || !value || value > FWD_TIMEOUT_MAX_SEC)
		return fwd_usage("%s: \"%s\": it is a number of seconds from 1 to %d, or default",
				 setting_name(setting), text, FWD_TIMEOUT_MAX_SEC);
	*seconds = value;
	return FWD_DONE;
}

/* To the nearest: a tick is a little longer than a millisecond, and FWD_TICKS() rounds down. */
__u32 setting_seconds(__u32 ticks)
{
	return (((__u64)ticks << FWD_TICK_SHIFT) + FWD_NSEC / 2) / FWD_NSEC;
}

struct fwd_config settings_default(void)
{
	struct fwd_config config = {};

	for (int i = 0; i < FWD_TIMEOUT_MAX; i++)
		config.timeout[i] = FWD_TICKS(settings[i].seconds);
	return config;
}
