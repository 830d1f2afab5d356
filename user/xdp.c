/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "hook.h"
#include "xdp.h"

#define PROGRAM_NAME "fwd_xdp"

/* What is attached to a device. */
struct there {
	__u32 ours;   /* program id; 0: none */
	bool others;  /* somebody else's */
	bool alone;   /* without a dispatcher: there is room for one */
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

static void note_program(const struct instance *in, const struct xdp_program *program,
			 struct there *there)
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
	there.mode = xdp_multiprog__attach_mode(multi) == XDP_MODE_SKB ? FWD_MODE_XDP_GENERIC
								       : FWD_MODE_XDP;
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

static int take_off_alone(__u32 ifindex, const struct there *there)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(there->ours));
	int ret;

	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_detach(ifindex,
			     there->mode == FWD_MODE_XDP_GENERIC ? XDP_FLAGS_SKB_MODE
								 : XDP_FLAGS_DRV_MODE,
			     &opts);
	close(opts.old_prog_fd);
	return ret;
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
	return ret;
}

/* In one step, which only the kernel can do: libxdp knows no place but the dispatcher's. */
static int replace_alone(__u32 ifindex, const struct there *there, struct bpf_object *object)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	struct bpf_program *program;
	int ret = bpf_object__load(object);

	if (ret)
		return ret;
	program = bpf_object__find_program_by_name(object, PROGRAM_NAME);
	opts.old_prog_fd = bpf_prog_get_fd_by_id(there->ours);
	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	ret = bpf_xdp_attach(ifindex, bpf_program__fd(program),
			     XDP_FLAGS_REPLACE | (there->mode == FWD_MODE_XDP_GENERIC
							  ? XDP_FLAGS_SKB_MODE
							  : XDP_FLAGS_DRV_MODE),
			     &opts);
	close(opts.old_prog_fd);
	return ret;
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

/* Only frames of devices whose driver runs our program may be sent from one to the other. */
static int open_to_others(const struct instance *in, const struct device *device, bool open)
{
	int ret;

	if (open)
		return map_write(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex, &device->ifindex);
	ret = map_delete(&in->maps, FWD_MAP_XDP_DEVICES, &device->ifindex);
	return ret == -ENOENT ? 0 : ret;
}

int xdp_attach(const struct instance *in, const struct device *device, const struct fwd_xdp *xdp)
{
	struct there there = look(in, device->ifindex);
	struct bpf_object *object = loader_xdp_object(xdp);
	int ret = 0;

	if (there.others && there.alone)
		return -EEXIST;
	/* The kernel has either, never both. */
	if (there.ours && there.mode != device->entry.mode) {
		ret = open_to_others(in, device, false);
		if (!ret)
			ret = take_off(device->ifindex, &there);
		there.ours = 0;
	}
	if (ret)
		return ret;
	if (there.ours && there.alone)
		ret = replace_alone(device->ifindex, &there, object);
	else
		ret = add(device->ifindex, device->entry.mode, object);
	if (!ret && there.ours && !there.alone)
		ret = take_off(device->ifindex, &there);
	return ret ? ret : open_to_others(in, device, device->entry.mode == FWD_MODE_XDP);
}

enum fwd_exit xdp_detach(const struct instance *in, const struct device *device)
{
	struct there there = look(in, device->ifindex);
	int ret = open_to_others(in, device, false);

	if (!ret && there.ours)
		ret = take_off(device->ifindex, &there);
	return ret ? fwd_err("\"%s\": can't detach from XDP: %s", device->entry.name, strerror(-ret))
		   : FWD_DONE;
}

int xdp_sweep(const struct instance *in)
{
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct there there = look(in, i->if_index);

		count += there.ours && !take_off(i->if_index, &there);
	}
	if_freenameindex(all);
	return count;
}
