/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The links of both gateways: packets are injected into them and collected from them.
 *
 * The gateways are network namespaces that scripts/oracle creates, equal down to the MAC addresses; each has eth0
 * (outside) and wg0 (inside). This process runs in the namespace of the veth peers and has raw sockets on those; where
 * the inside is not Ethernet, it has the file descriptor of the TUN device.
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

/* The destination MAC address, on Ethernet. */
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
	const char *quarantine;      /* the pin of its map port_quarantine */
};

void world_open(const struct world_config *config);
/* tags: priority tags (VLAN 0) in front of it, on Ethernet; up to 2. */
void world_inject(enum gateway g, enum side side, const struct packet *p, enum link_to to, unsigned tags);
/* Waits until the gateway has processed all injected packets, and collects what it sent. */
void world_collect(enum gateway g, struct outs *outs);
/* The largest IP packet that the gateway may send there. Any size on the inside without Ethernet: WireGuard's own UDP
 * packets are fragmented. */
unsigned world_mtu(enum side side);
/* Ends the connections of both gateways. */
void world_flush(void);
/* Packets that netfilter has classified as INVALID so far. */
unsigned long world_invalid(void);

#endif
