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

/* The place of a reply tuple with this hash. */
static __always_inline struct fwd_port_quarantine *port_quarantine_at(__u64 hash)
{
	__u32 key = hash % FWD_PORT_QUARANTINE_MAX;

	return bpf_map_lookup_elem(&port_quarantine, &key);
}

/* What tells a reply tuple from others in its place. */
static __always_inline __u32 port_quarantine_tag(__u64 hash)
{
	return hash >> 32;
}

/* The end of the connection at `index` begins the quarantine of its port, if its ends have not closed it. */
__noinline int port_quarantine_begin(__u32 index)
{
	struct fwd_conn *conn = conn_at(index);
	struct fwd_port_quarantine *q, *last;
	__u32 any = FWD_PORT_QUARANTINE_ANY;
	__u32 ct_state;
	__u64 hash;

	if (!conn)
		return 0;
	ct_state = conn->flow[FWD_DIR_FORWARD].ct_state;
	if (fwd_ct_proto(ct_state) != IPPROTO_TCP || !(ct_state & FWD_CT_CONFIRMED) || ct_is_closed(ct_state))
		return 0;
	hash = entry_hash(entry_of(index, FWD_DIR_REPLY));
	q = port_quarantine_at(hash);
	if (!q)
		return 0;
	q->tag = port_quarantine_tag(hash);
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
	const struct fwd_port_quarantine *q;
	__u32 any = FWD_PORT_QUARANTINE_ANY;
	__u64 hash;

	if (!reply || !client || reply->proto != IPPROTO_TCP ||
	    !port_quarantine_lasts(bpf_map_lookup_elem(&port_quarantine, &any)))
		return false;
	hash = table_hash(reply);
	q = port_quarantine_at(hash);
	return port_quarantine_lasts(q) && q->tag == port_quarantine_tag(hash) && q->client != addr_hash(client);
}

#endif
