/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet through a program, by BPF_PROG_RUN.
 */
#ifndef RUN_H
#define RUN_H

#include <linux/pkt_cls.h>
#include "gateway.h"
#include "packet.h"

struct result {
	int verdict; /* TC_ACT_*, also of XDP */
	struct frame in, out;
};

/*
 * True if the run can behave as if a NIC had summed up the packet (CHECKSUM_COMPLETE); the kernel then fails the run
 * with EBADMSG if the sum is not the packet's afterwards. It can't for a hop limit that is decremented, which no
 * checksum covers, nor for UDP without a checksum, nor for VLAN tags, which that sum does not cover as a NIC's does.
 */
bool nic_can_sum(enum device dev, const struct packet *p, bool stays);

/* The XDP program alone on r->in. Returns the verdict as tc would name it, or -1: passed on, and unchanged. */
int run_xdp(enum device dev, struct result *r);

/* r->in through XDP, if the device has it, and tc. gso_segs: 0: not a GSO packet. sum: as if the NIC had summed it up.
 * May be called by several threads, once the program is loaded. */
void run_frame(enum device dev, enum hook hook, int gso_segs, bool sum, struct result *r);

/* The same for a packet that is built first. */
void run_summed(enum device dev, enum hook hook, const struct packet *p, bool sum, struct result *r);
void run(enum device dev, enum hook hook, const struct packet *p, struct result *r);

#endif
