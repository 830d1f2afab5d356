/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF object: it is loaded once for each attached device, with that device's constants, and all
 * copies share the pinned maps.
 */
#ifndef FWD_USER_LOADER_H
#define FWD_USER_LOADER_H

#include <stdarg.h>
#include "base/err.h"
#include "fwd/config.h"
#include "fwd/device.h"
#include "fwd/request.h"
#include "state/bpfmaps.h"

struct bpf_object;

/* The programs of one device at tc. */
struct fwd_programs {
	struct fwd_tc *object; /* owns the file descriptors; NULL: none loaded */
	int ingress_fd;
	int egress_fd;
};

/* Call once, before anything else here: keeps libbpf's words to ourselves. */
void loader_init(void);

/* Makes the maps whose fd is -1; the caller owns them. Prints what is wrong, and then leaves *maps
 * as it was. */
enum fwd_exit loader_make_maps(struct fwd_maps *maps, __u32 connections, __u32 half_open);

/* Loads the programs for a device. Prints what is wrong. */
enum fwd_exit loader_load(const struct fwd_maps *maps, const struct fwd_meta *meta, const struct fwd_device *device,
			  struct fwd_programs *programs);
void loader_unload(struct fwd_programs *programs);

/* Loads fwd_control. *control_fd: to be closed by the caller. Prints what is wrong. */
enum fwd_exit loader_load_control(const struct fwd_maps *maps, const struct fwd_meta *meta, int *control_fd);

/* The XDP program for a device, not loaded yet: whether as a program of its own or as a part of libxdp's
 * dispatcher is decided when it is attached. `mac`: the device's address, 6 bytes. NULL: printed why. */
struct fwd_xdp *loader_open_xdp(const struct fwd_maps *maps, const struct fwd_meta *meta,
				const struct fwd_device *device, __u32 ifindex, const __u8 *mac);
struct bpf_object *loader_xdp_object(const struct fwd_xdp *xdp);
void loader_close_xdp(struct fwd_xdp *xdp);

/* What the kernel, a driver above all, last had to say about a refusal, since the log was cleared; "": nothing. */
const char *loader_kernel_says(void);

void loader_clear_log(void);

/* Keeps what libraries print, for -v and for loader_kernel_says(). Format as in vprintf(). */
void loader_log(const char *format, va_list args);

/* Runs fwd_control once. `forward` may be NULL if the request names no connection. Returns what the
 * program returned, or the negative errno for which it could not be run. */
int control_run(int control_fd, enum fwd_request_type type, const struct fwd_tuple *forward);

#endif
