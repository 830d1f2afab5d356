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

/* Fills *key, which is zero, from a tuple. Returns the size that the kernel's look-ups expect of its family. */
static __always_inline __u32 sock_tuple(struct bpf_sock_tuple *key, const struct fwd_tuple *tuple)
{
	if (addr_is_v4(&tuple->saddr)) {
		key->ipv4.saddr = tuple->saddr.w[3];
		key->ipv4.daddr = tuple->daddr.w[3];
		key->ipv4.sport = tuple->sport;
		key->ipv4.dport = tuple->dport;
		return sizeof(key->ipv4);
	}
	__builtin_memcpy(key->ipv6.saddr, &tuple->saddr, sizeof(key->ipv6.saddr));
	__builtin_memcpy(key->ipv6.daddr, &tuple->daddr, sizeof(key->ipv6.daddr));
	key->ipv6.sport = tuple->sport;
	key->ipv6.dport = tuple->dport;
	return sizeof(key->ipv6);
}

/* A socket of the gateway expects the replies: one that is connected to the target from this port, one that was
 * until recently (TIME_WAIT), or a UDP socket bound to it. A listening TCP socket is no conflict, because the target
 * connects to it from other ports, or with a SYN. */
static __always_inline int sock_exists(fwd_ctx *ctx, const struct fwd_tuple *reply)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = sock_tuple(&tuple, reply);

	return reply->proto == IPPROTO_TCP ? sock_tcp_exists(ctx, &tuple, size) : sock_udp_exists(ctx, &tuple, size);
}

#endif
