/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backoff when source ports are exhausted. A search for a port costs fifty times as much as forwarding a packet, and an
 * attacker who exhausts the ports must not get the CPU as well. So after PORT_BACKOFF_SEARCHES consecutive failures new
 * connections are refused without a search until the clock ticks (1 ms, or the kernel's jiffy if that is longer). One
 * failure would not suffice: with nine in ten ports in use, every thirtieth search fails.
 *
 * The ports towards one target run out, so the state is kept per target: per port of a rule of a range, per kind of
 * source port and, with FWD_SNAT_NONE, per client. It is indexed by a keyed hash: two that collide reset each other,
 * and nobody outside can make them collide.
 */
#ifndef FWD_BPF_CT_PORT_BACKOFF_H
#define FWD_BPF_CT_PORT_BACKOFF_H

#include "base/maps.h"
#include "ct/port_kind.h"
#include "ct/table.h"
#include "pkt/pkt.h"

#define PORT_BACKOFF_SEARCHES 4

/* The state of the packet's target, in the rule at `index`. *tag: the part of its hash that tells it from others at
 * the same index. NULL: the rule is gone. */
static __always_inline struct fwd_port_backoff *port_backoff_at(const struct fwd_pkt *pkt, __u32 index, __u32 *tag)
{
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);
	const struct fwd_config *c = config_get();
	const __u32 *s = pkt->tuple.saddr.w;
	__u64 hash;
	__u32 key;

	if (!rule || !c)
		return NULL;
	hash = hash_pair(c->secret, index | (__u32)port_kind(pkt->tuple.sport) << 16, pkt->tuple.dport);
	if (rule->snat == FWD_SNAT_NONE)
		hash += hash_pair(c->secret + 2, s[0], s[1]) + hash_pair(c->secret + 4, s[2], s[3]);
	hash = hash_mix(hash);
	*tag = hash >> 32;
	key = hash % FWD_PORT_BACKOFF_MAX;
	return bpf_map_lookup_elem(&port_backoff, &key);
}

/* Some search failed at this tick. Nearly always false, and then nothing else is read. */
static __always_inline bool port_backoff_any(__u32 now)
{
	__u32 key = FWD_PORT_BACKOFF_ANY;
	const struct fwd_port_backoff *any = bpf_map_lookup_elem(&port_backoff, &key);

	return any && any->tick == now;
}

/* No port is searched for a packet that would open a connection through the rule at `index`. */
__noinline int port_backoff_active(const struct fwd_pkt *pkt, __u32 index)
{
	const struct fwd_port_backoff *e;
	__u32 tag;

	if (!pkt)
		return 0;
	e = port_backoff_at(pkt, index, &tag);
	return e && e->tag == tag && e->tick == pkt->now && e->failed >= PORT_BACKOFF_SEARCHES;
}

/* Records a failed search. */
__noinline int port_backoff_note(const struct fwd_pkt *pkt, __u32 index)
{
	__u32 key = FWD_PORT_BACKOFF_ANY, tag;
	struct fwd_port_backoff *any = bpf_map_lookup_elem(&port_backoff, &key), *e;

	if (!pkt || !any)
		return 0;
	e = port_backoff_at(pkt, index, &tag);
	if (!e)
		return 0;
	if (e->tag != tag || e->tick != pkt->now)
		*e = (struct fwd_port_backoff){.tag = tag, .tick = pkt->now};
	e->failed++;
	any->tick = pkt->now;
	return 0;
}

/* Resets the state, because a port was found, or one was freed. */
__noinline int port_backoff_reset(const struct fwd_pkt *pkt, __u32 index)
{
	struct fwd_port_backoff *e;
	__u32 tag;

	if (!pkt)
		return 0;
	e = port_backoff_at(pkt, index, &tag);
	if (e && e->tag == tag)
		e->failed = 0;
	return 0;
}

#endif
