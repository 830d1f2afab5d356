/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "state/bpf_log.h"
#include "state/loader.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"
#include "version.h"

#define OLDEST_KERNEL_MAJOR 5
#define OLDEST_KERNEL_MINOR 15

static bool kernel_too_old(struct utsname *uts)
{
	int major, minor;

	if (uname(uts) || sscanf(uts->release, "%d.%d", &major, &minor) != 2)
		return false;
	return major < OLDEST_KERNEL_MAJOR || (major == OLDEST_KERNEL_MAJOR && minor < OLDEST_KERNEL_MINOR);
}

bool loader_verifier_refused(int error, char *text, size_t size)
{
	struct utsname uts = {};
	char program[64];

	if (!*bpf_log_refused_program(bpf_log_text(), program, sizeof(program)))
		return false;
	uname(&uts);
	snprintf(text, size, "kernel %s refused the program %s, built with %s: %s", uts.release, program,
		 FWD_BPF_COMPILER, strerror(-error));
	return true;
}

const char *loader_refusal_fix(const struct fwd_report *report)
{
	return report->verbose ? "report it, or build with another clang (make CLANG=clang-14)"
			       : "-v shows the verifier's log; report it, or build with another clang "
				 "(make CLANG=clang-14)";
}

static enum fwd_exit load_error(const char *object, int error, struct fwd_report *report)
{
	char text[FWD_REASON_TEXT];
	struct utsname uts = {};

	if (kernel_too_old(&uts))
		return report_error(report, ABOUT(.object = object),
				    "kernel %s is too old: %d.%d is the oldest that works", uts.release,
				    OLDEST_KERNEL_MAJOR, OLDEST_KERNEL_MINOR);
	/* Without a free descriptor libbpf takes the kernel for one without global data, and leaves out .rodata. */
	if (strstr(bpf_log_text(), "is referenced but wasn't created"))
		error = -EMFILE;
	if (errno_fix(-error))
		return report_error(report, ABOUT(.object = object, .fix = errno_fix(-error)), "%s", strerror(-error));
	if (error == -ENOMEM)
		return report_error(report, ABOUT(.object = object, .fix = "use smaller --connections and --half-open"),
				    "not enough memory");
	bpf_log_report(report);
	if (loader_verifier_refused(error, text, sizeof(text)))
		return report_error(report, ABOUT(.object = object, .fix = loader_refusal_fix(report)), "%s", text);
	return report_error(report, ABOUT(.object = object, .fix = report->verbose ? NULL : "-v shows libbpf's log"),
			    "kernel %s refused it: %s", uts.release, strerror(-error));
}

/* Gives the object the maps that exist, and the sizes of those that do not. */
static int use_maps(struct bpf_object *object, const struct fwd_maps *maps, __u32 connections, __u32 half_open)
{
	for (int i = 0; i < FWD_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_name(i));
		__u32 entries = map_entries(i, connections, half_open);
		int ret = 0;

		if (!map)
			continue;
		if (maps->fd[i] >= 0)
			ret = bpf_map__reuse_fd(map, maps->fd[i]);
		else if (entries)
			ret = bpf_map__set_max_entries(map, entries);
		if (ret)
			return ret;
	}
	return 0;
}

static int copy_new_fds(struct bpf_object *object, struct fwd_maps *maps)
{
	struct fwd_maps all = *maps;

	for (int i = 0; i < FWD_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_name(i));

		if (!map || all.fd[i] >= 0)
			continue;
		maps_set(&all, i, fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3));
		if (all.fd[i] < 0)
			return -errno;
	}
	*maps = all;
	return 0;
}

/* By the object that has them all, none of whose programs is loaded. */
enum fwd_exit loader_create_maps(struct fwd_maps *maps, __u32 connections, __u32 half_open, struct fwd_report *report)
{
	struct fwd_control *object;
	struct fwd_maps all = *maps;
	int ret;

