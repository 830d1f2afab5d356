/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets of the gateway.
 */
#ifndef FWD_BPF_HOST_SOCK_H
#define FWD_BPF_HOST_SOCK_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include "fwd/tuple.h"

static __always_inline int sock_tcp_exists(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	int taken;

	if (!sk)
		return 0;
	taken = sk->state != BPF_TCP_LISTEN;
	bpf_sk_release(sk);
	return taken;
}

static __always_inline int sock_udp_exists(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *sk = bpf_sk_lookup_udp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);

	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* A socket of the gateway expects the replies: one that is connected to the target from this port, one that was
 * until recently (TIME_WAIT), or a UDP socket bound to it. A listening TCP socket is no conflict, because the target
 * connects to it from other ports, or with a SYN. */
static __always_inline int sock_exists(fwd_ctx *ctx, const struct fwd_tuple *reply)
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
	return reply->proto == IPPROTO_TCP ? sock_tcp_exists(ctx, &tuple, size) : sock_udp_exists(ctx, &tuple, size);
}

#endif
