/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "attach/device.h"
#include "attach/tc.h"
#include "attach/xdp.h"
#include "host/netdev.h"
#include "view/stats.h"

#define REASON_LIST_SILENT     REASON_LIST_NONE
#define REASON_LIST_PASS       REASON_LIST_PASSES
#define REASON_LIST_DROP       REASON_LIST_DROPS
#define REASON_LIST_ICMP_ERROR REASON_LIST_DROPS /* the packet is dropped, too */

static const struct {
	const char *name;
	enum reason_list list;
	const char *text;
} reasons[] = {
#define X(symbol, value, name, class, text) [value] = {name, REASON_LIST_##class, text},
	FWD_REASONS(X)
#undef X
};

const char *reason_name(enum fwd_reason reason)
{
	return reasons[reason].name;
}

const char *reason_text(enum fwd_reason reason)
{
	return reasons[reason].text;
}

enum reason_list reason_list(enum fwd_reason reason)
{
	return reasons[reason].list;
}

/* Whether all programs are attached that the record names. */
static bool is_complete(const struct instance *in, const struct device *device)
{
	return device_is_attached(in, device) &&
	       (device->entry.mode == FWD_MODE_TC || xdp_mode(in, device) == (enum fwd_mode)device->entry.mode);
}

/* Packets that the device itself has counted since it was attached. */
static __u64 received_since(const struct device *device)
{
	__u64 now;

	if (!device->live || !netdev_received(device->ifindex, &now))
		return 0;
	return now > device->entry.received ? now - device->entry.received : 0;
}

/* Packets arrive, and a program of another tool takes all of them first. The counts alone do not tell: keepalives and
 * handshakes of WireGuard count as received by its device, and never leave the tunnel. */
static bool is_missed(const struct instance *in, const struct device *device, const struct device_snapshot *view)
{
	return view->attached && view->received && !view->stats.packets &&
	       (tc_has_earlier(in, device) || xdp_has_foreign(in, device));
}

/* Returns 0 or a negative errno. */
static int read_device(const struct instance *in, const struct device *device, struct device_snapshot *view)
{
	char name[IF_NAMESIZE];
	int ret;

	*view = (struct device_snapshot){
		.mode = device_mode_name(device),
		.mode_reason = device_mode_reason(device),
		.link = device_link_name(device),
		.hook = device_hook_name(device),
		.xdp = device->entry.mode != FWD_MODE_TC,
		.attached = is_complete(in, device),
		.received = received_since(device),
	};
	snprintf(view->name, sizeof(view->name), "%s", device_name_now(device, name));
	snprintf(view->version, sizeof(view->version), "%s", device->entry.version);
	ret = map_sum(&in->maps, FWD_MAP_DEVICE_STATS, device->entry.index, sizeof(view->stats) / sizeof(__u64),
		      (__u64 *)&view->stats);
	view->missed = is_missed(in, device, view);
	return ret;
}

static enum fwd_exit read_instance(const struct instance *in, struct stats_snapshot *stats, struct fwd_report *report)
{
	struct device_list list;
	int ret = 0;

	devices_read(in, &list);
	for (size_t i = 0; !ret && i < list.count; i++)
		if (!device_is_loopback(&list.device[i]))
			ret = read_device(in, &list.device[i], &stats->device[stats->devices++]);
	stats->connections = in->meta.connections;
	stats->half_open = in->meta.half_open;
	stats->memory = maps_memory(&in->maps);
	if (!ret)
		ret = map_sum(&in->maps, FWD_MAP_COUNTERS, 0, FWD_COUNTER_MAX, stats->counters.value);
	for (__u32 i = 0; !ret && i < FWD_REASON_MAX; i++)
		ret = map_sum(&in->maps, FWD_MAP_REASONS, i, 1, &stats->reasons[i]);
	return ret ? report_error(report, ABOUT(.fix = errno_fix(-ret)), "can't read the counters: %s", strerror(-ret))
		   : FWD_DONE;
}

enum fwd_exit stats_read(const char *pin_dir, struct stats_snapshot *stats, struct fwd_report *report)
{
	struct instance in;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_READ, report);

	*stats = (struct stats_snapshot){.connections = FWD_DEFAULT_CONNECTIONS, .half_open = FWD_DEFAULT_HALF_OPEN};
	if (!ret && in.exists)
		ret = read_instance(&in, stats, report);
	instance_close(&in);
	return ret;
}

__u64 stats_active(const struct stats_snapshot *stats)
{
	__u64 created = stats->counters.value[FWD_COUNTER_CREATED], ended = counters_of_ends(&stats->counters);

	/* The CPUs are read one after the other, so the end of a connection may be seen without its beginning. */
	return created > ended ? created - ended : 0;
}

static json_t *devices_json(const struct stats_snapshot *stats)
{
	json_t *array = json_array();

	for (size_t i = 0; i < stats->devices; i++) {
		const struct device_snapshot *view = &stats->device[i];

		json_array_append_new(array, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:s,s:b,s:s}", "name", view->name,
						       "mode", view->mode, "mode_reason", view->mode_reason, "l2",
						       view->link, "packets", (json_int_t)view->stats.packets,
						       "xdp_packets", (json_int_t)view->stats.xdp_packets, "received",
						       (json_int_t)view->received, "hook", view->hook, "attached",
						       view->attached, "version", view->version));
	}
	return array;
}

static json_t *connections_json(const struct stats_snapshot *stats)
{
	json_t *object = json_pack("{s:I,s:I,s:I,s:I}", "active", (json_int_t)stats_active(stats), "limit",
				   (json_int_t)stats->connections, "half_open_limit", (json_int_t)stats->half_open,
				   "memory", (json_int_t)stats->memory);

#define X(symbol, index, name, text) \
	json_object_set_new(object, name, json_integer((json_int_t)stats->counters.value[index]));
	FWD_COUNTERS(X)
#undef X
	return object;
}

static json_t *reasons_json(const struct stats_snapshot *stats, enum reason_list list)
{
	json_t *object = json_object();

	for (int i = 0; i < FWD_REASON_MAX; i++)
		if (reason_list(i) == list)
			json_object_set_new(object, reason_name(i), json_integer(stats->reasons[i]));
	return object;
}

json_t *stats_json(const struct stats_snapshot *stats)
{
	return json_pack("{s:o,s:o,s:o,s:o}", "devices", devices_json(stats), "connections", connections_json(stats),
			 "drops", reasons_json(stats, REASON_LIST_DROPS), "passes",
			 reasons_json(stats, REASON_LIST_PASSES));
}
