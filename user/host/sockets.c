/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/array.h"
#include "fwd/device.h"
#include "host/netlink.h"
#include "host/sockets.h"
#include "model/addr.h"

/* States of TCP (include/net/tcp_states.h of Linux); UDP uses them, too: bound sockets are in CLOSE, connected ones in
 * ESTABLISHED. */
enum sock_state {
	STATE_ESTABLISHED = 1,
	STATE_CLOSE = 7,
	STATE_LISTEN = 10,
};

struct reading {
	struct own_sockets *sockets;
	__u8 proto;
};

static struct own_socket *add(struct own_sockets *sockets)
{
	struct own_socket *grown = array_grow(sockets->at, sockets->count, sizeof(*grown));

	if (!grown)
		return NULL;
	sockets->at = grown;
	return &grown[sockets->count++];
}

static bool is_v6only(const struct nlmsghdr *reply)
{
	struct nlattr *attr;

	mnl_attr_for_each (attr, reply, sizeof(struct inet_diag_msg))
		if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY)
			return mnl_attr_get_u8(attr);
	return false;
}

static int parse(const struct nlmsghdr *reply, void *into)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(reply);
	struct reading *reading = into;
	struct own_socket sock =
				  {
					  .port = ntohs(diag->id.idiag_sport),
					  .proto = reading->proto,
					  .connected = reading->proto == IPPROTO_UDP &&
						       diag->idiag_state == STATE_ESTABLISHED,
					  .ifindex = diag->id.idiag_if,
					  .inode = diag->idiag_inode,
				  },
			  *added;

	if (diag->idiag_family == AF_INET)
		addr_from_v4(&sock.addr, diag->id.idiag_src[0]);
	else
		memcpy(&sock.addr, diag->id.idiag_src, sizeof(sock.addr));
	if (addr_kind(&sock.addr) == FWD_ADDR_LOOPBACK || sock.ifindex == FWD_LOOPBACK)
		return MNL_CB_OK;
	sock.dual = diag->idiag_family == AF_INET6 && addr_is_unspecified(&sock.addr) && !is_v6only(reply);
	added = add(reading->sockets);
	if (!added) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	*added = sock;
	return MNL_CB_OK;
}

/* All replies of one request. Returns 0 or a negative errno. */
static int dump(struct mnl_socket *sock, __u8 family, struct reading *reading)
{
	char buffer[256] = {};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *wanted;

	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	wanted = mnl_nlmsg_put_extra_header(request, sizeof(*wanted));
	wanted->sdiag_family = family;
	wanted->sdiag_protocol = reading->proto;
	wanted->idiag_states =
		reading->proto == IPPROTO_TCP ? 1U << STATE_LISTEN : 1U << STATE_CLOSE | 1U << STATE_ESTABLISHED;
	return netlink_dump(sock, request, parse, reading);
}

int own_sockets_read(struct own_sockets *sockets)
{
	static const __u8 protos[] = {IPPROTO_TCP, IPPROTO_UDP}, families[] = {AF_INET, AF_INET6};
	struct mnl_socket *sock = netlink_open(NETLINK_SOCK_DIAG);
	int ret = sock ? 0 : -errno;

	*sockets = (struct own_sockets){};
	for (size_t i = 0; !ret && i < sizeof(protos) * sizeof(families); i++) {
		struct reading reading = {.sockets = sockets, .proto = protos[i / 2]};

		ret = dump(sock, families[i % 2], &reading);
	}
	if (sock)
		mnl_socket_close(sock);
	own_sockets_sort(sockets);
	return ret;
}

void own_sockets_free(struct own_sockets *sockets)
{
	free(sockets->at);
	*sockets = (struct own_sockets){};
}

static int by_inode(const void *a, const void *b)
{
	const struct socket_owner *left = a, *right = b;

	return left->inode < right->inode ? -1 : left->inode > right->inode;
}

/* The name that a process gave itself may contain anything. */
static void read_comm(int pid, char *comm)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	snprintf(comm, SOCKET_COMM, "a process");
	if (!file)
		return;
	if (fgets(comm, SOCKET_COMM, file))
		comm[strcspn(comm, "\n")] = '\0';
	fclose(file);
	for (char *at = comm; *at; at++)
		if (!isprint((unsigned char)*at))
			*at = '?';
}

static void find_in_process(int pid, struct socket_owner *owner, size_t count)
{
	char path[PATH_MAX], link[64];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct socket_owner like, *found;
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		if (length < 0)
			continue;
		link[length] = '\0';
		if (sscanf(link, "socket:[%u]", &like.inode) != 1)
			continue;
		found = bsearch(&like, owner, count, sizeof(*owner), by_inode);
		if (!found || found->pid)
			continue;
		found->pid = pid;
		read_comm(pid, found->comm);
	}
	if (dir)
		closedir(dir);
}

void socket_owners_find(struct socket_owner *owner, size_t count)
{
	DIR *dir = count ? opendir("/proc") : NULL;
	const struct dirent *entry;

	if (!dir)
		return;
	qsort(owner, count, sizeof(*owner), by_inode);
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			find_in_process(atoi(entry->d_name), owner, count);
	closedir(dir);
}
