/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Properties of a device that only netlink reports, in the current network namespace. */
#ifndef FWD_USER_NETDEV_H
#define FWD_USER_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/* XDP features of a driver in its present state: the bits of enum netdev_xdp_act (include/uapi/linux/netdev.h of kernel
 * 6.3, which older headers lack). */
enum netdev_xdp {
	NETDEV_XDP_BASIC = 1,    /* runs a program that passes and drops */
	NETDEV_XDP_REDIRECT = 2, /* the program may redirect frames to other devices */
	NETDEV_XDP_XMIT = 4,     /* sends frames that programs of other devices redirect to it */
};

/* *features: bits of enum netdev_xdp. False: this kernel does not report them. */
bool netdev_xdp_features(__u32 ifindex, __u64 *features);

/* Packets that the device has received, by its own count. False: no such device. */
bool netdev_received(__u32 ifindex, __u64 *packets);

/* The device that this one is a port of, and its kind ("bridge", "bond", "vrf"), in kind[size]. False: none. */
bool netdev_master(__u32 ifindex, __u32 *master, char *kind, size_t size);

/* The kind of the queueing discipline at the ingress hook ("ingress", "clsact"), in name[size]. False: none. */
bool netdev_ingress_qdisc(__u32 ifindex, char *name, size_t size);

/* The name of the root queueing discipline, in name[size]. False: no such device. */
bool netdev_qdisc(__u32 ifindex, char *name, size_t size);

/* Packets leave the device within other packets, or encrypted: WireGuard, tun, GRE, VXLAN and the like. Not PPP, which
 * is an uplink as a rule. */
bool netdev_is_tunnel(__u32 ifindex);

#endif
