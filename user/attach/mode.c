/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "attach/mode.h"
#include "base/word.h"
#include "host/iface.h"
#include "host/netdev.h"

enum fwd_exit mode_parse(const char *text, enum mode_request *request, struct fwd_report *report)
{
	static const char *const names[] = {"auto", "tc", "xdp", "xdp-generic"};
	int found;

	*request = MODE_REQUEST_NONE;
	if (!text)
		return FWD_DONE;
	found = word_find(text, names, 4);
	if (found < 0)
		return report_unknown(report, ABOUT(.option = "--mode", .object = text), "mode", names, 4);
	*request = MODE_REQUEST_AUTO + found;
	return FWD_DONE;
}

bool mode_is_veth(const char *name)
{
	char driver[32];

	return iface_driver(name, driver, sizeof(driver)) && !strcmp(driver, "veth");
}

static bool is_ethernet(const char *name)
{
	struct fwd_report nowhere = report_nowhere();
	enum fwd_link link;

	return !iface_link(name, &link, &nowhere) && link == FWD_LINK_ETHERNET;
}

int mode_candidates(const struct device_list *attached, const char *const *names, size_t count)
{
	int candidates = 0;

	for (size_t i = 0; i < count; i++)
		candidates += is_ethernet(names[i]) && !mode_is_veth(names[i]);
	for (size_t i = 0; i < attached->count; i++) {
		bool named = false;

		for (size_t j = 0; j < count; j++)
			named |= if_nametoindex(names[j]) == attached->device[i].ifindex;
		candidates += !named && attached->device[i].entry.mode == FWD_MODE_XDP;
	}
	return candidates;
}

/* Whether the root qdisc neither shapes nor classifies, because frames that XDP sends bypass it. */
static bool has_plain_qdisc(__u32 ifindex)
{
	static const char *const plain[] = {"noqueue", "noop", "mq", "pfifo_fast", "fq_codel", "fq"};
	char name[32];

	if (!netdev_qdisc(ifindex, name, sizeof(name)))
		return false;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strcmp(name, plain[i]))
			return true;
	return false;
}

/* auto chooses XDP only where it can forward something and nothing is lost by it: attaching may reset the device, or
 * turn off its receive offloads, which tc and the tunnel need for their throughput. */
static enum fwd_mode_reason check_for_xdp(const struct device *device, int candidates)
{
	const __u64 needed = NETDEV_XDP_BASIC | NETDEV_XDP_REDIRECT;
	__u64 features;

	if (mode_is_veth(device->entry.name))
		return FWD_MODE_REASON_VETH;
	if (candidates < 2)
		return FWD_MODE_REASON_ALONE;
	if (!netdev_xdp_features(device->ifindex, &features))
		return FWD_MODE_REASON_UNKNOWN;
	if ((features & needed) != needed)
		return FWD_MODE_REASON_REFUSED;
	if (iface_strips_vlan_tags(device->entry.name))
		return FWD_MODE_REASON_VLAN;
	return has_plain_qdisc(device->ifindex) ? FWD_MODE_REASON_NATIVE : FWD_MODE_REASON_QDISC;
}

static void choose_auto(struct device *device, int candidates)
{
	device->entry.mode_reason = check_for_xdp(device, candidates);
	device->entry.mode = device->entry.mode_reason == FWD_MODE_REASON_NATIVE ? FWD_MODE_XDP : FWD_MODE_TC;
}

/* The one thing that a request for XDP cannot overrule: frames of another VLAN would count as the device's own. */
static enum fwd_exit check_vlan(const struct device *device, struct fwd_report *report)
{
	const char *name = device->entry.name;
	char fix[FWD_FIX_TEXT];

	if (device->entry.mode != FWD_MODE_XDP || mode_is_veth(name) || !iface_strips_vlan_tags(name))
		return FWD_DONE;
	snprintf(fix, sizeof(fix), "ethtool -K %s rxvlan off, or use --mode tc", name);
	return report_error(report, ABOUT(.object = name, .fix = fix), "removes VLAN tags before XDP sees them");
}

enum fwd_exit mode_choose(struct device *device, bool known, enum mode_request request, int candidates,
			  struct fwd_report *report)
{
	struct fwd_device *entry = &device->entry;
	bool requested = known && entry->mode_reason == FWD_MODE_REASON_ASKED;

	if (request == MODE_REQUEST_NONE && requested && entry->link == FWD_LINK_ETHERNET)
		return check_vlan(device, report);
	entry->mode_reason = FWD_MODE_REASON_ASKED;
	entry->mode = FWD_MODE_TC;
	if (request == MODE_REQUEST_TC)
		return FWD_DONE;
	if (entry->link != FWD_LINK_ETHERNET || device_is_loopback(device))
		entry->mode_reason = FWD_MODE_REASON_LINK;
	else if (request == MODE_REQUEST_NONE || request == MODE_REQUEST_AUTO)
		choose_auto(device, candidates);
	else
		entry->mode = request == MODE_REQUEST_XDP ? FWD_MODE_XDP : FWD_MODE_XDP_GENERIC;
	return check_vlan(device, report);
}
