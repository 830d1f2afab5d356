/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One program at one of the two tc hooks of a device. */
#ifndef FWD_USER_HOOK_H
#define FWD_USER_HOOK_H

#include <stdbool.h>
#include "state/devices.h"
#include "base/err.h"
#include "state/instance.h"

enum hook_dir {
	HOOK_INGRESS,
	HOOK_EGRESS,
};

/* TCX where the kernel has it (6.6), else clsact; FWDCTL_NO_TCX=1 in the environment says clsact.
 */
enum fwd_hook hook_choose(int prog_fd);

/* Puts the program there by device->entry.hook, or in the place of ours that is there. Prints what
 * is wrong. */
enum fwd_exit hook_attach(const struct instance *in, const struct device *device, enum hook_dir dir, int prog_fd);

/* Whether another instance's program is there, by TCX. */
bool hook_is_taken(const struct instance *in, const struct device *device);

/* Done also if nothing is there. */
enum fwd_exit hook_detach(const struct instance *in, const struct device *device, enum hook_dir dir);

/* Follows a device that was renamed to `name`. Returns 0 or a negative errno. */
int hook_rename(const struct instance *in, const struct device *device, enum hook_dir dir, const char *name);

bool hook_is_alive(const struct instance *in, const struct device *device, enum hook_dir dir);

/* Whether any ingress program of this instance is loaded: all that can be known of filters in other
 * network namespaces. */
bool hook_programs_exist(const struct instance *in);

/* Whether a program, by its kernel id, uses this instance's maps. */
bool hook_program_is_ours(const struct instance *in, __u32 prog_id);

/* The program that is there; a file descriptor to close, or -1. */
int hook_program(const struct instance *in, const struct device *device, enum hook_dir dir);

#endif
