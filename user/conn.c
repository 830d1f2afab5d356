/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conn.h"

/* Slots read at a time: 192 KiB. */
#define SLOTS_BATCH 4096

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
	return (__u32)((ts.tv_sec * FWD_NSEC + ts.tv_nsec) >> FWD_TICK_SHIFT) +
	       config->clock_offset;
}

static __u32 ticks_between(__u32 from, __u32 to)
{
	return (__s32)(to - from) > 0 ? to - from : 0;
}

static void fill_times(struct conn *conn, const struct fwd_config *config)
{
	__u32 at = now(config), timeout, reply_idle;

	conn->idle = ticks_between(conn->forward.last_seen, at);
	reply_idle = ticks_between(conn->reply.last_seen, at);
	/* A direction that nothing came from yet was last seen at 0. */
	if ((conn->forward.track & FWD_TRACK_SEEN(FWD_DIR_REPLY)) && reply_idle < conn->idle)
		conn->idle = reply_idle;
	timeout = config->timeout[fwd_state_timeout(conn->state)];
	conn->expires = timeout > conn->idle ? timeout - conn->idle : 0;
}

/* The connection that sits in a slot; false: none that lives. */
static bool conn_read(const struct instance *in, const struct rules *rules,
		      const struct fwd_config *config, __u32 index, const struct fwd_slot *slot,
		      struct conn *conn)
{
	const struct fwd_conn *f = &conn->forward;
	struct fwd_tuple reply = {};

	if ((slot->use & FWD_SLOT_STATE) != FWD_SLOT_USED)
		return false;
	conn->key = slot->forward;
	if (map_read(&in->maps, FWD_MAP_CONNS, &conn->key, &conn->forward) || f->slot != index ||
	    f->dir != FWD_DIR_FORWARD || f->kind != FWD_CONN_MAPPED || f->rule >= rules->end)
		return false;
	conn->rule = &rules->at[f->rule];
	if (conn->rule->state == FWD_RULE_FREE || conn->rule->gen != f->rule_gen)
		return false;
	reply.saddr = f->daddr;
	reply.daddr = f->saddr;
	reply.sport = f->dport;
	reply.dport = f->sport;
	reply.proto = conn->key.proto;
	if (map_read(&in->maps, FWD_MAP_CONNS, &reply, &conn->reply))
		memset(&conn->reply, 0, sizeof(conn->reply));
	conn->state = fwd_state(conn->key.proto, f->track);
	fill_times(conn, config);
	return true;
}

enum fwd_exit conns_each(const struct instance *in, const struct rules *rules, conn_visit visit,
			 void *arg)
{
	struct fwd_slot *slots = calloc(SLOTS_BATCH, sizeof(*slots));
	__u32 room = in->exists ? map_room(&in->maps, FWD_MAP_SLOTS) : 0;
	struct fwd_config config = {};
	enum fwd_exit done = FWD_DONE;
	int ret = slots ? 0 : -ENOMEM;

	if (!ret && in->exists)
		ret = map_read_one(&in->maps, FWD_MAP_CONFIG, &config);
	for (__u32 first = 0; !ret && !done && first < room; first += SLOTS_BATCH) {
		__u32 count = room - first < SLOTS_BATCH ? room - first : SLOTS_BATCH;
		struct conn conn;

		ret = map_read_array(&in->maps, FWD_MAP_SLOTS, first, count, sizeof(*slots), slots);
		for (__u32 i = 0; !ret && !done && i < count; i++)
			if (conn_read(in, rules, &config, first + i, &slots[i], &conn))
				done = visit(&conn, arg);
	}
	free(slots);
	return ret ? fwd_err("can't read the connections: %s", strerror(-ret)) : done;
}
