/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The model of a sequence: clients, targets, maps and connections. Everything follows from the sequence's seed, and
 * each action has a seed of its own, so that a failing sequence can be shortened by leaving actions out.
 *
 * Packets are symbolic here: each gateway chooses source ports by itself, so that in place of the source port that the
 * target sees, packets carry the connection's number (VIRTUAL_PORT). compare.c translates in both directions.
 */
#ifndef ORACLE_MODEL_H
#define ORACLE_MODEL_H

#include "chance.h"
#include "world.h"

#define ACTIONS_MAX  32
#define MAPS_MAX     64
#define CONNS_MAX    400
#define HISTORY_MAX  300
#define VIRTUAL_PORT 60000
#define VIRTUAL_MAX  (VIRTUAL_PORT + CONNS_MAX)

struct map {
	uint8_t proto;
	bool any, snat;
	struct addr listen, target;
	uint16_t low, high, first;
};

enum end {
	CLIENT,
	TARGET,
	ENDS
};

struct conn {
	const struct map *map;
	uint8_t family, proto;
	enum side side;                             /* the client's; the target's is INSIDE */
	struct addr client, listen, target, source; /* source: what the target sees */
	uint16_t cport, lport, tport;
	uint16_t source_port[GATEWAYS]; /* 0: not seen yet */
	/* TCP, by end */
	uint32_t next[ENDS]; /* sequence number */
	bool syn[ENDS], fin[ENDS], rst, was_reset, acked;
	bool has_sent;         /* the client has sent a packet */
	bool forwarded_by_nft; /* and nft forwarded it */
	bool target_syn;       /* fwdctl translated a SYN of the target */
	bool syn_refused;      /* its last SYN was not forwarded */
};

/* How a packet differs from an ordinary one. */
enum mangle {
	MANGLE_TTL = 1 << 0,
	MANGLE_OPTIONS = 1 << 1,
	MANGLE_IP_SUM = 1 << 2,
	MANGLE_SUM = 1 << 3,
	MANGLE_NO_SUM = 1 << 4,
	MANGLE_LENGTH = 1 << 5,
	MANGLE_CUT = 1 << 6,
	MANGLE_PADDED = 1 << 7,
	MANGLE_HEADER = 1 << 8,
	MANGLE_MAC = 1 << 9,
	MANGLE_TOS = 1 << 10,
	MANGLE_FRAGMENTS = 1 << 11,
	MANGLE_SOURCE = 1 << 12, /* an impossible source address */
};

/* One packet that is injected, and the packets that left the gateways. */
struct step {
	char what[96];
	enum side side;
	enum link_to to;
	unsigned tags;        /* priority tags (802.1Q with VLAN 0), on Ethernet */
	struct packet packet; /* symbolic */
	struct conn *conn;    /* that it belongs to; NULL: none */
	enum end end;         /* of conn, that sends */
	unsigned mangled;
	const char *note;           /* of the action, for the table of known differences; NULL: none */
	unsigned long invalid;      /* packets that netfilter classified as INVALID */
	struct outs outs[GATEWAYS]; /* symbolic */
	bool same_packets;          /* the packets are the same, the source ports possibly not */
	bool same_ports;            /* both gateways kept the client's port, or neither did */
};

struct sequence {
	uint64_t seed;
	uint32_t actions; /* a bit for each action that runs */
	unsigned slot;    /* gives the sequences between two flushes ports of their own */
	bool fragments;
	/* state */
	unsigned conn_count;
	struct conn conn[CONNS_MAX];
	struct seen {
		enum side side;
		unsigned mangled;
		struct packet packet;
	} sent[HISTORY_MAX], seen[HISTORY_MAX]; /* injected; sent by the nft gateway */
	unsigned sent_count, seen_count;
	unsigned mangle_percent; /* of the packets */
	unsigned odd_sources;    /* connections from impossible addresses so far */
};

/* Called for each packet; false: the sequence is over. */
typedef bool (*take_step)(struct sequence *s, struct step *step);

extern struct map maps[MAPS_MAX];
extern unsigned map_count;

/* Two public IPv4 addresses, two public IPv6 addresses, the address on the inside for each family, and one of
 * 240.0.0.0/4. */
#define GATEWAY_ADDRS 7
extern const struct addr gateway_addrs[GATEWAY_ADDRS];

/* The maps of tests/oracle/maps. */
void model_read_maps(const char *path);

/* ---- addresses ----------------------------------------------------------------------------- */

/* The gateway's address on the inside. */
const struct addr *model_inner(int family);
bool model_is_gateway(const struct addr *a);
struct addr model_inner_host(int family, unsigned last);
struct addr model_client_addr(const struct sequence *s, int family, unsigned k);
/* A router on the internet or behind the tunnel: neither a client nor a target. */
struct addr model_router_addr(int family, enum side side);
uint16_t model_client_port(const struct sequence *s);

/* ---- sequences ----------------------------------------------------------------------------- */

/* True: the sequence uses ports below 1024, which other sequences use, too. It needs a flush before. */
bool model_uses_low_ports(uint64_t seed);
void model_begin(struct sequence *s, uint64_t seed, unsigned slot, bool fragments);
unsigned model_action_count(uint64_t seed);

/* ---- connections --------------------------------------------------------------------------- */

/* Finds the connection or creates it. */
struct conn *model_find_conn(struct sequence *s, const struct map *m, enum side side, const struct addr *client,
			     uint16_t cport, const struct addr *listen, uint16_t lport);
struct conn *model_new_conn(struct sequence *s);
struct conn *model_any_conn(struct sequence *s);

/* The client's port of the connection that a virtual port stands for; other ports are returned unchanged. */
uint16_t model_real_port(const struct sequence *s, uint16_t port);

/* The connection that a packet belongs to by its tuple, and the end that sends it; NULL: none. */
struct conn *model_conn_of(struct sequence *s, const struct packet *p, enum end *end);

#endif
