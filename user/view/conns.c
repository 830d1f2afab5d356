/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "model/rule.h"
#include "state/control.h"
#include "view/conns.h"

static enum fwd_exit check_map_name(const struct rules *rules, const struct conn_filter *filter,
				    struct fwd_report *report)
{
	if (!filter->map)
		return FWD_DONE;
	for_each_rule (rule, rules)
		if (rule->state != FWD_RULE_FREE && !strcmp(rule->name, filter->map))
			return FWD_DONE;
	return report_error(report, ABOUT(.option = "--map", .object = filter->map), "no map has this name");
}

struct walk {
	const struct conn_filter *filter;
	conn_visit visit;
	void *arg;
};

static enum fwd_exit visit_match(const struct conn *conn, void *arg)
{
	const struct walk *walk = arg;

	return conn_matches(conn, walk->filter) ? walk->visit(conn, walk->arg) : FWD_DONE;
}

static enum fwd_exit visit_instance(const struct instance *in, struct walk *walk, void (*begin)(void *arg),
				    struct fwd_report *report)
{
	struct rules rules;
	enum fwd_exit ret = rules_read(in, &rules, report);

	if (!ret)
		ret = check_map_name(&rules, walk->filter, report);
	if (!ret && begin)
		begin(walk->arg);
	if (!ret)
		ret = conns_each(in, &rules, visit_match, walk, report);
	rules_close(&rules);
	return ret;
}

enum fwd_exit conns_visit(const char *pin_dir, const struct conn_filter *filter, void (*begin)(void *arg),
			  conn_visit visit, void *arg, struct fwd_report *report)
{
	struct walk walk = {filter, visit, arg};
	struct instance in;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_READ, report);

	if (!ret)
		ret = visit_instance(&in, &walk, begin, report);
	instance_close(&in);
	return ret;
}

static enum fwd_exit count_one(const struct conn *conn, void *arg)
{
	++*(__u64 *)arg;
	return FWD_DONE;
}

enum fwd_exit conns_count(const char *pin_dir, const struct conn_filter *filter, __u64 *count,
			  struct fwd_report *report)
{
	*count = 0;
	return conns_visit(pin_dir, filter, NULL, count_one, count, report);
}

struct ending {
	int control_fd;
	__u64 count;
	struct fwd_report *report;
};

static enum fwd_exit end_one(const struct conn *conn, void *arg)
{
	struct fwd_tuple tuple = conn_tuple(conn);
	struct ending *ending = arg;
	int ret;

	if (ending->control_fd < 0)
		return report_error(ending->report, ABOUT(.fix = "fwdctl attach"),
				    "the program that ends connections is missing");
	ret = control_run(ending->control_fd, FWD_REQUEST_END_CONNECTION, &tuple);
	/* It may have ended by itself since it was read. */
	if (ret && ret != -ENOENT)
		return report_error(ending->report, NULL, "can't end a connection: %s", strerror(-ret));
	ending->count += !ret;
	return FWD_DONE;
}

enum fwd_exit conns_end(const char *pin_dir, const struct conn_filter *filter, __u64 *count, struct fwd_report *report)
{
	struct ending ending = {.control_fd = -1, .report = report};
	struct walk walk = {filter, end_one, &ending};
	struct instance in;
	enum fwd_exit ret = instance_open(&in, pin_dir, INSTANCE_READ, report);

	if (!ret && in.exists)
		ending.control_fd = control_open(&in);
	if (!ret)
		ret = visit_instance(&in, &walk, NULL, report);
	if (ending.control_fd >= 0)
		close(ending.control_fd);
	instance_close(&in);
	*count = ending.count;
	return ret;
}

static void format_end(const struct conn_end *end, char *text)
{
	endpoint_format(&end->addr, end->port, end->port, text);
}

void conn_format_ends(const struct conn *conn, struct conn_ends *ends)
{
	format_end(&conn->client, ends->client);
	format_end(&conn->listen, ends->listen);
	format_end(&conn->source, ends->source);
	format_end(&conn->target, ends->target);
}

json_t *conn_json(const struct conn *conn)
{
	struct conn_ends ends;

	conn_format_ends(conn, &ends);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I}", "proto", proto_name(conn->proto),
			 "client", ends.client, "listen", ends.listen, "source", ends.source, "target", ends.target,
			 "map", conn->map, "state", conn_state_name(conn->state), "confirmed", conn->confirmed,
			 "idle_s", (json_int_t)conn->idle_s, "expires_s", (json_int_t)conn->expires_s, "packets_in",
			 (json_int_t)conn->packets[FWD_DIR_FORWARD], "bytes_in",
			 (json_int_t)conn->bytes[FWD_DIR_FORWARD], "packets_out",
			 (json_int_t)conn->packets[FWD_DIR_REPLY], "bytes_out", (json_int_t)conn->bytes[FWD_DIR_REPLY]);
}
