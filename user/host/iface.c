/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "host/iface.h"

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif

static enum fwd_exit link_of_type(const char *name, int type, enum fwd_link *link)
{
	switch (type) {
	case ARPHRD_ETHER:
		*link = FWD_LINK_ETHERNET;
		return FWD_DONE;
	case ARPHRD_NONE:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_RAWIP:
		*link = FWD_LINK_IP;
		return FWD_DONE;
	case ARPHRD_LOOPBACK:
		return fwd_err("\"%s\": is the loopback device, which no visitor comes in by", name);
	default:
		return fwd_err("\"%s\": devices of its type (%d) are not supported: only Ethernet "
			       "and those without a header (WireGuard, tun, PPP)",
			       name, type);
	}
}

/* Asks about the device request->ifr_name. Returns 0 or a negative errno. */
static int ask(unsigned long what, struct ifreq *request)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (sock < 0)
		return -errno;
	ret = ioctl(sock, what, request) ? -errno : 0;
	close(sock);
	return ret;
}

enum fwd_exit iface_link(const char *name, enum fwd_link *link)
{
	struct ifreq request = {};

	if (!*name || strlen(name) >= IFNAMSIZ)
		return fwd_err("\"%s\": no such device", name);
	strcpy(request.ifr_name, name);
	/* The ioctl also finds aliases, "eth0:1", which are no devices. */
	if (ask(SIOCGIFHWADDR, &request) || !if_nametoindex(name))
		return fwd_err("\"%s\": no such device", name);
	return link_of_type(name, request.ifr_hwaddr.sa_family, link);
}

bool iface_mac(const char *name, __u8 *mac)
{
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ask(SIOCGIFHWADDR, &request))
		return false;
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	return true;
}

bool iface_driver(const char *name, char *driver, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	*driver = '\0';
	if (ask(SIOCETHTOOL, &request))
		return if_nametoindex(name);
	snprintf(driver, size, "%s", info.driver);
	return true;
}

bool iface_takes_vlan_tags(const char *name)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&flags};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return !ask(SIOCETHTOOL, &request) && (flags.data & ETH_FLAG_RXVLAN);
}

/* They are read once, for there may be thousands of targets to compare with. */
bool iface_of_address(const struct fwd_addr *addr, char *name)
{
	static struct ifaddrs *list;

	if (!list && getifaddrs(&list))
		return false;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct fwd_addr own;

		if (!i->ifa_addr || !addr_from_sockaddr(i->ifa_addr, &own) || !addr_equal(&own, addr))
			continue;
		snprintf(name, IF_NAMESIZE, "%s", i->ifa_name);
		return true;
	}
	return false;
}

/* Connecting UDP sends nothing, but looks up the route and binds to its source address. Returns the
 * socket or a negative errno. */
static int connect_udp(const struct fwd_addr *target, __u16 port, bool broadcast)
{
	struct sockaddr_storage to;
	socklen_t size = addr_to_sockaddr(target, port, &to);
	int sock = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = broadcast, ret;

	if (sock < 0)
		return -errno;
	setsockopt(sock, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	if (!connect(sock, (struct sockaddr *)&to, size))
		return sock;
	ret = -errno;
	close(sock);
	return ret;
}

/* The kernel lets only those connect to it who ask for broadcasts. */
bool iface_is_broadcast(const struct fwd_addr *addr)
{
	int sock = connect_udp(addr, 1, false);
	bool refused = sock == -EACCES;

	/* So are routes of type prohibit, but those whoever asks. */
	if (refused)
		sock = connect_udp(addr, 1, true);
	if (sock >= 0)
		close(sock);
	return refused && sock >= 0;
}

bool iface_source_towards(const struct fwd_addr *target, __u16 port, struct fwd_addr *source)
{
	struct sockaddr_storage from = {};
	socklen_t size = sizeof(from);
	int sock = connect_udp(target, port, false);
	bool found;

	if (sock < 0)
		return false;
	found = !getsockname(sock, (struct sockaddr *)&from, &size) &&
		addr_from_sockaddr((struct sockaddr *)&from, source) && !addr_why_not_unicast(source);
	close(sock);
	return found;
}

/* True also if it can't be read: then there is nothing to warn of. */
static bool setting_is_on(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = 1;

	if (!file)
		return true;
	if (fscanf(file, "%d", &value) != 1)
		value = 1;
	fclose(file);
	return value;
}

bool iface_check_forwarding(const char *name, enum fwd_family family)
{
	bool v4 = family == FWD_FAMILY_IPV4;
	const char *ip = v4 ? "ipv4" : "ipv6";
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding", ip, name);
	if (setting_is_on(path))
		return true;
	if (!setting_is_on(v4 ? "/proc/sys/net/ipv4/ip_forward" : "/proc/sys/net/ipv6/conf/all/forwarding")) {
		fwd_note("IPv%d forwarding is off on this host, so nothing is forwarded: sysctl -w "
			 "%s=1",
			 family, v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
		return false;
	}
	/* With slashes, since a device's name may hold dots. */
	fwd_note("%s: IPv%d forwarding is off on this device, so nothing that comes in by it is "
		 "forwarded: sysctl -w net/%s/conf/%s/forwarding=1",
		 name, family, ip, name);
	return true;
}
