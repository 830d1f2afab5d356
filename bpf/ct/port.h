/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports. The visitor's own is kept where it is free (RFC 4787 4.2.1, port preservation);
 * else others are tried at random, unpredictable from outside (RFC 6056 3.3.1).
 *
 * "Look whether it's free, then insert" lets two CPUs take one port. Here the insertion is the look:
 * table_insert() lets one CPU have the tuple of the answers.
 */
#ifndef FWD_BPF_CT_PORT_H
#define FWD_BPF_CT_PORT_H

#include <bpf/bpf_endian.h>
#include "base/bound.h"
#include "base/maps.h"
#include "ct/table.h"
#include "host/sock.h"

#define PORT_TRIES  32
#define PORT_LOWEST 1024 /* of those chosen; below are well-known ports, kept but never given */

/*
 * Everything that it takes to begin a connection: too large for the stack, and each CPU's own.
 */
struct fwd_open {
	struct fwd_conn conn;   /* the plan */
	struct fwd_tuple reply; /* of its answers, with the source that is being tried */
	__u32 slot;
	__u16 mss;
	__u16 foreign; /* 1: the source address isn't the gateway's, so none of its sockets is in the way */
	struct fwd_addr pool[FWD_SNAT_POOL_MAX]; /* source addresses to choose from */
	__u32 pool_count;                        /* 1 to FWD_SNAT_POOL_MAX */
	__u32 skip_same_port;                    /* 1: the own source port is known to be taken */
};

static __always_inline struct fwd_open *open_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&open_scratch, &zero);
}

/* The addresses that connections of this map may come from; false: none is known yet. */
static __always_inline bool port_pool_set(fwd_ctx *ctx, struct fwd_open *open, const struct fwd_rule *rule)
{
	if (rule->snat == FWD_SNAT_NONE) {
		/* A visitor who has one of ours is refused later on. */
		open->foreign = ctx_ifindex(ctx) != FWD_LOOPBACK;
		open->pool[0] = open->conn.addrs[FWD_DIR_FORWARD].saddr;
		open->pool_count = 1;
		return true;
	}
	/* Of most maps the first is all, and in the cache line that everything else was in. */
	open->pool[0] = rule->pool[0];
	if (rule->snat_count > 1)
		__builtin_memcpy(open->pool, rule->pool, sizeof(open->pool));
	open->pool_count = rule->snat_count;
	return open->pool_count > 0;
}

static __always_inline __be16 port_random(void)
{
	return bpf_htons(PORT_LOWEST + bpf_get_prandom_u32() % (65536 - PORT_LOWEST));
}

/* Gives the record, which nobody knows yet, this source. */
static __always_inline void port_set(struct fwd_conn *conn, const struct fwd_addr *source, __be16 port)
{
	conn->addrs[FWD_DIR_REPLY].daddr = *source;
	conn->flow[FWD_DIR_REPLY].dport = port;
	conn->flow[FWD_DIR_FORWARD].to_sport = port;
}

/* Are the answers that are being tried meant for a socket of the gateway? */
__noinline bool port_is_local(fwd_ctx *ctx)
{
	struct fwd_open *open = open_get();

	return !open || (!open->foreign && sock_exists(ctx, &open->reply));
}

/*
 * Gives the record at open->slot, which nobody knows yet, one source address and port to try. False: a socket of the
 * gateway has it. The own port on each address of the pool, from the one at `first` on, so that all get their share; then
 * random ports.
 */
__noinline bool port_choose(fwd_ctx *ctx, __u32 first, __u32 turn)
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
	source = bound_mask((first + turn) % open->pool_count, FWD_SNAT_POOL_MAX - 1);
	port = conn->flow[FWD_DIR_FORWARD].sport;
	if (!port || open->skip_same_port || turn >= open->pool_count)
		port = port_random();
	port_set(conn, &open->pool[source], port);
	tuple_of_entry(&open->reply, conn, FWD_DIR_REPLY);
	return !port_is_local(ctx);
}

/*
 * Claims a source for the record at open->slot, and enters it under the tuple of its answers.
 *
 * A socket that comes while this is under way has either been there when it is asked for once more, behind the insertion, or
 * finds the claim when its first packet leaves (egress()).
 */
static __always_inline enum fwd_reason port_claim(fwd_ctx *ctx, struct fwd_open *open)
{
	__u32 first = bpf_get_prandom_u32(), i;
	bool full = false;

	for (i = 0; i < PORT_TRIES; i++) {
		int err = port_choose(ctx, first, i) ? table_insert(entry_of(open->slot, FWD_DIR_REPLY), &open->reply)
						     : -EEXIST;

		if (!err && !port_is_local(ctx))
			return FWD_OK;
		if (!err)
			table_remove(entry_of(open->slot, FWD_DIR_REPLY));
		full |= err == -ENOSPC;
	}
	return full ? FWD_TABLE_FULL : FWD_NO_PORT;
}

#endif
