/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "state/devices.h"
#include "version.h"

void device_set_name(struct device *device, const char *name)
{
	memset(device->entry.name, 0, sizeof(device->entry.name));
	memcpy(device->entry.name, name, strnlen(name, sizeof(device->entry.name) - 1));
}

void device_set_version(struct device *device)
{
	snprintf(device->entry.version, sizeof(device->entry.version), "%s", FWD_VERSION);
}

static int by_index(const void *a, const void *b)
{
	return (int)((const struct device *)a)->entry.index - (int)((const struct device *)b)->entry.index;
}

bool device_is_live(const struct instance *in, const struct device *device)
{
	__u32 ifindex;

	return !map_read(&in->maps, FWD_MAP_LIVE_DEVICES, &device->ifindex, &ifindex);
}

static void read_one(const struct instance *in, struct device_list *list, __u32 ifindex)
{
	struct device *device = &list->device[list->count];

	if (list->count == FWD_DEVICES_MAX || device_at(list, ifindex))
		return;
	device->ifindex = ifindex;
	if (map_read(&in->maps, FWD_MAP_DEVICES, &ifindex, &device->entry))
		return;
	device->live = device_is_live(in, device);
	list->count++;
}

/* The key after one that another process has deleted meanwhile is the first again (kernel/bpf/hashtab.c,
 * htab_map_get_next_key()). The walk has a limit, because that may happen any number of times. */
void devices_read(const struct instance *in, struct device_list *list)
{
	__u32 ifindex, before, *from = NULL;

	list->count = 0;
	for (int i = 0; in->exists && i < 4 * FWD_DEVICES_MAX; i++) {
		if (map_next(&in->maps, FWD_MAP_DEVICES, from, &ifindex))
			break;
		read_one(in, list, ifindex);
		before = ifindex;
		from = &before;
	}
	qsort(list->device, list->count, sizeof(list->device[0]), by_index);
}

enum fwd_exit device_write(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	int ret = map_write(&in->maps, FWD_MAP_DEVICES, &device->ifindex, &device->entry);

	if (!ret)
		ret = map_write(&in->maps, FWD_MAP_LIVE_DEVICES, &device->ifindex, &device->ifindex);
	if (ret == -E2BIG)
		return report_error(report, ABOUT(.object = device->entry.name),
				    "%d devices are attached already, which is the maximum", FWD_DEVICES_MAX);
	return ret ? report_error(report, ABOUT(.object = device->entry.name), "can't record the device: %s",
				  strerror(-ret))
		   : FWD_DONE;
}

enum fwd_exit device_delete(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	int ret;

	map_delete(&in->maps, FWD_MAP_LIVE_DEVICES, &device->ifindex); /* the kernel may have done so */
	ret = map_delete(&in->maps, FWD_MAP_DEVICES, &device->ifindex);
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
	/* if_nametoindex() takes an alias ("eth0:1") as the device. */
	__u32 ifindex = strchr(name, ':') ? 0 : if_nametoindex(name);
	struct device *found = device_at(list, ifindex);

	if (found && found->live)
		return found;
	/* A name that another device has now means that one, unless the recorded device is gone. */
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->device[i].entry.name, name) && (!ifindex || !list->device[i].live))
			return &list->device[i];
	return NULL;
}

const char *device_name_now(const struct device *device, char name[IF_NAMESIZE])
{
	return device->live && if_indextoname(device->ifindex, name) ? name : device->entry.name;
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
