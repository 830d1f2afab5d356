/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The far ends of both gateways: what is injected into them, and what comes out.
 *
 * The gateways are network namespaces made by scripts/oracle, alike to the last MAC address; each
 * has eth0 (outside) and wg0 (inside). This process is in the namespace of the cables' other ends,
 * and holds raw sockets on those; where the inside has no Ethernet, the file descriptor of the TUN
 * device.
 */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include "packet.h"

enum gateway {
	NFT,
	FWD,
	GATEWAYS
};
enum side {
	OUTSIDE,
	INSIDE,
	SIDES
};

/* To whom the frame is addressed; where there is Ethernet. */
enum link_to {
	TO_GATEWAY,
	TO_OTHER,
	TO_ALL
};

#define OUTS_MAX 24

struct out {
	enum side side;
	bool wrong_macs;
	struct packet packet;
};

struct outs {
	unsigned count;
	struct out out[OUTS_MAX];
};

struct world_config {
	const char *netns[GATEWAYS];
	const char *outer[GATEWAYS]; /* devices in this namespace */
	const char *inner[GATEWAYS]; /* NULL: the gateway's wg0 is a TUN device */
	const char *flush;           /* a shell command that ends all connections of fwdctl */
};

void world_open(const struct world_config *config);
void world_inject(enum gateway g, enum side side, const struct packet *p, enum link_to to);
/* All that the gateway had to say to what was injected so far; waits until it has been through. */
void world_collect(enum gateway g, struct outs *outs);
/* The largest IP packet that the gateway may send there. On the inside without Ethernet any:
 * WireGuard cuts what it makes of it. */
unsigned world_mtu(enum side side);
/* Connections of both gateways end. */
void world_flush(void);
/* How many packets netfilter has called invalid so far. */
unsigned long world_invalid(void);

#endif
