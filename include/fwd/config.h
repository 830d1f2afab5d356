/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Settings and identity of an instance: the maps `config` and `meta`, one element each.
 */
#ifndef FWD_CONFIG_H
#define FWD_CONFIG_H

#include "fwd/clock.h"
#include "fwd/ct_state.h"

/* Words of the hash's secret: one for each word of a tuple. */
#define FWD_SECRET_WORDS 10

/* `config`. Written by fwdctl, read by the programs. */
struct fwd_config {
	__u32 timeout[FWD_TIMEOUT_MAX]; /* ticks, by enum fwd_timeout */
	__u32 plens;                    /* bit n: some key of `rule_index` has prefix length n */
	__u32 gc_all;                   /* incremented: the collector checks every connection, due or not */
	__u32 clock_offset;             /* ticks added to the clock; for tests */
	__u32 csum_ipv6;                /* 1: the kernel knows BPF_F_IPV6 in bpf_l4_csum_replace() */
	__u32 change;    /* sequence of changes to `rules`: odd while one is written, even once it is committed */
	__u32 rules_end; /* rules from this index on were never used */
	__u32 secret[FWD_SECRET_WORDS]; /* random, so that nobody outside can choose tuples that share a bucket */
	__u32 icmp_per_second;          /* the most ICMP errors that a device sends in a second */
	__u32 icmp_interval[2];         /* ticks between ICMP errors to one address, by FWD_ICMP_*; 0: no limit */
};

/* The kernel's limits of ICMP errors, which attach copies from net.ipv4.icmp_msgs_per_sec, net.ipv4.icmp_ratelimit and
 * net.ipv6.icmp.ratelimit; and their defaults, which are those of kernels before 6.12. */
#define FWD_ICMP_IPV4               0
#define FWD_ICMP_IPV6               1
#define FWD_ICMP_PER_SECOND_DEFAULT 1000
#define FWD_ICMP_INTERVAL_DEFAULT   FWD_TICKS(1)

FWD_ABI_SIZE(struct fwd_config, 120);
FWD_ABI_OFFSET(struct fwd_config, plens, 44);
FWD_ABI_OFFSET(struct fwd_config, gc_all, 48);
FWD_ABI_OFFSET(struct fwd_config, clock_offset, 52);
FWD_ABI_OFFSET(struct fwd_config, csum_ipv6, 56);
FWD_ABI_OFFSET(struct fwd_config, change, 60);
FWD_ABI_OFFSET(struct fwd_config, rules_end, 64);
FWD_ABI_OFFSET(struct fwd_config, secret, 68);
FWD_ABI_OFFSET(struct fwd_config, icmp_per_second, 108);
FWD_ABI_OFFSET(struct fwd_config, icmp_interval, 112);

/* `meta`: the layout of the maps. Its own layout never changes, only the value of `abi` does. */
struct fwd_meta {
	__u32 abi;         /* FWD_ABI_VERSION of the fwdctl that made the maps */
	__u32 connections; /* size of the connection table */
	__u32 half_open;
	__u32 pad;
	__u64 netns_cookie; /* SO_NETNS_COOKIE of the network namespace that the devices are in; 0: none yet */
	__u64 pad2;
};

FWD_ABI_SIZE(struct fwd_meta, 32);
FWD_ABI_OFFSET(struct fwd_meta, connections, 4);
FWD_ABI_OFFSET(struct fwd_meta, half_open, 8);
FWD_ABI_OFFSET(struct fwd_meta, netns_cookie, 16);

#endif
