/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include "netns.h"

const struct device_info devices[DEVICES] = {
	[ETH0] = {"eth0", FWD_LINK_ETHERNET, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 0xfe}},
	[WG0] = {"wg0", FWD_LINK_IP},
	[ETH1] = {"eth1", FWD_LINK_ETHERNET, {2, 0, 0, 0, 7, 1}, {2, 0, 0, 0, 7, 2}},
	[ETH2] = {"eth2", FWD_LINK_ETHERNET, {2, 0, 0, 0, 8, 1}, {2, 0, 0, 0, 8, 2}},
};

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

static void batch(const char *command, const char *lines)
{
	FILE *ip = popen(command, "w");

	cr_assert(ip);
	fputs(lines, ip);
	cr_assert(pclose(ip) == 0, "%s", command);
}

void ip_batch(const char *lines)
{
	batch("ip -batch -", lines);
}

void ip6_batch(const char *lines)
{
	batch("ip -6 -batch -", lines);
}

static void tun_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0, "/dev/net/tun: %s", strerror(errno));
	strcpy(ifr.ifr_name, name);
	cr_assert(!ioctl(fd, TUNSETIFF, &ifr), "TUNSETIFF: %s", strerror(errno));
}

static int ifindex_of(const char *name)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(ifr.ifr_name, name);
	cr_assert(!ioctl(fd, 0x8933 /* SIOCGIFINDEX */, &ifr), "%s: %s", name, strerror(errno));
	close(fd);
	return ifr.ifr_ifindex;
}

void forwarding_set(bool on)
{
	write_file("/proc/sys/net/ipv4/ip_forward", on ? "1" : "0");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", on ? "1" : "0");
}

void netns_create(int ifindex[DEVICES])
{
	cr_assert(!unshare(CLONE_NEWNET), "unshare: %s (not root?)", strerror(errno));
	tun_open("wg0");
	ip_batch("link set lo up\n"
		 "link add eth0 address 02:00:00:00:00:01 type veth peer name eth0p\n"
		 "link add eth1 address 02:00:00:00:07:01 type veth peer name eth1p\n"
		 "link add eth2 address 02:00:00:00:08:01 type veth peer name eth2p\n"
		 "link set eth0 up\n"
		 "link set eth0p up\n"
		 "link set eth1 up\n"
		 "link set eth1p up\n"
		 "link set eth2 up\n"
		 "link set eth2p up\n"
		 "link set wg0 up\n"
		 "addr add 93.184.216.34/24 dev eth0\n"
		 "addr add 2001:db8:93::34/64 dev eth0 nodad\n"
		 "addr add 10.172.16.1/24 dev wg0\n"
		 "addr add 10.172.16.11/24 dev wg0\n"
		 "addr add fd10:172:16::1/64 dev wg0 nodad\n"
		 "addr add 192.168.7.1/24 dev eth1\n"
		 "addr add fd07::1/64 dev eth1 nodad\n"
		 "addr add 192.168.8.1/24 dev eth2\n"
		 "neigh add 93.184.216.1 lladdr 02:00:00:00:00:fe nud permanent dev eth0\n"
		 "neigh add 2001:db8:93::1 lladdr 02:00:00:00:00:fe nud permanent dev eth0\n"
		 "neigh add 192.168.7.2 lladdr 02:00:00:00:07:02 nud permanent dev eth1\n"
		 "neigh add fd07::2 lladdr 02:00:00:00:07:02 nud permanent dev eth1\n"
		 "neigh add 192.168.8.2 lladdr 02:00:00:00:08:02 nud permanent dev eth2\n"
		 "route add default via 93.184.216.1\n"
		 "route add default via 2001:db8:93::1\n"
		 "route add blackhole 10.99.0.0/24\n"
		 "route add unreachable 10.99.1.0/24\n"
		 "route add prohibit 10.99.2.0/24\n"
		 "route add throw 10.99.3.0/24\n"
		 "route add blackhole fd99::/64\n"
		 "route add unreachable fd99:1::/64\n"
		 "route add prohibit fd99:2::/64\n");
	forwarding_set(true);
	for (int i = 0; i < DEVICES; i++)
		ifindex[i] = ifindex_of(devices[i].name);
}
