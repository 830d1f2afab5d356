/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP packets as bytes: building, parsing, checksums, and a description in one line. A packet begins with its IP header;
 * world.c handles link headers.
 */
#ifndef ORACLE_PACKET_H
#define ORACLE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 4096

enum {
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ICMPV6 = 58
};
enum {
	EXT_HOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	EXT_DEST = 60
};
enum {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32
};

struct addr {
	uint8_t family; /* 4 or 6 */
	uint8_t byte[16];
};

struct packet {
	unsigned len;
	uint8_t data[PACKET_MAX];
};

/* The input of packet_build(). */
struct spec {
	struct addr src, dst;
	uint8_t proto, ttl, tos;
	uint16_t id;
	uint8_t ip_flags; /* the upper three bits of the fragment field, as a byte: 0x40 is DF */
	uint32_t flow;
	uint8_t options[40]; /* IPv4 options, or IPv6 extension headers */
	unsigned options_len;
	uint8_t first_ext;  /* IPv6: type of the first extension header */
	unsigned last_next; /* IPv6: offset in `options` of the last "next header", for the transport protocol */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t tcp_options[40];
	unsigned tcp_options_len;
	uint8_t icmp[8]; /* type, code, checksum (computed), and the second word */
	const uint8_t *payload;
	unsigned payload_len;
};

/* Offsets in a packet, or in the quote of an ICMP error. */
struct layout {
	int family;
	unsigned l4;  /* offset of the transport header */
	unsigned end; /* by the IP header's length, at most the length of the packet */
	uint8_t proto;
	bool fragment; /* not an atomic fragment (RFC 6946) */
	bool more;
	unsigned frag_at; /* offset of the fragment, in bytes */
	uint32_t frag_id;
	unsigned frag_header; /* IPv6: offset of the fragment header; 0: none */
	unsigned frag_next;   /* IPv6: offset of the "next header" field that names it */
};

uint16_t get16(const uint8_t *at);
uint32_t get32(const uint8_t *at);
void put16(uint8_t *at, uint16_t value);
void put32(uint8_t *at, uint32_t value);

struct addr addr_parse(const char *text);
bool addr_equal(const struct addr *a, const struct addr *b);
/* The source or destination address of the IP header at `data`. */
struct addr addr_of(const uint8_t *data, bool destination);

/* The ones' complement sum of the bytes, folded, not complemented. */
uint16_t sum(const uint8_t *data, unsigned len, uint32_t start);
/* Updates the checksum at `check` for bytes that changed; a wrong checksum stays wrong by the same amount. */
void sum_replace(uint8_t *check, const uint8_t *before, const uint8_t *after, unsigned len);
/* The transport checksum of a packet whose checksum field is zero; 0 if the field holds the right one. UDP's length
 * field is used where it is plausible (RFC 768). */
uint16_t sum_transport(const uint8_t *data, const struct layout *l);

void packet_build(struct packet *p, const struct spec *spec);
bool packet_layout(const uint8_t *data, unsigned len, struct layout *l);
/* Offset of the checksum in the transport header; 0: unknown protocol. */
unsigned packet_check_at(uint8_t proto);
bool packet_is_icmp_error(const uint8_t *data, const struct layout *l);
void packet_fix_ip_sum(uint8_t *data);
/* True if all checksums that can be verified are right, those of a complete quote included. */
bool packet_sums_right(const uint8_t *data, unsigned len);

/* Called for each end of each transport header in a packet; true: the port is replaced by *port. */
typedef bool (*port_of)(void *arg, uint8_t proto, const struct addr *own, const struct addr *other, uint16_t other_port,
			uint16_t *port);
/* Replaces ports in the packet and in what it quotes, and updates all checksums. */
void packet_rename(struct packet *p, port_of ask, void *arg);

void packet_describe(const uint8_t *data, unsigned len, char *text, size_t size);
void packet_dump(const struct packet *p, const char *indent);

#endif
