/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Constants of one loaded program. fwdctl sets them before the verifier sees the program, which then prunes the code
 * that they rule out. The object is loaded once for each attached device.
 */
#ifndef FWD_BPF_BASE_CONFIG_H
#define FWD_BPF_BASE_CONFIG_H

#include "fwd/device.h"
#include "fwd/table.h"

/* The tests' native context defines them as variables. */
#ifndef FWD_RODATA
#define FWD_RODATA const volatile
#endif

FWD_RODATA __u8 fwd_link = FWD_LINK_ETHERNET; /* enum fwd_link of the device */
FWD_RODATA __u32 fwd_device_index = 0;        /* index of the device in `device_stats` */
FWD_RODATA struct fwd_sizes fwd_sizes = {};   /* of the connection table */
FWD_RODATA __u8 fwd_conntrack = 0;            /* 1: the kernel has the kfuncs of bpf/ctx/ct_kfunc.h */
FWD_RODATA __u8 fwd_mode = FWD_MODE_XDP;      /* enum fwd_mode, of an XDP program */
FWD_RODATA union {
	__u8 byte[6];
	__u16 word[3];
} fwd_mac = {};                   /* of the device, of an XDP program */
FWD_RODATA __u32 fwd_ifindex = 0; /* likewise */

#endif
