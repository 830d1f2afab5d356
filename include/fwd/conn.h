/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: the map `conns`.
 */
#ifndef FWD_CONN_H
#define FWD_CONN_H

#include "fwd/addr.h"
#include "fwd/device.h"

/* The direction of a connection's packets. */
enum fwd_dir {
	FWD_DIR_FORWARD = 0, /* from the client, which opened it */
	FWD_DIR_REPLY = 1,   /* from the target */
	FWD_DIR_MAX,
};

FWD_INLINE enum fwd_dir dir_reverse(enum fwd_dir dir)
{
	return dir == FWD_DIR_FORWARD ? FWD_DIR_REPLY : FWD_DIR_FORWARD;
}

/*
 * The route of one direction's packets, as bpf_fib_lookup() returned it last.
 *
 * `refreshed` wraps after 69 seconds, which is unambiguous: a route is fresh only if the flow's last packet, too, is
 * less than a second old (route_is_fresh()).
 */
struct fwd_route {
	__u32 out;       /* route_out() of the device; 0: not known. REPLY: initially the device of the request */
	__u16 refreshed; /* the lower half of the ticks; 0: look it up again */
	__u16 mtu;       /* of the device, bytes from the IP header on; 0: unknown */
	__u8 dmac[6];    /* FWD_LINK_ETHERNET only */
	__u8 smac[6];
};

FWD_ABI_SIZE(struct fwd_route, 20);
FWD_ABI_OFFSET(struct fwd_route, refreshed, 4);
FWD_ABI_OFFSET(struct fwd_route, mtu, 6);
FWD_ABI_OFFSET(struct fwd_route, dmac, 8);
FWD_ABI_OFFSET(struct fwd_route, smac, 14);

/* A device: an ifindex, which is less than 2^31, and its enum fwd_link. */
FWD_INLINE __u32 route_out(__u32 ifindex, enum fwd_link link)
{
	return ifindex << 1 | link;
}

FWD_INLINE __u32 route_ifindex(const struct fwd_route *route)
{
	return route->out >> 1;
}

FWD_INLINE enum fwd_link route_link(const struct fwd_route *route)
{
	return route->out & 1;
}

/* The addresses that the packets of one direction carry on arrival. */
struct fwd_addrs {
	struct fwd_addr saddr;
	struct fwd_addr daddr;
};

FWD_ABI_SIZE(struct fwd_addrs, 32);
FWD_ABI_OFFSET(struct fwd_addrs, daddr, 16);

/* fwd_flow.rule of a connection that a socket of the gateway itself opened: a visitor's connection to the same
 * target uses its source port, so the port, and only that, is translated. */
#define FWD_RULE_NONE 0xffffU

/* The rest of one direction: a cache line that only packets of this direction write to, except that packets of the
 * reverse direction change ct_state, the numbers of a handshake, and the route that replies take. */
struct fwd_flow {
	__u64 packets;   /* a GSO packet counts as its segments */
	__u64 bytes;     /* from the IP header on */
	__u32 last_seen; /* ticks; initially the time of the opening */
	__u32 ct_state;  /* FWD_CT_* bits of ct_state.h, equal in both directions but for the device of arrival */
	__u32 ack;       /* TCP, host order: the highest ACK number of this direction. FORWARD, before confirmation:
			    the lowest ACK number that proves that the client received the target's SYN.
			    UDP: the tick of the opening */
	__u32 end;       /* TCP, host order: the highest sequence number of this direction, plus one */
	__be16 sport;    /* on arrival */
	__be16 dport;
	__be16 to_sport; /* after translation */
	__be16 to_dport;
	__u16 rule;     /* index into `rules`, or FWD_RULE_NONE */
	__u16 rule_gen; /* the lower half of fwd_rule.gen; the connection is dead when they differ */
	struct fwd_route route;
};

FWD_ABI_SIZE(struct fwd_flow, 64);
FWD_ABI_OFFSET(struct fwd_flow, bytes, 8);
FWD_ABI_OFFSET(struct fwd_flow, last_seen, 16);
FWD_ABI_OFFSET(struct fwd_flow, ct_state, 20);
FWD_ABI_OFFSET(struct fwd_flow, ack, 24);
FWD_ABI_OFFSET(struct fwd_flow, end, 28);
FWD_ABI_OFFSET(struct fwd_flow, sport, 32);
FWD_ABI_OFFSET(struct fwd_flow, dport, 34);
FWD_ABI_OFFSET(struct fwd_flow, to_sport, 36);
FWD_ABI_OFFSET(struct fwd_flow, to_dport, 38);
FWD_ABI_OFFSET(struct fwd_flow, rule, 40);
FWD_ABI_OFFSET(struct fwd_flow, rule_gen, 42);
FWD_ABI_OFFSET(struct fwd_flow, route, 44);

/*
 * A connection: three cache lines, of which a packet needs the first and that of its direction. A packet leaves with
 * the addresses of the reverse direction, swapped, so each address is stored once; the ports are stored twice.
 */
struct fwd_conn {
	struct fwd_addrs addrs[FWD_DIR_MAX]; /* by enum fwd_dir, both */
	struct fwd_flow flow[FWD_DIR_MAX];
};

FWD_ABI_SIZE(struct fwd_conn, 192);
FWD_ABI_OFFSET(struct fwd_conn, flow, 64);

#endif
