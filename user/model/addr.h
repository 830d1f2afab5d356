/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses and ports as text. Parsers return NULL, or the reason why the text is refused: a static string that follows
 * the quoted text in a message.
 */
#ifndef FWD_USER_ADDR_H
#define FWD_USER_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include "fwd/addr.h"

/* "ADDR", "ADDR:PORT", "ADDR:LOW-HIGH", ":PORT", ":LOW-HIGH", with [V6] where a port follows. */
struct fwd_endpoint {
	struct fwd_addr addr; /* all zero if family is FWD_FAMILY_NONE */
	enum fwd_family family;
	__u16 low;  /* host order; 0: no port was given */
	__u16 high; /* inclusive */
};

/* "ADDR" or "ADDR/N". */
struct fwd_cidr {
	struct fwd_addr addr;
	unsigned int bits; /* prefix length, 0 to 128; of IPv4 with the 96 bits of the mapped prefix */
};

#define FWD_ADDR_TEXT     48 /* INET6_ADDRSTRLEN and a bit */
#define FWD_ENDPOINT_TEXT 64

/* The family follows from the address alone. */
enum fwd_family addr_family(const struct fwd_addr *addr);
bool addr_is_unspecified(const struct fwd_addr *addr);

/* The unspecified address of a family: ::ffff:0.0.0.0 or :: */
struct fwd_addr addr_unspecified(enum fwd_family family);

/* NULL if packets can be sent to addr across a router, else the reason ("is a multicast address"). */
const char *addr_why_not_unicast(const struct fwd_addr *addr);

const char *addr_parse(const char *text, struct fwd_addr *addr);
const char *endpoint_parse(const char *text, struct fwd_endpoint *endpoint);
const char *cidr_parse(const char *text, struct fwd_cidr *cidr);
bool cidr_contains(const struct fwd_cidr *cidr, const struct fwd_addr *addr);

/* To and from struct sockaddr; port in host order. addr_to_sockaddr() returns the length, addr_from_sockaddr() false
 * for any family but AF_INET and AF_INET6. */
socklen_t addr_to_sockaddr(const struct fwd_addr *addr, __u16 port, struct sockaddr_storage *out);
bool addr_from_sockaddr(const struct sockaddr *in, struct fwd_addr *addr);

/* Return text, which has room for FWD_ADDR_TEXT or FWD_ENDPOINT_TEXT bytes. */
char *addr_format(const struct fwd_addr *addr, char *text);
/* ":8000" if addr is NULL; low and high in host order; equal: one port. */
char *endpoint_format(const struct fwd_addr *addr, __u16 low, __u16 high, char *text);

#endif
