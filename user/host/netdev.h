/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel tells about a device by netlink alone, in the current network namespace. */
#ifndef FWD_USER_NETDEV_H
#define FWD_USER_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/* What a driver can do with XDP at this moment: the bits of enum netdev_xdp_act (include/uapi/linux/netdev.h of
 * kernel 6.3, which older headers lack). */
enum netdev_xdp {
	NETDEV_XDP_BASIC = 1,    /* run a program */
	NETDEV_XDP_REDIRECT = 2, /* let it send frames to other devices */
	NETDEV_XDP_XMIT = 4,     /* take frames from others' programs */
};

/* *features: bits of enum netdev_xdp. False: this kernel doesn't tell. */
bool netdev_xdp_features(__u32 ifindex, __u64 *features);

/* The name of the root queueing discipline, in name[size]. False: no such device. */
bool netdev_qdisc(__u32 ifindex, char *name, size_t size);

#endif
