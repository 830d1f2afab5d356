/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Quarantine of source ports. If a TCP connection ends although its ends have not closed it (its timeout has passed, or
 * a command ended it), the target may still hold it. The target would take the SYN of another client, from the same
 * port, as a segment of that connection, and answer with its sequence numbers. So for some time only the same client
 * gets the port towards that target.
 *
 * A port in quarantine is used nevertheless before a client is refused, and a later end may overwrite an earlier one,
 * so nobody can exhaust ports by it.
 */
#ifndef FWD_BPF_CT_PORT_QUARANTINE_H
#define FWD_BPF_CT_PORT_QUARANTINE_H

#include "base/maps.h"
#include "ct/ct_state.h"
#include "ct/table.h"

/* The time after which the target has asked whether its peer still exists (two hours, RFC 9293 3.8.4, and RFC 5382
 * REQ-5), and the stack of the gateway has reset the connection. */
#define PORT_QUARANTINE_TIME FWD_TICKS(7440)

/* A hash of an address that nobody outside can predict. */
static __always_inline __u32 addr_hash(const struct fwd_addr *addr)
{
	const struct fwd_config *c = config_get();

	if (!c)
		return 0;
	return hash_mix(hash_pair(c->secret, addr->w[0], addr->w[1]) +
			hash_pair(c->secret + 2, addr->w[2], addr->w[3]));
}

/* The place of the reply tuple. *tag: what tells it from others there. */
static __always_inline struct fwd_port_quarantine *port_quarantine_at(const struct fwd_tuple *reply, __u32 *tag)
{
	__u64 hash = table_hash(reply);
	__u32 key = hash % FWD_PORT_QUARANTINE_MAX;

	*tag = hash >> 32;
	return bpf_map_lookup_elem(&port_quarantine, &key);
}

/* The end of the connection at `index` begins the quarantine of its port, if its ends have not closed it. */
__noinline int port_quarantine_begin(__u32 index)
{
	struct fwd_conn *conn = conn_at(index);
	struct fwd_port_quarantine *q, *last;
	__u32 any = FWD_PORT_QUARANTINE_ANY;
	struct fwd_tuple reply;
	__u32 ct_state, tag;

	if (!conn)
		return 0;
	ct_state = conn->flow[FWD_DIR_FORWARD].ct_state;
	if (fwd_ct_proto(ct_state) != IPPROTO_TCP || !(ct_state & FWD_CT_CONFIRMED) || ct_is_closed(ct_state))
		return 0;
	tuple_of_entry(&reply, conn, FWD_DIR_REPLY);
	q = port_quarantine_at(&reply, &tag);
	if (!q)
		return 0;
	q->tag = tag;
	q->client = addr_hash(&conn->addrs[FWD_DIR_FORWARD].saddr);
	q->until = (clock_now() + PORT_QUARANTINE_TIME) | 1;
	last = bpf_map_lookup_elem(&port_quarantine, &any);
	if (last)
		last->until = q->until;
	return 0;
}

/* The quarantine of the element is not over. Unsigned: long after its end, that would seem to lie ahead again. */
static __always_inline bool port_quarantine_lasts(const struct fwd_port_quarantine *q)
{
	return q && q->until && q->until - clock_now() <= PORT_QUARANTINE_TIME + 1;
}

/* The port of the reply tuple is kept for another client than `client`. */
__noinline bool port_is_quarantined(const struct fwd_tuple *reply, const struct fwd_addr *client)
{
	__u32 any = FWD_PORT_QUARANTINE_ANY, tag;
	const struct fwd_port_quarantine *q;

	if (!reply || !client || reply->proto != IPPROTO_TCP ||
	    !port_quarantine_lasts(bpf_map_lookup_elem(&port_quarantine, &any)))
		return false;
	q = port_quarantine_at(reply, &tag);
	return port_quarantine_lasts(q) && q->tag == tag && q->client != addr_hash(client);
}

#endif
