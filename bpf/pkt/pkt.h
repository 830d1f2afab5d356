/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parsed packet.
 */
#ifndef FWD_BPF_PKT_PKT_H
#define FWD_BPF_PKT_PKT_H

#include "fwd/tuple.h"

/* The packet that an ICMP error quotes, as far as it is quoted. */
struct fwd_quote {
	struct fwd_tuple tuple;
	__u8 l3_off; /* from the start of the frame, as in struct fwd_pkt */
	__u8 l4_off;
	__u8 l4_len; /* quoted bytes of the transport header: 8 to 20 */
	__u8 pad;
};

enum fwd_frag_kind {
	FWD_FRAG_NONE,  /* not fragmented */
	FWD_FRAG_FIRST, /* the first fragment, which has the ports */
	FWD_FRAG_LATER, /* any other fragment */
};

struct fwd_fragment {
	__u32 id;     /* identification of the datagram, in network order */
	__u16 offset; /* offset in the datagram, in units of 8 bytes */
	__u16 units;  /* length, in units of 8 bytes, rounded up */
	__u8 kind;    /* enum fwd_frag_kind */
	__u8 more;    /* 1: not the last fragment */
	__u8 tiny;    /* 1: the first fragment, and it ends within the transport header */
	__u8 pad;
};

/* Whether this packet is sent through the kernel's neighbour table: see route_refresh(). */
enum fwd_hop {
	FWD_HOP_CACHED,  /* no: with the MAC addresses of the route */
	FWD_HOP_KNOWN,   /* yes, to this neighbour */
	FWD_HOP_UNKNOWN, /* yes, because its MAC address is not known yet */
};

struct fwd_pkt {
	struct fwd_tuple tuple; /* of an ICMP error: the outer addresses, and no ports */
	struct fwd_quote quote; /* of an ICMP error */
	__u32 entry;            /* entry of the connection table (ct/table.h), once it is known */
	__u32 now;              /* ticks */
	__u32 bytes;            /* from the IP header on */
	__u32 segments;         /* 1, or the number of segments of a GSO packet */
	__u32 seq;              /* TCP, host order */
	__u32 ack;
	__u8 family; /* enum fwd_family */
	__u8 l3_off; /* from the start of the frame; 8 bits, so that the verifier knows the bound */
	__u8 l4_off;
	__u8 ttl; /* or hop limit */
	__u8 tos; /* or traffic class */
	__u8 tcp_flags;
	__u8 l4_len;        /* of the transport header, in bytes */
	__u8 is_error;      /* 1: an ICMP error; quote is valid */
	__u8 dont_fragment; /* IPv4's DF, or IPv6 */
	__u8 to_fragment;   /* larger than the MTU of the route, and may be fragmented */
	__u8 tags;          /* priority tags of the frame (pkt/link.h), until they are removed */
	__u16 mtu;          /* of the route */
	struct fwd_fragment fragment;
	struct fwd_next_hop {
		__u8 how; /* enum fwd_hop */
		__u8 family;
		__u8 pad[2];
		struct fwd_addr addr;
	} next_hop;
};

#endif
