/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The XDP program of a device. It is attached through libxdp, so that other XDP programs can live beside it:
 * in libxdp's dispatcher, where the kernel lets it be, else as the only one.
 */
#ifndef FWD_USER_XDP_H
#define FWD_USER_XDP_H

#include <stdbool.h>
#include "state/devices.h"
#include "base/err.h"
#include "state/instance.h"
#include "state/loader.h"

/* How this instance's program is attached there; FWD_MODE_TC: it is not. */
enum fwd_mode xdp_mode(const struct instance *in, const struct device *device);

/* Loads the program and attaches it by device->entry.mode, in the place of ours that is there, without a packet
 * lost. *open: other devices' XDP may send to it, which takes a driver that can and, for a veth, an other end that
 * does. Returns 0 or a negative errno: -EEXIST, another program is there that leaves no room. Prints nothing:
 * loader_kernel_says() may know more. */
int xdp_attach(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp, bool *open);

/* To undo that: the program of this instance that is there, a file descriptor to close or -1; and putting it back
 * (-1: nothing was there) in device->entry.mode. */
int xdp_program(const struct instance *in, const struct device *device);
void xdp_put_back(const struct instance *in, const struct device *device, int program_fd);

/* Takes it off, if it is there; tc goes on. Prints what is wrong. */
enum fwd_exit xdp_detach(const struct instance *in, const struct device *device);

/* For purge: takes this instance's programs off all devices of this network namespace. Returns how many. */
int xdp_sweep(const struct instance *in);

#endif
