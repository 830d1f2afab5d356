/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All maps: the one list. The programs define them from it (bpf/base/maps.h); fwdctl names, creates, pins and checks
 * them from it (user/state/bpfmaps.c).
 *
 * X(symbol, name, type, key, value, entries, flags, scope, programs)
 *   key       of a QUEUE: FWD_NO_KEY
 *   entries   of the scopes HALF_OPEN, RECORDS and BUCKETS: a default, which fwdctl replaces before it loads
 *   scope     FIXED     pinned, of this size
 *             TABLE     the same, and a part of the connection table: created anew together with the next ones
 *             HALF_OPEN, RECORDS, BUCKETS
 *                       pinned, sized by --connections and --half-open
 *             LOCAL     not pinned: each loaded object has its own
 *   programs  the objects that have it: ALL, PATH (tc and xdp, not control), TC or XDP alone
 *
 * All of the connection table is arrays: its memory is allocated at attach or not at all, and never missing in a flood.
 * Mappable arrays begin with a page, so that a connection's parts, and a bucket, are cache lines; and fwdctl reads them
 * without a system call for each record.
 *
 * `meta` is the last of the pinned maps, and is pinned last: its pin says that the set is complete.
 */
#ifndef FWD_MAPS_H
#define FWD_MAPS_H

#include "fwd/config.h"
#include "fwd/counters.h"
#include "fwd/device.h"
#include "fwd/gc.h"
#include "fwd/neigh.h"
#include "fwd/port_backoff.h"
#include "fwd/port_quarantine.h"
#include "fwd/reason.h"
#include "fwd/rule.h"
#include "fwd/table.h"

#define FWD_DEFAULT_RECORDS FWD_RECORDS(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN)
#define FWD_DEFAULT_BUCKETS FWD_BUCKETS(FWD_DEFAULT_CONNECTIONS, FWD_DEFAULT_HALF_OPEN)

#define FWD_RULE_INDEX_MAX     262144 /* keys: a map of a range has up to 30 */
#define FWD_NEIGH_FAILURES_MAX 64     /* next hops that do not answer; by a hash, so that a new one replaces another */
#define FWD_DATAGRAMS_MAX      1024   /* fragmented datagrams in flight; the least recently used are evicted */
#define FWD_FRAG_LANES         16     /* sources whose fragments are kept at a time (bpf/ct/frag_track.h) */
#define FWD_ICMP_PEERS_MAX     4096   /* receivers of ICMP errors; the least recently used are evicted */

