/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "state/loader.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"

#define ETHERNET_HEADER     14
#define OLDEST_KERNEL_MAJOR 5
#define OLDEST_KERNEL_MINOR 15

/* The end of what libbpf, and through it the verifier, last said. */
static char log_tail[8192];

void loader_log(const char *format, va_list args)
{
	size_t have = strlen(log_tail), room = sizeof(log_tail) - 1, length;
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return;
	length = strlen(text);
	if (length > room)
		memmove(text, text + length - room, room + 1);
	length = strlen(text);
	if (have + length > room) {
		size_t gone = have + length - room;

		memmove(log_tail, log_tail + gone, have - gone + 1);
		have -= gone;
	}
	memcpy(log_tail + have, text, length + 1);
	free(text);
}

void loader_clear_log(void)
{
	log_tail[0] = '\0';
}

const char *loader_kernel_says(void)
{
	static const char mark[] = "Kernel error message: ";
	static char says[256];
	const char *at = log_tail, *last = NULL;

	while ((at = strstr(at, mark)))
		last = at += strlen(mark);
	snprintf(says, sizeof(says), "%.*s", last ? (int)strcspn(last, "\n") : 0, last ? last : "");
	return says;
}

static int log_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_DEBUG)
		loader_log(format, args);
	return 0;
}

void loader_init(void)
{
	libbpf_set_print(log_keep);
}

static bool kernel_too_old(struct utsname *uts)
{
	int major, minor;

	if (uname(uts) || sscanf(uts->release, "%d.%d", &major, &minor) != 2)
		return false;
	return major < OLDEST_KERNEL_MAJOR || (major == OLDEST_KERNEL_MAJOR && minor < OLDEST_KERNEL_MINOR);
}

static enum fwd_exit load_error(const char *what, int error)
{
	struct utsname uts;

	if (kernel_too_old(&uts))
		return fwd_err("%s: kernel %s is too old: %d.%d is the oldest that works", what, uts.release,
			       OLDEST_KERNEL_MAJOR, OLDEST_KERNEL_MINOR);
	if (error == -ENOMEM)
		return fwd_err("%s: not enough memory: give smaller --connections and --half-open", what);
	fwd_err("%s: the kernel refused: %s%s", what, strerror(-error), fwd_verbose ? "" : " (-v shows its reasons)");
	if (fwd_verbose)
		fputs(log_tail, stderr);
	return FWD_NOT_DONE;
}

/* Hands the object those of its maps that exist, and the sizes of those that don't. */
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
		all.fd[i] = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
		if (all.fd[i] < 0)
			return -errno;
	}
	*maps = all;
	return 0;
}

/* Those that this object has and the others had not. */
static int make_maps_of(struct bpf_object *object, struct fwd_maps *maps, __u32 connections, __u32 half_open)
{
	struct bpf_program *program;
	int ret;

	bpf_object__for_each_program (program, object)
		bpf_program__set_autoload(program, false);
	ret = use_maps(object, maps, connections, half_open);
	if (!ret)
		ret = bpf_object__load(object);
	return ret ? ret : copy_new_fds(object, maps);
}

enum fwd_exit loader_make_maps(struct fwd_maps *maps, __u32 connections, __u32 half_open)
{
	struct fwd_tc *tc = fwd_tc__open();
	struct fwd_xdp *xdp = fwd_xdp__open();
	struct fwd_maps all = *maps;
	int ret = -errno;

	if (tc && xdp)
		ret = make_maps_of(tc->obj, &all, connections, half_open);
	if (tc && xdp && !ret)
		ret = make_maps_of(xdp->obj, &all, connections, half_open);
	fwd_tc__destroy(tc);
	fwd_xdp__destroy(xdp);
	if (!ret)
		ret = map_touch(&all, FWD_MAP_BUCKETS); /* what each new connection needs two of */
	if (!ret) {
		*maps = all;
		return FWD_DONE;
	}
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (maps->fd[i] < 0 && all.fd[i] >= 0)
			close(all.fd[i]);
	return load_error("maps", ret);
}

enum fwd_exit loader_load(const struct fwd_maps *maps, const struct fwd_meta *meta, const struct fwd_device *device,
			  struct fwd_programs *programs)
{
	struct fwd_tc *object = fwd_tc__open();
	int ret;

	*programs = (struct fwd_programs){};
	if (!object)
		return load_error(device->name, -errno);
	object->rodata->fwd_link = device->link;
	object->rodata->fwd_device_index = device->index;
	object->rodata->fwd_sizes = fwd_sizes_of(meta->connections, meta->half_open);
	ret = use_maps(object->obj, maps, meta->connections, meta->half_open);
	if (!ret)
		ret = fwd_tc__load(object);
	if (ret) {
		fwd_tc__destroy(object);
		return load_error(device->name, ret);
	}
	programs->object = object;
	programs->ingress_fd = bpf_program__fd(object->progs.fwd_ingress);
	programs->egress_fd = bpf_program__fd(object->progs.fwd_egress);
	return FWD_DONE;
}

enum fwd_exit loader_load_control(const struct fwd_maps *maps, const struct fwd_meta *meta, int *control_fd)
{
	struct fwd_control *object = fwd_control__open();
	int ret;

	if (!object)
		return load_error("fwd_control", -errno);
	object->rodata->fwd_sizes = fwd_sizes_of(meta->connections, meta->half_open);
	ret = use_maps(object->obj, maps, meta->connections, meta->half_open);
	if (!ret)
		ret = fwd_control__load(object);
	if (!ret) {
		*control_fd = fcntl(bpf_program__fd(object->progs.fwd_control), F_DUPFD_CLOEXEC, 3);
		ret = *control_fd < 0 ? -errno : 0;
	}
	fwd_control__destroy(object);
	return ret ? load_error("fwd_control", ret) : FWD_DONE;
}

void loader_unload(struct fwd_programs *programs)
{
	fwd_tc__destroy(programs->object);
	programs->object = NULL;
}

struct fwd_xdp *loader_open_xdp(const struct fwd_maps *maps, const struct fwd_meta *meta,
				const struct fwd_device *device, __u32 ifindex, const __u8 *mac)
{
	struct fwd_xdp *xdp = fwd_xdp__open();
	int ret = -errno;

	if (xdp) {
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
	load_error(device->name, ret);
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

int control_run(int control_fd, enum fwd_request_type type, const struct fwd_tuple *forward)
{
	char packet[ETHERNET_HEADER + sizeof(struct fwd_request)] = {};
	struct fwd_request request = {.type = type};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);
	int ret;

	if (forward)
		request.forward = *forward;
	memcpy(packet + ETHERNET_HEADER, &request, sizeof(request));
	ret = bpf_prog_test_run_opts(control_fd, &opts);
	return ret ? ret : (int)opts.retval;
}
