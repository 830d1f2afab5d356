/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sockets of the current network namespace, and the processes that have them open. */
#ifndef FWD_USER_SOCKETS_H
#define FWD_USER_SOCKETS_H

#include <stdbool.h>
#include "model/own_socket.h"

/* All listening TCP sockets and bound UDP sockets that packets from outside could reach, sorted: without those of
 * loopback addresses and of the loopback device. own_sockets_free() must follow. Returns 0 or a negative errno: the
 * kernel can't be asked (no inet_diag), or no memory. After an error the list may be incomplete. */
int own_sockets_read(struct own_sockets *sockets);
void own_sockets_free(struct own_sockets *sockets);

#define SOCKET_COMM 16 /* TASK_COMM_LEN of Linux, with the NUL */

struct socket_owner {
	__u32 inode;
	int pid; /* 0: none found: the kernel's own socket, or one of a process that /proc hides from this one */
	char comm[SOCKET_COMM];
};

/* Fills pid and comm for the inodes in owner[count]: of several processes the first. Reads /proc once. */
void socket_owners_find(struct socket_owner *owner, size_t count);

#endif
