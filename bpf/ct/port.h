/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports. The client's own port is preserved if it is free (RFC 4787 4.2.1); otherwise random ports of the same
 * kind are tried, unpredictable from outside (RFC 6056 3.3.1).
 *
 * To look for a free port and then to insert it would let two CPUs choose the same one. Here the insertion of the reply
 * tuple is the test: table_insert() succeeds on one CPU only.
 */
#ifndef FWD_BPF_CT_PORT_H
#define FWD_BPF_CT_PORT_H

#include <bpf/bpf_endian.h>
#include "base/bound.h"
#include "base/maps.h"
#include "ct/port_kind.h"
#include "ct/port_quarantine.h"
#include "ct/table.h"
#include "host/netfilter.h"
#include "host/sock.h"

#define PORT_TRIES            32
#define PORT_PAIRED_TRIES     16 /* of these, on the address of the pool that the client is paired with */
#define PORT_QUARANTINE_TRIES 24 /* of these, on ports that are not in quarantine for another client */

/* A connection that is being opened: too large for the stack, so each CPU has one. */
struct fwd_open {
	struct fwd_conn conn;   /* the plan: the record, without its source */
	struct fwd_tuple reply; /* tuple of the replies, with the source that is being tried */
	__u32 slot;
	__u16 mss;
	__u16 foreign; /* 1: the source is not an address of the gateway, so no socket of the gateway conflicts */
	struct fwd_addr pool[FWD_SNAT_POOL_MAX]; /* source addresses to choose from */
	__u32 pool_count;                        /* 1 to FWD_SNAT_POOL_MAX */
	__u32 skip_same_port;                    /* 1: the original source port is known to be in use */
};

static __always_inline struct fwd_open *open_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&open_scratch, &zero);
}

/* Sets the source addresses that connections of this rule may have. False: none is known yet. */
static __always_inline bool port_pool_set(fwd_ctx *ctx, struct fwd_open *open, const struct fwd_rule *rule)
{
	if (rule->snat == FWD_SNAT_NONE) {
		/* A client with an address of the gateway is refused later (open_plan_mapped()). */
		open->foreign = ctx_ifindex(ctx) != FWD_LOOPBACK;
		open->pool[0] = open->conn.addrs[FWD_DIR_FORWARD].saddr;
		open->pool_count = 1;
		return true;
	}
	/* Most rules have one address, in the cache line that is loaded already. */
	open->pool[0] = rule->pool[0];
	if (rule->snat_count > 1)
		__builtin_memcpy(open->pool, rule->pool, sizeof(open->pool));
	open->pool_count = rule->snat_count;
	return open->pool_count > 0;
}

/* Gives the record, which is not in the index yet, this source. */
static __always_inline void port_set(struct fwd_conn *conn, const struct fwd_addr *source, __be16 port)
{
	conn->addrs[FWD_DIR_REPLY].daddr = *source;
	conn->flow[FWD_DIR_REPLY].dport = port;
	conn->flow[FWD_DIR_FORWARD].to_sport = port;
}

/* A socket of the gateway expects the replies that are being tried, or netfilter knows them. */
__noinline bool port_is_in_use(fwd_ctx *ctx)
{
	struct fwd_open *open = open_get();

	return !open || (!open->foreign && sock_exists(ctx, &open->reply)) ||
	       netfilter_find(ctx, &open->reply) != NETFILTER_NONE;
}

/*
 * Gives the record at open->slot, which is not in the index yet, a source address and port to try. False: another
 * connection has it, or it is in quarantine.
 *
 * All connections of a client get the same address of a pool, number `paired`, unless its ports are in use (RFC 4787
 * REQ-2: a server may compare them, as FTP's do). Its own port is tried first, then random ones.
 */
__noinline bool port_choose(__u32 paired, __u32 turn)
{
	struct fwd_open *open = open_get();
	struct fwd_conn *conn;
	__u32 source;
	__be16 port;

	if (!open || !open->pool_count)
		return false;
	conn = conn_at(open->slot);
	if (!conn)
		return false;
	source = turn < PORT_PAIRED_TRIES ? paired : paired + turn;
	source = bound_mask(source % open->pool_count, FWD_SNAT_POOL_MAX - 1);
	port = conn->flow[FWD_DIR_FORWARD].sport;
	if (!port || open->skip_same_port || turn)
		port = port_random(port_kind(port));
	port_set(conn, &open->pool[source], port);
	tuple_of_entry(&open->reply, conn, FWD_DIR_REPLY);
	/* The insertion finds out anyway; but when ports run out this spares the kernel's look-ups. */
	if (table_search(&open->reply, 0) >= 0)
		return false;
	return turn >= PORT_QUARANTINE_TRIES ||
	       !port_is_quarantined(&open->reply, &open->conn.addrs[FWD_DIR_FORWARD].saddr);
}

/*
 * Claims a source for the record at open->slot: inserts the reply tuple. FWD_OK, FWD_NO_PORT or FWD_TABLE_FULL.
 *
 * Sockets and netfilter are asked twice. A socket that was bound during the insertion, and a connection that netfilter
 * confirmed meanwhile, is found by the second look; a later one finds the claim when its first packet leaves: see
 * egress().
 */
static __always_inline enum fwd_reason port_claim(fwd_ctx *ctx, struct fwd_open *open)
{
	__u32 paired = addr_hash(&open->conn.addrs[FWD_DIR_FORWARD].saddr), i;
	bool full = false;

	for (i = 0; i < PORT_TRIES; i++) {
		int err;

		if (!port_choose(paired, i) || port_is_in_use(ctx))
			continue;
		err = table_insert(entry_of(open->slot, FWD_DIR_REPLY), &open->reply);
		if (!err && !port_is_in_use(ctx))
			return FWD_OK;
		if (!err)
			table_remove(entry_of(open->slot, FWD_DIR_REPLY));
		full |= err == -ENOSPC;
	}
	return full ? FWD_TABLE_FULL : FWD_NO_PORT;
}

#endif
