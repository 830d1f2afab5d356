/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "state/devices.h"
#include "cli/command.h"
#include "state/instance.h"
#include "cli/output.h"
#include "attach/xdp.h"

/* All that `stats` shows, read in one go. */
struct stats {
	struct device_list devices;
	bool attached[FWD_DEVICES_MAX]; /* by place in the list */
	struct fwd_device_stats seen[FWD_DEVICES_MAX];
	struct fwd_counters counters;
	__u64 reasons[FWD_REASON_MAX];
	__u32 connections;
	__u32 half_open;
	__u64 memory; /* bytes, of all maps */
};

/* Where users look for a reason; by the names of the classes in FWD_REASONS. */
enum shown {
	SHOWN_SILENT,
	SHOWN_PASS,
	SHOWN_DROP,
	SHOWN_ICMP_ERROR = SHOWN_DROP, /* it is gone, too */
};

static const struct {
	const char *name;
	enum shown shown;
	const char *text;
} reasons[] = {
#define X(symbol, value, name, class, text) {name, SHOWN_##class, text},
	FWD_REASONS(X)
#undef X
};

static const char *hook_name(const struct device *device)
{
	return device->entry.hook == FWD_HOOK_TCX ? "tcx" : "clsact";
}

static const char *link_name(const struct device *device)
{
	return device->entry.link == FWD_LINK_ETHERNET ? "ethernet" : "ip";
}

static enum fwd_exit read_devices(const struct instance *in, struct stats *stats)
{
	struct device_list all;

	if (devices_read(in, &all))
		return FWD_NOT_DONE;
	for (size_t n = 0; n < all.count; n++) {
		const struct device *device = &all.device[n];
		size_t i = stats->devices.count;

		if (device_is_loopback(device))
			continue;
		stats->devices.device[stats->devices.count++] = *device;

		stats->attached[i] =
			device_is_alive(in, device) && (device->entry.mode == FWD_MODE_TC ||
							xdp_mode(in, device) == (enum fwd_mode)device->entry.mode);
		map_sum(&in->maps, FWD_MAP_DEVICE_STATS, device->entry.index, sizeof(stats->seen[i]) / sizeof(__u64),
			(__u64 *)&stats->seen[i]);
	}
	return FWD_DONE;
}

static enum fwd_exit read_stats(const char *dir, struct stats *stats)
{
	enum fwd_exit ret = FWD_NOT_DONE;
	struct instance in;

	*stats = (struct stats){.connections = FWD_DEFAULT_CONNECTIONS, .half_open = FWD_DEFAULT_HALF_OPEN};
	if (instance_open(&in, dir, INSTANCE_READ) || read_devices(&in, stats))
		goto out;
	ret = FWD_DONE;
	if (!in.exists)
		goto out;
	stats->connections = in.meta.connections;
	stats->half_open = in.meta.half_open;
	stats->memory = maps_memory(&in.maps);
	map_sum(&in.maps, FWD_MAP_COUNTERS, 0, sizeof(stats->counters) / sizeof(__u64), (__u64 *)&stats->counters);
	for (__u32 i = 0; i < FWD_REASON_MAX; i++)
		map_sum(&in.maps, FWD_MAP_REASONS, i, 1, &stats->reasons[i]);
out:
	instance_close(&in);
	return ret;
}

static __u64 active(const struct fwd_counters *c)
{
	return c->value[FWD_COUNTER_CREATED] > c->value[FWD_COUNTER_ENDED]
		       ? c->value[FWD_COUNTER_CREATED] - c->value[FWD_COUNTER_ENDED]
		       : 0;
}

static json_t *reasons_json(const struct stats *stats, enum shown shown)
{
	json_t *object = json_object();

	for (int i = 0; i < FWD_REASON_MAX; i++)
		if (reasons[i].shown == shown)
			json_object_set_new(object, reasons[i].name, json_integer(stats->reasons[i]));
	return object;
}

