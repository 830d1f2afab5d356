/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attaching devices: all checks and loads first (the plan), then one device after the other; a failure rolls back. */
#ifndef FWD_USER_PLAN_H
#define FWD_USER_PLAN_H

#include <stddef.h>
#include "attach/mode.h"
#include "base/err.h"

/* The limits of the sizes below. */
#define FWD_TABLE_MIN 16
#define FWD_TABLE_MAX (16 * 1024 * 1024)

struct attach_request {
	const char *const *names; /* of devices, without the loopback device */
	size_t count;
	enum mode_request mode;
	__u32 connections; /* sizes of the connection table, from FWD_TABLE_MIN to FWD_TABLE_MAX; 0: as they are */
	__u32 half_open;
};

/* The connection table after the attach. */
struct attach_result {
	__u32 connections;
	__u32 half_open;
	__u64 memory; /* bytes of all maps; 0: unknown */
};

/* Attaches all of the devices, and the loopback device, or changes nothing. Creates the instance if there is none. */
enum fwd_exit attach_devices(const char *pin_dir, const struct attach_request *request, struct attach_result *result,
			     struct fwd_report *report);

/* Detaches the named devices, or all if count is 0. The loopback device is detached with the last one. */
enum fwd_exit detach_devices(const char *pin_dir, const char *const *names, size_t count, struct fwd_report *report);

#endif
