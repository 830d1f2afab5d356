/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <time.h>
#include "state/config.h"
#include "state/conns.h"

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

static __u32 to_seconds(__u32 ticks)
{
	return ((__u64)ticks << FWD_TICK_SHIFT) / FWD_NSEC;
}

static void fill_times(const struct fwd_conn *record, const struct fwd_config *config, struct conn *conn)
{
	__u32 at = now(config), timeout = config->timeout[fwd_state_timeout(conn->state)];
	__u32 idle = ticks_between(record->flow[FWD_DIR_FORWARD].last_seen, at);
	__u32 reply_idle = ticks_between(record->flow[FWD_DIR_REPLY].last_seen, at);

	if (reply_idle < idle)
		idle = reply_idle;
	conn->idle_s = to_seconds(idle);
	conn->expires_s = timeout > idle ? to_seconds(timeout - idle) : 0;
}

static struct conn_end end_of(const struct fwd_addr *addr, __be16 port)
{
	return (struct conn_end){*addr, ntohs(port)};
}

static void fill(const struct fwd_conn *record, const struct fwd_config *config, const char *map, struct conn *conn)
{
	const struct fwd_addrs *forward = &record->addrs[FWD_DIR_FORWARD], *reply = &record->addrs[FWD_DIR_REPLY];
	const struct fwd_flow *flow = &record->flow[FWD_DIR_FORWARD];

	*conn = (struct conn){
		.proto = fwd_ct_proto(flow->ct_state),
		.state = fwd_state(flow->ct_state),
		.confirmed = flow->ct_state & FWD_CT_CONFIRMED,
		.client = end_of(&forward->saddr, flow->sport),
		.listen = end_of(&forward->daddr, flow->dport),
		.source = end_of(&reply->daddr, flow->to_sport),
		.target = end_of(&reply->saddr, flow->to_dport),
		.map = map,
	};
	for (int dir = 0; dir < FWD_DIR_MAX; dir++) {
		conn->packets[dir] = record->flow[dir].packets;
		conn->bytes[dir] = record->flow[dir].bytes;
	}
	fill_times(record, config, conn);
}

/* Copies the record. False: not one connection was in the slot all the while. */
static bool record_read(const struct fwd_conn *record, const struct fwd_slot *slot, struct fwd_conn *copy)
{
	__u32 gen_state = __atomic_load_n(&slot->gen_state, __ATOMIC_ACQUIRE);

	if ((gen_state & FWD_SLOT_STATE_MASK) < FWD_SLOT_HALF_OPEN)
		return false;
	*copy = *record; /* NOLINT(clang-analyzer-core.NullDereference): report_error() never returns FWD_DONE */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* The state may have changed: a connection that was confirmed meanwhile is the same one. */
	return !((__atomic_load_n(&slot->gen_state, __ATOMIC_RELAXED) ^ gen_state) & ~FWD_SLOT_STATE_MASK);
}

/* False: no connection of a map is in the slot. */
static bool conn_read(const struct rules *rules, const struct fwd_config *config, const struct fwd_conn *record,
		      const struct fwd_slot *slot, struct conn *conn)
{
	const struct fwd_rule *rule;
	const struct fwd_flow *flow;
	struct fwd_conn copy;

	if (!record_read(record, slot, &copy))
		return false;
	flow = &copy.flow[FWD_DIR_FORWARD];
	/* FWD_RULE_NONE is beyond the end, too. */
	if (flow->rule >= rules->end)
		return false;
	rule = &rules->at[flow->rule];
	if (rule->state == FWD_RULE_FREE || (__u16)rule->gen != flow->rule_gen)
		return false;
	fill(&copy, config, rule->name, conn);
	return true;
}

enum fwd_exit conns_each(const struct instance *in, const struct rules *rules, conn_visit visit, void *arg,
			 struct fwd_report *report)
{
	__u32 room = in->exists ? map_room(&in->maps, FWD_MAP_SLOTS) : 0;
	const size_t slots_size = room * sizeof(struct fwd_slot);
	const size_t records_size = room * sizeof(struct fwd_conn);
	enum fwd_exit ret = FWD_DONE;
	struct fwd_config config;
	struct fwd_conn *records;
	struct fwd_slot *slots;
	struct conn conn;

	if (!room)
		return FWD_DONE;
	slots = map_view(&in->maps, FWD_MAP_SLOTS, slots_size, false);
	records = map_view(&in->maps, FWD_MAP_CONNS, records_size, false);
	if (!slots || !records)
		ret = report_error(report, NULL, "can't read the connections: %m");
	if (!ret)
		ret = config_read(in, &config, report);
	for (__u32 i = 0; !ret && i < room; i++)
		if (conn_read(rules, &config, &records[i], &slots[i], &conn))
			ret = visit(&conn, arg);
	if (slots)
		map_view_end(slots, slots_size);
	if (records)
		map_view_end(records, records_size);
	return ret;
}
