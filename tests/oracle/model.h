/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where packets come from: a small world of clients, targets and connections, and random actions in
 * it. Everything follows from the sequence's seed, and each action draws from a seed of its own, so
 * that a failing sequence can be made shorter by leaving actions out.
 *
 * Packets here are symbolic: what the target of a connection sends to, or the client's packets
 * carry behind the gateway, is the connection's own number (VIRTUAL_PORT) instead of the source
 * port, which each gateway chooses by itself. compare.c translates to and fro.
 */
#ifndef ORACLE_MODEL_H
#define ORACLE_MODEL_H

#include "world.h"

#define ACTIONS_MAX  32
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
	bool called;      /* the client has sent something */
	bool passed;      /* and nft sent it on */
	bool syn_refused; /* its last SYN was not sent on */
};

/* What was done to a packet after it was made well. */
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
	MANGLE_SOURCE = 1 << 12, /* a source that can't be */
};

/* One packet, injected and answered. */
struct step {
	char what[96];
	enum side side;
	enum link_to to;
	struct packet packet; /* symbolic */
	struct conn *conn;    /* that it belongs to, or NULL */
	enum end end;         /* of it, that sends */
	unsigned mangled;
	const char *note;           /* of the action, for the table of known differences; or NULL */
	unsigned long invalid;      /* so many packets netfilter called invalid */
	struct outs outs[GATEWAYS]; /* symbolic */
	bool same_packets;          /* whatever else differs */
	bool same_ports;            /* both gateways kept the client's, or neither did */
};

struct sequence {
	uint64_t seed;
	uint32_t actions; /* bit by bit, which ones are done */
	unsigned slot;    /* keeps sequences between two flushes apart */
	bool frag_copies;
	/* state */
	unsigned conn_count;
	struct conn conn[CONNS_MAX];
	struct seen {
		enum side side;
		unsigned mangled;
		struct packet packet;
	} sent[HISTORY_MAX], seen[HISTORY_MAX]; /* injected; come out of the nft gateway */
	unsigned sent_count, seen_count;
	unsigned wild;        /* how many in 100 packets are mangled */
	unsigned odd_sources; /* connections from such, so far */
};

/* The gateway's address on the inside. */
const struct addr *model_inner(int family);
/* What the model's number stood for before anybody chose a source port; any other port as it is. */
uint16_t model_real_port(const struct sequence *s, uint16_t port);
/* The connection that this packet belongs to by its tuple, and which end of it sends it; or NULL.
 */
struct conn *model_conn_of(struct sequence *s, const struct packet *p, enum end *end);
bool model_is_gateway(const struct addr *a);
void model_read_maps(const char *path);
/* Does the sequence share well-known ports with others? It then wants a flush before. */
bool model_wants_flush(uint64_t seed);
void model_begin(struct sequence *s, uint64_t seed, unsigned slot, bool frag_copies);
unsigned model_action_count(uint64_t seed);
/* Called for each packet; false: the sequence is over. */
typedef bool (*take_step)(struct sequence *s, struct step *step);
/* Does the action; false: a step said that it is over. */
bool model_act(struct sequence *s, unsigned action, take_step take);

#endif
