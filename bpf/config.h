/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Constants of one loaded program, set by fwdctl before the verifier sees it, which then prunes
 * what they rule out. The object is loaded once for each attached device.
 */
#ifndef FWD_CONFIG_H
#define FWD_CONFIG_H

#include "fwd_abi.h"

const volatile __u8 fwd_link = FWD_LINK_ETHERNET; /* enum fwd_link of the device */
const volatile __u32 fwd_device_index = 0;        /* its place in `device_stats` */
const volatile struct fwd_sizes fwd_sizes = {};   /* of the connection table */
const volatile __u8 fwd_mode = FWD_MODE_XDP;       /* enum fwd_mode, of an XDP program */
const volatile union {
	__u8 byte[6];
	__u16 word[3];
} fwd_mac = {}; /* of the device, of an XDP program */
const volatile __u32 fwd_ifindex = 0;              /* likewise */

#endif
