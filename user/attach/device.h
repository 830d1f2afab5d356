/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of a device, at all hooks together, and its record. */
#ifndef FWD_USER_DEVICE_H
#define FWD_USER_DEVICE_H

#include <stdbool.h>
#include "base/err.h"
#include "state/devices.h"
#include "state/instance.h"

/* Attaches the tc programs, egress first, or replaces those that are attached without losing a packet. After a
 * failure one of them may be replaced and the other not. */
enum fwd_exit device_attach(const struct instance *in, const struct device *device, int ingress_fd, int egress_fd,
			    struct fwd_report *report);

/* Detaches all programs, XDP and ingress first, and deletes the record. */
enum fwd_exit device_detach(const struct instance *in, const struct device *device, struct fwd_report *report);

/* The tc programs: file descriptors to close, -1 where there is none. */
void device_programs(const struct instance *in, const struct device *device, int *ingress_fd, int *egress_fd);

/* Whether both tc programs are attached; false once the device is gone or in another network namespace. */
bool device_is_attached(const struct instance *in, const struct device *device);

/* Detaches devices that are gone, or in another network namespace, and follows renamed ones. */
enum fwd_exit devices_refresh(const struct instance *in, struct device_list *list, struct fwd_report *report);

/* Fails if the devices are attached in another network namespace. *foreign: the instance is another namespace's, and no
 * device of it is attached any more. */
enum fwd_exit devices_check_netns(const struct instance *in, const struct device_list *list, bool *foreign,
				  struct fwd_report *report);

/* For purge, which cannot rely on the records: detaches all clsact filters that use a map of this instance from all
 * devices of this network namespace. Returns their number. */
int devices_detach_clsact(const struct instance *in);

#endif
