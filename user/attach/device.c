/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include "attach/device.h"
#include "attach/tc.h"
#include "attach/xdp.h"
#include "host/iface.h"

enum fwd_exit device_attach(const struct instance *in, const struct device *device, int ingress_fd, int egress_fd,
			    struct fwd_report *report)
{
	enum fwd_exit ret = tc_attach(in, device, TC_EGRESS, egress_fd, report);

	return ret ? ret : tc_attach(in, device, TC_INGRESS, ingress_fd, report);
}

enum fwd_exit device_detach(const struct instance *in, const struct device *device, struct fwd_report *report)
{
	if (xdp_detach(in, device, report) || tc_detach(in, device, TC_INGRESS, report) ||
	    tc_detach(in, device, TC_EGRESS, report))
		return FWD_NOT_DONE;
	return device_delete(in, device, report);
}

void device_programs(const struct instance *in, const struct device *device, int *ingress_fd, int *egress_fd)
{
	*ingress_fd = tc_program(in, device, TC_INGRESS);
	*egress_fd = tc_program(in, device, TC_EGRESS);
}

bool device_is_attached(const struct instance *in, const struct device *device)
{
	return device_is_live(in, device) && tc_is_attached(in, device, TC_INGRESS) &&
	       tc_is_attached(in, device, TC_EGRESS);
}

static enum fwd_exit follow_name(const struct instance *in, struct device *device, const char *name,
				 struct fwd_report *report)
{
	if (!strcmp(device->entry.name, name))
		return FWD_DONE;
	if (tc_rename(in, device, TC_INGRESS, name) || tc_rename(in, device, TC_EGRESS, name))
		return report_error(report,
				    ABOUT(.object = name, .fix = "fwdctl detach, then attach all devices again"),
				    "was called %s when it was attached, and another attached device was called %s",
				    device->entry.name, name);
	device_set_name(device, name);
	return device_write(in, device, report);
}

enum fwd_exit devices_refresh(const struct instance *in, struct device_list *list, struct fwd_report *report)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct device *device = &list->device[i];
		char name[IF_NAMESIZE];
		bool found = device->live && if_indextoname(device->ifindex, name);
		int error = device->live && !found ? iface_lookup_error() : ENODEV;

		if (error != ENODEV)
			return report_error(report, ABOUT(.object = device->entry.name, .fix = errno_fix(error)),
					    "can't be looked up: %s", strerror(error));
		if (!found) {
			report_progress(report, ABOUT(.object = device->entry.name),
					"is gone, or in another network namespace: detached");
			if (device_detach(in, device, report))
				return FWD_NOT_DONE;
			continue;
		}
		if (follow_name(in, device, name, report))
			return FWD_NOT_DONE;
		list->device[kept++] = *device;
	}
	list->count = kept;
	return FWD_DONE;
}

/* A clsact filter cannot be seen from outside its namespace, but that its program is loaded can. */
static bool is_attached_elsewhere(const struct instance *in, const struct device *device)
{
	if (device->entry.hook == FWD_HOOK_CLSACT)
		return device_is_live(in, device) && tc_any_program_loaded(in);
	return device_is_attached(in, device);
}

enum fwd_exit devices_check_netns(const struct instance *in, const struct device_list *list, bool *foreign,
				  struct fwd_report *report)
{
	*foreign = instance_is_foreign(in);
	for (size_t i = 0; *foreign && i < list->count; i++)
		if (is_attached_elsewhere(in, &list->device[i]))
			return report_error(report,
					    ABOUT(.object = list->device[i].entry.name,
						  .fix = "nsenter --net=/run/netns/NAME, or use --pin-dir for another "
							 "instance"),
					    "is attached in another network namespace, which this instance belongs to");
	return FWD_DONE;
}

int devices_detach_clsact(const struct instance *in)
{
	struct fwd_report nowhere = report_nowhere();
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		struct device device = {.ifindex = i->if_index};

		device.entry.hook = FWD_HOOK_CLSACT;
		device_set_name(&device, i->if_name);
		for (int dir = TC_INGRESS; dir <= TC_EGRESS; dir++)
			if (tc_is_attached(in, &device, dir) && !tc_detach(in, &device, dir, &nowhere))
				count++;
	}
	if_freenameindex(all);
	return count;
}
