/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which mode a device is attached in: what is asked for, or what suits it. Nothing here changes a device. */
#ifndef FWD_USER_MODE_H
#define FWD_USER_MODE_H

#include <stdbool.h>
#include "state/devices.h"
#include "base/err.h"
#include "cli/command.h"

/* --mode */
enum mode_wish {
	WISH_NONE, /* auto; of a device that is attached, what was asked for last time */
	WISH_AUTO,
	WISH_TC,
	WISH_XDP,
	WISH_XDP_GENERIC,
};

/* NULL: not given. Prints what is wrong. */
enum fwd_exit mode_parse(const char *text, enum mode_wish *wish);

/* Among how many devices XDP could forward, those named and those attached, if all drivers had it. */
int mode_candidates(const struct device_list *list, const struct args *args);

/* Fills device->entry.mode and why. `known`: they say how it is attached now. Prints why it can't be as asked for. */
enum fwd_exit mode_choose(struct device *device, bool known, enum mode_wish wish, int candidates);

bool mode_is_veth(const char *name);

#endif
