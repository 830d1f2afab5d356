/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every struct that the BPF programs and fwdctl both see: the values of the pinned maps.
 *
 * They outlive any one program, so this is an ABI. Whoever changes a size, an offset or a meaning
 * here raises FWD_ABI_VERSION; fwdctl compares it with the one in the pinned `meta` map before it
 * touches anything else. All padding is by hand, because keys are compared byte by byte and values
 * are copied to user space.
 *
 * Byte order: fields of type __be16 and __be32 are in network order, all others in the host's.
 */
#ifndef FWD_ABI_H
#define FWD_ABI_H

#include <linux/types.h>

#define FWD_ABI_VERSION 7

/* An IPv6 address, or an IPv4 one mapped to ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one piece of
 * code serves both. On the wire no IPv6 packet may carry a mapped address: the parser leaves such
 * packets to the stack, so the two families can't meet in a table. */
struct fwd_addr {
	__be32 w[4];
};

/* The numbers of the IP header's version field. */
enum fwd_family {
	FWD_FAMILY_NONE = 0, /* neither, or not said, as in ":8000" */
	FWD_FAMILY_IPV4 = 4,
	FWD_FAMILY_IPV6 = 6,
};

/* A packet as it is seen on arrival: what the connection table is searched for. */
struct fwd_tuple {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};

/* Time in the tables: "ticks" of 2^20 ns (1.05 ms) of CLOCK_MONOTONIC in 32 bits. They wrap after 52
 * days and are compared by the sign of their difference; no timeout may reach half of that. */
#define FWD_TICK_SHIFT  20
#define FWD_NSEC        1000000000ULL
#define FWD_TICKS(sec)  ((__u32)(((__u64)(sec) * FWD_NSEC) >> FWD_TICK_SHIFT))
#define FWD_TIMEOUT_MAX_SEC (20 * 24 * 3600)

/* Where a device's frames begin. */
enum fwd_link {
	FWD_LINK_IP,       /* with the IP header: WireGuard, tun, PPP */
	FWD_LINK_ETHERNET, /* with an Ethernet header */
	FWD_LINK_MAX,
};

/* The way out of one direction of a connection, as bpf_fib_lookup() last said. */
struct fwd_way {
	__u32 ifindex;   /* 0: not known yet. REPLY: at first, the device that the request came in by */
	__u32 refreshed; /* ticks */
	__u16 mtu;       /* of the device, bytes of IP */
	__u8 link;       /* enum fwd_link, of the device ifindex */
	__u8 pad;
	__u8 dmac[6]; /* FWD_LINK_ETHERNET only */
	__u8 smac[6];
};

/* What happens to a connection's packets, by where they come from. */
enum fwd_dir {
	FWD_DIR_FORWARD, /* from the side that opened it (client) */
	FWD_DIR_REPLY,   /* from the side that was called (target) */
	FWD_DIR_MAX,
};

/* The addresses that the packets of one direction carry when they arrive. */
struct fwd_ends {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
};

/* All else of one direction of a connection: a cache line that packets of this direction alone write to. */
struct fwd_flow {
	__u64 packets;   /* a GSO packet counts as its segments */
	__u64 bytes;     /* from the IP header on */
	__u32 last_seen; /* ticks; at first that of the opening */
	__u32 track;     /* FWD_TRACK_* bits of fwd_track.h, the same in both directions */
	__u32 ack;       /* TCP, host order: the last ACK number of this direction. FORWARD, not yet
			    confirmed: the one that will show that the client saw the target's SYN */
	__be16 sport;    /* as the packets arrive */
	__be16 dport;
	__be16 to_sport; /* as they leave */
	__be16 to_dport;
	__u16 rule;      /* index into `rules`; FWD_RULE_NONE: a connection of a socket of the gateway itself, whose
			    source port was taken by a visitor's to the same target; only its port is translated */
	__u16 rule_gen;  /* the lower half of fwd_rule.gen; the connection ends when they differ */
	struct fwd_way way;
};

/*
 * A connection: three cache lines, of which a packet needs the first and the one of its direction. What arrives in one
 * direction leaves with the addresses of the other, turned round: so nothing is said twice but the ports.
 */
struct fwd_conn {
	struct fwd_ends ends[FWD_DIR_MAX]; /* by enum fwd_dir, both */
	struct fwd_flow flow[FWD_DIR_MAX];
};

#define FWD_RULE_NONE 0xffffU

enum fwd_slot_state {
	FWD_SLOT_FREE,
	FWD_SLOT_TAKEN,     /* by who fills it or empties it; nobody else touches it */
	FWD_SLOT_HALF_OPEN, /* a connection that a newer one may push out */
	FWD_SLOT_CONFIRMED, /* one of those that --connections bounds */
};

