/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/addr.h"
#include "state/conns.h"
#include "cli/command.h"
#include "state/instance.h"
#include "state/loader.h"
#include "model/rule.h"
#include "cli/output.h"
#include "state/rules.h"

/* Which connections; what was not given lets all through. */
struct filter {
	__u8 proto; /* 0: all */
	struct fwd_cidr client;
	struct fwd_endpoint listen; /* family and low are 0 where not given */
	struct fwd_endpoint target;
	struct fwd_addr source;
	enum fwd_state state; /* FWD_STATE_MAX: all */
	const char *map;      /* NULL: all */
	bool by_client;
	bool by_source;
};

static enum fwd_exit option_error(const char *option, const char *text, const char *why)
{
	return why ? fwd_err("%s: \"%s\": %s", option, text, why) : FWD_DONE;
}

static enum fwd_exit parse_addresses(const struct args *args, struct filter *filter)
{
	const char *client = args->option[OPT_CLIENT], *listen = args->option[OPT_LISTEN];
	const char *target = args->option[OPT_TARGET], *source = args->option[OPT_SOURCE];

	filter->by_client = client;
	filter->by_source = source;
	if ((client && option_error("--client", client, cidr_parse(client, &filter->client))) ||
	    (listen && option_error("--listen", listen, endpoint_parse(listen, &filter->listen))) ||
	    (target && option_error("--target", target, endpoint_parse(target, &filter->target))) ||
	    (source && option_error("--source", source, addr_parse(source, &filter->source))))
		return FWD_NOT_DONE;
	return FWD_DONE;
}

static enum fwd_exit parse_filter(const struct args *args, struct filter *filter)
{
	const char *proto = args->option[OPT_PROTO], *state = args->option[OPT_STATE];

	*filter = (struct filter){.state = FWD_STATE_MAX, .map = args->option[OPT_MAP]};
	if (proto) {
		filter->proto = proto_parse(proto);
		if (!filter->proto)
			return fwd_usage("--proto: \"%s\": it is tcp or udp", proto);
	}
	if (state) {
		filter->state = state_parse(state);
		if (filter->state == FWD_STATE_MAX)
			return fwd_usage("--state: \"%s\": it is SYN_SENT, SYN_RECV, ESTABLISHED, "
					 "FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, "
					 "UNREPLIED, REPLIED or ASSURED",
					 state);
	}
	return parse_addresses(args, filter);
}

/* A mistyped name would otherwise look like a map without connections. */
static enum fwd_exit check_map_name(const struct rules *rules, const struct filter *filter)
{
	if (!filter->map)
		return FWD_DONE;
	for_each_rule (rule, rules)
		if (rule->state != FWD_RULE_FREE && !strcmp(rule->name, filter->map))
			return FWD_DONE;
	return fwd_err("--map: \"%s\": no map has this name", filter->map);
}

static bool endpoint_matches(const struct fwd_endpoint *wanted, const struct fwd_addr *addr, __be16 port)
{
	if (wanted->family && !addr_equal(&wanted->addr, addr))
		return false;
	return !wanted->low || (ntohs(port) >= wanted->low && ntohs(port) <= wanted->high);
}

static bool matches(const struct filter *filter, const struct conn *conn)
{
	const struct fwd_addrs *client = &conn->record.addrs[FWD_DIR_FORWARD];
	const struct fwd_addrs *target = &conn->record.addrs[FWD_DIR_REPLY];
	const struct fwd_flow *f = &conn->record.flow[FWD_DIR_FORWARD];

	return (!filter->proto || filter->proto == conn->proto) &&
	       (!filter->by_client || cidr_contains(&filter->client, &client->saddr)) &&
	       endpoint_matches(&filter->listen, &client->daddr, f->dport) &&
	       endpoint_matches(&filter->target, &target->saddr, f->to_dport) &&
	       (!filter->by_source || addr_equal(&filter->source, &target->daddr)) &&
	       (filter->state == FWD_STATE_MAX || filter->state == conn->state) &&
	       (!filter->map || !strcmp(filter->map, conn->rule->name));
}

/* What all three commands go through the connections with. */
struct walk {
	struct filter filter;
	__u64 count;
	bool json;                 /* conn list --json */
	struct json_stream stream; /* the same */
	int control_fd;            /* conn flush */
};

static enum fwd_exit walk(const struct args *args, struct walk *walk, conn_visit visit)
{
	struct rules rules = {};
	enum fwd_exit ret = FWD_NOT_DONE;
	struct instance in;
	char path[PATH_MAX];

	walk->control_fd = -1;
	if (instance_open(&in, args->pin_dir, INSTANCE_READ) || rules_read(&in, &rules) ||
	    check_map_name(&rules, &walk->filter))
		goto out;
	if (in.exists)
		walk->control_fd = pin_open(instance_path(&in, FWD_DIR_PROGS, "fwd_control", path));
	/* Not before: an empty list isn't what there is if it can't be read. */
	if (walk->json)
		json_stream_begin(&walk->stream);
	ret = conns_each(&in, &rules, visit, walk);
out:
	if (walk->control_fd >= 0)
		close(walk->control_fd);
	rules_close(&rules);
	instance_close(&in);
	return ret;
}

/* The four ends of a connection as text. */
struct ends {
	char client[FWD_ENDPOINT_TEXT];
	char listen[FWD_ENDPOINT_TEXT];
	char source[FWD_ENDPOINT_TEXT];
	char target[FWD_ENDPOINT_TEXT];
};

