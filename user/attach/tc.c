/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "attach/tc.h"

/* Kernel 6.6's enum bpf_attach_type; older headers lack them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

/* The priority of the filter in a clsact qdisc: early, but after filters that other tools put at 1. */
#define CLSACT_HANDLE   1
#define CLSACT_PRIORITY 0xfd

static const char *const dir_names[] = {"ingress", "egress"};

/* A bpffs allows no "." in names, and the kernel no ":" in names of devices (dev_valid_name()). */
static char *pin_path(const struct instance *in, const struct device *device, enum tc_dir dir, char *path)
{
	char name[sizeof(device->entry.name) + 16];

	snprintf(name, sizeof(name), "%.15s_%s", device->entry.name, dir_names[dir]);
	for (char *dot = name; (dot = strchr(dot, '.'));)
		*dot = ':';
	return instance_path(in, FWD_DIR_LINKS, name, path);
}

/* The id of the link's program, or 0 if the link is dead or of another device. */
static __u32 tcx_program_id(int link_fd, __u32 ifindex)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &size))
		return 0;
	/* Both `xdp` and, in newer headers, `tcx` begin with the ifindex. It is 0 once the device is gone. */
	return info.xdp.ifindex == ifindex ? info.prog_id : 0;
}

static __u32 tcx_query(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	char path[PATH_MAX];
	int fd = bpf_obj_get(pin_path(in, device, dir, path));
	__u32 id;

	if (fd < 0)
		return 0;
	id = tcx_program_id(fd, device->ifindex);
	close(fd);
	return id;
}

static bool has_name_of(__u32 prog_id, enum tc_dir dir)
{
	__u32 size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {};
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool named;

	if (fd < 0)
		return false;
	named = !bpf_obj_get_info_by_fd(fd, &info, &size) && !strncmp(info.name, "fwd_", strlen("fwd_")) &&
		strstr(info.name, dir_names[dir]);
	close(fd);
	return named;
}

/* Whether a program of another instance is attached. Two instances on one device would allocate the same source ports,
 * because neither knows the other's connections. */
static bool tcx_is_taken(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	enum bpf_attach_type type = dir == TC_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS;
	__u32 ids[64] = {}, count = 64;

	/* For TCX the first argument is an ifindex. */
	if (bpf_prog_query(device->ifindex, type, 0, NULL, ids, &count))
		return false;
	for (__u32 i = 0; i < count && i < 64; i++)
		if (has_name_of(ids[i], dir) && !maps_own_program(&in->maps, ids[i]))
			return true;
	return false;
}

/* Returns 0 or a negative errno. */
static int tcx_attach(const struct instance *in, const struct device *device, enum tc_dir dir, int prog_fd)
{
	enum bpf_attach_type type = dir == TC_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS;
	char path[PATH_MAX];
	int fd = bpf_obj_get(pin_path(in, device, dir, path)), ret;

	if (fd >= 0 && tcx_program_id(fd, device->ifindex)) {
		ret = bpf_link_update(fd, prog_fd, NULL);
		close(fd);
		return ret;
	}
	if (fd >= 0)
		close(fd);
	if (tcx_is_taken(in, device, dir))
		return -EBUSY;
	unlink(path);
	fd = bpf_link_create(prog_fd, device->ifindex, type, NULL);
	if (fd < 0)
		return fd;
	ret = bpf_obj_pin(fd, path);
	close(fd); /* a link that could not be pinned is detached here */
	return ret;
}

/* libbpf requires zeroed padding, which neither initializers nor struct copies guarantee. */
static void clsact_hook(const struct device *device, enum tc_dir dir, struct bpf_tc_hook *hook)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = device->ifindex;
	hook->attach_point = dir == TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

static __u32 clsact_program_id(const struct device *device, enum tc_dir dir)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;

	clsact_hook(device, dir, &hook);
	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static __u32 clsact_query(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	__u32 id = clsact_program_id(device, dir);

	return id && maps_own_program(&in->maps, id) ? id : 0;
}

/* Whether a dump of the filters at one side of the qdisc is empty; false if the dump fails. */
static bool clsact_side_is_empty(int sock, __u32 ifindex, __u32 parent)
{
	struct {
		struct nlmsghdr head;
		struct tcmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_GETTFILTER,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent},
	};
	union {
		struct nlmsghdr head;
		char bytes[32768];
	} reply;
	ssize_t size;

	if (send(sock, &request, sizeof(request), 0) != sizeof(request))
		return false;
	size = recv(sock, &reply, sizeof(reply), 0);
	return size >= (ssize_t)sizeof(reply.head) && reply.head.nlmsg_type == NLMSG_DONE;
}

