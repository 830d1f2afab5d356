/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "state/devices.h"

void device_set_name(struct device *device, const char *name)
{
	memset(device->entry.name, 0, sizeof(device->entry.name));
	memcpy(device->entry.name, name, strnlen(name, sizeof(device->entry.name) - 1));
}

static int by_index(const void *a, const void *b)
{
	return (int)((const struct device *)a)->entry.index - (int)((const struct device *)b)->entry.index;
}

/* False: another process deleted an entry meanwhile. */
static bool read_all(const struct instance *in, struct device_list *list)
{
	__u32 ifindex, *before = NULL;

	list->count = 0;
	while (list->count < FWD_DEVICES_MAX && !map_next(&in->maps, FWD_MAP_DEVICES, before, &ifindex)) {
		struct device *device = &list->device[list->count++];

		device->ifindex = ifindex;
		before = &device->ifindex;
		if (map_read(&in->maps, FWD_MAP_DEVICES, &ifindex, &device->entry))
			return false;
	}
	return true;
}

void devices_read(const struct instance *in, struct device_list *list)
{
	list->count = 0;
	if (!in->exists)
		return;
	while (!read_all(in, list))
		;
	qsort(list->device, list->count, sizeof(list->device[0]), by_index);
}

enum fwd_exit device_write(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	int ret = map_write(&in->maps, FWD_MAP_DEVICES, &device->ifindex, &device->entry);

	if (ret == -E2BIG)
		return report_error(report, ABOUT(.object = device->entry.name),
				    "%d devices are attached already, which is the maximum", FWD_DEVICES_MAX);
	return ret ? report_error(report, ABOUT(.object = device->entry.name), "can't record the device: %s",
				  strerror(-ret))
		   : FWD_DONE;
}

enum fwd_exit device_delete(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	int ret = map_delete(&in->maps, FWD_MAP_DEVICES, &device->ifindex);

	if (!ret || ret == -ENOENT)
		return FWD_DONE;
	return report_error(report, ABOUT(.object = device->entry.name), "can't delete the record of the device: %s",
			    strerror(-ret));
}

bool device_is_loopback(const struct device *device)
{
	return device->ifindex == FWD_LOOPBACK;
}

size_t devices_shown(const struct device_list *list)
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

		/* A name that another device has now means that one, unless the recorded device is gone. */
		if (!strcmp(device->entry.name, name) && (!ifindex || !if_indextoname(device->ifindex, now)))
			return device;
	}
	return NULL;
}

const char *device_name_now(const struct device *device, char name[IF_NAMESIZE])
{
	return if_indextoname(device->ifindex, name) ? name : device->entry.name;
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

const char *device_hook_name(const struct device *device)
{
	return device->entry.hook == FWD_HOOK_TCX ? "tcx" : "clsact";
}

const char *device_link_name(const struct device *device)
{
	return device->entry.link == FWD_LINK_ETHERNET ? "ethernet" : "ip";
}
