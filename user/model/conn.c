/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <string.h>
#include "base/word.h"
#include "model/conn.h"
#include "model/endpoint_hint.h"
#include "model/rule.h"

static const char *const state_names[] = {
#define X(symbol, name, timeout) name,
	FWD_STATES(X)
#undef X
};

const char *conn_state_name(enum fwd_state state)
{
	return state_names[state];
}

struct fwd_tuple conn_tuple(const struct conn *conn)
{
	return (struct fwd_tuple){conn->client.addr,        conn->listen.addr, htons(conn->client.port),
				  htons(conn->listen.port), conn->proto,       {}};
}

/* Upper or lower case. */
static enum fwd_exit state_parse(const char *text, enum fwd_state *state, struct fwd_report *report)
{
	for (*state = 0; *state < FWD_STATE_MAX; ++*state)
		if (!strcasecmp(text, state_names[*state]))
			return FWD_DONE;
	return report_unknown(report, ABOUT(.option = "--state", .object = text), "state", state_names, FWD_STATE_MAX);
}

static enum fwd_exit check(const char *option, const char *text, const char *why, struct fwd_report *report)
{
	return why ? endpoint_refuse(option, text, ENDPOINT_NO_PORT, why, report) : FWD_DONE;
}

static enum fwd_exit check_endpoint(const char *option, const char *text, struct fwd_endpoint *endpoint,
				    struct fwd_report *report)
{
	const char *why = endpoint_parse(text, endpoint);

	return why ? endpoint_refuse(option, text, ENDPOINT_LISTEN, why, report) : FWD_DONE;
}

static enum fwd_exit parse_addresses(const struct conn_filter_words *words, struct conn_filter *filter,
				     struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;

	filter->by_client = words->client;
	filter->by_source = words->source;
	if (words->client)
		ret = check("--client", words->client, cidr_parse(words->client, &filter->client), report);
	if (!ret && words->listen)
		ret = check_endpoint("--listen", words->listen, &filter->listen, report);
	if (!ret && words->target)
		ret = check_endpoint("--target", words->target, &filter->target, report);
	if (!ret && words->source)
		ret = check("--source", words->source, addr_parse(words->source, &filter->source), report);
	return ret;
}

enum fwd_exit conn_filter_parse(const struct conn_filter_words *words, struct conn_filter *filter,
				struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;

	*filter = (struct conn_filter){.state = FWD_STATE_MAX, .map = words->map};
	if (words->proto)
		ret = proto_parse("--proto", words->proto, &filter->proto, report);
	if (!ret && words->state)
		ret = state_parse(words->state, &filter->state, report);
	return ret ? ret : parse_addresses(words, filter, report);
}

static bool end_matches(const struct conn_end *end, const struct fwd_endpoint *wanted)
{
	if (wanted->family && !addr_equal(&wanted->addr, &end->addr))
		return false;
	return !wanted->low || (end->port >= wanted->low && end->port <= wanted->high);
}

bool conn_matches(const struct conn *conn, const struct conn_filter *filter)
{
	return (!filter->proto || filter->proto == conn->proto) &&
	       (!filter->by_client || cidr_contains(&filter->client, &conn->client.addr)) &&
	       end_matches(&conn->listen, &filter->listen) && end_matches(&conn->target, &filter->target) &&
	       (!filter->by_source || addr_equal(&filter->source, &conn->source.addr)) &&
	       (filter->state == FWD_STATE_MAX || filter->state == conn->state) &&
	       (!filter->map || !strcmp(filter->map, conn->map));
}
