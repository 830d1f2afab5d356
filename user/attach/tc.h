/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One program at one of the two tc hooks of a device: a TCX link that is pinned, or on kernels before 6.6 a filter of a
 * clsact qdisc.
 */
#ifndef FWD_USER_TC_H
#define FWD_USER_TC_H

#include <stdbool.h>
#include "base/err.h"
#include "state/devices.h"
#include "state/instance.h"

enum tc_dir {
	TC_INGRESS,
	TC_EGRESS,
};

/* TCX where the kernel has it, else clsact; clsact if the environment has FWDCTL_NO_TCX=1. */
enum fwd_hook tc_choose_hook(int prog_fd);

/* Attaches the program by device->entry.hook, or replaces this instance's program there without losing a packet. */
enum fwd_exit tc_attach(const struct instance *in, const struct device *device, enum tc_dir dir, int prog_fd,
			struct fwd_report *report);

/* Whether another instance's program is attached, by TCX at ingress. */
bool tc_is_taken(const struct instance *in, const struct device *device);

/* Whether a program or a filter of another tool gets packets before this instance's program. */
bool tc_has_earlier(const struct instance *in, const struct device *device);

/* Notes a program or a filter of another tool that gets packets before this instance's. */
void tc_note_earlier(const struct instance *in, const struct device *device, struct fwd_report *report);

/* Also successful if nothing is attached. */
enum fwd_exit tc_detach(const struct instance *in, const struct device *device, enum tc_dir dir,
			struct fwd_report *report);

/* Renames the pin of a device that is called `name` now. Returns 0 or a negative errno: -EEXIST, the pin of another
 * device has that name. */
int tc_rename(const struct instance *in, const struct device *device, enum tc_dir dir, const char *name);

/* Whether this instance's program is attached. */
bool tc_is_attached(const struct instance *in, const struct device *device, enum tc_dir dir);

/* This instance's program: a file descriptor to close, or -1. */
int tc_program(const struct instance *in, const struct device *device, enum tc_dir dir);

/* Whether any ingress program of this instance is loaded. Filters of other network namespaces cannot be seen
 * otherwise. */
bool tc_any_program_loaded(const struct instance *in);

#endif
