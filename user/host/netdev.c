/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "host/netdev.h"

/* include/uapi/linux/netdev.h */
#define FAMILY_NAME    "netdev"
#define CMD_DEV_GET    1
#define A_IFINDEX      1
#define A_XDP_FEATURES 3

/* Sends the request and passes its one reply to `parse`. False: an error, or no reply. */
static bool ask(int bus, struct nlmsghdr *request, mnl_cb_t parse, void *into)
{
	struct mnl_socket *sock = mnl_socket_open(bus);
	char reply[16384];
	unsigned int seq = time(NULL), port;
	ssize_t size = -1;
	bool done;

	if (!sock)
		return false;
	request->nlmsg_flags |= NLM_F_REQUEST;
	request->nlmsg_seq = seq;
	done = !mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID);
	port = mnl_socket_get_portid(sock);
	done = done && mnl_socket_sendto(sock, request, request->nlmsg_len) > 0;
	if (done)
		size = mnl_socket_recvfrom(sock, reply, sizeof(reply));
	done = size > 0 && mnl_cb_run(reply, size, seq, port, parse, into) > 0;
	mnl_socket_close(sock);
	return done;
}

static void put_generic(struct nlmsghdr *request, __u16 family, __u8 command)
{
	struct genlmsghdr *generic;

	request->nlmsg_type = family;
	generic = mnl_nlmsg_put_extra_header(request, sizeof(*generic));
	generic->cmd = command;
	generic->version = 1;
}

static int parse_family(const struct nlmsghdr *reply, void *into)
{
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			*(__u16 *)into = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int parse_features(const struct nlmsghdr *reply, void *into)
{
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == A_XDP_FEATURES)
			*(__u64 *)into = mnl_attr_get_u64(attr);
	return MNL_CB_OK;
}

bool netdev_xdp_features(__u32 ifindex, __u64 *features)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	__u16 family = 0;

	put_generic(request, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, FAMILY_NAME);
	if (!ask(NETLINK_GENERIC, request, parse_family, &family) || !family)
		return false;
	*features = 0;
	memset(buffer, 0, sizeof(buffer));
	request = mnl_nlmsg_put_header(buffer);
	put_generic(request, family, CMD_DEV_GET);
	mnl_attr_put_u32(request, A_IFINDEX, ifindex);
	return ask(NETLINK_GENERIC, request, parse_features, features);
}

struct text {
	char *at;
	size_t size;
};

static int parse_qdisc(const struct nlmsghdr *reply, void *into)
{
	struct text *text = into;
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(attr) == IFLA_QDISC)
			snprintf(text->at, text->size, "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

static int parse_kind(const struct nlmsghdr *reply, void *into)
{
	struct text *text = into;
	struct nlattr *attr, *info;

	mnl_attr_for_each (attr, reply, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attr) != IFLA_LINKINFO)
			continue;
		mnl_attr_for_each_nested(info, attr) if (mnl_attr_get_type(info) == IFLA_INFO_KIND)
			snprintf(text->at, text->size, "%s", mnl_attr_get_str(info));
	}
	return MNL_CB_OK;
}

static bool ask_link(__u32 ifindex, mnl_cb_t parse, char *name, size_t size)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct text text = {name, size};
	struct ifinfomsg *link;

	request->nlmsg_type = RTM_GETLINK;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_index = ifindex;
	*name = '\0';
	return ask(NETLINK_ROUTE, request, parse, &text);
}

bool netdev_qdisc(__u32 ifindex, char *name, size_t size)
{
	return ask_link(ifindex, parse_qdisc, name, size);
}

bool netdev_is_tunnel(__u32 ifindex)
{
	/* rtnl_link_ops.kind */
	static const char *const kinds[] = {"wireguard", "tun",       "ovpn", "ipip", "ip6tnl", "sit",   "gre",
					    "gretap",    "ip6gre",    "vti",  "vti6", "xfrm",   "vxlan", "ip6gretap",
					    "erspan",    "ip6erspan", "amt",  "gtp",  "geneve", "macsec"};
	char kind[32];

	if (!ask_link(ifindex, parse_kind, kind, sizeof(kind)))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}
