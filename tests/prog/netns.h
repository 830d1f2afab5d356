/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gateway's devices, addresses and routes, in a network namespace of this process. The namespace ends with the
 * process.
 *
 *   eth0  93.184.216.34/24      2001:db8:93::34/64    towards the internet, default route
 *   wg0   10.172.16.1/24        fd10:172:16::1/64     no Ethernet header
 *   eth1  192.168.7.1/24        fd07::1/64            a LAN behind the gateway
 *   eth2  192.168.8.1/24                              fwdctl is not attached to it
 */
#ifndef NETNS_H
#define NETNS_H

#include <stdbool.h>
#include "fwd/device.h"

enum device {
	ETH0,
	WG0,
	ETH1,
	ETH2,
	DEVICES,
};

struct device_info {
	const char *name;
	enum fwd_link link;
	__u8 mac[6];  /* its own */
	__u8 peer[6]; /* of the host behind it: router, target */
};

extern const struct device_info devices[DEVICES];

/* Writes `text` to a file of /proc or /sys; the test fails if that fails. */
void write_file(const char *path, const char *text);

/* Lines for `ip -batch` and `ip -6 -batch`; the test fails if one fails. */
void ip_batch(const char *lines);
void ip6_batch(const char *lines);

/* net.ipv4.ip_forward and net.ipv6.conf.all.forwarding. */
void forwarding_set(bool on);

/* Enters a new network namespace and creates the devices; their ifindexes are stored in `ifindex`. */
void netns_create(int ifindex[DEVICES]);

#endif
