/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "state/devices.h"
#include "attach/tc.h"
#include "attach/xdp.h"

void device_set_name(struct device *device, const char *name)
{
	memset(device->entry.name, 0, sizeof(device->entry.name));
	memcpy(device->entry.name, name, strnlen(name, sizeof(device->entry.name) - 1));
}

static int by_place(const void *a, const void *b)
{
	return (int)((const struct device *)a)->entry.index - (int)((const struct device *)b)->entry.index;
}

enum fwd_exit devices_read(const struct instance *in, struct device_list *list)
{
	__u32 ifindex, *before = NULL;

	list->count = 0;
	if (!in->exists)
		return FWD_DONE;
	while (list->count < FWD_DEVICES_MAX && !map_next(&in->maps, FWD_MAP_DEVICES, before, &ifindex)) {
		struct device *device = &list->device[list->count];

		device->ifindex = ifindex;
		before = &device->ifindex;
		/* Another process may have detached it since. */
		if (!map_read(&in->maps, FWD_MAP_DEVICES, &ifindex, &device->entry))
			list->count++;
		else
			return devices_read(in, list);
	}
	qsort(list->device, list->count, sizeof(list->device[0]), by_place);
	return FWD_DONE;
}

bool device_is_loopback(const struct device *device)
{
	return device->ifindex == FWD_LOOPBACK;
}

const char *device_mode_name(const struct device *device)
{
	switch ((enum fwd_mode)device->entry.mode) {
	case FWD_MODE_XDP:
		return "xdp";
	case FWD_MODE_XDP_GENERIC:
		return "xdp-generic";
	default:
		return "tc";
	}
}

const char *device_mode_reason(const struct device *device)
{
	static const char *const texts[FWD_MODE_REASON_MAX] = {
#define X(symbol, value, text) [FWD_MODE_REASON_##symbol] = text,
		FWD_MODE_REASONS(X)
#undef X
	};

	return device->entry.mode_reason < FWD_MODE_REASON_MAX ? texts[device->entry.mode_reason] : "";
}

size_t devices_named(const struct device_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += !device_is_loopback(&list->device[i]);
	return count;
}

struct device *device_at(struct device_list *list, __u32 ifindex)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->device[i].ifindex == ifindex)
			return &list->device[i];
	return NULL;
}

struct device *device_find(struct device_list *list, const char *name)
{
	__u32 ifindex = if_nametoindex(name);
	struct device *found = device_at(list, ifindex);

	if (found)
		return found;
	for (size_t i = 0; i < list->count; i++) {
		struct device *device = &list->device[i];
		char now[IF_NAMESIZE];

		/* An old name that another device has now means that one, unless ours is gone. */
		if (!strcmp(device->entry.name, name) && (!ifindex || !if_indextoname(device->ifindex, now)))
			return device;
	}
	return NULL;
}

const char *device_name_now(const struct device *device, char name[IF_NAMESIZE])
{
	return if_indextoname(device->ifindex, name) ? name : device->entry.name;
}

bool device_is_alive(const struct instance *in, const struct device *device)
{
	return hook_is_alive(in, device, HOOK_INGRESS) && hook_is_alive(in, device, HOOK_EGRESS);
}

enum fwd_exit device_write(const struct instance *in, const struct device *device)
{
	int ret = map_write(&in->maps, FWD_MAP_DEVICES, &device->ifindex, &device->entry);

	if (ret == -E2BIG)
		return fwd_err("\"%s\": %d devices are attached already, which is the most", device->entry.name,
			       FWD_DEVICES_MAX);
	return ret ? fwd_err("\"%s\": can't note the device: %s", device->entry.name, strerror(-ret)) : FWD_DONE;
}

enum fwd_exit device_detach(const struct instance *in, const struct device *device)
{
	int ret;

	if (xdp_detach(in, device) || hook_detach(in, device, HOOK_INGRESS) || hook_detach(in, device, HOOK_EGRESS))
		return FWD_NOT_DONE;
	ret = map_delete(&in->maps, FWD_MAP_DEVICES, &device->ifindex);
	return ret && ret != -ENOENT
		       ? fwd_err("\"%s\": can't forget the device: %s", device->entry.name, strerror(-ret))
		       : FWD_DONE;
}

static enum fwd_exit device_rename(const struct instance *in, struct device *device, const char *name)
{
	if (!strcmp(device->entry.name, name))
		return FWD_DONE;
	if (hook_rename(in, device, HOOK_INGRESS, name) || hook_rename(in, device, HOOK_EGRESS, name))
		return fwd_err("\"%s\": was attached when it was called %s, and another device has "
			       "taken its place: fwdctl detach, then attach all again",
			       name, device->entry.name);
	device_set_name(device, name);
	return device_write(in, device);
}

enum fwd_exit devices_refresh(const struct instance *in, struct device_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct device *device = &list->device[i];
		char name[IF_NAMESIZE];

		if (!if_indextoname(device->ifindex, name)) {
			fwd_say("%s: is gone", device->entry.name);
			if (device_detach(in, device))
				return FWD_NOT_DONE;
			continue;
		}
		if (device_rename(in, device, name))
			return FWD_NOT_DONE;
		list->device[kept++] = *device;
	}
	list->count = kept;
	return FWD_DONE;
}

enum fwd_exit device_attach(const struct instance *in, const struct device *device, int ingress_fd, int egress_fd)
{
	if (hook_attach(in, device, HOOK_EGRESS, egress_fd))
		return FWD_NOT_DONE;
	return hook_attach(in, device, HOOK_INGRESS, ingress_fd);
}

enum fwd_exit devices_check_netns(const struct instance *in, const struct device_list *list, bool *foreign)
{
	__u64 dev, ino;

	instance_this_netns(&dev, &ino);
	*foreign = in->exists && in->meta.netns_ino && (in->meta.netns_dev != dev || in->meta.netns_ino != ino);
	for (size_t i = 0; *foreign && i < list->count; i++) {
		const struct device *device = &list->device[i];

		/* A filter can't be seen from outside its namespace. */
		if (device->entry.hook == FWD_HOOK_CLSACT ? hook_programs_exist(in) : device_is_alive(in, device))
			return fwd_err("this instance belongs to another network namespace, where "
				       "\"%s\" is attached: nsenter --net=/run/netns/NAME, or use "
				       "--pin-dir for one of its own",
				       device->entry.name);
	}
	return FWD_DONE;
}

void device_programs(const struct instance *in, const struct device *device, int *ingress_fd, int *egress_fd)
{
	*ingress_fd = hook_program(in, device, HOOK_INGRESS);
	*egress_fd = hook_program(in, device, HOOK_EGRESS);
}

int devices_sweep_clsact(const struct instance *in)
{
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct device device = {.ifindex = i->if_index};

		device.entry.hook = FWD_HOOK_CLSACT;
		device_set_name(&device, i->if_name);
		for (int dir = HOOK_INGRESS; dir <= HOOK_EGRESS; dir++)
			if (hook_is_alive(in, &device, dir) && !hook_detach(in, &device, dir))
				count++;
	}
	if_freenameindex(all);
	return count;
}
