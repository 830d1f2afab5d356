/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF object: it is loaded once for each attached device, with that device's constants, and all
 * copies share the pinned maps.
 */
#ifndef FWD_USER_LOADER_H
#define FWD_USER_LOADER_H

#include "err.h"
#include "fwd_abi.h"
#include "maps.h"

/* The programs of one device. */
struct fwd_programs {
	struct fwd_tc *object; /* owns the file descriptors; NULL: none loaded */
	int ingress_fd;
	int egress_fd;
	int control_fd;
};

/* Call once, before anything else here: keeps libbpf's words to ourselves. */
void loader_init(void);

/* Makes the maps whose fd is -1; the caller owns them. Prints what is wrong, and then leaves *maps
 * as it was. */
enum fwd_exit loader_make_maps(struct fwd_maps *maps, __u32 connections, __u32 half_open);

/* Loads the programs for a device. Prints what is wrong. */
enum fwd_exit loader_load(const struct fwd_maps *maps, const struct fwd_meta *meta,
			  const struct fwd_device *device, struct fwd_programs *programs);
void loader_unload(struct fwd_programs *programs);

/* Runs fwd_control once. `forward` may be NULL if the request names no connection. Returns what the
 * program returned, or the negative errno for which it could not be run. */
int control_run(int control_fd, enum fwd_request_type type, const struct fwd_tuple *forward);

#endif