/* Removes the qdisc unless it has filters of other tools. An empty one does nothing, whichever tool created it. */
static void clsact_remove_if_empty(const struct device *device)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct bpf_tc_hook hook;

	if (sock < 0)
		return;
	clsact_hook(device, TC_INGRESS, &hook);
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (clsact_side_is_empty(sock, device->ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
	    clsact_side_is_empty(sock, device->ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
		bpf_tc_hook_destroy(&hook);
	close(sock);
}

static int clsact_detach(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;
	int ret;

	clsact_hook(device, dir, &hook);
	if (!clsact_query(in, device, dir))
		return 0;
	ret = bpf_tc_detach(&hook, &opts);
	if (!ret)
		clsact_remove_if_empty(device);
	return ret;
}

static int clsact_attach(const struct instance *in, const struct device *device, enum tc_dir dir, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY, .prog_fd = prog_fd);
	struct bpf_tc_hook hook;
	int ret;

	clsact_hook(device, dir, &hook);
	ret = bpf_tc_hook_create(&hook); /* one qdisc serves both directions */
	if (ret && ret != -EEXIST)
		return ret;
	if (clsact_query(in, device, dir))
		opts.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &opts);
}

enum fwd_hook tc_choose_hook(int prog_fd)
{
	const char *no_tcx = secure_getenv("FWDCTL_NO_TCX");
	int fd;

	if (no_tcx && !strcmp(no_tcx, "1"))
		return FWD_HOOK_CLSACT;
	/* There is no device 0: a kernel that answers ENODEV knows the attach type. */
	fd = bpf_link_create(prog_fd, 0, ATTACH_TCX_INGRESS, NULL);
	if (fd >= 0)
		close(fd);
	return fd == -ENODEV ? FWD_HOOK_TCX : FWD_HOOK_CLSACT;
}

bool tc_is_taken(const struct instance *in, const struct device *device)
{
	return tcx_is_taken(in, device, TC_INGRESS);
}

enum fwd_exit tc_attach(const struct instance *in, const struct device *device, enum tc_dir dir, int prog_fd,
			struct fwd_report *report)
{
	const char *name = device->entry.name;
	int ret = device->entry.hook == FWD_HOOK_TCX ? tcx_attach(in, device, dir, prog_fd)
						     : clsact_attach(in, device, dir, prog_fd);

	if (ret == -EBUSY)
		return report_error(report, ABOUT(.object = name, .fix = "detach that one, or use its --pin-dir"),
				    "another instance of fwdctl is attached, and a device can have only one");
	if (ret == -EEXIST)
		return report_error(report, ABOUT(.object = name, .fix = "remove it first"),
				    "another tool's filter is attached at tc %s, priority %d", dir_names[dir],
				    CLSACT_PRIORITY);
	if (ret)
		return report_error(report, ABOUT(.object = name), "can't attach at tc %s: %s", dir_names[dir],
				    strerror(-ret));
	return FWD_DONE;
}

enum fwd_exit tc_detach(const struct instance *in, const struct device *device, enum tc_dir dir,
			struct fwd_report *report)
{
	char path[PATH_MAX];
	int ret = 0;

	if (device->entry.hook == FWD_HOOK_CLSACT)
		ret = clsact_detach(in, device, dir);
	else if (unlink(pin_path(in, device, dir, path)) && errno != ENOENT)
		ret = -errno;
	return ret ? report_error(report, ABOUT(.object = device->entry.name), "can't detach from tc %s: %s",
				  dir_names[dir], strerror(-ret))
		   : FWD_DONE;
}

int tc_rename(const struct instance *in, const struct device *device, enum tc_dir dir, const char *name)
{
	struct device renamed = *device;
	char from[PATH_MAX], to[PATH_MAX];

	if (device->entry.hook != FWD_HOOK_TCX)
		return 0;
	device_set_name(&renamed, name);
	pin_path(in, device, dir, from);
	/* Two devices may have swapped their names: rename() would detach the other one. */
	if (!access(pin_path(in, &renamed, dir, to), F_OK))
		return -EEXIST;
	return rename(from, to) && errno != ENOENT ? -errno : 0;
}

/* The id of this instance's program, 0: none is attached. */
static __u32 query(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	return device->entry.hook == FWD_HOOK_TCX ? tcx_query(in, device, dir) : clsact_query(in, device, dir);
}

bool tc_is_attached(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	return query(in, device, dir);
}

int tc_program(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	__u32 id = query(in, device, dir);

	return id ? bpf_prog_get_fd_by_id(id) : -1;
}

bool tc_any_program_loaded(const struct instance *in)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id))
		if (has_name_of(id, TC_INGRESS) && maps_own_program(&in->maps, id))
			return true;
	return false;
}
