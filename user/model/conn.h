/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection as users see it, and the filters of the commands `conn`. Nothing here reads the BPF maps. */
#ifndef FWD_USER_CONN_H
#define FWD_USER_CONN_H

#include <stdbool.h>
#include "base/err.h"
#include "fwd/ct_state.h"
#include "fwd/tuple.h"
#include "model/addr.h"

struct conn_end {
	struct fwd_addr addr;
	__u16 port; /* host order */
};

struct conn {
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	enum fwd_state state;
	bool confirmed;
	struct conn_end client;
	struct conn_end listen; /* the address of the gateway that the client uses */
	struct conn_end source; /* the address that the target sees */
	struct conn_end target;
	const char *map;            /* the name of its map, "" if that has none; valid during a visit */
	__u32 idle_s;               /* seconds since the last packet of either direction */
	__u32 expires_s;            /* seconds until it ends if no packet comes; 0: due */
	__u64 packets[FWD_DIR_MAX]; /* by enum fwd_dir */
	__u64 bytes[FWD_DIR_MAX];   /* from the IP header on */
};

const char *conn_state_name(enum fwd_state state);

/* The tuple of its packets FORWARD, by which the programs know it. */
struct fwd_tuple conn_tuple(const struct conn *conn);

/* The options that choose connections; NULL: not given. */
struct conn_filter_words {
	const char *proto;
	const char *client;
	const char *listen;
	const char *target;
	const char *source;
	const char *state;
	const char *map;
};

/* Matches every connection where all members are "not given". */
struct conn_filter {
	__u8 proto; /* 0: not given */
	bool by_client;
	bool by_source;
	struct fwd_cidr client;
	struct fwd_endpoint listen; /* family and low are 0 where not given */
	struct fwd_endpoint target;
	struct fwd_addr source;
	enum fwd_state state; /* FWD_STATE_MAX: not given */
	const char *map;      /* NULL: not given; words->map itself */
};

/* Returns FWD_BAD_USAGE if a word is wrong. */
enum fwd_exit conn_filter_parse(const struct conn_filter_words *words, struct conn_filter *filter,
				struct fwd_report *report);

bool conn_matches(const struct conn *conn, const struct conn_filter *filter);

#endif
