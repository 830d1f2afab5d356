/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include "attach/nf_module.h"
#include "host/netlink.h"

/* A request to a subsystem of nfnetlink makes the kernel load its module, with those that it needs
 * (net/netfilter/nfnetlink.c, nfnetlink_rcv_msg). The kernel itself runs modprobe(8) for that
 * (request_module()); fwdctl starts no process and needs no CAP_SYS_MODULE. */
void nf_module_load_conntrack(void)
{
	struct mnl_socket *sock = netlink_open(NETLINK_NETFILTER);
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header;

	if (!sock)
		return;
	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->version = NFNETLINK_V0;
	/* The request is processed within sendto(), so there is no need to wait for the answer. */
	mnl_socket_sendto(sock, request, request->nlmsg_len);
	mnl_socket_close(sock);
}
