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
#include "attach/tc.h"
#include "host/netdev.h"
#include "attach/xdp.h"

#define PROGRAM_NAME "fwd_xdp"

/* What is attached to a device. */
struct there {
	__u32 ours;  /* program id; 0: none */
	bool others; /* somebody else's */
	bool alone;  /* without a dispatcher: there is room for one */
	enum fwd_mode mode;
};

static int keep_log(enum libxdp_print_level level, const char *format, va_list args)
{
	if (level != LIBXDP_DEBUG)
		loader_log(format, args);
	return 0;
}

static enum xdp_attach_mode libxdp_mode(enum fwd_mode mode)
{
	return mode == FWD_MODE_XDP_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static void note_program(const struct instance *in, const struct xdp_program *program, struct there *there)
{
	__u32 id = program ? xdp_program__id(program) : 0;

	if (!id)
		return;
	if (hook_program_is_ours(in, id))
		there->ours = id;
	else
		there->others = true;
}

static struct there look(const struct instance *in, __u32 ifindex)
{
	struct xdp_multiprog *multi;
	struct xdp_program *program = NULL;
	struct there there = {};

	libxdp_set_print(keep_log);
	multi = xdp_multiprog__get_from_ifindex(ifindex);
	if (libxdp_get_error(multi))
		return there;
	there.mode = xdp_multiprog__attach_mode(multi) == XDP_MODE_SKB ? FWD_MODE_XDP_GENERIC : FWD_MODE_XDP;
	there.alone = xdp_multiprog__is_legacy(multi);
	if (there.alone)
		note_program(in, xdp_multiprog__main_prog(multi), &there);
	else
		while ((program = xdp_multiprog__next_prog(program, multi)))
			note_program(in, program, &there);
	xdp_multiprog__close(multi);
	return there;
}

enum fwd_mode xdp_mode(const struct instance *in, const struct device *device)
{
	struct there there = look(in, device->ifindex);

	return there.ours ? there.mode : FWD_MODE_TC;
}

static int attach_flags(enum fwd_mode mode)
{
	return mode == FWD_MODE_XDP_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static int take_off_alone(__u32 ifindex, const struct there *there)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(there->ours));
	int ret;

	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_detach(ifindex, attach_flags(there->mode), &opts);
	close(opts.old_prog_fd);
	return ret;
}

/* Where libxdp pins its dispatchers: it makes that directory, and leaves it. While others are in it, it stays. */
static void leave_nothing(void)
{
	const char *bpffs = getenv("LIBXDP_BPFFS");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/xdp", bpffs ? bpffs : "/sys/fs/bpf");
	rmdir(path);
}

static int take_off(__u32 ifindex, const struct there *there)
{
	struct xdp_program *program;
	int ret;

	if (there->alone)
		return take_off_alone(ifindex, there);
	program = xdp_program__from_id(there->ours);
	ret = libxdp_get_error(program);
	if (ret)
		return ret;
	ret = xdp_program__detach(program, ifindex, libxdp_mode(there->mode), 0);
	xdp_program__close(program);
	leave_nothing();
	return ret;
}

/* However many: an attach that was cut short may have left the old one in the dispatcher beside the new. */
static int take_off_all(const struct instance *in, __u32 ifindex)
{
	int ret = 0;

	for (struct there there = look(in, ifindex); !ret && there.ours; there = look(in, ifindex))
		ret = take_off(ifindex, &there);
	return ret;
}

/* In one step, which only the kernel can do: libxdp knows no place but the dispatcher's. */
static int replace_alone(__u32 ifindex, const struct there *there, int program_fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(there->ours));
	int ret;

	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_attach(ifindex, program_fd, XDP_FLAGS_REPLACE | attach_flags(there->mode), &opts);
	close(opts.old_prog_fd);
	return ret;
}

