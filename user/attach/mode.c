/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "host/iface.h"
#include "attach/mode.h"
#include "host/netdev.h"

enum fwd_exit mode_parse(const char *text, enum mode_wish *wish)
{
	static const char *const names[] = {
		[WISH_AUTO] = "auto",
		[WISH_TC] = "tc",
		[WISH_XDP] = "xdp",
		[WISH_XDP_GENERIC] = "xdp-generic",
	};

	*wish = WISH_NONE;
	for (int i = WISH_AUTO; text && i <= WISH_XDP_GENERIC; i++)
		if (!strcmp(text, names[i]))
			*wish = i;
	return !text || *wish ? FWD_DONE : fwd_usage("--mode: \"%s\": it is auto, tc, xdp or xdp-generic", text);
}

bool mode_is_veth(const char *name)
{
	char driver[32];

	return iface_driver(name, driver, sizeof(driver)) && !strcmp(driver, "veth");
}

int mode_candidates(const struct device_list *list, const struct args *args)
{
	enum fwd_link link;
	int count = 0;

	for (int i = 0; i < args->count; i++)
		count += !iface_link(args->word[i], &link) && link == FWD_LINK_ETHERNET && !mode_is_veth(args->word[i]);
	for (size_t i = 0; i < list->count; i++) {
		bool named = false;

		for (int j = 0; j < args->count; j++)
			named |= if_nametoindex(args->word[j]) == list->device[i].ifindex;
		count += !named && list->device[i].entry.mode == FWD_MODE_XDP;
	}
	return count;
}

/* Does the queueing discipline only queue? What XDP sends goes past it. */
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

/* By itself XDP is chosen only where it can do something, and nothing else is lost by it: to attach it may reset
 * the device, or take its receive offloads from it, which tc and the tunnel live on. */
static enum fwd_mode_reason judge_for_xdp(const struct device *device, int candidates)
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
	if (iface_takes_vlan_tags(device->entry.name))
		return FWD_MODE_REASON_VLAN;
	return has_plain_qdisc(device->ifindex) ? FWD_MODE_REASON_NATIVE : FWD_MODE_REASON_QDISC;
}

static void choose_auto(struct device *device, int candidates)
{
	device->entry.mode_reason = judge_for_xdp(device, candidates);
	device->entry.mode = device->entry.mode_reason == FWD_MODE_REASON_NATIVE ? FWD_MODE_XDP : FWD_MODE_TC;
}

/* Whoever asks for XDP decides all but this: frames of another VLAN would count as the device's own. */
static enum fwd_exit check_asked(const struct device *device)
{
	const char *name = device->entry.name;

	if (device->entry.mode != FWD_MODE_XDP || mode_is_veth(name) || !iface_takes_vlan_tags(name))
		return FWD_DONE;
	return fwd_err("\"%s\": takes VLAN tags off before XDP could see them: ethtool -K %s rxvlan off, or "
		       "use --mode tc",
		       name, name);
}

enum fwd_exit mode_choose(struct device *device, bool known, enum mode_wish wish, int candidates)
{
	struct fwd_device *entry = &device->entry;
	bool asked = known && entry->mode_reason == FWD_MODE_REASON_ASKED;

	if (wish == WISH_NONE && asked && entry->link == FWD_LINK_ETHERNET)
		return check_asked(device);
	entry->mode_reason = FWD_MODE_REASON_ASKED;
	entry->mode = FWD_MODE_TC;
	if (wish == WISH_TC)
		return FWD_DONE;
	if (entry->link != FWD_LINK_ETHERNET || device_is_loopback(device))
		entry->mode_reason = FWD_MODE_REASON_LINK;
	else if (wish == WISH_NONE || wish == WISH_AUTO)
		choose_auto(device, candidates);
	else
		entry->mode = wish == WISH_XDP ? FWD_MODE_XDP : FWD_MODE_XDP_GENERIC;
	return check_asked(device);
}
