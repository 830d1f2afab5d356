/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF objects. tc and XDP programs are loaded once for each attached device, with that device's constants; all
 * copies share the pinned maps.
 */
#ifndef FWD_USER_LOADER_H
#define FWD_USER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "fwd/config.h"
#include "fwd/device.h"
#include "state/bpfmaps.h"

struct bpf_object;

/* The programs of one device at tc. */
struct fwd_programs {
	struct fwd_tc *object; /* owns the file descriptors; NULL: none loaded */
	int ingress_fd;
	int egress_fd;
};

/* Creates the maps that are not open; the caller owns them. Leaves *maps as it was on failure. */
enum fwd_exit loader_create_maps(struct fwd_maps *maps, __u32 connections, __u32 half_open, struct fwd_report *report);

/* Loads the programs for a device. `conntrack`: conntrack_has_kfuncs(). */
enum fwd_exit loader_load(const struct fwd_maps *maps, const struct fwd_meta *meta, const struct fwd_device *device,
			  bool conntrack, struct fwd_programs *programs, struct fwd_report *report);
void loader_unload(struct fwd_programs *programs);

/* Loads fwd_control. *control_fd: to be closed by the caller. */
enum fwd_exit loader_load_control(const struct fwd_maps *maps, const struct fwd_meta *meta, int *control_fd,
				  struct fwd_report *report);

/* The XDP program for a device, not loaded yet: xdp_attach() decides whether it becomes a program of its own or a
 * part of libxdp's dispatcher. `mac`: the device's address, 6 bytes. NULL: failed, and reported. */
struct fwd_xdp *loader_open_xdp(const struct fwd_maps *maps, const struct fwd_meta *meta,
				const struct fwd_device *device, bool conntrack, __u32 ifindex, const __u8 *mac,
				struct fwd_report *report);
struct bpf_object *loader_xdp_object(const struct fwd_xdp *xdp);
void loader_close_xdp(struct fwd_xdp *xdp);

/* After a load that failed with `error`, a negative errno: whether the verifier refused a program, and which, as a
 * reason in text[size]. The compiler is named because the verdict depends on the code that it generated. */
bool loader_verifier_refused(int error, char *text, size_t size);

/* The fix for that. */
const char *loader_refusal_fix(const struct fwd_report *report);

#endif
