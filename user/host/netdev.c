/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "host/netdev.h"
#include "host/netlink.h"

/* include/uapi/linux/netdev.h */
#define FAMILY_NAME    "netdev"
#define CMD_DEV_GET    1
#define A_IFINDEX      1
#define A_XDP_FEATURES 3

/* Sends the request and passes its one reply to `parse`. False: an error, or no reply. */
static bool ask(int bus, struct nlmsghdr *request, mnl_cb_t parse, void *into)
{
	struct mnl_socket *sock = netlink_open(bus);
	char reply[16384];
	unsigned int seq = time(NULL), port;
	ssize_t size = -1;
	bool done;

	if (!sock)
		return false;
	request->nlmsg_flags |= NLM_F_REQUEST;
	request->nlmsg_seq = seq;
	port = mnl_socket_get_portid(sock);
	if (mnl_socket_sendto(sock, request, request->nlmsg_len) > 0)
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

static int parse_link_kind(const struct nlmsghdr *reply, void *into)
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

/* Asks for all properties of a device. */
static bool ask_link(__u32 ifindex, mnl_cb_t parse, void *into)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *link;

	request->nlmsg_type = RTM_GETLINK;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_index = ifindex;
	return ask(NETLINK_ROUTE, request, parse, into);
}

bool netdev_qdisc(__u32 ifindex, char *name, size_t size)
{
	struct text text = {name, size};

	*name = '\0';
	return ask_link(ifindex, parse_qdisc, &text);
}

static int parse_received(const struct nlmsghdr *reply, void *into)
{
	struct rtnl_link_stats64 stats;
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attr) != IFLA_STATS64 || mnl_attr_get_payload_len(attr) < sizeof(__u64))
			continue;
		/* Not aligned to 8 bytes. rx_packets is the first. */
		memcpy(&stats.rx_packets, mnl_attr_get_payload(attr), sizeof(stats.rx_packets));
		*(__u64 *)into = stats.rx_packets;
	}
	return MNL_CB_OK;
}

bool netdev_received(__u32 ifindex, __u64 *packets)
{
	*packets = 0;
	return ask_link(ifindex, parse_received, packets);
}

struct port {
	__u32 master; /* 0: it is no port */
	struct text kind;
};

static int parse_port(const struct nlmsghdr *reply, void *into)
{
	struct nlattr *attr, *nested;
	struct port *port = into;

	mnl_attr_for_each (attr, reply, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attr) == IFLA_MASTER)
			port->master = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) != IFLA_LINKINFO)
			continue;
		mnl_attr_for_each_nested(nested, attr) if (mnl_attr_get_type(nested) == IFLA_INFO_SLAVE_KIND)
			snprintf(port->kind.at, port->kind.size, "%s", mnl_attr_get_str(nested));
	}
	return MNL_CB_OK;
}

bool netdev_master(__u32 ifindex, __u32 *master, char *kind, size_t size)
{
	struct port port = {.kind = {kind, size}};

	*kind = '\0';
	if (!ask_link(ifindex, parse_port, &port) || !port.master)
		return false;
	*master = port.master;
	return true;
}

static int parse_kind(const struct nlmsghdr *reply, void *into)
{
	struct text *text = into;
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct tcmsg))
		if (mnl_attr_get_type(attr) == TCA_KIND)
			snprintf(text->at, text->size, "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

bool netdev_ingress_qdisc(__u32 ifindex, char *name, size_t size)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct text text = {name, size};
	struct tcmsg *tc;

	request->nlmsg_type = RTM_GETQDISC;
	/* Kernels differ: some send the reply to this socket only if it is to be echoed. The acknowledgment ends the
	 * wait for one that does not come. */
	request->nlmsg_flags = NLM_F_ECHO | NLM_F_ACK;
	tc = mnl_nlmsg_put_extra_header(request, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = ifindex;
	tc->tcm_parent = TC_H_INGRESS;
	*name = '\0';
	return ask(NETLINK_ROUTE, request, parse_kind, &text) && *name;
}

bool netdev_is_tunnel(__u32 ifindex)
{
	/* rtnl_link_ops.kind */
	static const char *const kinds[] = {
		"wireguard", "tun", "ovpn",   "ipip",   "ip6tnl",    "sit",       "gre",         "gretap",
		"ip6gre",    "vti", "vti6",   "xfrm",   "vxlan",     "ip6gretap", "erspan",      "ip6erspan",
		"amt",       "gtp", "geneve", "macsec", "amneziawg", "ovpn-dco",  "ovpn-dco-v2", "bareudp"};
	char kind[32] = "";
	struct text text = {kind, sizeof(kind)};

	if (!ask_link(ifindex, parse_link_kind, &text))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}