static int load_and_replace_alone(__u32 ifindex, const struct there *there, struct bpf_object *object)
{
	int ret = bpf_object__load(object);

	if (ret)
		return ret;
	return replace_alone(ifindex, there, bpf_program__fd(bpf_object__find_program_by_name(object, PROGRAM_NAME)));
}

static int add(__u32 ifindex, enum fwd_mode mode, struct bpf_object *object)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = object, .prog_name = PROGRAM_NAME);
	struct xdp_program *program = xdp_program__create(&opts);
	int ret = libxdp_get_error(program);

	if (ret)
		return ret;
	ret = xdp_program__attach(program, ifindex, libxdp_mode(mode), 0);
	xdp_program__close(program);
	return ret == -EBUSY ? -EEXIST : ret;
}

/* Whether others' frames may be sent to it from XDP. */
static int open_to_others(const struct instance *in, const struct device *device, bool open)
{
	int ret;

	if (open)
		return map_write(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex, &device->ifindex);
	ret = map_delete(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex);
	return ret == -ENOENT ? 0 : ret;
}

/* Can the driver take them? Many can only while they have a program of their own, so this is asked at last. Where
 * the kernel doesn't tell, it is the user who said so. */
static bool takes_frames(const struct device *device)
{
	__u64 features;

	return device->entry.mode == FWD_MODE_XDP &&
	       (!netdev_xdp_features(device->ifindex, &features) || (features & NETDEV_XDP_XMIT));
}

static int put(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp)
{
	struct there there = look(in, device->ifindex);
	struct bpf_object *object = loader_xdp_object(xdp);
	int ret = 0;

	if (there.others && there.alone)
		return -EEXIST;
	/* The kernel has either, never both. */
	if (there.ours && there.mode != device->entry.mode) {
		ret = take_off_all(in, device->ifindex);
		there.ours = 0;
	}
	if (ret)
		return ret;
	if (there.ours && there.alone)
		return load_and_replace_alone(device->ifindex, &there, object);
	ret = add(device->ifindex, device->entry.mode, object);
	return !ret && there.ours ? take_off(device->ifindex, &there) : ret;
}

int xdp_attach(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp, bool *open)
{
	int ret;

	loader_clear_log();
	/* Nothing may be sent there while it is changed. */
	ret = open_to_others(in, device, false);
	if (!ret)
		ret = put(in, device, xdp);
	if (ret)
		return ret;
	*open = takes_frames(device);
	ret = open_to_others(in, device, *open);
	if (ret)
		take_off_all(in, device->ifindex);
	return ret;
}

int xdp_program(const struct instance *in, const struct device *device)
{
	struct there there = look(in, device->ifindex);

	return there.ours ? bpf_prog_get_fd_by_id(there.ours) : -1;
}

void xdp_put_back(const struct instance *in, const struct device *device, int program_fd)
{
	struct there there = look(in, device->ifindex);

	if (program_fd < 0) {
		take_off_all(in, device->ifindex);
	} else if (there.ours && there.mode == device->entry.mode) {
		/* A program of the dispatcher's can't be had back; the new one does the same. */
		if (there.alone)
			replace_alone(device->ifindex, &there, program_fd);
	} else {
		take_off_all(in, device->ifindex);
		bpf_xdp_attach(device->ifindex, program_fd,
			       XDP_FLAGS_UPDATE_IF_NOEXIST | attach_flags(device->entry.mode), NULL);
	}
	open_to_others(in, device, program_fd >= 0 && takes_frames(device));
}

enum fwd_exit xdp_detach(const struct instance *in, const struct device *device)
{
	int ret = open_to_others(in, device, false);

	if (!ret)
		ret = take_off_all(in, device->ifindex);
	return ret ? fwd_err("\"%s\": can't detach from XDP: %s", device->entry.name, strerror(-ret)) : FWD_DONE;
}

int xdp_sweep(const struct instance *in)
{
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		count += look(in, i->if_index).ours && !take_off_all(in, i->if_index);
	if_freenameindex(all);
	return count;
}
