/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connection table and the counters as the programs left them, and the invariants that hold between packets.
 */
#ifndef TABLE_H
#define TABLE_H

#include "fwd/counters.h"
#include "fwd/gc.h"
#include "fwd/reason.h"
#include "rules.h"

/* ---- counters, summed up over the CPUs ----------------------------------------------------- */

struct fwd_counters counters_read(void);
struct fwd_rule_stats rule_stats_read(__u32 index);
void reasons_read(__u64 reasons[FWD_REASON_MAX]);
__u64 device_packets(enum fwd_link link);

/* ---- connections --------------------------------------------------------------------------- */

/* One direction of a connection. */
struct entry {
	struct fwd_tuple key;        /* of its packets when they arrive */
	struct fwd_tuple translated; /* and when they leave */
	struct fwd_flow flow;
	enum fwd_dir dir;
	__u32 index;
	enum fwd_slot_state state;
};

const struct fwd_conn *record_at(__u32 index);
const struct fwd_slot *slot_at(__u32 index);

/* False: the slot holds no connection. */
bool entry_read(__u32 index, enum fwd_dir dir, struct entry *entry);

/* For each connection, its direction FORWARD; `entry` is a struct entry. */
#define each_connection(entry)                           \
	for (__u32 i_ = 0; i_ < gateway_records(); i_++) \
		if (entry_read(i_, FWD_DIR_FORWARD, &(entry)))

/* The direction whose packets have this flow when they arrive. False: there is none. */
bool conn_get(const char *flow, __u8 proto, struct entry *entry);
bool conn_exists(const char *flow, __u8 proto);

/* p with the sequence and ACK number that its sender would send next; p.flow is that of a TCP connection on arrival. */
struct packet in_order(struct packet p);

/* Expects the connection to be in the state of that name; "gone": not there. */
void expect_state(const char *what, const char *flow, __u8 proto, const char *want);

struct fwd_gc gc_read(void);

/* Checks all invariants: each connection has a slot and two cells of the index, and the counters agree. Returns the
 * number of connections. To be called while no program runs. */
__u32 check_table(void);
void check_table_at_end(void); /* the same, for .fini */

/* Ends all connections, as `fwdctl conn flush` does. */
void table_flush(void);

#endif
