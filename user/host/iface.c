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
#include "host/sysctl.h"

/* Not in every C library. */
#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif
#ifndef ARPHRD_IP6GRE
#define ARPHRD_IP6GRE 823
#endif

static enum fwd_exit link_of_type(const char *name, int type, enum fwd_link *link, struct fwd_report *report)
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
	case ARPHRD_IP6GRE:
	case ARPHRD_RAWIP:
		*link = FWD_LINK_IP;
		return FWD_DONE;
	case ARPHRD_LOOPBACK:
		return report_error(report, ABOUT(.object = name),
				    "is the loopback device, which fwdctl attaches by itself");
	default:
		return report_error(report, ABOUT(.object = name),
				    "a device of type %d is not supported: only Ethernet, and devices without a link "
				    "header (WireGuard, tun, PPP)",
				    type);
	}
}

/* An ioctl about the device request->ifr_name. Returns 0 or a negative errno. */
static int ask(unsigned long code, struct ifreq *request)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (sock < 0)
		return -errno;
	ret = ioctl(sock, code, request) ? -errno : 0;
	close(sock);
	return ret;
}

/* The device of an alias ("eth0:1"), in name[IF_NAMESIZE]. */
static bool is_alias(const char *alias, char *name)
{
	size_t length = strcspn(alias, ":");

	snprintf(name, IF_NAMESIZE, "%.*s", (int)length, alias);
	return length < IF_NAMESIZE && alias[length] && if_nametoindex(name);
}

int iface_lookup_error(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return errno;
	close(sock);
	return ENODEV;
}

/* `error`: an errno. */
static enum fwd_exit no_such_device(const char *name, int error, struct fwd_report *report)
{
	char real[IF_NAMESIZE], fix[FWD_FIX_TEXT];

	if (errno_fix(error))
		return report_error(report, ABOUT(.object = name, .fix = errno_fix(error)), "can't be looked up: %s",
				    strerror(error));
	if (!is_alias(name, real))
		return report_error(report, ABOUT(.object = name), "no such device");
	snprintf(fix, sizeof(fix), "fwdctl attach %s", real);
	return report_error(report, ABOUT(.object = name, .fix = fix),
			    "is an alias: a label of one of the addresses of %s, not a device", real);
}

enum fwd_exit iface_link(const char *name, enum fwd_link *link, struct fwd_report *report)
{
	struct ifreq request = {};
	int ret;

	/* The ioctls, and if_nametoindex() with them, ignore what follows a colon (net/core/dev_ioctl.c). */
	if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, ':') || !if_nametoindex(name))
		return no_such_device(name, iface_lookup_error(), report);
	strcpy(request.ifr_name, name);
	ret = ask(SIOCGIFHWADDR, &request);
	if (ret)
		return no_such_device(name, -ret, report);
	return link_of_type(name, request.ifr_hwaddr.sa_family, link, report);
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

bool iface_strips_vlan_tags(const char *name)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (void *)&flags};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return !ask(SIOCETHTOOL, &request) && (flags.data & ETH_FLAG_RXVLAN);
}

bool iface_of_address(struct iface_addrs *addrs, const struct fwd_addr *addr, char *name)
{
	if (!addrs->list && getifaddrs(&addrs->list))
		return false;
	for (struct ifaddrs *i = addrs->list; i; i = i->ifa_next) {
		struct fwd_addr own;

		if (!i->ifa_addr || !addr_from_sockaddr(i->ifa_addr, &own) || !addr_equal(&own, addr))
			continue;
		snprintf(name, IF_NAMESIZE, "%s", i->ifa_name);
		return true;
	}
	return false;
}

void iface_addrs_free(struct iface_addrs *addrs)
{
	if (addrs->list)
		freeifaddrs(addrs->list);
	addrs->list = NULL;
}

/* connect() of a UDP socket sends nothing: it looks up the route and binds the socket to its source address. Returns
 * the socket or a negative errno. */
