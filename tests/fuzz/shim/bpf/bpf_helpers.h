/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Replaces libbpf's <bpf/bpf_helpers.h> where the pipeline is compiled natively: declarations of BPF maps, and helpers
 * under the kernel's names. native_maps.h implements the maps, world.h models routes, sockets and time.
 */
#ifndef SHIM_BPF_HELPERS_H
#define SHIM_BPF_HELPERS_H

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name)
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

#include "../../no_coverage.h"
#include "../../native_maps.h"

/* The declaration of a BPF map holds its attributes, which libbpf reads from BTF. */
#define NATIVE_UINT(field) (sizeof(*(field)) / sizeof(int))
#define NATIVE_MAP(map)                                                                                           \
	native_map_get((map),                                                                                     \
		       &(const struct native_map_spec){NATIVE_UINT((map)->type), NATIVE_UINT((map)->max_entries), \
						       sizeof(*(map)->key), sizeof(*(map)->value)})
#define NATIVE_QUEUE(map)                                                                                            \
	native_map_get((map),                                                                                        \
		       &(const struct native_map_spec){NATIVE_UINT((map)->type), NATIVE_UINT((map)->max_entries), 0, \
						       NATIVE_UINT((map)->value_size)})

#define bpf_map_lookup_elem(map, key)               native_map_lookup(NATIVE_MAP(map), key)
#define bpf_map_update_elem(map, key, value, flags) native_map_update(NATIVE_MAP(map), key, value, flags)
#define bpf_map_delete_elem(map, key)               native_map_delete(NATIVE_MAP(map), key)
#define bpf_map_push_elem(map, value, flags)        native_map_push(NATIVE_QUEUE(map), value, flags)
#define bpf_map_pop_elem(map, value)                native_map_pop(NATIVE_QUEUE(map), value)

struct native_ctx;

/* In world.h. */
#define NATIVE_HELPER static __attribute__((unused))

NATIVE_HELPER __u64 bpf_ktime_get_ns(void);
NATIVE_HELPER __u64 bpf_ktime_get_coarse_ns(void);
NATIVE_HELPER __u32 bpf_get_prandom_u32(void);
NATIVE_HELPER long bpf_fib_lookup(struct native_ctx *ctx, struct bpf_fib_lookup *fib, int len, __u32 flags);
NATIVE_HELPER long bpf_check_mtu(struct native_ctx *ctx, __u32 ifindex, __u32 *mtu, __s32 diff, __u64 flags);
NATIVE_HELPER struct bpf_sock *bpf_skc_lookup_tcp(struct native_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size,
						  __u64 netns, __u64 flags);
NATIVE_HELPER struct bpf_sock *bpf_sk_lookup_udp(struct native_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size,
						 __u64 netns, __u64 flags);
NATIVE_HELPER long bpf_sk_release(void *sock);
NATIVE_HELPER long bpf_redirect(__u32 ifindex, __u64 flags);
NATIVE_HELPER long bpf_redirect_neigh(__u32 ifindex, struct bpf_redir_neigh *neigh, int len, __u64 flags);

/* The sum of added words and of the complement of removed ones (net/core/filter.c). */
static inline __s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __u32 seed)
{
	__u64 sum = seed;

	for (__u32 i = 0; i < from_size / 4; i++)
		sum += (__u32)~from[i];
	for (__u32 i = 0; i < to_size / 4; i++)
		sum += to[i];
	while (sum >> 32)
		sum = (sum & 0xffffffff) + (sum >> 32);
	return (__s64)sum;
}

/* No timer fires by itself: world.h calls the garbage collector when its clock advances. */
#define bpf_timer_init(timer, map, clock)          ((void)(map), 0L)
#define bpf_timer_set_callback(timer, callback)    ((void)(callback), 0L)
#define bpf_timer_start(timer, nanoseconds, flags) ((void)(nanoseconds), 0L)

#pragma clang attribute pop

#endif
