/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP program of a device. It is attached through libxdp, so that other XDP programs can be attached beside it: in
 * libxdp's dispatcher where the kernel supports that, else as the only one.
 */
#ifndef FWD_USER_XDP_H
#define FWD_USER_XDP_H

#include <stdbool.h>
#include "base/err.h"
#include "state/devices.h"
#include "state/instance.h"
#include "state/loader.h"

/* The mode in which this instance's program is attached; FWD_MODE_TC: it is not. */
enum fwd_mode xdp_mode(const struct instance *in, const struct device *device);

/* Loads the program and attaches it in device->entry.mode, or replaces this instance's program there without losing a
 * packet. *redirects: XDP programs of other devices may redirect frames to this one, which needs a driver that supports
 * it and, for a veth, a peer that does. single: not in libxdp's dispatcher, unless other programs are there. Returns 0
 * or a negative errno, and reports nothing: -EEXIST, another program is attached and leaves no room. The log
 * (bpf_log.h) may have the reason. */
int xdp_attach(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp, bool single,
	       bool *redirects);

/* Whether a program of another tool is attached. */
bool xdp_has_foreign(const struct instance *in, const struct device *device);

/* Notes a program of another tool. */
void xdp_note_foreign(const struct instance *in, const struct device *device, struct fwd_report *report);

/* To roll that back: this instance's program, a file descriptor to close or -1, and attaching it again in
 * device->entry.mode. program_fd -1: none was attached. */
int xdp_program(const struct instance *in, const struct device *device);
void xdp_restore(const struct instance *in, const struct device *device, int program_fd);

/* Detaches this instance's program, if it is attached. */
enum fwd_exit xdp_detach(const struct instance *in, const struct device *device, struct fwd_report *report);

/* Detaches this instance's programs from all devices of this network namespace. Returns their number. */
int xdp_detach_everywhere(const struct instance *in);

#endif