static void format_one(const struct fwd_addr *addr, __be16 port, char *text)
{
	endpoint_format(addr, ntohs(port), ntohs(port), text);
}

static void format_ends(const struct conn *conn, struct ends *ends)
{
	const struct fwd_addrs *client = &conn->record.addrs[FWD_DIR_FORWARD];
	const struct fwd_addrs *target = &conn->record.addrs[FWD_DIR_REPLY];
	const struct fwd_flow *f = &conn->record.flow[FWD_DIR_FORWARD];

	format_one(&client->saddr, f->sport, ends->client);
	format_one(&client->daddr, f->dport, ends->listen);
	format_one(&target->daddr, f->to_sport, ends->source);
	format_one(&target->saddr, f->to_dport, ends->target);
}

static enum fwd_exit list_json(const struct conn *conn, void *arg)
{
	const struct fwd_flow *f = &conn->record.flow[FWD_DIR_FORWARD];
	const struct fwd_flow *r = &conn->record.flow[FWD_DIR_REPLY];
	struct walk *walk = arg;
	struct ends ends;

	if (!matches(&walk->filter, conn))
		return FWD_DONE;
	format_ends(conn, &ends);
	return json_stream_add(&walk->stream,
			       json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:i,s:i,s:I,s:I,s:I,s:I}", "proto",
					 proto_name(conn->proto), "client", ends.client, "listen", ends.listen,
					 "source", ends.source, "target", ends.target, "map", conn->rule->name, "state",
					 state_name(conn->state), "confirmed", !!(f->ct_state & FWD_CT_CONFIRMED),
					 "idle_s", (int)ticks_to_seconds(conn->idle), "expires_s",
					 (int)ticks_to_seconds(conn->expires), "packets_in", (json_int_t)f->packets,
					 "bytes_in", (json_int_t)f->bytes, "packets_out", (json_int_t)r->packets,
					 "bytes_out", (json_int_t)r->bytes));
}

/* Fixed widths, so that a long list begins at once and needs no memory; IPv6 pushes them aside. */
#define LIST_FORMAT "%-5s  %-21s  %-21s  %-21s  %-21s  %-11s  %8s  %8s  %16s  %16s\n"

static enum fwd_exit list_text(const struct conn *conn, void *arg)
{
	const struct fwd_flow *flow = conn->record.flow;
	char idle[HUMAN_TEXT], expires[HUMAN_TEXT], in[HUMAN_TEXT], out[HUMAN_TEXT];
	struct walk *walk = arg;
	struct ends ends;

	if (!matches(&walk->filter, conn))
		return FWD_DONE;
	if (!walk->count++)
		printf(LIST_FORMAT, "PROTO", "CLIENT", "LISTEN", "SOURCE", "TARGET", "STATE", "IDLE", "EXPIRES", "IN",
		       "OUT");
	format_ends(conn, &ends);
	printf(LIST_FORMAT, proto_name(conn->proto), ends.client, ends.listen, ends.source, ends.target,
	       state_name(conn->state), human_seconds(ticks_to_seconds(conn->idle), idle),
	       human_seconds(ticks_to_seconds(conn->expires), expires),
	       human_traffic(flow[FWD_DIR_FORWARD].packets, flow[FWD_DIR_FORWARD].bytes, in),
	       human_traffic(flow[FWD_DIR_REPLY].packets, flow[FWD_DIR_REPLY].bytes, out));
	return ferror(stdout) ? output_check() : FWD_DONE;
}

enum fwd_exit cmd_conn_list(const struct args *args)
{
	bool json = args->option[OPT_JSON];
	struct walk w = {};
	enum fwd_exit ret = parse_filter(args, &w.filter);

	if (ret)
		return ret;
	w.json = json;
	ret = walk(args, &w, json ? list_json : list_text);
	if (json && !ret)
		json_stream_end(&w.stream);
	return ret;
}

static enum fwd_exit count_one(const struct conn *conn, void *arg)
{
	struct walk *walk = arg;

	walk->count += matches(&walk->filter, conn);
	return FWD_DONE;
}

enum fwd_exit cmd_conn_count(const struct args *args)
{
	struct walk w = {};
	enum fwd_exit ret = parse_filter(args, &w.filter);

	if (!ret)
		ret = walk(args, &w, count_one);
	if (ret)
		return ret;
	if (args->option[OPT_JSON])
		return json_print(json_pack("{s:I}", "count", (json_int_t)w.count));
	printf("%llu\n", w.count);
	return FWD_DONE;
}

static enum fwd_exit end_one(const struct conn *conn, void *arg)
{
	struct fwd_tuple tuple = conn_tuple(conn);
	struct walk *walk = arg;
	int ret;

	if (!matches(&walk->filter, conn))
		return FWD_DONE;
	if (walk->control_fd < 0)
		return fwd_err("the program that ends connections is missing: fwdctl attach");
	ret = control_run(walk->control_fd, FWD_REQUEST_END_CONNECTION, &tuple);
	/* It may have ended by itself since it was read. */
	if (ret && ret != -ENOENT)
		return fwd_err("can't end a connection: %s", strerror(-ret));
	walk->count += !ret;
	return FWD_DONE;
}

enum fwd_exit cmd_conn_flush(const struct args *args)
{
	struct walk w = {};
	enum fwd_exit ret = parse_filter(args, &w.filter);

	if (ret)
		return ret;
	ret = walk(args, &w, end_one);
	if (!ret || w.count)
		printf("%llu connection%s ended\n", w.count, w.count == 1 ? "" : "s");
	return ret;
}