/* fwd_slot.use: the state in the lowest bits; the others count its users, so that who ends a connection by
 * compare-and-swap can't end the next one in its place. */
#define FWD_SLOT_STATE 3U
#define FWD_SLOT_NEXT  4U

/* Whose turn it is to be looked at: of the connection at the same index of `conns`. The sweeper walks this array; it is
 * the one list of all connections. */
struct fwd_slot {
	__u32 check_at; /* ticks; not worth a look before */
	__u32 use;      /* FWD_SLOT_STATE */
	__u16 mss;      /* TCP: larger MSS options are lowered to it; 0: left as they are */
	__u8 pad[6];
};

/* A place that was given up rests until so many others were, for a packet on another CPU may still be reading it. */
#define FWD_REST(half_open) ((half_open) > 1024 ? (half_open) : 1024)

/* The places for connections: as many as there may be of both classes, and those at rest. */
#define FWD_RECORDS(connections, half_open) ((connections) + (half_open) + FWD_REST(half_open))

/*
 * The index of the connection table: a hash of a tuple names a bucket, whose cells name the direction of a connection.
 * One cache line; with five of fifteen cells in use on average, when the table is full, one bucket in 15,000 has no room
 * left, and what doesn't fit is in a second one, which the hash names too.
 */
#define FWD_BUCKET_CELLS 15
#define FWD_BUCKETS(connections, half_open) (FWD_RECORDS(connections, half_open) / 5 * 2 + 1)

struct fwd_bucket {
	__u32 cell[FWD_BUCKET_CELLS]; /* 0: free */
	__u32 moved;                  /* cells of other buckets that this one had no room for */
};

/* A cell: what it names, and in the bits that this leaves free some of the hash, so that few connections are looked at in
 * vain. */
#define FWD_CELL_CLAIM 1U /* not there yet, see bpf/table.h */
#define FWD_CELL_DIR   2U /* enum fwd_dir */
#define FWD_CELL_SHIFT 2  /* above: 1 + the index into `conns` */

/* The bits of a cell that are the hash's, in a table of so many places. */
static inline __u32 fwd_cell_tag(__u32 records)
{
	__u32 named = (records << FWD_CELL_SHIFT) | FWD_CELL_CLAIM | FWD_CELL_DIR, tag = ~0U;

	while (named & tag)
		tag <<= 1;
	return tag;
}

/* How large a connection table is, all that follows from it included. */
struct fwd_sizes {
	__u32 connections; /* confirmed ones */
	__u32 half_open;
	__u32 records; /* FWD_RECORDS() */
	__u32 buckets; /* FWD_BUCKETS() */
	__u32 tag;     /* fwd_cell_tag() */
};

static inline struct fwd_sizes fwd_sizes_of(__u32 connections, __u32 half_open)
{
	__u32 records = FWD_RECORDS(connections, half_open);

	return (struct fwd_sizes){connections, half_open, records, FWD_BUCKETS(connections, half_open),
				  fwd_cell_tag(records)};
}

/* Words of the secret that the hash takes: one for each of a tuple. */
#define FWD_SECRET_WORDS 10

enum fwd_snat {
	FWD_SNAT_AUTO, /* the address the kernel uses towards the target, resolved by fwdctl */
	FWD_SNAT_NONE, /* the visitor's own address stays */
	FWD_SNAT_LIST, /* the addresses given */
};

/* fwd_rule.mss: how large a segment the ends may offer each other; or a number of bytes. */
enum fwd_mss {
	FWD_MSS_AUTO = 0,     /* what fits the smaller of both ways out */
	FWD_MSS_OFF = 0xffff, /* as they like */
};

enum fwd_rule_state {
	FWD_RULE_FREE,     /* the place is not in use */
	FWD_RULE_ACTIVE,   /* a map */
	FWD_RULE_DRAINING, /* deleted with --keep-connections: no new ones */
};

/* What a change of maps that is under way makes of this one, as soon as it is decided (user/rules.h). */
enum fwd_rule_change {
	FWD_CHANGE_NONE,
	FWD_CHANGE_ADD,  /* FREE becomes ACTIVE */
	FWD_CHANGE_END,  /* becomes FREE, and its connections end */
	FWD_CHANGE_KEEP, /* becomes DRAINING */
};

#define FWD_SNAT_POOL_MAX 16
#define FWD_NAME_LEN      32 /* with the final 0 */
#define FWD_RULES_MAX     16384

/* One map, as `fwdctl map add` made it. Ports in host order. What opening a connection takes is in the first cache line,
 * up to the pool's first address: of many maps each is in no cache. */
