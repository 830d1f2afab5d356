/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "attach/xdp.h"
#include "host/netdev.h"
#include "state/bpf_log.h"

#define PROGRAM_NAME "fwd_xdp"

/* The XDP programs of a device. */
struct attached {
	__u32 own_id;     /* of this instance's program; 0: none */
	__u32 foreign_id; /* of a program of another tool; 0: none */
	bool single;      /* without a dispatcher, so there is room for one program only */
	enum fwd_mode mode;
};

static int keep_log(enum libxdp_print_level level, const char *format, va_list args)
{
	if (level != LIBXDP_DEBUG)
		bpf_log_append(format, args);
	return 0;
}

static enum xdp_attach_mode libxdp_mode(enum fwd_mode mode)
{
	return mode == FWD_MODE_XDP_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static void add_program(const struct instance *in, const struct xdp_program *program, struct attached *attached)
{
	__u32 id = program ? xdp_program__id(program) : 0;

	if (!id)
		return;
	if (maps_own_program(&in->maps, id))
		attached->own_id = id;
	else
		attached->foreign_id = id;
}

static struct attached query(const struct instance *in, __u32 ifindex)
{
	struct xdp_multiprog *multi;
	struct xdp_program *program = NULL;
	struct attached attached = {};

	libxdp_set_print(keep_log);
	multi = xdp_multiprog__get_from_ifindex(ifindex);
	if (libxdp_get_error(multi))
		return attached;
	attached.mode = xdp_multiprog__attach_mode(multi) == XDP_MODE_SKB ? FWD_MODE_XDP_GENERIC : FWD_MODE_XDP;
	attached.single = xdp_multiprog__is_legacy(multi);
	if (attached.single)
		add_program(in, xdp_multiprog__main_prog(multi), &attached);
	else
		while ((program = xdp_multiprog__next_prog(program, multi)))
			add_program(in, program, &attached);
	xdp_multiprog__close(multi);
	return attached;
}

enum fwd_mode xdp_mode(const struct instance *in, const struct device *device)
{
	struct attached attached = query(in, device->ifindex);

	return attached.own_id ? attached.mode : FWD_MODE_TC;
}

static int attach_flags(enum fwd_mode mode)
{
	return mode == FWD_MODE_XDP_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static int detach_single(__u32 ifindex, const struct attached *attached)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(attached->own_id));
	int ret;

	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_detach(ifindex, attach_flags(attached->mode), &opts);
	close(opts.old_prog_fd);
	return ret;
}

/* libxdp pins its dispatchers in a directory that it creates and never removes. While it has other pins, rmdir()
 * fails. */
static void remove_libxdp_dir(void)
{
	const char *bpffs = secure_getenv("LIBXDP_BPFFS");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/xdp", bpffs ? bpffs : "/sys/fs/bpf");
	rmdir(path);
}

static int detach_own(__u32 ifindex, const struct attached *attached)
{
	struct xdp_program *program;
	int ret;

	if (attached->single)
		return detach_single(ifindex, attached);
	program = xdp_program__from_id(attached->own_id);
	ret = libxdp_get_error(program);
	if (ret)
		return ret;
	ret = xdp_program__detach(program, ifindex, libxdp_mode(attached->mode), 0);
	xdp_program__close(program);
	remove_libxdp_dir();
	return ret;
}

/* More than one if an attach was interrupted between adding the new program to the dispatcher and detaching the old
 * one. */
static int detach_all_own(const struct instance *in, __u32 ifindex)
{
	struct attached attached;
	int ret = 0;

	for (attached = query(in, ifindex); !ret && attached.own_id; attached = query(in, ifindex))
		ret = detach_own(ifindex, &attached);
	return ret;
}

/* Atomically. libxdp can replace programs only in its dispatcher. */
static int replace_single(__u32 ifindex, const struct attached *attached, int program_fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(attached->own_id));
	int ret;

	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_attach(ifindex, program_fd, XDP_FLAGS_REPLACE | attach_flags(attached->mode), &opts);
	close(opts.old_prog_fd);
	return ret;
}

/* As the only program, in the place of this instance's one if there is one. */
static int load_single(__u32 ifindex, enum fwd_mode mode, const struct attached *attached, struct bpf_object *object)
{
	int ret = bpf_object__load(object), program_fd;

	if (ret)
		return ret;
	program_fd = bpf_program__fd(bpf_object__find_program_by_name(object, PROGRAM_NAME));
	return attached->own_id
		       ? replace_single(ifindex, attached, program_fd)
		       : bpf_xdp_attach(ifindex, program_fd, XDP_FLAGS_UPDATE_IF_NOEXIST | attach_flags(mode), NULL);
}

