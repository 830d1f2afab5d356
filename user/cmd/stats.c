/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/output.h"
#include "view/stats.h"

#define ROW "  %-18s %12llu"

static void print_device(const struct device_snapshot *device)
{
	printf(ROW "  packets seen; %s%s (%s), %s%s\n", device->name, device->stats.packets,
	       device->xdp ? device->mode : "", device->xdp ? " and tc" : "tc", device->hook, device->link,
	       device->attached ? "" : "; NOT ATTACHED any more: fwdctl attach");
	if (device->missed)
		printf(ROW "  received by the device meanwhile: another program takes them first\n", "",
		       device->received);
	if (device->xdp)
		printf(ROW "  of these forwarded by XDP\n", "", device->stats.xdp_packets);
	printf("  %-18s %12s  %s: %s\n", "", "", device->mode, device->mode_reason);
	printf("  %-18s %12s  fwdctl %s\n", "", "", device->version);
}

static void print_counters(const struct stats_snapshot *stats)
{
	static const char *const texts[] = {
#define X(symbol, index, name, text) [index] = text,
		FWD_COUNTERS(X)
#undef X
	};
	static const char *const names[] = {
#define X(symbol, index, name, text) [index] = name,
		FWD_COUNTERS(X)
#undef X
	};
	/* Those that are active and those that ended add up to those that were created. */
	static const enum fwd_counter shown[] = {
		FWD_COUNTER_CREATED,
#define X(symbol) FWD_COUNTER_##symbol,
		FWD_COUNTERS_OF_ENDS(X)
#undef X
			FWD_COUNTER_FAILED,
	};

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		printf(ROW "  %s\n", names[shown[i]], stats->counters.value[shown[i]], texts[shown[i]]);
}

static void print_reasons(const struct stats_snapshot *stats, enum reason_list list, const char *title)
{
	puts(title);
	for (int i = 0; i < FWD_REASON_MAX; i++)
		if (reason_list(i) == list)
			printf(ROW "  %s\n", reason_name(i), stats->reasons[i], reason_text(i));
}

static void print_text(const struct stats_snapshot *stats)
{
	char memory[HUMAN_TEXT];

	puts("devices");
	for (size_t i = 0; i < stats->devices; i++)
		print_device(&stats->device[i]);
	if (!stats->devices)
		puts("  none is attached: fwdctl attach");
	puts("connections");
	printf(ROW "  of %u, and %u half-open ones (%s)\n", "active", stats_active(stats), stats->connections,
	       stats->half_open, human_bytes(stats->memory, memory));
	print_counters(stats);
	print_reasons(stats, REASON_LIST_DROPS, "dropped");
	print_reasons(stats, REASON_LIST_PASSES, "passed to the stack");
}

static enum fwd_exit print(const struct stats_snapshot *stats, const struct args *args, struct fwd_report *report)
{
	bool terminal = isatty(STDOUT_FILENO), watch = args->option[OPT_WATCH];

	if (args->option[OPT_JSON])
		return json_print(stats_json(stats), report);
	if (watch && terminal)
		fputs("\033[H\033[J", stdout);
	print_text(stats);
	if (watch && !terminal)
		putchar('\n');
	return FWD_DONE;
}

enum fwd_exit cmd_stats(const struct args *args, struct fwd_report *report)
{
	struct stats_snapshot stats;
	enum fwd_exit ret;

	do {
		ret = stats_read(args->pin_dir, &stats, report);
		if (!ret)
			ret = print(&stats, args, report);
		if (!ret && output_failed())
			ret = FWD_NOT_DONE;
	} while (!ret && args->option[OPT_WATCH] && !sleep(1));
	return ret;
}