struct fwd_rule {
	__u32 gen;   /* raised when the place is given up: ends the connections that carry the old one */
	__u32 state; /* enum fwd_rule_state */
	struct fwd_addr target;
	__u16 listen_low;
	__u16 listen_high; /* inclusive */
	__u16 target_low;  /* port p becomes target_low + (p - listen_low) */
	__u8 proto;
	__u8 family;     /* enum fwd_family */
	__u8 any_listen; /* 1: listen is a wildcard */
	__u8 snat;       /* enum fwd_snat */
	__u8 snat_count; /* addresses in pool; 0: not resolved yet */
	__u8 change;     /* enum fwd_rule_change; nothing to the programs */
	__u16 mss; /* enum fwd_mss, or bytes */
	__u16 pad2;
	struct fwd_addr pool[FWD_SNAT_POOL_MAX]; /* with FWD_SNAT_NONE: from where the target gets ICMP errors */
	struct fwd_addr listen; /* all zero behind the family's prefix: any address of the gateway */
	char name[FWD_NAME_LEN];
	__u8 pad3[40];
};

/* Key of `rule_index`; value: __u32, index into `rules`. A range of ports is stored as the prefixes
 * that make it up, as CIDR does with addresses; a single port has prefix length 16. */
struct fwd_rule_key {
	struct fwd_addr addr;
	__u16 port; /* host order, bits behind plen are 0 */
	__u8 proto;
	__u8 plen; /* 0 to 16 */
};

/* Per CPU, one for each place in `rules`; the sum over the CPUs is what counts. */
struct fwd_rule_stats {
	__u64 packets[2]; /* by enum fwd_dir */
	__u64 bytes[2];
	__u64 created;
	__u64 ended;
};

/* The loopback device of every network namespace (include/net/flow.h, LOOPBACK_IFINDEX). fwdctl attaches it
 * along with the others: the gateway's own processes come in by it, and what its stack has to say about
 * packets that carry the gateway's own address. */
#define FWD_LOOPBACK 1

/* A device that fwdctl attached; key of `devices`: __u32 ifindex. */
enum fwd_hook {
	FWD_HOOK_TCX,    /* bpf_link, kernel 6.6 and newer */
	FWD_HOOK_CLSACT, /* tc filter */
};

/* How a device's packets are forwarded: at tc, or as far as possible at XDP and the rest at tc. */
enum fwd_mode {
	FWD_MODE_TC,
	FWD_MODE_XDP,         /* in the driver */
	FWD_MODE_XDP_GENERIC, /* by the stack: slower than tc, and for any driver */
};

/* X(symbol, text): why it is that mode, as `stats` says it. */
#define FWD_MODE_WHYS(X)                                                                           \
	X(ASKED, "as asked for")                                                                   \
	X(NATIVE, "its driver has XDP")                                                            \
	X(LINK, "XDP forwards between Ethernet devices only")                                      \
	X(VETH, "packets of a veth have no checksum yet, which only tc can handle")                \
	X(ALONE, "XDP forwards between Ethernet devices: attach two that have it in one command")  \
	X(UNKNOWN, "this kernel (before 6.3) doesn't tell what its driver can do")                 \
	X(VLAN, "it takes VLAN tags off before XDP sees them: ethtool -K DEV rxvlan off")          \
	X(QDISC, "its qdisc shapes what leaves, which XDP goes past")                              \
	X(REFUSED, "its driver, or the kernel, refused XDP")                                       \
	X(FOREIGN, "another XDP program is there that leaves no room for a second one")

enum fwd_mode_why {
#define X(symbol, text) FWD_WHY_##symbol,
	FWD_MODE_WHYS(X)
#undef X
		FWD_WHY_MAX,
};

#define FWD_DEVICES_MAX 64

struct fwd_device {
	__u8 link; /* enum fwd_link */
	__u8 hook; /* enum fwd_hook, of tc */
	__u8 mode; /* enum fwd_mode */
	__u8 why;  /* enum fwd_mode_why */
	__u32 index; /* its place in `device_stats`; a constant of the programs attached to it */
	char name[16];
};

/* Per CPU, FWD_DEVICES_MAX of them. */
struct fwd_device_stats {
	__u64 packets; /* that came in by this device, ours or not; GSO: segments */
	__u64 by_xdp;  /* of these, that XDP sent on */
};

/*
 * A next hop whose entry in the kernel's neighbour table was used by one of our packets: a place of `neighbours`,
 * found by a hash, and whoever came last has it. Those that share a place use their entries more often than they
 * need to.
 */
#define FWD_NEIGHBOURS_MAX 256

struct fwd_neighbour {
	struct fwd_addr addr; /* as bpf_fib_lookup() says it: IPv4's in the first word */
	__u32 ifindex;
	__u32 used; /* ticks; 0: never */
};

/* One bit for each port; `ports` is an array indexed by enum fwd_ports. It answers "is this port
 * anybody's?" with one load, which is all that most of the host's own traffic costs. */
