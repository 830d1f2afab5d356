/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/command.h"
#include "cli/output.h"
#include "model/settings.h"
#include "state/config.h"

static void print_all(const struct fwd_config *config)
{
	for (enum fwd_timeout i = 0; i < FWD_TIMEOUT_MAX; i++) {
		__u32 seconds = setting_seconds(config->timeout[i]);

		printf("%s %u", setting_name(i), seconds);
		if (seconds != setting_default(i))
			printf(" (default %u)", setting_default(i));
		putchar('\n');
	}
}

static enum fwd_exit print_json(const struct fwd_config *config, enum fwd_timeout first, enum fwd_timeout last,
				struct fwd_report *report)
{
	json_t *object = json_object();

	for (enum fwd_timeout i = first; i <= last; i++)
		json_object_set_new(object, setting_name(i), json_integer(setting_seconds(config->timeout[i])));
	return json_print(object, report);
}

enum fwd_exit cmd_get(const struct args *args, struct fwd_report *report)
{
	enum fwd_timeout setting;
	struct fwd_config config;
	struct instance in;
	enum fwd_exit ret = args->count ? setting_parse(args->word[0], &setting, report) : FWD_DONE;

	if (ret)
		return ret;
	ret = instance_open(&in, args->pin_dir, INSTANCE_READ, report);
	if (!ret)
		ret = config_read(&in, &config, report);
	instance_close(&in);
	if (ret)
		return ret;
	if (args->option[OPT_JSON])
		return print_json(&config, args->count ? setting : 0, args->count ? setting : FWD_TIMEOUT_MAX - 1,
				  report);
	if (args->count)
		printf("%u\n", setting_seconds(config.timeout[setting]));
	else
		print_all(&config);
	return FWD_DONE;
}
