/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The settings of `fwdctl set`: the timeouts of fwd/ct_state.h, in seconds. Nothing here reads the BPF maps. */
#ifndef FWD_USER_SETTINGS_H
#define FWD_USER_SETTINGS_H

#include "base/err.h"
#include "fwd/config.h"

const char *setting_name(enum fwd_timeout setting);

/* In seconds. */
__u32 setting_default(enum fwd_timeout setting);

/* By name. Returns FWD_BAD_USAGE if there is none of that name. */
enum fwd_exit setting_parse(const char *name, enum fwd_timeout *setting, struct fwd_report *report);

/* "default" or a number of seconds. Returns FWD_BAD_USAGE for anything else. */
enum fwd_exit setting_parse_value(enum fwd_timeout setting, const char *text, __u32 *seconds,
				  struct fwd_report *report);

/* A timeout of struct fwd_config in seconds: the number that FWD_TICKS() was given. */
__u32 setting_seconds(__u32 ticks);

/* The defaults of all timeouts; everything else is zero. */
struct fwd_config settings_default(void);

#endif
