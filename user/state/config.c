/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "model/settings.h"
#include "state/config.h"

enum fwd_exit config_read(const struct instance *in, struct fwd_config *config, struct fwd_report *report)
{
	int ret = in->exists ? map_read_one(&in->maps, FWD_MAP_CONFIG, config) : 0;

	if (!in->exists)
		*config = settings_default();
	return ret ? report_error(report, NULL, "can't read the settings: %s", strerror(-ret)) : FWD_DONE;
}

enum fwd_exit config_write(const struct instance *in, const struct fwd_config *config, struct fwd_report *report)
{
	int ret = map_write_one(&in->maps, FWD_MAP_CONFIG, config);

	return ret ? report_error(report, NULL, "can't write the settings: %s", strerror(-ret)) : FWD_DONE;
}

enum fwd_exit config_set_timeout(const struct instance *in, enum fwd_timeout timeout, __u32 seconds,
				 struct fwd_report *report)
{
	struct fwd_config config;
	__u32 old;

	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	old = config.timeout[timeout];
	config.timeout[timeout] = FWD_TICKS(seconds);
	if (config_write(in, &config, report))
		return FWD_NOT_DONE;
	if (config.timeout[timeout] >= old)
		return FWD_DONE;
	/* The garbage collector would check connections that are due by now only when the old timeout is over. This
	 * is a write of its own: a collector that saw gc_all change with the old timeout would find nothing to do. */
	config.gc_all++;
	return config_write(in, &config, report);
}
