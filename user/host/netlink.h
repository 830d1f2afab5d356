/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets of netlink. Messages are built and read with libmnl. */
#ifndef FWD_USER_NETLINK_H
#define FWD_USER_NETLINK_H

#include <libmnl/libmnl.h>

/* A bound socket, to be closed by mnl_socket_close(). bus: NETLINK_*. NULL: errno has the reason, EPROTONOSUPPORT if
 * the kernel has no such bus. */
struct mnl_socket *netlink_open(int bus);

/* Sends the request, with the flags NLM_F_REQUEST and NLM_F_DUMP, and passes each reply to `parse`, with `into`.
 * Returns 0 or a negative errno. Before an error some replies may have been passed. */
int netlink_dump(struct mnl_socket *sock, struct nlmsghdr *request, mnl_cb_t parse, void *into);

#endif
