/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "cli/command.h"
#include "state/instance.h"
#include "cli/output.h"
#include "model/settings.h"

static enum fwd_exit read_config(const struct instance *in, struct fwd_config *config)
{
	int ret = in->exists ? map_read_one(&in->maps, FWD_MAP_CONFIG, config) : 0;

	if (!in->exists)
		*config = settings_default();
	return ret ? fwd_err("can't read the settings: %s", strerror(-ret)) : FWD_DONE;
}

static enum fwd_exit write_config(const struct instance *in, const struct fwd_config *config)
{
	int ret = map_write_one(&in->maps, FWD_MAP_CONFIG, config);

	return ret ? fwd_err("can't write the settings: %s", strerror(-ret)) : FWD_DONE;
}

/* The rest of config is others' and stays; they hold the lock too when they write. */
static enum fwd_exit change(const struct instance *in, enum fwd_timeout setting, __u32 seconds)
{
	struct fwd_config config;
	__u32 old;

	if (read_config(in, &config))
		return FWD_NOT_DONE;
	old = config.timeout[setting];
	config.timeout[setting] = FWD_TICKS(seconds);
	if (write_config(in, &config))
		return FWD_NOT_DONE;
	if (config.timeout[setting] >= old)
		return FWD_DONE;
	/* Connections that are due by now would be looked at when the old time is over. A write of
	 * its own: a sweeper that saw this one with the old timeout would find nothing to do. */
	config.gc_all++;
	return write_config(in, &config);
}

enum fwd_exit cmd_set(const struct args *args)
{
	enum fwd_timeout setting;
	enum fwd_exit ret = setting_parse(args->word[0], &setting);
	struct instance in;
	__u32 seconds;

	if (!ret)
		ret = setting_parse_value(setting, args->word[1], &seconds);
	if (ret)
		return ret;
	ret = instance_open(&in, args->pin_dir, INSTANCE_MAKE);
	if (!ret)
		ret = change(&in, setting, seconds);
	if (!ret)
		fwd_say("%s: %u seconds", setting_name(setting), seconds);
	instance_close(&in);
	return ret;
}

static enum fwd_exit print_settings(const struct fwd_config *config, enum fwd_timeout first, enum fwd_timeout last,
				    bool json)
{
	json_t *object = json ? json_object() : NULL;

	for (enum fwd_timeout i = first; i <= last; i++) {
		__u32 seconds = setting_seconds(config->timeout[i]);

		if (json)
			json_object_set_new(object, setting_name(i), json_integer(seconds));
		else if (first == last)
			printf("%u\n", seconds);
		else if (seconds == setting_default(i))
			printf("%s %u\n", setting_name(i), seconds);
		else
			printf("%s %u (default %u)\n", setting_name(i), seconds, setting_default(i));
	}
	return json ? json_print(object) : FWD_DONE;
}

enum fwd_exit cmd_get(const struct args *args)
{
	enum fwd_timeout first = 0, last = FWD_TIMEOUT_MAX - 1;
	struct fwd_config config;
	enum fwd_exit ret = FWD_DONE;
	struct instance in;

	if (args->count) {
		ret = setting_parse(args->word[0], &first);
		last = first;
	}
	if (ret)
		return ret;
	ret = instance_open(&in, args->pin_dir, INSTANCE_READ);
	if (!ret)
		ret = read_config(&in, &config);
	if (!ret)
		ret = print_settings(&config, first, last, args->option[OPT_JSON]);
	instance_close(&in);
	return ret;
}
