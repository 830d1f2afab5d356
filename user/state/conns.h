/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connections of clients, read from the tables without a lock. */
#ifndef FWD_USER_CONNS_H
#define FWD_USER_CONNS_H

#include "base/err.h"
#include "model/conn.h"
#include "state/instance.h"
#include "state/rules.h"

/* Returns FWD_DONE to go on; anything else stops the visits and is passed on. */
typedef enum fwd_exit (*conn_visit)(const struct conn *conn, void *arg);

/* Calls visit for each connection of a map of `rules`, in no particular order and one at a time, because there may be a
 * million. May leave out connections that begin or end meanwhile. */
enum fwd_exit conns_each(const struct instance *in, const struct rules *rules, conn_visit visit, void *arg,
			 struct fwd_report *report);

#endif