/* Beside the programs of others, in libxdp's dispatcher. */
static int add(__u32 ifindex, enum fwd_mode mode, struct bpf_object *object)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = object, .prog_name = PROGRAM_NAME);
	struct xdp_program *program = xdp_program__create(&opts);
	int ret = libxdp_get_error(program);

	if (ret)
		return ret;
	ret = xdp_program__attach(program, ifindex, libxdp_mode(mode), 0);
	xdp_program__close(program);
	if (ret)
		remove_libxdp_dir();
	return ret == -EBUSY ? -EEXIST : ret;
}

/* Whether XDP programs of other devices redirect frames to this one. */
static int set_redirects(const struct instance *in, const struct device *device, bool on)
{
	int ret;

	if (on)
		return map_write(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex, &device->ifindex);
	ret = map_delete(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex);
	return ret == -ENOENT ? 0 : ret;
}

/* Whether the driver sends frames that are redirected to it. Many do only while they have a program of their own, so
 * ask after attaching. Where the kernel does not report it (before 6.3), the user has asked for XDP. */
static bool can_send_redirected(const struct device *device)
{
	__u64 features;

	return device->entry.mode == FWD_MODE_XDP &&
	       (!netdev_xdp_features(device->ifindex, &features) || (features & NETDEV_XDP_XMIT));
}

static int install(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp, bool single)
{
	struct attached attached = query(in, device->ifindex);
	struct bpf_object *object = loader_xdp_object(xdp);
	int ret = 0;

	if (attached.foreign_id && attached.single)
		return -EEXIST;
	/* A device has native or generic XDP, never both. */
	if (attached.own_id && attached.mode != device->entry.mode) {
		ret = detach_all_own(in, device->ifindex);
		attached.own_id = 0;
	}
	if (ret)
		return ret;
	if (attached.own_id ? attached.single : single && !attached.foreign_id)
		return load_single(device->ifindex, device->entry.mode, &attached, object);
	ret = add(device->ifindex, device->entry.mode, object);
	return !ret && attached.own_id ? detach_own(device->ifindex, &attached) : ret;
}

int xdp_attach(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp, bool single,
	       bool *redirects)
{
	int ret;

	bpf_log_start();
	/* No frame may be redirected to it while its program changes. */
	ret = set_redirects(in, device, false);
	if (!ret)
		ret = install(in, device, xdp, single);
	if (ret)
		return ret;
	*redirects = can_send_redirected(device);
	ret = set_redirects(in, device, *redirects);
	if (ret)
		detach_all_own(in, device->ifindex);
	return ret;
}

bool xdp_has_foreign(const struct instance *in, const struct device *device)
{
	return query(in, device->ifindex).foreign_id;
}

void xdp_note_foreign(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	struct attached attached = query(in, device->ifindex);
	char name[FWD_PROGRAM_NAME];

	if (attached.foreign_id)
		report_note(
			report, ABOUT(.object = device->entry.name),
			"the XDP program %s (id %u) of another tool is attached: fwdctl does not see packets that it "
			"drops or redirects",
			maps_program_name(attached.foreign_id, name), attached.foreign_id);
}

int xdp_program(const struct instance *in, const struct device *device)
{
	struct attached attached = query(in, device->ifindex);

	return attached.own_id ? bpf_prog_get_fd_by_id(attached.own_id) : -1;
}

void xdp_restore(const struct instance *in, const struct device *device, int program_fd)
{
	struct attached attached = query(in, device->ifindex);

	if (program_fd < 0) {
		detach_all_own(in, device->ifindex);
	} else if (attached.own_id && attached.mode == device->entry.mode) {
		/* A program of the dispatcher cannot be restored, but the new one does the same. */
		if (attached.single)
			replace_single(device->ifindex, &attached, program_fd);
	} else {
		detach_all_own(in, device->ifindex);
		bpf_xdp_attach(device->ifindex, program_fd,
			       XDP_FLAGS_UPDATE_IF_NOEXIST | attach_flags(device->entry.mode), NULL);
	}
	set_redirects(in, device, program_fd >= 0 && can_send_redirected(device));
}

enum fwd_exit xdp_detach(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	int ret = set_redirects(in, device, false);

	if (!ret)
		ret = detach_all_own(in, device->ifindex);
	return ret ? report_error(report, ABOUT(.object = device->entry.name), "can't detach from XDP: %s",
				  strerror(-ret))
		   : FWD_DONE;
}

int xdp_detach_everywhere(const struct instance *in)
{
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		count += query(in, i->if_index).own_id && !detach_all_own(in, i->if_index);
	if_freenameindex(all);
	return count;
}
