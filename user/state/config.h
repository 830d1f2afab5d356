/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF map `config`: the timeouts and other values that the programs read. Writers hold the lock of the instance. */
#ifndef FWD_USER_CONFIG_H
#define FWD_USER_CONFIG_H

#include "base/err.h"
#include "fwd/config.h"
#include "state/instance.h"

/* The defaults if there is no instance. */
enum fwd_exit config_read(const struct instance *in, struct fwd_config *config, struct fwd_report *report);
enum fwd_exit config_write(const struct instance *in, const struct fwd_config *config, struct fwd_report *report);

/* Changes a timeout, for connections that exist, too. */
enum fwd_exit config_set_timeout(const struct instance *in, enum fwd_timeout timeout, __u32 seconds,
				 struct fwd_report *report);

#endif