static json_t *devices_json(const struct stats *stats)
{
	json_t *array = json_array();

	for (size_t i = 0; i < stats->devices.count; i++) {
		const struct device *device = &stats->devices.device[i];
		char name[IF_NAMESIZE];

		json_array_append_new(array, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:b}", "name",
						       device_name_now(device, name), "mode", device_mode_name(device),
						       "mode_reason", device_mode_reason(device), "l2",
						       link_name(device), "packets", (json_int_t)stats->seen[i].packets,
						       "xdp_packets", (json_int_t)stats->seen[i].xdp_packets, "hook",
						       hook_name(device), "attached", stats->attached[i]));
	}
	return array;
}

static enum fwd_exit print_json(const struct stats *stats)
{
	const struct fwd_counters *c = &stats->counters;
	json_t *connections =
		json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "active", (json_int_t)active(c), "created",
			  (json_int_t)c->value[FWD_COUNTER_CREATED], "expired",
			  (json_int_t)c->value[FWD_COUNTER_EXPIRED], "failed", (json_int_t)c->value[FWD_COUNTER_FAILED],
			  "evicted", (json_int_t)c->value[FWD_COUNTER_EVICTED], "limit", (json_int_t)stats->connections,
			  "half_open_limit", (json_int_t)stats->half_open, "memory", (json_int_t)stats->memory);

	return json_print(json_pack("{s:o,s:o,s:o,s:o}", "devices", devices_json(stats), "connections", connections,
				    "drops", reasons_json(stats, SHOWN_DROP), "passes",
				    reasons_json(stats, SHOWN_PASS)));
}

static void print_reasons(const struct stats *stats, enum shown shown, const char *title)
{
	printf("%s\n", title);
	for (int i = 0; i < FWD_REASON_MAX; i++)
		if (reasons[i].shown == shown)
			printf("  %-18s %12llu  %s\n", reasons[i].name, stats->reasons[i], reasons[i].text);
}

static void print_text(const struct stats *stats)
{
	const struct fwd_counters *c = &stats->counters;
	char memory[HUMAN_TEXT];

	puts("devices");
	for (size_t i = 0; i < stats->devices.count; i++) {
		const struct device *device = &stats->devices.device[i];
		bool xdp = device->entry.mode != FWD_MODE_TC;
		char name[IF_NAMESIZE];

		printf("  %-18s %12llu  packets seen; %s%s (%s), %s%s\n", device_name_now(device, name),
		       stats->seen[i].packets, xdp ? device_mode_name(device) : "", xdp ? " and tc" : "tc",
		       hook_name(device), link_name(device),
		       stats->attached[i] ? "" : "; NOT ATTACHED any more: fwdctl attach");
		if (xdp)
			printf("  %-18s %12llu  of them forwarded by XDP\n", "", stats->seen[i].xdp_packets);
		printf("  %-18s %12s  %s: %s\n", "", "", device_mode_name(device), device_mode_reason(device));
	}
	if (!stats->devices.count)
		puts("  none is attached: fwdctl attach");
	puts("connections");
	printf("  %-18s %12llu  of %u, and %u half-open ones (%s)\n", "active", active(c), stats->connections,
	       stats->half_open, human_bytes(stats->memory, memory));
	printf("  %-18s %12llu\n", "created", c->value[FWD_COUNTER_CREATED]);
	printf("  %-18s %12llu  ended by their timeout\n", "expired", c->value[FWD_COUNTER_EXPIRED]);
	printf("  %-18s %12llu  refused for want of a port or of room\n", "failed", c->value[FWD_COUNTER_FAILED]);
	printf("  %-18s %12llu  half-open, pushed out by newer ones\n", "evicted", c->value[FWD_COUNTER_EVICTED]);
	print_reasons(stats, SHOWN_DROP, "dropped");
	print_reasons(stats, SHOWN_PASS, "passed to the stack");
}

enum fwd_exit cmd_stats(const struct args *args)
{
	bool json = args->option[OPT_JSON], watch = args->option[OPT_WATCH];
	enum fwd_exit ret;

	do {
		struct stats stats;

		ret = read_stats(args->pin_dir, &stats);
		if (ret)
			break;
		if (watch && !json && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		if (json)
			ret = print_json(&stats);
		else
			print_text(&stats);
		if (watch && !json && !isatty(STDOUT_FILENO))
			putchar('\n');
		if (!ret && watch)
			ret = output_check();
	} while (!ret && watch && !sleep(1));
	return ret;
}
