/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connections of visitors, as the tables hold them. */
#ifndef FWD_USER_CONN_H
#define FWD_USER_CONN_H

#include "base/err.h"
#include "fwd/clock.h"
#include "fwd/ct_state.h"
#include "fwd/tuple.h"
#include "state/rules.h"

struct conn {
	struct fwd_conn record;      /* ends: client and listen, target and source */
	__u8 proto;                  /* IPPROTO_TCP or IPPROTO_UDP */
	const struct fwd_rule *rule; /* never NULL */
	enum fwd_state state;
	__u32 idle;    /* ticks since the last packet of either direction */
	__u32 expires; /* ticks until it ends if no more come; 0: due */
};

/* Returns FWD_DONE to go on. */
typedef enum fwd_exit (*conn_visit)(const struct conn *conn, void *arg);

/* Calls visit for each connection that lives through a map of `rules`, in no particular order. One
 * that begins or ends meanwhile may be left out. Prints what is wrong. */
enum fwd_exit conns_each(const struct instance *in, const struct rules *rules, conn_visit visit, void *arg);

const char *state_name(enum fwd_state state);

/* By name, upper or lower case; FWD_STATE_MAX: no such state. */
enum fwd_state state_parse(const char *text);

/* The tuple of its packets FORWARD, by which the programs know it. */
struct fwd_tuple conn_tuple(const struct conn *conn);

/* Ticks to whole seconds. */
__u32 ticks_to_seconds(__u32 ticks);

#endif
