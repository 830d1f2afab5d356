/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets of the benchmark: how they are built and checked, and the structs that the BPF programs (traffic.bpf.c)
 * share with traffic.c.
 *
 * Flow i has a client address of its own, service i % services, and client port FLOW_FIRST_PORT + i / services. So the
 * ports identify the flow of a packet, and no two flows have the same port towards the same service: source ports are
 * kept, with or without translation.
 */
#ifndef FLOW_H
#define FLOW_H

#include <bpf/bpf_endian.h>
#include <stdbool.h>
#include <linux/types.h>

#define FLOW_FIRST_PORT    1024
#define FLOW_FIRST_SERVICE 8000
#define FLOW_PORTS         (65536 - FLOW_FIRST_PORT)
#define FLOW_TTL           64
/* 64 bytes on the wire with the frame check sequence. */
#define FLOW_FRAME_LEN 60
#define FLOW_ETHER_LEN 14
#define FLOW_IP_LEN    (FLOW_FRAME_LEN - FLOW_ETHER_LEN)
#define FLOW_L4_LEN    (FLOW_IP_LEN - 20)

#define FLOW_TCP 6
#define FLOW_UDP 17

#define FLOW_SYN 0x02
#define FLOW_PSH 0x08
#define FLOW_ACK 0x10

/* The two addresses of packets on one side of the gateway, in host order. */
struct flow_view {
	__u32 client; /* 0: each flow has its own */
	__u32 service;
};

struct flow_kind {
	struct flow_view view;
	__u32 services;
	__u8 proto;
	__u8 to_service; /* 0: to the client */
	__u8 ttl;
	__u8 tcp_flags;
	__u32 seq, ack;
};

enum flow_verdict {
	FLOW_RIGHT,
	FLOW_WRONG,   /* a packet of the benchmark with unexpected content */
	FLOW_FOREIGN, /* neighbour discovery and the like */
};

static inline __u32 flow_client(const struct flow_view *view, __u32 flow)
{
	return view->client ? view->client : 0x36930000 /* 54.147.0.0 */ + (flow & 0xffff);
}

static inline void flow_put16(__u8 *at, __u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void flow_put32(__u8 *at, __u32 value)
{
	flow_put16(at, value >> 16);
	flow_put16(at + 2, value);
}

static inline __u16 flow_get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static inline __u32 flow_get32(const __u8 *at)
{
	return (__u32)flow_get16(at) << 16 | flow_get16(at + 2);
}

static inline __u16 flow_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Sums in host byte order, as RFC 1071 allows, which is fastest. */
static inline __u32 flow_sum(const __u8 *at, __u32 len)
{
	__u32 sum = 0;

#pragma GCC unroll 32
	for (__u32 i = 0; i < len; i += 2)
		sum += *(const __u16 *)(at + i);
	return sum;
}

static inline __u16 flow_sum_l4(const __u8 *ip)
{
	__u32 pseudo = flow_sum(ip + 12, 8);

	return flow_fold(flow_sum(ip + 20, FLOW_L4_LEN) + pseudo + bpf_htons(ip[9]) + bpf_htons(FLOW_L4_LEN));
}

static inline void flow_make_l4(__u8 *l4, const struct flow_kind *kind)
{
	if (kind->proto == FLOW_UDP) {
		flow_put16(l4 + 4, FLOW_L4_LEN);
		flow_put16(l4 + 6, 0);
		return;
	}
	flow_put32(l4 + 4, kind->seq);
	flow_put32(l4 + 8, kind->ack);
	l4[12] = 5 << 4;
	l4[13] = kind->tcp_flags;
	flow_put16(l4 + 14, 0xfaf0);
	flow_put32(l4 + 16, 0);
}

/* Writes the whole header, because frames are reused after the gateway has changed them. */
static inline void flow_make(__u8 *ip, const struct flow_kind *kind, __u32 flow)
{
	__u32 client = flow_client(&kind->view, flow);
	__u16 port = FLOW_FIRST_PORT + flow / kind->services;
	__u16 service = FLOW_FIRST_SERVICE + flow % kind->services;
	__u8 *l4 = ip + 20;
	__u16 sum;

	flow_put32(ip, 0x45000000 | FLOW_IP_LEN);
	flow_put32(ip + 4, 0x00004000); /* DF */
	flow_put32(ip + 8, kind->ttl << 24 | kind->proto << 16);
	flow_put32(ip + 12, kind->to_service ? client : kind->view.service);
	flow_put32(ip + 16, kind->to_service ? kind->view.service : client);
	*(__u16 *)(ip + 10) = ~flow_fold(flow_sum(ip, 20));
	flow_put16(l4, kind->to_service ? port : service);
	flow_put16(l4 + 2, kind->to_service ? service : port);
	flow_make_l4(l4, kind);
	sum = ~flow_sum_l4(ip);
	if (kind->proto == FLOW_UDP)
		*(__u16 *)(l4 + 6) = sum ? sum : 0xffff; /* 0 means no checksum */
	else
		*(__u16 *)(l4 + 16) = sum;
}

static inline enum flow_verdict flow_check(const __u8 *ip, const struct flow_kind *kind)
{
	const __u8 *service_at = kind->to_service ? ip + 16 : ip + 12;
	const __u8 *client_at = kind->to_service ? ip + 12 : ip + 16;
	__u16 port = flow_get16(ip + (kind->to_service ? 20 : 22));
	__u16 service = flow_get16(ip + (kind->to_service ? 22 : 20));
	__u32 flow = (port - FLOW_FIRST_PORT) * kind->services + service - FLOW_FIRST_SERVICE;

	if (ip[0] != 0x45 || ip[9] != kind->proto || flow_get16(ip + 2) != FLOW_IP_LEN)
		return FLOW_FOREIGN;
	if (port < FLOW_FIRST_PORT || service < FLOW_FIRST_SERVICE || service >= FLOW_FIRST_SERVICE + kind->services ||
	    flow_get32(service_at) != kind->view.service || flow_get32(client_at) != flow_client(&kind->view, flow) ||
	    ip[8] != kind->ttl || flow_fold(flow_sum(ip, 20)) != 0xffff || flow_sum_l4(ip) != 0xffff)
		return FLOW_WRONG;
	return FLOW_RIGHT;
}

/* Parameters of the generator. */
struct flow_order {
	struct flow_kind kind;
	__u32 first, flows, step; /* flows first ... first + flows - 1, in steps */
	__u64 count;              /* of packets */
	__u32 window;             /* packets in flight, at most */
	__u32 patience_us;        /* a packet that has not arrived after this time is lost */
	__u32 ifindex;
	__u8 ether[FLOW_ETHER_LEN];
};

/* Each written by one CPU at a time. */
struct flow_sent {
	__u64 packets, lost;
	__u64 seen, since; /* arrivals, and the time of the last change */
	__u32 at;
} __attribute__((aligned(64)));

struct flow_arrived {
	__u64 right, wrong;
} __attribute__((aligned(64)));

/* The lower bound: a program that only redirects. */
struct flow_detour {
	__u32 ifindex;
	__u8 ether[12];
};

#endif
