/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * May this packet begin a connection through that map? What speaks against it before anything is planned. Both hooks
 * ask: tc goes on to plan the connection (open.h), XDP refuses what tc would refuse, at a fraction of its cost.
 */
#ifndef FWD_ADMIT_H
#define FWD_ADMIT_H

#include "exhausted.h"
#include "maps.h"
#include "parse.h"
#include "track.h"

static __always_inline int port_is_tcp_sockets(fwd_ctx *ctx, struct bpf_sock_tuple *tuple,
					       __u32 size)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	int taken;

	if (!sk)
		return 0;
	taken = sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return taken;
}

static __always_inline int port_is_udp_sockets(fwd_ctx *ctx, struct bpf_sock_tuple *tuple,
					       __u32 size)
{
	struct bpf_sock *sk = bpf_sk_lookup_udp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);

	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/*
 * Is there a socket of the gateway that the answers would be meant for? One that is connected to the
 * target from this very port, one that was until just now (TIME_WAIT), or a UDP socket bound to it.
 * A listening TCP socket isn't in the way: the target calls it from other ports, or by a SYN.
 */
static __always_inline int port_is_sockets(fwd_ctx *ctx, const struct fwd_tuple *reply)
{
	__u32 size = addr_is_v4(&reply->saddr) ? sizeof(((struct bpf_sock_tuple *)0)->ipv4)
					       : sizeof(((struct bpf_sock_tuple *)0)->ipv6);
	struct bpf_sock_tuple tuple = {};

	if (size == sizeof(tuple.ipv4)) {
		tuple.ipv4.saddr = reply->saddr.w[3];
		tuple.ipv4.daddr = reply->daddr.w[3];
		tuple.ipv4.sport = reply->sport;
		tuple.ipv4.dport = reply->dport;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &reply->saddr, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &reply->daddr, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = reply->sport;
		tuple.ipv6.dport = reply->dport;
	}
	return reply->proto == IPPROTO_TCP ? port_is_tcp_sockets(ctx, &tuple, size)
					   : port_is_udp_sockets(ctx, &tuple, size);
}

static __always_inline void admit_count_refusal(void)
{
	struct fwd_counters *c = counters_get();

	if (c)
		c->failed++;
}

/* Of a packet of no known connection that the map at `index` is meant for. FWD_FORWARDED: it may. */
static __always_inline enum fwd_reason admit(fwd_ctx *ctx, const struct fwd_pkt *pkt, __u32 index)
{
	const struct fwd_rule *rule = bpf_map_lookup_elem(&rules, &index);

	if (!rule || rule->state != FWD_RULE_ACTIVE)
		return FWD_NOT_OURS;
	if (!track_opens(pkt->tuple.proto, pkt->tcp_flags))
		return FWD_NO_CONNECTION;
	/* Any UDP packet could be a first one, also an answer to the gateway's own resolver, or WireGuard's.
	 * The sockets know. */
	if (pkt->tuple.proto == IPPROTO_UDP && port_is_sockets(ctx, &pkt->tuple))
		return FWD_OWN_SOCKET;
	if (!addr_is_unicast(&pkt->tuple.saddr))
		return FWD_MARTIAN;
	if (!exhausted_any(pkt->now) || !exhausted_is(pkt, index))
		return FWD_FORWARDED;
	admit_count_refusal();
	return FWD_NO_PORT;
}

#endif
