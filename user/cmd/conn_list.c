/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/filter.h"
#include "cli/output.h"
#include "model/rule.h"
#include "view/conns.h"

struct list {
	bool json;
	struct json_stream stream;
	struct fwd_report *report;
};

/* Fixed widths, so that a long list begins at once and needs no memory. IPv6 addresses exceed them. */
#define ROW_FORMAT "%-5s  %-21s  %-21s  %-21s  %-21s  %-11s  %8s  %8s  %16s  %16s\n"

/* Not before the connections can be read: an empty list would say that there are none. */
static void begin(void *arg)
{
	struct list *list = arg;

	if (list->json)
		json_stream_begin(&list->stream);
	else
		printf(ROW_FORMAT, "PROTO", "CLIENT", "LISTEN", "SOURCE", "TARGET", "STATE", "IDLE", "EXPIRES", "IN",
		       "OUT");
}

static enum fwd_exit print_json(const struct conn *conn, void *arg)
{
	struct list *list = arg;

	return json_stream_add(&list->stream, conn_json(conn), list->report);
}

static enum fwd_exit print_row(const struct conn *conn, void *arg)
{
	char idle[HUMAN_TEXT], expires[HUMAN_TEXT], in[HUMAN_TEXT], out[HUMAN_TEXT];
	struct conn_ends ends;

	conn_format_ends(conn, &ends);
	printf(ROW_FORMAT, proto_name(conn->proto), ends.client, ends.listen, ends.source, ends.target,
	       conn_state_name(conn->state), human_seconds(conn->idle_s, idle), human_seconds(conn->expires_s, expires),
	       human_traffic(conn->packets[FWD_DIR_FORWARD], conn->bytes[FWD_DIR_FORWARD], in),
	       human_traffic(conn->packets[FWD_DIR_REPLY], conn->bytes[FWD_DIR_REPLY], out));
	return output_stopped() ? FWD_NOT_DONE : FWD_DONE;
}

enum fwd_exit cmd_conn_list(const struct args *args, struct fwd_report *report)
{
	struct list list = {.json = args->option[OPT_JSON], .report = report};
	struct conn_filter filter;
	enum fwd_exit ret = filter_parse(args, &filter, report);

	if (!ret)
		ret = conns_visit(args->pin_dir, &filter, begin, list.json ? print_json : print_row, &list, report);
	if (!ret && list.json)
		json_stream_end(&list.stream);
	return ret;
}
