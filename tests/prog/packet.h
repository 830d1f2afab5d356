/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets as text: TCP("54.147.66.132:40000 > 93.184.216.34:8000", SYN, .ttl = 9). packet_build() turns one into bytes
 * and computes all checksums, packet_wrong() verifies bytes. It shares no code with bpf/, because a test with the same
 * arithmetic would find no error in it. Used by tests/prog, tests/host and tests/fuzz.
 */
#ifndef PACKET_H
#define PACKET_H

/* Fields that a row of a table omits are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

#define PROTO_TCP  6
#define PROTO_UDP  17
#define ETHER_LEN  14
#define FRAME_MAX  4096
#define TTL_NORMAL 64

/* A field of 0 means the value of an ordinary packet. */
struct packet {
	const char *flow; /* "SRC:PORT > DST:PORT", IPv6 addresses in brackets */
	__u8 proto;
	__u8 flags;
	__u32 seq, ack;
	int ttl;           /* 0: TTL_NORMAL; -1: 0 */
	__u8 tos;          /* IPv4; 0: 0x10 */
	int data;          /* bytes of payload */
	__u16 mss;         /* TCP: this MSS option */
	bool mss_odd;      /* at an odd offset */
	int options;       /* bytes of IPv4 options; a multiple of 4 */
	const char *ext;   /* IPv6 extension headers: h hop-by-hop, d destination options, D the same with 24 bytes,
			      r routing, f fragment (a first one), F fragment of a whole packet, a authentication */
	__u16 fragment;    /* IPv4: the 16-bit field of flags and offset */
	__u16 id;          /* IPv4: identification; 0: 0x1234 */
	bool no_checksum;  /* UDP */
	int l4_cut;        /* IPv4: so many bytes shorter, total length included: for first fragments */
	int padding;       /* bytes that the link appends */
	int cut;           /* so many bytes shorter, total length not included */
	__u16 ether_type;  /* 0: of the addresses' family */
	int tags;          /* so many VLAN tags: 802.1Q, the outer ones 802.1ad */
	__u16 vlan;        /* VLAN ID of the inner one; 0: like the others, it is a priority tag */
	const char *to;    /* destination MAC address; NULL: the device's */
	int poke_at, poke; /* the byte at this offset from the IP header is overwritten last, checksums not updated */
	unsigned int gso_segs;
};

#define TCP(flow_, flags_, ...) ((struct packet){.flow = flow_, .proto = PROTO_TCP, .flags = flags_, ##__VA_ARGS__})
#define UDP(flow_, ...)         ((struct packet){.flow = flow_, .proto = PROTO_UDP, ##__VA_ARGS__})

struct frame {
	__u8 data[FRAME_MAX];
	size_t len;
};

struct endpoint {
	int family; /* 4 or 6 */
	__u8 addr[16];
	__u16 port;
};

/* For errors in the test itself: prints both and aborts. */
void packet_die(const char *what, const char *text) __attribute__((noreturn));

/* "ADDR:PORT", an IPv6 address in brackets; `len` bytes of `text`. */
struct endpoint endpoint_parse(const char *text, size_t len);

/* "SRC:PORT > DST:PORT", of one family. */
void flow_parse(const char *flow, struct endpoint *src, struct endpoint *dst);

static inline void put16(__u8 *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void put32(__u8 *at, __u32 value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static inline unsigned int get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

/* The folded ones' complement sum (RFC 1071 4.1), not complemented. */
static inline __u32 sum16(__u32 sum, const __u8 *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	if (len & 1)
		sum += data[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Sum of the pseudo header; `addrs`: source and destination as in the IP header. */
static inline __u32 sum_pseudo(const __u8 *addrs, size_t len, __u8 proto, size_t l4_len)
{
	__u8 rest[4] = {l4_len >> 8, l4_len, 0, proto};

	return sum16(sum16(0, addrs, len), rest, sizeof(rest));
}

/* Computes the TCP or UDP checksum field; `pseudo` is sum_pseudo(). */
void packet_checksum(__u8 *l4, size_t len, __u8 proto, __u32 pseudo);

/* `dmac`, `smac`: of the Ethernet header; NULL: the frame begins with the IP header. */
void packet_build(struct frame *f, const struct packet *p, const __u8 *dmac, const __u8 *smac);

/* An ICMP error as text. */
struct error {
	const char *flow; /* with port 0 */
	__u8 type, code;
	__u32 info; /* the second word: an MTU, say */
	struct packet quoted;
	int quoted_len; /* of the quoted IP packet; 0: all of it */
	int ttl;        /* 0: TTL_NORMAL */
};

void error_build(struct frame *f, const struct error *e, const __u8 *dmac, const __u8 *smac);

/*
 * The first error in an IP packet of `len` bytes (lengths, checksums), or NULL. The transport header is found
 * independently of packet_build(). Link padding must be removed before.
 */
const char *packet_wrong(const __u8 *ip, size_t len);

/* The first difference of two frames as text, valid until the next call; NULL: they are equal. */
const char *frame_difference(const __u8 *got, size_t got_len, const __u8 *want, size_t want_len);

#endif
