/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "attach/table.h"
#include "state/conns.h"

static enum fwd_exit count_one(const struct conn *conn, void *arg)
{
	++*(__u64 *)arg;
	return FWD_DONE;
}

/* Fails if a device or a connection uses the table. `complete`: it has connections that can be read. */
static enum fwd_exit check_unused(const struct instance *in, const struct rules *rules,
				  const struct device_list *attached, bool complete, struct fwd_report *report)
{
	__u64 live = 0;

	if (attached->count)
		return report_error(
			report, ABOUT(.fix = "fwdctl detach first"),
			"the table has room for %u connections and %u half-open ones, and devices are attached",
			in->meta.connections, in->meta.half_open);
	if (complete && conns_each(in, rules, count_one, &live, report))
		return FWD_NOT_DONE;
	if (live)
		return report_error(report, ABOUT(.fix = "fwdctl conn flush first"),
				    "the table has room for %u connections and %u half-open ones, and has %llu now",
				    in->meta.connections, in->meta.half_open, live);
	return FWD_DONE;
}

enum fwd_exit table_resize(struct instance *in, const struct rules *rules, const struct device_list *attached,
			   __u32 connections, __u32 half_open, struct fwd_report *report)
{
	bool complete = instance_sizes_match(in);

	if (!connections)
		connections = in->meta.connections;
	if (!half_open)
		half_open = in->meta.half_open;
	if (complete && connections == in->meta.connections && half_open == in->meta.half_open)
		return FWD_DONE;
	if (check_unused(in, rules, attached, complete, report) || instance_resize(in, connections, half_open, report))
		return FWD_NOT_DONE;
	return rules_forget_connections(in, rules, report);
}

void table_restore(struct instance *in, const struct fwd_meta *before, struct fwd_report *report)
{
	struct device_list list;

	if (in->meta.connections == before->connections && in->meta.half_open == before->half_open)
		return;
	devices_read(in, &list);
	if (!list.count)
		instance_resize(in, before->connections, before->half_open, report);
}
