/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `fwdctl set` changes: the timeouts of fwd_track.h, in seconds, under the names that are
 * there. Nothing here looks at the pinned maps.
 */
#ifndef FWD_USER_SETTINGS_H
#define FWD_USER_SETTINGS_H

#include "base/err.h"
#include "fwd/config.h"

const char *setting_name(enum fwd_timeout setting);

/* In seconds. */
__u32 setting_default(enum fwd_timeout setting);

/* Prints what is wrong, with all the names there are. */
enum fwd_exit setting_parse(const char *name, enum fwd_timeout *setting);

/* "default" or a number of seconds. Prints what is wrong. */
enum fwd_exit setting_parse_value(enum fwd_timeout setting, const char *text, __u32 *seconds);

/* A timeout as config holds it, in the seconds that it was made of. */
__u32 setting_seconds(__u32 ticks);

/* Everything at its default. */
struct fwd_config settings_default(void);

#endif
