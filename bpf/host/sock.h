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

/* How the UDP socket that would receive a packet is bound. */
enum sock_udp {
	SOCK_UDP_NONE,     /* there is none */
	SOCK_UDP_WILDCARD, /* to 0.0.0.0 or ::, which receives packets to all addresses of the gateway */
	SOCK_UDP_ADDRESS,  /* to the packet's destination address, or connected, which binds it to one */
};

/* A socket of IPv6 that also receives IPv4 has its address in src_ip4, too (sk_rcv_saddr): 0 if it is bound to ::. */
static __always_inline enum sock_udp sock_udp_find(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *sk = bpf_sk_lookup_udp(ctx, tuple, size, BPF_F_CURRENT_NETNS, 0);
	__u32 bound;

	if (!sk)
		return SOCK_UDP_NONE;
	if (size == sizeof(tuple->ipv4))
		bound = sk->src_ip4;
	else
		bound = sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3];
	bpf_sk_release(sk);
	return bound ? SOCK_UDP_ADDRESS : SOCK_UDP_WILDCARD;
}

/* The kernel's form of the tuple of a packet. Returns its size. */
static __always_inline __u32 sock_tuple_set(struct bpf_sock_tuple *to, const struct fwd_tuple *tuple)
{
	if (addr_is_v4(&tuple->saddr)) {
		to->ipv4.saddr = tuple->saddr.w[3];
		to->ipv4.daddr = tuple->daddr.w[3];
		to->ipv4.sport = tuple->sport;
		to->ipv4.dport = tuple->dport;
		return sizeof(to->ipv4);
	}
	__builtin_memcpy(to->ipv6.saddr, &tuple->saddr, sizeof(to->ipv6.saddr));
	__builtin_memcpy(to->ipv6.daddr, &tuple->daddr, sizeof(to->ipv6.daddr));
	to->ipv6.sport = tuple->sport;
	to->ipv6.dport = tuple->dport;
	return sizeof(to->ipv6);
}

/* The UDP socket of the gateway that would receive the packet. */
static __always_inline enum sock_udp sock_udp_of(fwd_ctx *ctx, const struct fwd_tuple *tuple)
{
	struct bpf_sock_tuple key = {};
	__u32 size = sock_tuple_set(&key, tuple);

	return sock_udp_find(ctx, &key, size);
}

/* A socket of the gateway expects the replies: one that is connected to the target from this port, one that was
 * until recently (TIME_WAIT), or a UDP socket bound to it. A listening TCP socket is no conflict, because the target
 * connects to it from other ports, or with a SYN. */
static __always_inline int sock_exists(fwd_ctx *ctx, const struct fwd_tuple *reply)
{
	struct bpf_sock_tuple key = {};
	__u32 size = sock_tuple_set(&key, reply);

	if (reply->proto == IPPROTO_TCP)
		return sock_tcp_exists(ctx, &key, size);
	return sock_udp_find(ctx, &key, size) != SOCK_UDP_NONE;
}

#endif
