/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The mode of a device: the requested one, or the one that suits it. Nothing here changes a device. */
#ifndef FWD_USER_MODE_H
#define FWD_USER_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "state/devices.h"

enum mode_request {
	MODE_REQUEST_NONE, /* the mode that was requested when the device was attached; auto for a new one */
	MODE_REQUEST_AUTO,
	MODE_REQUEST_TC,
	MODE_REQUEST_XDP,
	MODE_REQUEST_XDP_GENERIC,
};

/* The value of --mode; NULL: not given. Returns FWD_BAD_USAGE if there is no such mode. */
enum fwd_exit mode_parse(const char *text, enum mode_request *request, struct fwd_report *report);

/* The number of devices, named or attached, that XDP could forward between if all drivers supported it. */
int mode_candidates(const struct device_list *attached, const char *const *names, size_t count);

/* Sets device->entry.mode and mode_reason. `known`: they are those of the attached device. Fails if the requested
 * mode is not possible. */
enum fwd_exit mode_choose(struct device *device, bool known, enum mode_request request, int candidates,
			  struct fwd_report *report);

bool mode_is_veth(const char *name);

#endif
