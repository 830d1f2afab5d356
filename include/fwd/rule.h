/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Port maps: the maps `rules`, `rule_index`, `rule_stats` and `ports`.
 */
#ifndef FWD_RULE_H
#define FWD_RULE_H

#include "fwd/conn.h"

#define FWD_SNAT_POOL_MAX 16
#define FWD_NAME_LEN      32 /* with the terminating NUL */
#define FWD_RULES_MAX     16384

enum fwd_snat {
	FWD_SNAT_AUTO = 0, /* the address that the kernel uses towards the target, looked up by fwdctl */
	FWD_SNAT_NONE = 1, /* the visitor's address stays */
	FWD_SNAT_LIST = 2, /* the addresses given */
};

/* fwd_rule.mss: the largest MSS that SYNs may offer, in bytes, or one of these. */
enum fwd_mss {
	FWD_MSS_AUTO = 0,     /* what fits the smaller MTU of both routes */
	FWD_MSS_OFF = 0xffff, /* unchanged */
};

enum fwd_rule_state {
	FWD_RULE_FREE = 0,     /* unused */
	FWD_RULE_ACTIVE = 1,   /* accepts new connections */
	FWD_RULE_DRAINING = 2, /* deleted with --keep-connections: no new connections */
};

/* What a pending change does to a rule once it is committed (user/state/rules.h). */
enum fwd_rule_change {
	FWD_CHANGE_NONE = 0,
	FWD_CHANGE_ADD = 1,  /* FREE becomes ACTIVE */
	FWD_CHANGE_END = 2,  /* becomes FREE, and its connections end */
	FWD_CHANGE_KEEP = 3, /* becomes DRAINING */
};

/* Where the first route to a map's target led. See route_stays_in_tunnel(). */
enum fwd_rule_path {
	FWD_PATH_UNKNOWN = 0, /* no packet has had a route yet */
	FWD_PATH_TUNNEL = 1,  /* to a tunnel, and no other route is accepted from then on */
	FWD_PATH_OPEN = 2,    /* to another device */
	FWD_PATH_IPSEC = 3,   /* set by attach: an IPsec policy applies, which the programs cannot honour */
};

/* One map, as `fwdctl map add` made it. Ports in host order. Opening a connection reads the first cache line only, up
 * to the pool's first address: with many maps each of them misses the cache. */
struct fwd_rule {
	__u32 gen;   /* raised when the rule is freed: ends the connections that carry the old one */
	__u32 state; /* enum fwd_rule_state */
	struct fwd_addr target;
	__u16 listen_low;
	__u16 listen_high; /* inclusive */
	__u16 target_low;  /* port p becomes target_low + (p - listen_low) */
	__u8 proto;
	__u8 family;     /* enum fwd_family */
	__u8 any_listen; /* 1: listen is a wildcard */
	__u8 snat;       /* enum fwd_snat */
	__u8 snat_count; /* addresses in pool; 0: not known yet */
	__u8 change;     /* enum fwd_rule_change; not read by the programs */
	__u16 mss;       /* enum fwd_mss, or bytes */
	__u8 path;       /* enum fwd_rule_path; written by the programs, too */
	__u8 was_tunnel; /* 1: before FWD_PATH_IPSEC it was FWD_PATH_TUNNEL; not read by the programs */
	struct fwd_addr pool[FWD_SNAT_POOL_MAX]; /* with FWD_SNAT_NONE: the source of ICMP errors to the target */
	struct fwd_addr listen;                  /* the unspecified address of the family: any address of the gateway */
	char name[FWD_NAME_LEN];
	__u8 pad3[40];
};

FWD_ABI_SIZE(struct fwd_rule, 384);
FWD_ABI_OFFSET(struct fwd_rule, state, 4);
FWD_ABI_OFFSET(struct fwd_rule, target, 8);
FWD_ABI_OFFSET(struct fwd_rule, listen_low, 24);
FWD_ABI_OFFSET(struct fwd_rule, listen_high, 26);
FWD_ABI_OFFSET(struct fwd_rule, target_low, 28);
FWD_ABI_OFFSET(struct fwd_rule, proto, 30);
FWD_ABI_OFFSET(struct fwd_rule, family, 31);
FWD_ABI_OFFSET(struct fwd_rule, any_listen, 32);
FWD_ABI_OFFSET(struct fwd_rule, snat, 33);
FWD_ABI_OFFSET(struct fwd_rule, snat_count, 34);
FWD_ABI_OFFSET(struct fwd_rule, change, 35);
FWD_ABI_OFFSET(struct fwd_rule, mss, 36);
FWD_ABI_OFFSET(struct fwd_rule, path, 38);
FWD_ABI_OFFSET(struct fwd_rule, was_tunnel, 39);
FWD_ABI_OFFSET(struct fwd_rule, pool, 40);
FWD_ABI_OFFSET(struct fwd_rule, listen, 296);
FWD_ABI_OFFSET(struct fwd_rule, name, 312);

/* Key of `rule_index`; value: __u32, index into `rules`. A range of ports is stored as the prefixes that make it up,
 * as CIDR does with addresses; a single port has prefix length 16. */
struct fwd_rule_key {
	struct fwd_addr addr;
	__u16 port; /* host order, bits beyond plen are 0 */
	__u8 proto;
	__u8 plen; /* 0 to 16 */
};

FWD_ABI_SIZE(struct fwd_rule_key, 20);
FWD_ABI_OFFSET(struct fwd_rule_key, port, 16);
FWD_ABI_OFFSET(struct fwd_rule_key, proto, 18);
FWD_ABI_OFFSET(struct fwd_rule_key, plen, 19);

/* Value of `rule_stats`, per CPU, by the index of the rule; the sum over the CPUs counts. */
struct fwd_rule_stats {
	__u64 packets[FWD_DIR_MAX];
	__u64 bytes[FWD_DIR_MAX];
	__u64 created; /* connections opened */
	__u64 ended;   /* connections ended */
};

FWD_ABI_SIZE(struct fwd_rule_stats, 48);
FWD_ABI_OFFSET(struct fwd_rule_stats, bytes, 16);
FWD_ABI_OFFSET(struct fwd_rule_stats, created, 32);
FWD_ABI_OFFSET(struct fwd_rule_stats, ended, 40);

/* Index of `ports`: sets of ports, one bit each. "Does any map use this port?" is one load, which is all that most of
 * the host's own traffic costs. */
enum fwd_ports {
	FWD_PORTS_LISTEN_TCP = 0, /* some map listens on it */
	FWD_PORTS_LISTEN_UDP = 1,
	FWD_PORTS_TARGET_TCP = 2, /* some map's target uses it */
	FWD_PORTS_TARGET_UDP = 3,
	FWD_PORTS_MAX,
};

struct fwd_port_set {
	__u64 bits[65536 / 64]; /* by the port in host order */
};

FWD_ABI_SIZE(struct fwd_port_set, 8192);

#endif