/* clang-format off */
#define FWD_MAPS(X) \
	X(CONNS, conns, ARRAY, __u32, struct fwd_conn, FWD_DEFAULT_RECORDS, BPF_F_MMAPABLE, RECORDS, ALL) \
	X(SLOTS, slots, ARRAY, __u32, struct fwd_slot, FWD_DEFAULT_RECORDS, BPF_F_MMAPABLE, RECORDS, ALL) \
	X(FREE_SLOTS, free_slots, QUEUE, FWD_NO_KEY, __u32, FWD_DEFAULT_RECORDS, 0, RECORDS, ALL) \
	X(BUCKETS, buckets, ARRAY, __u32, struct fwd_bucket, FWD_DEFAULT_BUCKETS, BPF_F_MMAPABLE, BUCKETS, ALL) \
	X(RING, ring, ARRAY, __u32, struct fwd_ring_slot, FWD_DEFAULT_HALF_OPEN, 0, HALF_OPEN, ALL) \
	X(GC, gc, ARRAY, __u32, struct fwd_gc, 1, 0, TABLE, ALL) \
	X(RULES, rules, ARRAY, __u32, struct fwd_rule, FWD_RULES_MAX, BPF_F_MMAPABLE, FIXED, ALL) \
	X(RULE_INDEX, rule_index, HASH, struct fwd_rule_key, __u32, FWD_RULE_INDEX_MAX, BPF_F_NO_PREALLOC, FIXED, ALL) \
	X(RULE_STATS, rule_stats, PERCPU_ARRAY, __u32, struct fwd_rule_stats, FWD_RULES_MAX, 0, FIXED, ALL) \
	X(PORT_BACKOFF, port_backoff, ARRAY, __u32, struct fwd_port_backoff, FWD_PORT_BACKOFF_MAX + 1, 0, FIXED, ALL) \
	X(PORT_QUARANTINE, port_quarantine, ARRAY, __u32, struct fwd_port_quarantine, \
	  FWD_PORT_QUARANTINE_MAX + 1, 0, FIXED, ALL) \
	X(DEVICES, devices, HASH, __u32, struct fwd_device, FWD_DEVICES_MAX, 0, FIXED, ALL) \
	X(LIVE_DEVICES, live_devices, DEVMAP_HASH, __u32, __u32, FWD_DEVICES_MAX, 0, FIXED, ALL) \
	X(DEVICE_STATS, device_stats, PERCPU_ARRAY, __u32, struct fwd_device_stats, FWD_DEVICES_MAX, 0, FIXED, ALL) \
	/* The devices that XDP may send to, by ifindex: see bpf/ctx/xdp.h. */ \
	X(XDP_DEVICES, xdp_devices, DEVMAP_HASH, __u32, __u32, FWD_DEVICES_MAX, 0, FIXED, ALL) \
	X(NEIGHS, neighs, ARRAY, __u32, struct fwd_neigh, FWD_NEIGHS_MAX, 0, FIXED, ALL) \
	X(PORTS, ports, ARRAY, __u32, struct fwd_port_set, FWD_PORTS_MAX, 0, FIXED, ALL) \
	X(CONFIG, config, ARRAY, __u32, struct fwd_config, 1, 0, FIXED, ALL) \
	X(COUNTERS, counters, PERCPU_ARRAY, __u32, struct fwd_counters, 1, 0, FIXED, ALL) \
	X(REASONS, reasons, PERCPU_ARRAY, __u32, __u64, FWD_REASON_MAX, 0, FIXED, ALL) \
	X(META, meta, ARRAY, __u32, struct fwd_meta, 1, 0, FIXED, ALL) \
	/* Scratch memory: what is too large for 512 bytes of stack. */ \
	X(SCRATCH, scratch, PERCPU_ARRAY, __u32, struct fwd_scratch, 2, 0, LOCAL, TC) \
	/* ICMP errors sent: by all CPUs, and to each address. */ \
	X(ICMP_BUDGET, icmp_budget, ARRAY, __u32, struct fwd_icmp_budget, 1, 0, LOCAL, TC) \
	X(ICMP_PEERS, icmp_peers, LRU_HASH, struct fwd_addr, struct fwd_icmp_peer, FWD_ICMP_PEERS_MAX, 0, LOCAL, TC) \
	X(FASTPATH_SCRATCH, fastpath_scratch, PERCPU_ARRAY, __u32, struct fwd_pkt, 1, 0, LOCAL, XDP) \
	X(OPEN_SCRATCH, open_scratch, PERCPU_ARRAY, __u32, struct fwd_open, 1, 0, LOCAL, TC) \
	X(SOURCE_CHECKS, source_checks, PERCPU_ARRAY, __u32, struct fwd_source_check, FWD_RULES_MAX, 0, LOCAL, PATH) \
	X(IP_FRAGMENT_SCRATCH, ip_fragment_scratch, PERCPU_ARRAY, __u32, struct fwd_ip_fragment, 1, 0, LOCAL, TC) \
	X(FRAG_SCRATCH, frag_scratch, PERCPU_ARRAY, __u32, struct fwd_frag_scratch, 1, 0, LOCAL, TC) \
	X(NEIGH_FAILURES, neigh_failures, ARRAY, __u32, struct fwd_neigh_failure, \
	  FWD_NEIGH_FAILURES_MAX, 0, LOCAL, TC) \
	/* Fragments: all of a datagram arrive by one device, so each device has its own (4 MB). */ \
	X(DATAGRAMS, datagrams, LRU_HASH, struct fwd_datagram_key, struct fwd_datagram, \
	  FWD_DATAGRAMS_MAX, 0, LOCAL, TC) \
	X(DATAGRAMS_NOT_OURS, datagrams_not_ours, LRU_HASH, struct fwd_datagram_key, __u32, \
	  FWD_DATAGRAMS_MAX, 0, LOCAL, TC) \
	X(FRAG_LANES, frag_lanes, ARRAY, __u32, struct fwd_frag_lane, FWD_FRAG_LANES, 0, LOCAL, TC)
/* clang-format on */

#endif
