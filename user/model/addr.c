/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/word.h"
#include "model/addr.h"

#define MAPPED_BITS 96

enum fwd_family addr_family(const struct fwd_addr *addr)
{
	return addr_is_v4(addr) ? FWD_FAMILY_IPV4 : FWD_FAMILY_IPV6;
}

struct fwd_addr addr_unspecified(enum fwd_family family)
{
	struct fwd_addr addr = {};

	if (family == FWD_FAMILY_IPV4)
		addr_from_v4(&addr, 0);
	return addr;
}

bool addr_is_unspecified(const struct fwd_addr *addr)
{
	struct fwd_addr none = addr_unspecified(addr_family(addr));

	return addr_equal(addr, &none);
}

const char *addr_why_not_unicast(const struct fwd_addr *addr)
{
	struct in6_addr v6;

	switch (addr_kind(addr)) {
	case FWD_ADDR_UNSPECIFIED:
		return addr_is_v4(addr) ? "is the unspecified address (0.0.0.0/8)" : "is the unspecified address";
	case FWD_ADDR_LOOPBACK:
		return "is a loopback address, which is not routed";
	case FWD_ADDR_MULTICAST:
		return "is a multicast address";
	case FWD_ADDR_BROADCAST:
		return "is the broadcast address";
	case FWD_ADDR_UNICAST:
		break;
	}
	memcpy(&v6, addr, sizeof(v6));
	/* The programs translate link-local addresses, but no router forwards them (RFC 4291 2.5.6). */
	return !addr_is_v4(addr) && IN6_IS_ADDR_LINKLOCAL(&v6) ? "is a link-local address, which is not routed" : NULL;
}

const char *addr_parse(const char *text, struct fwd_addr *addr)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		addr_from_v4(addr, v4.s_addr);
		return NULL;
	}
	if (inet_pton(AF_INET6, text, addr) != 1)
		return strchr(text, ':') ? "not an IPv6 address" : "not an IP address";
	if (addr_family(addr) == FWD_FAMILY_IPV4)
		return "an IPv4 address in IPv6 form: write it as a.b.c.d";
	return NULL;
}

static const char *port_parse(const char *text, __u16 *port)
{
	unsigned long value;

	if (!*text)
		return "a port is missing";
	if (text[strspn(text, "0123456789")])
		return "a port is a number from 1 to 65535";
	if (!number_parse(text, 1, 65535, &value))
		return "a port is 1 to 65535";
	*port = value;
	return NULL;
}

/* "8000" or "8000-8010". Writes a NUL over the dash. */
static const char *ports_parse(char *text, struct fwd_endpoint *endpoint)
{
	char *dash = strchr(text, '-');
	const char *why;

	if (dash)
		*dash = '\0';
	why = port_parse(text, &endpoint->low);
	endpoint->high = endpoint->low;
	if (!why && dash)
		why = port_parse(dash + 1, &endpoint->high);
	if (!why && endpoint->low > endpoint->high)
		why = "the range of ports ends before it begins";
	return why;
}

/* Splits text into *addr, which may be empty, and *ports, NULL if there are none. More than one colon without brackets
 * is an IPv6 address without ports. */
static const char *endpoint_split(char *text, char **addr, char **ports)
{
	char *colon = strchr(text, ':');
	char *end = strchr(text, ']');

	*addr = text;
	*ports = NULL;
	if (*text == '[') {
		if (!end)
			return "a \"]\" is missing";
		*end++ = '\0';
		*addr = text + 1;
		if (!strchr(*addr, ':'))
			return "brackets are for IPv6 addresses only";
		if (*end && *end != ':')
			return "only \":PORT\" may follow the \"]\"";
		*ports = *end ? end + 1 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*ports = colon + 1;
	}
	return NULL;
}

const char *endpoint_parse(const char *text, struct fwd_endpoint *endpoint)
{
	char copy[FWD_ENDPOINT_TEXT];
	char *addr, *ports;
	const char *why;

	*endpoint = (struct fwd_endpoint){};
	if (!*text)
		return "an address is missing";
	if (strlen(text) >= sizeof(copy))
		return "too long for an address";
	strcpy(copy, text);
	why = endpoint_split(copy, &addr, &ports);
	if (why)
		return why;
	if (*addr || !ports) {
		why = addr_parse(addr, &endpoint->addr);
		if (why)
			return why;
		endpoint->family = addr_family(&endpoint->addr);
	}
	return ports ? ports_parse(ports, endpoint) : NULL;
}

const char *cidr_parse(const char *text, struct fwd_cidr *cidr)
{
	char copy[FWD_ENDPOINT_TEXT];
	unsigned long bits;
	const char *why;
	char *slash;
	bool v4;

	if (strlen(text) >= sizeof(copy))
		return "too long for an address";
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	why = addr_parse(copy, &cidr->addr);
	if (why)
		return why;
	v4 = addr_family(&cidr->addr) == FWD_FAMILY_IPV4;
	bits = v4 ? 32 : 128;
	if (slash && (!*slash || strlen(slash) > 3 || slash[strspn(slash, "0123456789")]))
		return "a prefix length is a number behind the \"/\"";
	if (slash && !number_parse(slash, 0, bits, &bits))
		return v4 ? "a prefix length of IPv4 is 0 to 32" : "a prefix length of IPv6 is 0 to 128";
	cidr->bits = bits + (v4 ? MAPPED_BITS : 0);
	return NULL;
}

bool cidr_contains(const struct fwd_cidr *cidr, const struct fwd_addr *addr)
{
	unsigned int bits = cidr->bits;

	/* ::/0 means all of IPv6, without the mapped IPv4 addresses. */
	if (addr_family(&cidr->addr) != addr_family(addr))
		return false;
	for (int i = 0; i < 4 && bits; i++) {
		unsigned int here = bits < 32 ? bits : 32;
		__u32 mask = htonl((__u32)(0xffffffff00000000ULL >> here));

		if ((cidr->addr.w[i] ^ addr->w[i]) & mask)
			return false;
		bits -= here;
	}
	return true;
}

socklen_t addr_to_sockaddr(const struct fwd_addr *addr, __u16 port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (addr_family(addr) == FWD_FAMILY_IPV4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = addr->w[3];
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, addr, sizeof(*addr));
	return sizeof(*v6);
}

bool addr_from_sockaddr(const struct sockaddr *in, struct fwd_addr *addr)
{
	if (in->sa_family == AF_INET)
		addr_from_v4(addr, ((const struct sockaddr_in *)in)->sin_addr.s_addr);
	else if (in->sa_family == AF_INET6)
		memcpy(addr, &((const struct sockaddr_in6 *)in)->sin6_addr, sizeof(*addr));
	else
		return false;
	return true;
}

char *addr_format(const struct fwd_addr *addr, char *text)
{
	if (addr_family(addr) == FWD_FAMILY_IPV4)
		inet_ntop(AF_INET, &addr->w[3], text, FWD_ADDR_TEXT);
	else
		inet_ntop(AF_INET6, addr, text, FWD_ADDR_TEXT);
	return text;
}

char *endpoint_format(const struct fwd_addr *addr, __u16 low, __u16 high, char *text)
{
	char name[FWD_ADDR_TEXT] = "";
	bool v6 = addr && addr_family(addr) == FWD_FAMILY_IPV6;
	int length;

	if (addr)
		addr_format(addr, name);
	length = snprintf(text, FWD_ENDPOINT_TEXT, v6 ? "[%s]:%u" : "%s:%u", name, low);
	if (high != low)
		snprintf(text + length, FWD_ENDPOINT_TEXT - length, "-%u", high);
	return text;
}
