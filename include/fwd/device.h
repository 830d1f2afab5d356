/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attached devices: the maps `devices`, `live_devices`, `device_stats` and `xdp_devices`.
 */
#ifndef FWD_DEVICE_H
#define FWD_DEVICE_H

#include "fwd/abi.h"

#define FWD_DEVICES_MAX 64

/*
 * The loopback device of every network namespace (include/net/flow.h, LOOPBACK_IFINDEX). fwdctl attaches it along
 * with the others, because packets of the gateway's own processes arrive by it, and so do the ICMP errors of its
 * stack that are addressed to the gateway itself.
 */
#define FWD_LOOPBACK 1

/* What a device's frames begin with. */
enum fwd_link {
	FWD_LINK_IP = 0,       /* the IP header: WireGuard, tun, PPP */
	FWD_LINK_ETHERNET = 1, /* an Ethernet header */
	FWD_LINK_MAX,
};

/* How the tc programs are attached. */
enum fwd_hook {
	FWD_HOOK_TCX = 0,    /* a bpf_link, kernel 6.6 and newer */
	FWD_HOOK_CLSACT = 1, /* a tc filter of a clsact qdisc */
};

/* Where a device's packets are forwarded: by tc, or as far as possible by XDP and the rest by tc. */
enum fwd_mode {
	FWD_MODE_TC = 0,
	FWD_MODE_XDP = 1,         /* native: in the driver */
	FWD_MODE_XDP_GENERIC = 2, /* in the stack: slower than tc, but for any driver */
};

/* X(symbol, value, text): the reason for a device's mode, as `stats` prints it. */
#define FWD_MODE_REASONS(X)                                                                       \
	X(ASKED, 0, "as requested")                                                               \
	X(NATIVE, 1, "the driver supports XDP")                                                   \
	X(LINK, 2, "XDP forwards between Ethernet devices only")                                  \
	X(VETH, 3, "packets of a veth have no checksum yet, which only tc can handle")            \
	X(ALONE, 4, "XDP forwards between Ethernet devices: attach two that support it together") \
	X(UNKNOWN, 5, "this kernel (before 6.3) does not report what the driver supports")        \
	X(VLAN, 6, "it removes VLAN tags before XDP sees them: ethtool -K DEV rxvlan off")        \
	X(QDISC, 7, "its qdisc shapes what leaves, and XDP bypasses qdiscs")                      \
	X(REFUSED, 8, "the driver or the kernel refused XDP")                                     \
	X(FOREIGN, 9, "another XDP program is attached and leaves no room for a second one")

enum fwd_mode_reason {
#define X(symbol, value, text) FWD_MODE_REASON_##symbol = value,
	FWD_MODE_REASONS(X)
#undef X
	FWD_MODE_REASON_MAX,
};

/* The kernel's reverse path filter (net.ipv4.conf.DEV.rp_filter, RFC 3704). */
enum fwd_rp_filter {
	FWD_RP_OFF = 0,
	FWD_RP_STRICT = 1, /* the route to a packet's source leads to the device that received it */
	FWD_RP_LOOSE = 2,  /* there is a route to its source */
};

#define FWD_VERSION_LEN 40 /* with the terminating NUL */

/*
 * Value of `devices`; key: __u32 ifindex. Written by fwdctl.
 *
 * The record stays until fwdctl deletes it. Whether that device is still there is in `live_devices`, which has the same
 * keys: a DEVMAP_HASH, from which the kernel deletes a device that is removed or moved to another network namespace
 * (kernel/bpf/devmap.c, dev_map_notification()). Its ifindex may be another device's by then.
 */
struct fwd_device {
	__u8 link;                     /* enum fwd_link */
	__u8 hook;                     /* enum fwd_hook */
	__u8 mode;                     /* enum fwd_mode */
	__u8 mode_reason;              /* enum fwd_mode_reason */
	__u32 index;                   /* index into `device_stats`; a constant of the programs attached to it */
	char name[16];                 /* when it was attached */
	__u64 received;                /* packets that it had received, by its own count, when it was attached */
	char version[FWD_VERSION_LEN]; /* of the fwdctl whose programs are attached */
	__u8 rp_filter;                /* enum fwd_rp_filter, of IPv4 */
	__u8 tunnel;                   /* 1: packets leave it within others (WireGuard, tun, GRE, VXLAN ...) */
	__u8 pad[6];
};

FWD_ABI_SIZE(struct fwd_device, 80);
FWD_ABI_OFFSET(struct fwd_device, hook, 1);
FWD_ABI_OFFSET(struct fwd_device, mode, 2);
FWD_ABI_OFFSET(struct fwd_device, mode_reason, 3);
FWD_ABI_OFFSET(struct fwd_device, index, 4);
FWD_ABI_OFFSET(struct fwd_device, name, 8);
FWD_ABI_OFFSET(struct fwd_device, received, 24);
FWD_ABI_OFFSET(struct fwd_device, version, 32);
FWD_ABI_OFFSET(struct fwd_device, rp_filter, 72);
FWD_ABI_OFFSET(struct fwd_device, tunnel, 73);

/* Value of `device_stats`, per CPU. */
struct fwd_device_stats {
	__u64 packets;     /* received by this device, forwarded or not; a GSO packet counts as its segments */
	__u64 xdp_packets; /* of these, forwarded by XDP */
};

FWD_ABI_SIZE(struct fwd_device_stats, 16);
FWD_ABI_OFFSET(struct fwd_device_stats, xdp_packets, 8);

#endif
