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

/* Where our filter stands in a clsact qdisc: early, but behind those that other tools put at 1. */
#define CLSACT_HANDLE   1
#define CLSACT_PRIORITY 0xfd

static const char *const dir_names[] = {"ingress", "egress"};

/* A bpffs takes no "." in a name, and no device has a ":" in its. */
static char *pin_path(const struct instance *in, const struct device *device, enum hook_dir dir, char *path)
{
	char name[sizeof(device->entry.name) + 16];

	snprintf(name, sizeof(name), "%.15s_%s", device->entry.name, dir_names[dir]);
	for (char *dot = name; (dot = strchr(dot, '.'));)
		*dot = ':';
	return instance_path(in, FWD_DIR_LINKS, name, path);
}

/* The link's program, or 0 if the link is dead or another device's. */
static __u32 tcx_program_id(int link_fd, __u32 ifindex)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(link_fd, &info, &size))
		return 0;
	/* Both `xdp` and, in newer headers, `tcx` begin with the ifindex; it is 0 once the device
	 * is gone. */
	return info.xdp.ifindex == ifindex ? info.prog_id : 0;
}

static __u32 tcx_query(const struct instance *in, const struct device *device, enum hook_dir dir)
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

/* Anybody may put a program there, under any name: ours is the one that uses our maps. */
bool hook_program_is_ours(const struct instance *in, __u32 prog_id)
{
	__u32 ids[64] = {}, size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (__u64)(unsigned long)ids};
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool ours = false;

	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		info.nr_map_ids = 0;
	close(fd);
	for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++)
		for (int map = 0; map < FWD_MAP_MAX; map++)
			ours |= in->maps.fd[map] >= 0 && map_id(&in->maps, map) == ids[i];
	return ours;
}

/* Does another instance's program stand there? Two on one device would give visitors the same source
 * ports, since neither knows of the other's connections. */
static bool tcx_is_taken(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	enum bpf_attach_type type = dir == HOOK_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS;
	__u32 ids[64] = {}, count = 64;

	/* The kernel takes an ifindex where libbpf's name says fd. */
	if (bpf_prog_query(device->ifindex, type, 0, NULL, ids, &count))
		return false;
	for (__u32 i = 0; i < count && i < 64; i++) {
		__u32 size = sizeof(struct bpf_prog_info);
		struct bpf_prog_info info = {};
		int fd = bpf_prog_get_fd_by_id(ids[i]);
		bool named = fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &size) &&
			     !strncmp(info.name, "fwd_", strlen("fwd_")) && strstr(info.name, dir_names[dir]);

		if (fd >= 0)
			close(fd);
		if (named && !hook_program_is_ours(in, ids[i]))
			return true;
	}
	return false;
}

/* Returns 0 or a negative errno. */
static int tcx_attach(const struct instance *in, const struct device *device, enum hook_dir dir, int prog_fd)
{
	enum bpf_attach_type type = dir == HOOK_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS;
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
	close(fd); /* without its pin the link ends here */
	return ret;
}

/* libbpf wants padding to be zero too, which neither initializers nor struct copies promise. */
static void clsact_hook(const struct device *device, enum hook_dir dir, struct bpf_tc_hook *hook)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = device->ifindex;
	hook->attach_point = dir == HOOK_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

static __u32 clsact_program_id(const struct device *device, enum hook_dir dir)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;

	clsact_hook(device, dir, &hook);
	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static __u32 clsact_query(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	__u32 id = clsact_program_id(device, dir);

	return id && hook_program_is_ours(in, id) ? id : 0;
}

/* Whether a dump of the filters at one side of the qdisc comes back empty; false if that can't be
 * known. */
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

/* The qdisc goes with the last filter in it, whoever made it: empty it does nothing. Others'
 * filters are theirs. */
