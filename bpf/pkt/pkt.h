/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the pipeline knows of a packet.
 */
#ifndef FWD_BPF_PKT_PKT_H
#define FWD_BPF_PKT_PKT_H

#include "fwd/tuple.h"

/* The packet that an ICMP error is about, as far as the error quotes it. */
struct fwd_quote {
	struct fwd_tuple tuple;
	__u8 l3_off; /* from the start of the frame, as in struct fwd_pkt */
	__u8 l4_off;
	__u8 l4_len; /* how much of the transport header is there: 8 to 20 */
	__u8 pad;
};

enum fwd_frag_kind {
	FWD_FRAG_NONE,  /* a whole datagram */
	FWD_FRAG_FIRST, /* has the ports */
	FWD_FRAG_LATER, /* has not */
};

struct fwd_fragment {
	__u32 id;    /* the datagram's, as on the wire */
	__u16 start; /* in units of 8 bytes of what is fragmented */
	__u16 units; /* rounded up */
	__u8 part;   /* enum fwd_frag_kind */
	__u8 more;   /* it isn't the last */
	__u8 tiny;   /* the first, and cut in the transport header */
	__u8 pad;
};

/* Whether this packet goes by the kernel's neighbour table: see route_refresh(). */
enum fwd_hop {
	FWD_HOP_NONE,    /* no */
	FWD_HOP_KNOWN,   /* to this neighbour */
	FWD_HOP_UNKNOWN, /* its MAC address is not known yet */
};

struct fwd_pkt {
	struct fwd_tuple tuple; /* of an ICMP error: the outer addresses, no ports */
	struct fwd_quote quote; /* of an ICMP error */
	__u32 entry;            /* in the connection table (table.h), as soon as it is known */
	__u32 now;              /* ticks */
	__u32 bytes;            /* from the IP header to the end */
	__u32 segments;         /* 1, or what a GSO packet stands for */
	__u32 seq;              /* TCP, host order */
	__u32 ack;
	__u8 family; /* enum fwd_family */
	__u8 l3_off; /* from the start of the frame; 8 bits, so that the verifier knows the bound */
	__u8 l4_off;
	__u8 ttl; /* or hop limit */
	__u8 tos; /* or traffic class */
	__u8 tcp_flags;
	__u8 l4_len;        /* of the transport header */
	__u8 is_error;      /* ICMP error: quote is valid */
	__u8 dont_fragment; /* IPv4's DF, or IPv6 */
	__u8 to_fragment;   /* larger than the MTU of the route, and may be fragmented */
	__u16 mtu;          /* of the way out */
	struct fwd_fragment fragment;
	struct fwd_next_hop {
		__u8 how; /* enum fwd_hop */
		__u8 family;
		__u8 pad[2];
		struct fwd_addr addr;
	} next_hop;
};

#endif
