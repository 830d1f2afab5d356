/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <sys/socket.h>
#include "host/netlink.h"

#define REPLY_SIZE 32768

struct mnl_socket *netlink_open(int bus)
{
	struct mnl_socket *sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int error;

	if (!sock || !mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID))
		return sock;
	error = errno;
	mnl_socket_close(sock);
	errno = error;
	return NULL;
}

int netlink_dump(struct mnl_socket *sock, struct nlmsghdr *request, mnl_cb_t parse, void *into)
{
	char reply[REPLY_SIZE];
	int more = MNL_CB_OK;

	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (mnl_socket_sendto(sock, request, request->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		ssize_t size = mnl_socket_recvfrom(sock, reply, sizeof(reply));

		if (size < 0)
			return -errno;
		more = mnl_cb_run(reply, size, request->nlmsg_seq, mnl_socket_get_portid(sock), parse, into);
	}
	return more == MNL_CB_STOP ? 0 : -errno;
}