static int connect_udp(const struct fwd_addr *target, __u16 port)
{
	struct sockaddr_storage to;
	socklen_t size = addr_to_sockaddr(target, port, &to);
	int sock = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (sock < 0)
		return -errno;
	if (!connect(sock, (struct sockaddr *)&to, size))
		return sock;
	ret = -errno;
	close(sock);
	return ret;
}

bool iface_source_towards(const struct fwd_addr *target, __u16 port, struct fwd_addr *source)
{
	struct sockaddr_storage from = {};
	socklen_t size = sizeof(from);
	int sock = connect_udp(target, port);
	bool found;

	if (sock < 0)
		return false;
	found = !getsockname(sock, (struct sockaddr *)&from, &size) &&
		addr_from_sockaddr((struct sockaddr *)&from, source) && !addr_why_not_unicast(source);
	close(sock);
	return found;
}

/* True also if it cannot be read: then there is nothing to warn about. */
static bool sysctl_is_on(const char *path)
{
	return sysctl_read(path, 1);
}

/* The present name of a device, as /proc/sys has it: `name` may be an alternative one. `name` if there is no such
 * device. */
static const char *present_name(const char *name, char present[IF_NAMESIZE])
{
	return if_indextoname(if_nametoindex(name), present) ?: name;
}

/* The kernel uses the larger of both (include/linux/inetdevice.h, IN_DEV_RPFILTER). Packets that arrive by lo have a
 * route already. */
enum fwd_rp_filter iface_rp_filter(const char *name)
{
	int all = sysctl_read("/proc/sys/net/ipv4/conf/all/rp_filter", FWD_RP_OFF), own;
	char path[PATH_MAX], present[IF_NAMESIZE];

	if (if_nametoindex(name) == FWD_LOOPBACK)
		return FWD_RP_OFF;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", present_name(name, present));
	own = sysctl_read(path, FWD_RP_OFF);
	return own > all ? own : all;
}

/* A time in milliseconds as ticks; `unknown` if it cannot be read. */
static __u32 interval_read(const char *path, __u32 unknown)
{
	int ms = sysctl_read(path, -1);

	return ms < 0 ? unknown : (__u32)(ms * (FWD_NSEC / 1000) >> FWD_TICK_SHIFT);
}

void iface_icmp_limits(struct fwd_config *config)
{
	config->icmp_per_second = sysctl_read("/proc/sys/net/ipv4/icmp_msgs_per_sec", FWD_ICMP_PER_SECOND_DEFAULT);
	config->icmp_interval[FWD_ICMP_IPV4] =
		interval_read("/proc/sys/net/ipv4/icmp_ratelimit", FWD_ICMP_INTERVAL_DEFAULT);
	config->icmp_interval[FWD_ICMP_IPV6] =
		interval_read("/proc/sys/net/ipv6/icmp/ratelimit", FWD_ICMP_INTERVAL_DEFAULT);
}

bool iface_check_forwarding(const char *name, enum fwd_family family, struct fwd_report *report)
{
	bool v4 = family == FWD_FAMILY_IPV4;
	const char *ip = v4 ? "ipv4" : "ipv6";
	char path[PATH_MAX], fix[FWD_FIX_TEXT], present[IF_NAMESIZE];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding", ip, present_name(name, present));
	if (sysctl_is_on(path))
		return true;
	if (!sysctl_is_on(v4 ? "/proc/sys/net/ipv4/ip_forward" : "/proc/sys/net/ipv6/conf/all/forwarding")) {
		snprintf(fix, sizeof(fix), "sysctl -w %s=1",
			 v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
		report_note(report, ABOUT(.fix = fix), "IPv%d forwarding is off on this host: nothing is forwarded",
			    family);
		return false;
	}
	/* With slashes, because a device's name may contain dots. */
	snprintf(fix, sizeof(fix), "sysctl -w net/%s/conf/%s/forwarding=1", ip, present_name(name, present));
	report_note(report, ABOUT(.object = name, .fix = fix),
		    "IPv%d forwarding is off on this device: packets that arrive by it are not forwarded", family);
	return true;
}