static void clsact_tidy(const struct device *device)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct bpf_tc_hook hook;

	if (sock < 0)
		return;
	clsact_hook(device, HOOK_INGRESS, &hook);
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (clsact_side_is_empty(sock, device->ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
	    clsact_side_is_empty(sock, device->ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
		bpf_tc_hook_destroy(&hook);
	close(sock);
}

static int clsact_detach(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;
	int ret;

	clsact_hook(device, dir, &hook);
	if (!clsact_query(in, device, dir))
		return 0;
	ret = bpf_tc_detach(&hook, &opts);
	if (!ret)
		clsact_tidy(device);
	return ret;
}

static int clsact_attach(const struct instance *in, const struct device *device, enum hook_dir dir, int prog_fd)
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

enum fwd_hook hook_choose(int prog_fd)
{
	const char *no_tcx = getenv("FWDCTL_NO_TCX");
	int fd;

	if (no_tcx && !strcmp(no_tcx, "1"))
		return FWD_HOOK_CLSACT;
	/* There is no device 0: a kernel that says so has understood the attach type. */
	fd = bpf_link_create(prog_fd, 0, ATTACH_TCX_INGRESS, NULL);
	if (fd >= 0)
		close(fd);
	return fd == -ENODEV ? FWD_HOOK_TCX : FWD_HOOK_CLSACT;
}

bool hook_is_taken(const struct instance *in, const struct device *device)
{
	return tcx_is_taken(in, device, HOOK_INGRESS);
}

enum fwd_exit hook_attach(const struct instance *in, const struct device *device, enum hook_dir dir, int prog_fd)
{
	int ret = device->entry.hook == FWD_HOOK_TCX ? tcx_attach(in, device, dir, prog_fd)
						     : clsact_attach(in, device, dir, prog_fd);

	if (ret == -EBUSY)
		return fwd_err("\"%s\": another instance of fwdctl is attached to it, and one device "
			       "takes one: detach that, or use its --pin-dir",
			       device->entry.name);
	if (ret == -EEXIST)
		return fwd_err("\"%s\": another tool's filter stands at tc %s, priority %d: remove "
			       "it first",
			       device->entry.name, dir_names[dir], CLSACT_PRIORITY);
	if (ret)
		return fwd_err("\"%s\": can't attach at tc %s: %s", device->entry.name, dir_names[dir], strerror(-ret));
	return FWD_DONE;
}

enum fwd_exit hook_detach(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	char path[PATH_MAX];
	int ret = 0;

	if (device->entry.hook == FWD_HOOK_CLSACT)
		ret = clsact_detach(in, device, dir);
	else if (unlink(pin_path(in, device, dir, path)) && errno != ENOENT)
		ret = -errno;
	return ret ? fwd_err("\"%s\": can't detach from tc %s: %s", device->entry.name, dir_names[dir], strerror(-ret))
		   : FWD_DONE;
}

int hook_rename(const struct instance *in, const struct device *device, enum hook_dir dir, const char *name)
{
	struct device renamed = *device;
	char from[PATH_MAX], to[PATH_MAX];

	if (device->entry.hook != FWD_HOOK_TCX)
		return 0;
	device_set_name(&renamed, name);
	pin_path(in, device, dir, from);
	/* Two devices may have swapped their names: then the other one's pin is not to be lost. */
	if (!access(pin_path(in, &renamed, dir, to), F_OK))
		return -EEXIST;
	return rename(from, to) && errno != ENOENT ? -errno : 0;
}

static __u32 hook_query(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	return device->entry.hook == FWD_HOOK_TCX ? tcx_query(in, device, dir) : clsact_query(in, device, dir);
}

bool hook_is_alive(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	return hook_query(in, device, dir);
}

int hook_program(const struct instance *in, const struct device *device, enum hook_dir dir)
{
	__u32 id = hook_query(in, device, dir);

	return id ? bpf_prog_get_fd_by_id(id) : -1;
}

bool hook_programs_exist(const struct instance *in)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &size))
			info.name[0] = '\0';
		close(fd);
		if (!strcmp(info.name, "fwd_ingress") && hook_program_is_ours(in, id))
			return true;
	}
	return false;
}
