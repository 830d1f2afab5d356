/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fwd/port_quarantine.h"
#include "world.h"

/* As scripts/oracle sets them. The peers have other MAC addresses, so that their stacks ignore the packets. */
static const uint8_t gateway_mac[SIDES][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 2, 1}};
static const uint8_t far_mac[6] = {2, 0, 0, 0, 0, 0xfe};

#define VLAN_TAG 4 /* bytes */

#define MARKER_ID 0xfade
static const char marker_src[] = "93.184.216.250", marker_dst[] = "93.184.216.34";

static struct {
	struct world_config config;
	int fd[GATEWAYS][SIDES];
	int netlink[GATEWAYS]; /* of conntrack, in the gateway's namespace */
	int invalid;           /* the nft gateway's /proc/net/stat/nf_conntrack */
	int quarantine;        /* fwdctl's map port_quarantine */
	uint16_t marker;
} world;

static void die(const char *what)
{
	fprintf(stderr, "oracle: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void enter(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		die("setns");
}

static int open_cable(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1, size = 8 << 20;

	if (fd < 0)
		die("packet socket");
	at.sll_ifindex = if_nametoindex(name);
	if (!at.sll_ifindex || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die(name);
	return fd;
}

static int open_tun(void)
{
	struct ifreq ifr = {.ifr_name = "wg0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("tun");
	return fd;
}

static int open_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

void world_open(const struct world_config *config)
{
	int home = open_namespace("/proc/thread-self/ns/net"), g, netns;

	world.config = *config;
	world.quarantine = bpf_obj_get(config->quarantine);
	if (world.quarantine < 0)
		die(config->quarantine);
	for (g = 0; g < GATEWAYS; g++) {
		netns = open_namespace(config->netns[g]);
		enter(netns);
		if (!config->inner[g])
			world.fd[g][INSIDE] = open_tun();
		world.netlink[g] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
		if (g == NFT)
			world.invalid = open("/proc/thread-self/net/stat/nf_conntrack", O_RDONLY | O_CLOEXEC);
		if (world.netlink[g] < 0 || world.invalid < 0)
			die("conntrack");
		enter(home);
		close(netns);
		world.fd[g][OUTSIDE] = open_cable(config->outer[g]);
		if (config->inner[g])
			world.fd[g][INSIDE] = open_cable(config->inner[g]);
	}
	close(home);
	usleep(200000); /* until the kernel has set the carrier of the TUN devices, it drops packets */
}

/* As scripts/oracle sets them. */
unsigned world_mtu(enum side side)
{
	if (side == OUTSIDE)
		return 1500;
	return world.config.inner[FWD] ? 1420 : PACKET_MAX;
}

static bool is_tun(enum gateway g, enum side side)
{
	return side == INSIDE && !world.config.inner[g];
}

void world_inject(enum gateway g, enum side side, const struct packet *p, enum link_to to, unsigned tags)
{
	uint8_t frame[ETH_HLEN + 2 * VLAN_TAG + PACKET_MAX], *at = frame;
	ssize_t sent;

	if (is_tun(g, side)) {
		/* The kernel refuses packets of an unknown IP version. So does WireGuard. */
		sent = write(world.fd[g][side], p->data, p->len);
		if (sent < 0 && errno != EINVAL)
			die("tun write");
		return;
	}
	memcpy(frame, gateway_mac[side], 6);
	if (to == TO_OTHER)
		frame[5] ^= 0x55;
	else if (to == TO_ALL)
		memset(frame, 0xff, 6);
	memcpy(frame + 6, far_mac, 6);
	at = frame + 12;
	for (; tags; tags--, at += VLAN_TAG) {
		put16(at, tags == 2 ? ETH_P_8021AD : ETH_P_8021Q);
		put16(at + 2, 5 << 13);
	}
	put16(at, p->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	memcpy(at + 2, p->data, p->len);
	/* ENOBUFS: the gateway's device refuses it, because it is larger than its MTU. */
	if (send(world.fd[g][side], frame, at + 2 + p->len - frame, 0) < 0 && errno != ENOBUFS)
		die("send");
}

static void inject_marker(enum gateway g)
{
	struct spec spec = {
		.src = addr_parse(marker_src),
		.dst = addr_parse(marker_dst),
		.proto = PROTO_ICMP,
		.ttl = 64,
		.payload = (const uint8_t *)"",
	};
	struct packet p;

	spec.icmp[0] = 8;
	put16(spec.icmp + 4, MARKER_ID);
	put16(spec.icmp + 6, world.marker);
	packet_build(&p, &spec);
	world_inject(g, OUTSIDE, &p, TO_GATEWAY, 0);
}

static bool is_marker(const struct packet *p)
{
	return p->len >= 28 && p->data[0] == 0x45 && p->data[9] == PROTO_ICMP && p->data[20] == 0 &&
	       get16(p->data + 24) == MARKER_ID;
}

/* Neighbour discovery, MLD and ARP. */
static bool is_noise(const uint8_t *frame, const struct packet *p)
{
	struct layout l;

	if (frame && get16(frame + 12) != ETH_P_IP && get16(frame + 12) != ETH_P_IPV6)
		return true;
	return packet_layout(p->data, p->len, &l) && l.family == 6 && l.proto == PROTO_ICMPV6 && l.l4 < l.end &&
	       ((p->data[l.l4] >= 130 && p->data[l.l4] <= 137) || p->data[l.l4] == 143);
}

/* Reads the next packet. False: none is queued. *marker: the expected echo reply was received. */
static bool collect_one(enum gateway g, enum side side, struct outs *outs, bool *marker)
{
	uint8_t frame[ETH_HLEN + PACKET_MAX];
	bool tun = is_tun(g, side);
	struct out *out;
	ssize_t len;

	len = tun ? read(world.fd[g][side], frame, sizeof(frame))
		  : recv(world.fd[g][side], frame, sizeof(frame), MSG_DONTWAIT);
	if (len < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return false;
		die("read");
	}
	if (outs->count == OUTS_MAX) {
		fprintf(stderr, "oracle: one packet caused more than %d\n", OUTS_MAX);
		exit(2);
	}
	out = &outs->out[outs->count];
	out->side = side;
	out->wrong_macs = !tun && (memcmp(frame, far_mac, 6) || memcmp(frame + 6, gateway_mac[side], 6));
	out->packet.len = tun ? len : len - ETH_HLEN;
	memcpy(out->packet.data, frame + (tun ? 0 : ETH_HLEN), out->packet.len);
	if (side == OUTSIDE && is_marker(&out->packet))
		*marker |= get16(out->packet.data + 26) == world.marker;
	else if (!is_noise(tun ? NULL : frame, &out->packet))
		outs->count++;
	return true;
}

/*
 * A ping is injected after the packets, from the outside. Everything runs on one CPU, whose backlog of received packets
 * is a queue; so when the echo reply leaves, everything that the packets caused has left before.
 */
void world_collect(enum gateway g, struct outs *outs)
{
	struct pollfd wait = {.fd = world.fd[g][OUTSIDE], .events = POLLIN};
	bool marker = false;
	int tries = 0;

	outs->count = 0;
	world.marker++;
	inject_marker(g);
	while (!marker) {
		if (collect_one(g, OUTSIDE, outs, &marker))
			continue;
		if (!poll(&wait, 1, 200)) {
			if (++tries == 10) {
				errno = ETIMEDOUT;
				die(g == NFT ? "the nft gateway does not reply" : "the fwdctl gateway does not reply");
			}
			inject_marker(g);
		}
	}
	while (collect_one(g, INSIDE, outs, &marker))
		;
}

static void flush_netfilter(enum gateway g)
{
	struct {
		struct nlmsghdr nl;
		struct nfgenmsg nf;
	} request = {
		.nl = {.nlmsg_len = sizeof(request),
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE},
	};
	struct {
		struct nlmsghdr nl;
		struct nlmsgerr err;
		char more[256];
	} reply;

	if (send(world.netlink[g], &request, sizeof(request), 0) < 0 ||
	    recv(world.netlink[g], &reply, sizeof(reply), 0) < 0)
		die("conntrack flush");
	if (reply.nl.nlmsg_type == NLMSG_ERROR && reply.err.error) {
		errno = -reply.err.error;
		die("conntrack flush");
	}
}

/* The flush is no end that the ends of a connection agreed on: fwdctl keeps its source port from other clients. */
static void flush_quarantine(void)
{
	static struct fwd_port_quarantine none[FWD_PORT_QUARANTINE_MAX];
	static __u32 keys[FWD_PORT_QUARANTINE_MAX];
	__u32 count = FWD_PORT_QUARANTINE_MAX;

	for (__u32 i = 0; i < count; i++)
		keys[i] = i;
	if (bpf_map_update_batch(world.quarantine, keys, none, &count, NULL))
		die("port_quarantine");
}

void world_flush(void)
{
	flush_netfilter(NFT);
	flush_netfilter(FWD);
	if (system(world.config.flush)) {
		fprintf(stderr, "oracle: failed: %s\n", world.config.flush);
		exit(2);
	}
	flush_quarantine();
}

unsigned long world_invalid(void)
{
	char text[8192], *line = text;
	ssize_t len = pread(world.invalid, text, sizeof(text) - 1, 0);
	unsigned long total = 0, value;

	if (len <= 0)
		die("nf_conntrack statistics");
	text[len] = 0;
	/* One line of hexadecimal columns for each CPU; `invalid` is the fifth. */
	while ((line = strchr(line, '\n')) && *++line)
		if (sscanf(line, "%*x %*x %*x %*x %lx", &value) == 1)
			total += value;
	return total;
}
