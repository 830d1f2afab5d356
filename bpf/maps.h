/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps. All but `scratch` are pinned by fwdctl and shared by the programs of all devices; their
 * values are described in fwd_abi.h. Sizes that depend on --connections and --half-open are set by
 * fwdctl before it loads the object.
 */
#ifndef FWD_MAPS_H
#define FWD_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "fwd_abi.h"
#include "fwd_reason.h"

#define FWD_TABLE_RECORDS FWD_RECORDS(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN)

/* All of the connection table is arrays: memory is had at attach or not at all, and never missing in a flood. Mappable
 * arrays begin with a page, so that a connection's parts, and a bucket, are each a cache line; and fwdctl reads them without
 * a system call. What holds them together is in table.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_TABLE_RECORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fwd_conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_TABLE_RECORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fwd_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_BUCKETS(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN));
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fwd_bucket);
} buckets SEC(".maps");

/* Slots that were used and given back; the first is the next to be used. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, FWD_TABLE_RECORDS);
	__uint(key_size, 0);
	__uint(value_size, sizeof(__u32));
} free_slots SEC(".maps");

/* The half-open connections in the order of their openings; each new one takes the place of the oldest. */
struct fwd_ring_place {
	__u64 who; /* slot << 32 | its fwd_slot.use while that connection is half-open */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_DEFAULT_HALF_OPEN);
	__type(key, __u32);
	__type(value, struct fwd_ring_place);
} ring SEC(".maps");

/* The state of the slots, and the timer that walks them. */
struct fwd_sweeper {
	struct bpf_timer timer;
	__u64 ring_head;      /* places of the ring ever taken; the next is this modulo their number */
	__u32 high_water;     /* slots from here on were never in use */
	__u32 used;           /* slots in use now */
	__u32 confirmed;      /* of these, that are FWD_SLOT_CONFIRMED */
	__u32 cursor;         /* where the walk goes on */
	__u32 sweep_all_seen; /* fwd_config.sweep_all when this round began */
	__u32 all;            /* this round looks at every connection, due or not */
	__u32 waiting;        /* half-open connections, as far as this round has come */
	__u32 flooded;        /* 1: too many were in the last ones, see sweep_judge_flood() */
	__u32 flood_until;    /* ticks */
	__u32 crowded;        /* 1: few places are left for confirmed ones, see sweep_begin_round() */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwd_sweeper);
} sweeper SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_RULES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fwd_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct fwd_rule_key);
	__type(value, __u32);
} rule_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FWD_RULES_MAX);
	__type(key, __u32);
	__type(value, struct fwd_rule_stats);
} rule_stats SEC(".maps");

/* A target and the addresses towards it, of which a search for a source port failed; see exhausted.h. */
struct fwd_exhausted {
	__u32 who;    /* what of its hash isn't in the key */
	__u32 tick;   /* of the last failure */
	__u32 failed; /* searches in a row, at that tick */
};

#define FWD_EXHAUSTED_MAX 4096
#define FWD_EXHAUSTED_ANY FWD_EXHAUSTED_MAX /* the last failure of all; it is asked first */

/* Key: part of a hash. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_EXHAUSTED_MAX + 1);
	__type(key, __u32);
	__type(value, struct fwd_exhausted);
} exhausted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct fwd_port_set);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FWD_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct fwd_device);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FWD_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct fwd_device_stats);
} device_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FWD_NEIGHBOURS_MAX);
	__type(key, __u32);
	__type(value, struct fwd_neighbour);
} neighbours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwd_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwd_meta);
} meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fwd_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FWD_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

/* What another CPU may change meanwhile: read once, here, whatever the compiler would rather do. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

static __always_inline struct fwd_config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct fwd_sweeper *sweeper_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sweeper, &zero);
}

static __always_inline struct fwd_counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* The tables' clock. The coarse clock's millisecond or four is fine enough, and it costs a fifth of
 * reading the TSC. */
static __always_inline __u32 clock_now(void)
{
	const struct fwd_config *c = config_get();

	return (__u32)(bpf_ktime_get_coarse_ns() >> FWD_TICK_SHIFT) + (c ? c->clock_offset : 0);
}

/* True from the tick `at` on. */
static __always_inline bool clock_is_due(__u32 now, __u32 at)
{
	return (__s32)(now - at) >= 0;
}

#endif
