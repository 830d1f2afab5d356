/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "state/conns.h"

static const char *const state_names[] = {
#define X(symbol, name, timeout) name,
	FWD_STATES(X)
#undef X
};

const char *state_name(enum fwd_state state)
{
	return state_names[state];
}

enum fwd_state state_parse(const char *text)
{
	enum fwd_state state = 0;

	while (state < FWD_STATE_MAX && strcasecmp(text, state_names[state]))
		state++;
	return state;
}

__u32 ticks_to_seconds(__u32 ticks)
{
	return ((__u64)ticks << FWD_TICK_SHIFT) / FWD_NSEC;
}

/* As clock_now() of the programs. */
static __u32 now(const struct fwd_config *config)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (__u32)((ts.tv_sec * FWD_NSEC + ts.tv_nsec) >> FWD_TICK_SHIFT) + config->clock_offset;
}

static __u32 ticks_between(__u32 from, __u32 to)
{
	return (__s32)(to - from) > 0 ? to - from : 0;
}

static void fill_times(struct conn *conn, const struct fwd_config *config)
{
	const struct fwd_flow *forward = &conn->record.flow[FWD_DIR_FORWARD];
	__u32 at = now(config), timeout, reply_idle;

	conn->idle = ticks_between(forward->last_seen, at);
	reply_idle = ticks_between(conn->record.flow[FWD_DIR_REPLY].last_seen, at);
	if (reply_idle < conn->idle)
		conn->idle = reply_idle;
	timeout = config->timeout[fwd_state_timeout(conn->state)];
	conn->expires = timeout > conn->idle ? timeout - conn->idle : 0;
}

struct fwd_tuple conn_tuple(const struct conn *conn)
{
	const struct fwd_addrs *ends = &conn->record.addrs[FWD_DIR_FORWARD];
	const struct fwd_flow *flow = &conn->record.flow[FWD_DIR_FORWARD];

	return (struct fwd_tuple){ends->saddr, ends->daddr, flow->sport, flow->dport, conn->proto, {}};
}

/* Takes a copy of the record; false: no connection lived there all the while. */
static bool record_read(const struct fwd_conn *record, const struct fwd_slot *slot, struct fwd_conn *copy)
{
	__u32 gen_state = __atomic_load_n(&slot->gen_state, __ATOMIC_ACQUIRE);

	if ((gen_state & FWD_SLOT_STATE_MASK) < FWD_SLOT_HALF_OPEN)
		return false;
	*copy = *record;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* Confirmed meanwhile it is the same. */
	return !((__atomic_load_n(&slot->gen_state, __ATOMIC_RELAXED) ^ gen_state) & ~FWD_SLOT_STATE_MASK);
}

/* The connection in a slot; false: none that lives through a map. */
static bool conn_read(const struct rules *rules, const struct fwd_config *config, const struct fwd_conn *record,
		      const struct fwd_slot *slot, struct conn *conn)
{
	const struct fwd_flow *forward = &conn->record.flow[FWD_DIR_FORWARD];

	/* FWD_RULE_NONE is beyond the end, too. */
	if (!record_read(record, slot, &conn->record) || forward->rule >= rules->end)
		return false;
	conn->rule = &rules->at[forward->rule];
	if (conn->rule->state == FWD_RULE_FREE || (__u16)conn->rule->gen != forward->rule_gen)
		return false;
	conn->proto = fwd_ct_proto(forward->ct_state);
	conn->state = fwd_state(forward->ct_state);
	fill_times(conn, config);
	return true;
}

enum fwd_exit conns_each(const struct instance *in, const struct rules *rules, conn_visit visit, void *arg)
{
	__u32 room = in->exists ? map_room(&in->maps, FWD_MAP_SLOTS) : 0;
	const size_t slots_size = room * sizeof(struct fwd_slot);
	const size_t records_size = room * sizeof(struct fwd_conn);
	struct fwd_config config = {};
	enum fwd_exit done = FWD_DONE;
	struct fwd_conn *records;
	struct fwd_slot *slots;
	struct conn conn;

	if (!room)
		return FWD_DONE;
	slots = map_view(&in->maps, FWD_MAP_SLOTS, slots_size, false);
	records = map_view(&in->maps, FWD_MAP_CONNS, records_size, false);
	if (!slots || !records || map_read_one(&in->maps, FWD_MAP_CONFIG, &config))
		done = fwd_err("can't read the connections: %m");
	for (__u32 i = 0; !done && i < room; i++)
		if (conn_read(rules, &config, &records[i], &slots[i], &conn))
			done = visit(&conn, arg);
	if (slots)
		map_view_end(slots, slots_size);
	if (records)
		map_view_end(records, records_size);
	return done;
}