	bpf_log_start();
	object = fwd_control__open();
	if (!object)
		return load_error("maps", -errno, report);
	bpf_program__set_autoload(object->progs.fwd_control, false);
	ret = use_maps(object->obj, maps, connections, half_open);
	if (!ret)
		ret = fwd_control__load(object);
	if (!ret)
		ret = copy_new_fds(object->obj, &all);
	fwd_control__destroy(object);
	if (!ret)
		ret = map_touch(&all, FWD_MAP_BUCKETS); /* each new connection needs two */
	if (!ret) {
		*maps = all;
		return FWD_DONE;
	}
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (maps->fd[i] < 0 && all.fd[i] >= 0)
			close(all.fd[i]);
	return load_error("maps", ret, report);
}

enum fwd_exit loader_load(const struct fwd_maps *maps, const struct fwd_meta *meta, const struct fwd_device *device,
			  bool conntrack, struct fwd_programs *programs, struct fwd_report *report)
{
	struct fwd_tc *object;
	int ret;

	bpf_log_start();
	*programs = (struct fwd_programs){};
	object = fwd_tc__open();
	if (!object)
		return load_error(device->name, -errno, report);
	object->rodata->fwd_conntrack = conntrack;
	object->rodata->fwd_link = device->link;
	object->rodata->fwd_device_index = device->index;
	object->rodata->fwd_sizes = fwd_sizes_of(meta->connections, meta->half_open);
	ret = use_maps(object->obj, maps, meta->connections, meta->half_open);
	if (!ret)
		ret = fwd_tc__load(object);
	if (ret) {
		fwd_tc__destroy(object);
		return load_error(device->name, ret, report);
	}
	programs->object = object;
	programs->ingress_fd = bpf_program__fd(object->progs.fwd_ingress);
	programs->egress_fd = bpf_program__fd(object->progs.fwd_egress);
	return FWD_DONE;
}

enum fwd_exit loader_load_control(const struct fwd_maps *maps, const struct fwd_meta *meta, int *control_fd,
				  struct fwd_report *report)
{
	struct fwd_control *object;
	int ret;

	bpf_log_start();
	object = fwd_control__open();
	if (!object)
		return load_error("fwd_control", -errno, report);
	object->rodata->fwd_sizes = fwd_sizes_of(meta->connections, meta->half_open);
	ret = use_maps(object->obj, maps, meta->connections, meta->half_open);
	if (!ret)
		ret = fwd_control__load(object);
	if (!ret) {
		*control_fd = fcntl(bpf_program__fd(object->progs.fwd_control), F_DUPFD_CLOEXEC, 3);
		ret = *control_fd < 0 ? -errno : 0;
	}
	fwd_control__destroy(object);
	return ret ? load_error("fwd_control", ret, report) : FWD_DONE;
}

void loader_unload(struct fwd_programs *programs)
{
	fwd_tc__destroy(programs->object);
	programs->object = NULL;
}

struct fwd_xdp *loader_open_xdp(const struct fwd_maps *maps, const struct fwd_meta *meta,
				const struct fwd_device *device, bool conntrack, __u32 ifindex, const __u8 *mac,
				struct fwd_report *report)
{
	struct fwd_xdp *xdp;
	int ret;

	bpf_log_start();
	xdp = fwd_xdp__open();
	ret = -errno;
	if (xdp) {
		xdp->rodata->fwd_conntrack = conntrack;
		xdp->rodata->fwd_link = device->link;
		xdp->rodata->fwd_device_index = device->index;
		xdp->rodata->fwd_sizes = fwd_sizes_of(meta->connections, meta->half_open);
		xdp->rodata->fwd_mode = device->mode;
		xdp->rodata->fwd_ifindex = ifindex;
		memcpy((void *)&xdp->rodata->fwd_mac, mac, sizeof(xdp->rodata->fwd_mac));
		ret = use_maps(xdp->obj, maps, meta->connections, meta->half_open);
	}
	if (!ret)
		return xdp;
	fwd_xdp__destroy(xdp);
	load_error(device->name, ret, report);
	return NULL;
}

struct bpf_object *loader_xdp_object(const struct fwd_xdp *xdp)
{
	return xdp->obj;
}

void loader_close_xdp(struct fwd_xdp *xdp)
{
	fwd_xdp__destroy(xdp);
}
