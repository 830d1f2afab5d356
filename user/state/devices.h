/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF map `devices`: the devices of an instance, by ifindex. attach/device.h attaches and detaches them. */
#ifndef FWD_USER_DEVICES_H
#define FWD_USER_DEVICES_H

#include <net/if.h>
#include <stdbool.h>
#include "base/err.h"
#include "fwd/device.h"
#include "state/instance.h"

struct device {
	__u32 ifindex;
	bool live; /* false: it is gone, or in another network namespace, and the ifindex may be another device's */
	struct fwd_device entry;
};

struct device_list {
	size_t count;
	struct device device[FWD_DEVICES_MAX];
};

/* Truncates a name that is too long, which no device has. */
void device_set_name(struct device *device, const char *name);

/* Its programs are those of this fwdctl. */
void device_set_version(struct device *device);

/* By entry.index. Empty if there is no instance. */
void devices_read(const struct instance *in, struct device_list *list);

/* Whether the kernel still has the device, in the network namespace in which it was attached. */
bool device_is_live(const struct instance *in, const struct device *device);

/* Writes the entry, of a device of this network namespace, which is live then. */
enum fwd_exit device_write(const struct instance *in, const struct device *device, struct fwd_report *report);

/* Deletes the entry, if there is one. */
enum fwd_exit device_delete(const struct instance *in, const struct device *device, struct fwd_report *report);

/* The loopback device is attached along with the others and not shown to users. */
bool device_is_loopback(const struct device *device);

/* How many devices there are without the loopback device. */
size_t devices_shown(const struct device_list *list);

/* NULL: not in the list. */
struct device *device_at(struct device_list *list, __u32 ifindex);

/* By its present name, an alternative one included, or else by its name when it was attached, unless another device has
 * that now and the attached one is not gone. NULL: not in the list. */
struct device *device_find(struct device_list *list, const char *name);

/* The present name; of a device that is gone its name when it was attached. */
const char *device_name_now(const struct device *device, char name[IF_NAMESIZE]);

/* "tc", "xdp" or "xdp-generic", and the reason. */
const char *device_mode_name(const struct device *device);
const char *device_mode_reason(const struct device *device);

/* "tcx" or "clsact"; "ethernet" or "ip". */
const char *device_hook_name(const struct device *device);
const char *device_link_name(const struct device *device);

#endif