enum fwd_ports {
	FWD_PORTS_LISTEN_TCP, /* some map listens there */
	FWD_PORTS_LISTEN_UDP,
	FWD_PORTS_TARGET_TCP, /* some map's target is there */
	FWD_PORTS_TARGET_UDP,
	FWD_PORTS_MAX,
};

struct fwd_port_set {
	__u64 bits[65536 / 64];
};

/* Indices of fwd_config.timeout; names and defaults in fwd_track.h. */
enum fwd_timeout {
	FWD_TIMEOUT_TCP_SYN_SENT,
	FWD_TIMEOUT_TCP_SYN_RECV,
	FWD_TIMEOUT_TCP_ESTABLISHED,
	FWD_TIMEOUT_TCP_FIN_WAIT,
	FWD_TIMEOUT_TCP_CLOSE_WAIT,
	FWD_TIMEOUT_TCP_LAST_ACK,
	FWD_TIMEOUT_TCP_TIME_WAIT,
	FWD_TIMEOUT_TCP_CLOSE,
	FWD_TIMEOUT_UDP,
	FWD_TIMEOUT_UDP_STREAM,
	FWD_TIMEOUT_FLOOD, /* at most that of half-open ones, while there are too many; of ended ones, where places are few */
	FWD_TIMEOUT_MAX,
};

/* `config`, one element. Written by fwdctl, read by the programs. */
struct fwd_config {
	__u32 timeout[FWD_TIMEOUT_MAX]; /* ticks */
	__u32 plens;       /* bit n: some key of `rule_index` has prefix length n */
	__u32 sweep_all;   /* raised: let the sweeper look at every connection now, due or not */
	__u32 clock_offset; /* ticks added to the clock; for tests */
	__u32 csum_ipv6;   /* 1: the kernel knows BPF_F_IPV6 in bpf_l4_csum_replace() */
	__u32 change;      /* raised to odd: a change of `rules` is being written; to even: it is decided */
	__u32 rules_end;   /* places of `rules` from here on were never in use */
	__u32 secret[FWD_SECRET_WORDS]; /* random: nobody outside can make tuples meet in one bucket */
};

/* `meta`, one element: who made these maps. Its layout never changes, only `abi` does. */
struct fwd_meta {
	__u32 abi;
	__u32 connections; /* sizes that the connection table was made with */
	__u32 half_open;
	__u32 pad;
	__u64 netns_dev; /* stat() of the network namespace that the devices are in; 0: none yet */
	__u64 netns_ino;
};

/* `counters`, per CPU, one element. */
struct fwd_counters {
	__u64 created;
	__u64 expired; /* ended by their timeout */
	__u64 ended;   /* all ends, the expired included */
	__u64 failed;  /* refused for want of a source port or of room */
	__u64 evicted; /* unconfirmed, pushed out of the half-open ring by newer ones */
};

/* What fwdctl asks of the `fwd_control` program: user space never edits a connection itself, so every
 * end of a connection, by packet, timer or command, is the same code. */
enum fwd_request_type {
	FWD_REQUEST_START_SWEEPER,
	FWD_REQUEST_END_CONNECTION, /* `forward` names it */
	FWD_REQUEST_PROBE_CSUM_IPV6,
};

/* Sent as the packet of BPF_PROG_RUN, after 14 bytes that stand for an Ethernet header. The
 * program's return value is 0 or a negative errno. */
struct fwd_request {
	__u32 type; /* enum fwd_request_type */
	__u32 pad;
	struct fwd_tuple forward;
};

#define FWD_DEFAULT_CONNECTIONS 65536
#define FWD_DEFAULT_HALF_OPEN   16384

_Static_assert(sizeof(struct fwd_tuple) == 40, "ABI");
_Static_assert(sizeof(struct fwd_way) == 24, "ABI");
_Static_assert(sizeof(struct fwd_ends) == 32, "ABI");
_Static_assert(sizeof(struct fwd_flow) == 64, "ABI");
_Static_assert(sizeof(struct fwd_conn) == 192, "ABI");
_Static_assert(sizeof(struct fwd_slot) == 16, "ABI");
_Static_assert(sizeof(struct fwd_bucket) == 64, "ABI");
_Static_assert(sizeof(struct fwd_rule) == 384, "ABI");
_Static_assert(sizeof(struct fwd_rule_key) == 20, "ABI");
_Static_assert(sizeof(struct fwd_rule_stats) == 48, "ABI");
_Static_assert(sizeof(struct fwd_device) == 24, "ABI");
_Static_assert(sizeof(struct fwd_neighbour) == 24, "ABI");
_Static_assert(sizeof(struct fwd_meta) == 32, "ABI");
_Static_assert(sizeof(struct fwd_config) == 108, "ABI");
_Static_assert(sizeof(struct fwd_request) == 48, "ABI");

#endif
