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
#include "host/netdev.h"

/* Kernel 6.6's enum bpf_attach_type; older headers lack them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47

/* The priority of the filter in a clsact qdisc: early, but after filters that other tools put at 1. */
#define CLSACT_HANDLE   1
#define CLSACT_PRIORITY 0xfd

#define TCX_PROGRAMS_MAX 64

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

/* The programs at a TCX hook, in the order in which they run. Returns their number. */
static __u32 tcx_programs(const struct device *device, enum tc_dir dir, __u32 ids[TCX_PROGRAMS_MAX])
{
	enum bpf_attach_type type = dir == TC_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS;
	__u32 count = TCX_PROGRAMS_MAX;

	/* For TCX the first argument is an ifindex. */
	if (bpf_prog_query(device->ifindex, type, 0, NULL, ids, &count))
		return 0;
	return count < TCX_PROGRAMS_MAX ? count : TCX_PROGRAMS_MAX;
}

/* Whether a program of another instance is attached. Two instances on one device would allocate the same source ports,
 * because neither knows the other's connections. */
static bool tcx_is_taken(const struct instance *in, const struct device *device, enum tc_dir dir)
{
	__u32 ids[TCX_PROGRAMS_MAX] = {}, count = tcx_programs(device, dir, ids);

	for (__u32 i = 0; i < count; i++)
		if (!maps_own_program(&in->maps, ids[i]) && maps_program_is_fwdctl(ids[i]))
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

/* The first message of a dump of the filters at one side of the qdisc, which is in the order of their priorities.
 * NLMSG_DONE: it is empty; 0: the dump failed. *priority: that of the first filter. */
static __u16 clsact_first(int sock, __u32 ifindex, __u32 parent, __u32 *priority)
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
		return 0;
	size = recv(sock, &reply, sizeof(reply), 0);
	if (size >= (ssize_t)(sizeof(reply.head) + sizeof(request.body)))
		*priority = ((const struct tcmsg *)NLMSG_DATA(&reply.head))->tcm_info >> 16;
	return size >= (ssize_t)sizeof(reply.head) ? reply.head.nlmsg_type : 0;
}

static bool clsact_side_is_empty(int sock, __u32 ifindex, __u32 parent)
{
	__u32 priority;

	return clsact_first(sock, ifindex, parent, &priority) == NLMSG_DONE;
}

/* Whether a filter of another tool runs before fwdctl's at ingress. */
static bool clsact_earlier(const struct device *device, __u32 *priority)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	__u16 type;

	if (sock < 0)
		return false;
	*priority = CLSACT_PRIORITY;
	type = clsact_first(sock, device->ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), priority);
	close(sock);
	return type == RTM_NEWTFILTER && *priority < CLSACT_PRIORITY;
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

/* Returns 0 or a negative errno: -ENOTUNIQ, a qdisc other than clsact has its place. */
static int clsact_attach(const struct instance *in, const struct device *device, enum tc_dir dir, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY, .prog_fd = prog_fd);
	struct bpf_tc_hook hook;
	char kind[32];
	int ret;

	clsact_hook(device, dir, &hook);
	/* An ingress qdisc has the place of clsact, and takes a filter for egress as one more for ingress
	 * (net/sched/sch_ingress.c, ingress_tcf_block()). */
	if (netdev_ingress_qdisc(device->ifindex, kind, sizeof(kind)) && strcmp(kind, "clsact"))
		return -ENOTUNIQ;
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
	char fix[FWD_FIX_TEXT];
	int ret = device->entry.hook == FWD_HOOK_TCX ? tcx_attach(in, device, dir, prog_fd)
						     : clsact_attach(in, device, dir, prog_fd);

	if (ret == -EBUSY)
		return report_error(report, ABOUT(.object = name, .fix = "detach that one, or use its --pin-dir"),
				    "another instance of fwdctl is attached, and a device can have only one");
	if (ret == -EEXIST)
		return report_error(report, ABOUT(.object = name, .fix = "remove it first"),
				    "another tool's filter is attached at tc %s, priority %d", dir_names[dir],
				    CLSACT_PRIORITY);
	snprintf(fix, sizeof(fix),
		 "save its filters (tc filter show dev %s ingress), which fit a clsact qdisc, too; then tc qdisc del "
		 "dev %s ingress",
		 name, name);
	if (ret == -ENOTUNIQ)
		return report_error(report, ABOUT(.object = name, .fix = fix),
				    "has an ingress qdisc in the place of the clsact qdisc that fwdctl needs on this "
				    "kernel");
	if (ret)
		return report_error(report, ABOUT(.object = name, .fix = errno_fix(-ret)), "can't attach at tc %s: %s",
				    dir_names[dir], strerror(-ret));
	return FWD_DONE;
}

/* The first program that TCX runs before the one of this instance, or, if that is a filter of clsact, before all
 * filters. 0: none. */
static __u32 tcx_earlier(const struct instance *in, const struct device *device)
{
	__u32 ids[TCX_PROGRAMS_MAX] = {}, count = tcx_programs(device, TC_INGRESS, ids);

	/* By the pinned link, because without CAP_SYS_ADMIN no program can be inspected, not even this instance's. */
	return count && ids[0] != tcx_query(in, device, TC_INGRESS) ? ids[0] : 0;
}

bool tc_has_earlier(const struct instance *in, const struct device *device)
{
	__u32 priority;

	return tcx_earlier(in, device) || (device->entry.hook == FWD_HOOK_CLSACT && clsact_earlier(device, &priority));
}

void tc_note_earlier(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	__u32 id = tcx_earlier(in, device), priority = 0;
	char name[FWD_PROGRAM_NAME];

	if (id)
		report_note(
			report, ABOUT(.object = device->entry.name),
			"the program %s (id %u) runs before fwdctl at tc ingress: fwdctl does not see packets that it "
			"accepts or drops",
			maps_program_name(id, name), id);
	else if (device->entry.hook == FWD_HOOK_CLSACT && clsact_earlier(device, &priority))
		report_note(
			report, ABOUT(.object = device->entry.name),
			"a filter of priority %u runs before fwdctl at tc ingress: fwdctl does not see packets that it "
			"accepts or drops",
			priority);
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
	char name[FWD_PROGRAM_NAME];
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id))
		if (!strcmp(maps_program_name(id, name), "fwd_ingress") && maps_own_program(&in->maps, id))
			return true;
	return false;
}
