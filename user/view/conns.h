/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that match a filter, one at a time: what `conn list`, `conn count` and `conn flush` work on. */
#ifndef FWD_USER_VIEW_CONNS_H
#define FWD_USER_VIEW_CONNS_H

#include <jansson.h>
#include "base/err.h"
#include "model/conn.h"
#include "state/conns.h"

/* Calls begin(), unless it is NULL, once nothing but the visits can fail, and then visit() for each connection that
 * matches. Fails if no map has the name filter->map: a mistyped name would look like a map without connections. */
enum fwd_exit conns_visit(const char *pin_dir, const struct conn_filter *filter, void (*begin)(void *arg),
			  conn_visit visit, void *arg, struct fwd_report *report);

enum fwd_exit conns_count(const char *pin_dir, const struct conn_filter *filter, __u64 *count,
			  struct fwd_report *report);

/* Ends those that match. *count: how many it has ended, also after a failure. */
enum fwd_exit conns_end(const char *pin_dir, const struct conn_filter *filter, __u64 *count, struct fwd_report *report);

/* The four ends of a connection as text. */
struct conn_ends {
	char client[FWD_ENDPOINT_TEXT];
	char listen[FWD_ENDPOINT_TEXT];
	char source[FWD_ENDPOINT_TEXT];
	char target[FWD_ENDPOINT_TEXT];
};

void conn_format_ends(const struct conn *conn, struct conn_ends *ends);

/* A new reference; NULL: no memory. */
json_t *conn_json(const struct conn *conn);

#endif
