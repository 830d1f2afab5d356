/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A gateway that the BPF programs run on: the namespace of netns.h, the BPF maps, and the tc object loaded twice, for
 * devices with an Ethernet header and for devices without. Packets enter by BPF_PROG_RUN (run.h). The FIB, the
 * neighbour table and the sockets that the programs look up are the kernel's.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <criterion/criterion.h>
#include <errno.h>
#include <bpf/bpf.h>
#include "fwd/config.h"
#include "fwd/device.h"
#include "fwd/request.h"
#include "fwd/table.h"
#include "netns.h"

extern struct gateway {
	int ifindex[DEVICES];
	__u32 connections, half_open;
	__u32 buckets; /* 0: FWD_BUCKETS() of the two above */
} gw;

/* Creates the namespace and the BPF maps, and loads the programs. With FWD_TEST_XDP in the environment, XDP runs
 * before tc, and each test expects the same packets. */
void gateway_start(__u32 connections, __u32 half_open);

/* Loads XDP on the Ethernet devices that fwdctl is attached to; they may redirect frames to each other. */
void xdp_start(enum fwd_mode mode);

/* Records in the connection table, of both classes. */
__u32 gateway_records(void);
__u32 gateway_buckets(void);

enum hook {
	INGRESS,
	EGRESS,
	EGRESS_FORWARDED, /* of a packet that was received by another device */
};

/* The tc program of a device; fwd_egress is loaded at the first call. */
int program_fd(enum device dev, enum hook hook);

/* The XDP program of a device; -1: none, its packets go straight to tc. */
int xdp_program_fd(enum device dev);

/* A BPF map by its name in include/fwd/maps.h. */
int map_fd(const char *name);
#define MAP_FD(name) map_fd(#name)

/* `xdp_devices`, which only the XDP objects have. */
int xdp_devices_fd(void);

void map_put(int fd, const void *key, const void *value);

struct fwd_config config_read(void);
void config_write(const struct fwd_config *c);

/* Advances the clock of the tables. */
void clock_advance(unsigned int seconds);

/* Runs fwd_control. Returns what it returns: 0 or a negative errno. `forward`: NULL if the request has none. */
int control(enum fwd_request_type type, const struct fwd_tuple *forward);

#endif
