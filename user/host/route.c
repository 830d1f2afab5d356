/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include "host/netlink.h"
#include "host/route.h"
#include "model/addr.h"

#define REPLY_SIZE 16384 /* a route of IPv6 with many next hops exceeds a page */

/* The prefix and the attributes of one reply. */
struct found {
	struct route route;
	struct fwd_addr prefix;
	unsigned int plen; /* bits, without the mapped prefix of IPv4 */
	bool own_network;  /* the kernel added the route for an address of the device */
};

static enum route_kind kind_of_type(unsigned int type)
{
	switch (type) {
	case RTN_UNICAST:
		return ROUTE_UNICAST;
	case RTN_LOCAL:
		return ROUTE_LOCAL;
	/* The first address of an IPv6 network is the anycast address of its routers (RFC 4291 2.6.1). */
	case RTN_BROADCAST:
	case RTN_ANYCAST:
		return ROUTE_BROADCAST;
	default:
		return ROUTE_NONE;
	}
}

static void read_prefix(const struct nlattr *attr, struct fwd_addr *prefix)
{
	if (mnl_attr_get_payload_len(attr) == sizeof(__be32))
		addr_from_v4(prefix, mnl_attr_get_u32(attr));
	else if (mnl_attr_get_payload_len(attr) == sizeof(*prefix))
		memcpy(prefix, mnl_attr_get_payload(attr), sizeof(*prefix));
}

static int parse(const struct nlmsghdr *reply, void *into)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(reply);
	struct found *found = into;
	struct nlattr *attr;

	found->route.kind = kind_of_type(header->rtm_type);
	found->route.is_default = header->rtm_dst_len <= 1;
	found->plen = header->rtm_dst_len;
	found->own_network = header->rtm_protocol == RTPROT_KERNEL && header->rtm_scope == RT_SCOPE_LINK;
	mnl_attr_for_each (attr, reply, sizeof(*header)) {
		if (mnl_attr_get_type(attr) == RTA_DST)
			read_prefix(attr, &found->prefix);
		if (mnl_attr_get_type(attr) == RTA_OIF)
			found->route.ifindex = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == RTA_MULTIPATH &&
		    mnl_attr_get_payload_len(attr) >= sizeof(struct rtnexthop))
			found->route.ifindex = ((struct rtnexthop *)mnl_attr_get_payload(attr))->rtnh_ifindex;
	}
	return MNL_CB_STOP;
}

/* Replies that mean that no route leads to the address, or one that refuses: unreachable, prohibit, blackhole
 * (net/ipv4/fib_semantics.c, fib_props). */
static bool is_no_route(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL;
}

/* Sends the request and passes its reply to parse(). */
static bool ask(struct mnl_socket *sock, struct nlmsghdr *request, struct found *found)
{
	char reply[REPLY_SIZE];
	ssize_t size;

	if (mnl_socket_sendto(sock, request, request->nlmsg_len) < 0)
		return false;
	size = mnl_socket_recvfrom(sock, reply, sizeof(reply));
	if (size <= 0)
		return false;
	if (mnl_cb_run(reply, size, 0, mnl_socket_get_portid(sock), parse, found) >= 0)
		return true;
	found->route = (struct route){.kind = ROUTE_NONE};
	return is_no_route(errno);
}

/* Whether hosts share a link at the device, so that its network has broadcast addresses: not behind a tunnel. */
static bool has_broadcast(const struct mnl_socket *sock, __u32 ifindex)
{
	struct ifreq request = {};

	return if_indextoname(ifindex, request.ifr_name) && !ioctl(mnl_socket_get_fd(sock), SIOCGIFFLAGS, &request) &&
	       (request.ifr_flags & (IFF_BROADCAST | IFF_NOARP | IFF_POINTOPOINT)) == IFF_BROADCAST;
}

/* Since 5.14 Linux takes the first address of an IPv4 network for a host's (net/ipv4/fib_frontend.c), but other hosts
 * and the network's owner need not. /31 and /32 have none (RFC 3021). A route that was added, as wg-quick does for
 * AllowedIPs, is a range of addresses and no network. */
static bool is_network_address(const struct mnl_socket *sock, const struct found *found, const struct fwd_addr *addr)
{
	return found->route.kind == ROUTE_UNICAST && addr_is_v4(addr) && found->own_network && found->plen &&
	       found->plen < 31 && addr_equal(&found->prefix, addr) && has_broadcast(sock, found->route.ifindex);
}

bool route_get(struct routes *routes, const struct fwd_addr *to, struct route *route)
{
	bool v4 = addr_is_v4(to);
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct found found = {};
	struct rtmsg *header;

	if (!routes->sock)
		routes->sock = netlink_open(NETLINK_ROUTE);
	if (!routes->sock)
		return false;
	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_REQUEST;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->rtm_family = v4 ? AF_INET : AF_INET6;
	header->rtm_dst_len = v4 ? 32 : 128;
	/* The entry of the table, with its prefix, and not the host route that it leads to. */
	header->rtm_flags = RTM_F_FIB_MATCH;
	if (v4)
		mnl_attr_put_u32(request, RTA_DST, to->w[3]);
	else
		mnl_attr_put(request, RTA_DST, sizeof(*to), to);
	if (!ask(routes->sock, request, &found))
		return false;
	if (is_network_address(routes->sock, &found, to))
		found.route.kind = ROUTE_BROADCAST;
	*route = found.route;
	return true;
}

void routes_close(struct routes *routes)
{
	if (routes->sock)
		mnl_socket_close(routes->sock);
	routes->sock = NULL;
}
