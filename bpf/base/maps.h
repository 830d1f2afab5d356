/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of include/fwd/maps.h, defined for this object, and their accessors.
 *
 * The entry file says which object it is: FWD_OBJECT_TC or FWD_OBJECT_XDP, 1 if so; the control object is neither.
 */
#ifndef FWD_BPF_BASE_MAPS_H
#define FWD_BPF_BASE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "fwd/clock.h"
#include "fwd/maps.h"

/* Values of LOCAL maps, defined where they are used. */
struct fwd_scratch;
struct fwd_pkt;
struct fwd_open;
struct fwd_source_check;
struct fwd_icmp_budget;
struct fwd_icmp_peer;
struct fwd_ip_fragment;
struct fwd_frag_scratch;
struct fwd_datagram_key;
struct fwd_datagram;
struct fwd_frag_lane;
struct fwd_neigh_failure;

#define MAP_KEY(key_type, value_type) \
	__type(key, key_type);        \
	__type(value, value_type)

#define MAP_KEY_ARRAY        MAP_KEY
#define MAP_KEY_PERCPU_ARRAY MAP_KEY
#define MAP_KEY_HASH         MAP_KEY
#define MAP_KEY_LRU_HASH     MAP_KEY
#define MAP_KEY_DEVMAP_HASH  MAP_KEY
#define MAP_KEY_QUEUE(key_type, value_type) \
	__uint(key_size, 0);                \
	__uint(value_size, sizeof(value_type))

#define MAP_OF_ALL(definition) definition
#if FWD_OBJECT_TC || FWD_OBJECT_XDP
#define MAP_OF_PATH(definition) definition
#else
#define MAP_OF_PATH(definition)
#endif
#if FWD_OBJECT_TC
#define MAP_OF_TC(definition) definition
#else
#define MAP_OF_TC(definition)
#endif
#if FWD_OBJECT_XDP
#define MAP_OF_XDP(definition) definition
#else
#define MAP_OF_XDP(definition)
#endif

#define MAP_DEFINITION(name, map_type, key_type, value_type, entries, flags) \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_##map_type);                       \
		__uint(max_entries, entries);                                \
		__uint(map_flags, flags);                                    \
		MAP_KEY_##map_type(key_type, value_type);                    \
	} name SEC(".maps");

#define X(symbol, name, type, key, value, entries, flags, scope, programs) \
	MAP_OF_##programs(MAP_DEFINITION(name, type, key, value, entries, flags))
FWD_MAPS(X)
#undef X

/* One load, at this place, of a value that another CPU may change at any time. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

static __always_inline struct fwd_config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct fwd_gc *gc_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&gc, &zero);
}

static __always_inline struct fwd_counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void counter_add(enum fwd_counter counter)
{
	struct fwd_counters *c = counters_get();

	if (c)
		c->value[counter]++;
}

/* The clock of the tables, in ticks. The resolution of the coarse clock, one jiffy, is sufficient, and reading it
 * costs a fifth of reading the TSC. */
static __always_inline __u32 clock_now(void)
{
	const struct fwd_config *c = config_get();

	return (__u32)(bpf_ktime_get_coarse_ns() >> FWD_TICK_SHIFT) + (c ? c->clock_offset : 0);
}

#endif
