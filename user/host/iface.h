/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The host's devices, addresses and routes, in the current network namespace. Nothing here changes them. */
#ifndef FWD_USER_IFACE_H
#define FWD_USER_IFACE_H

#include <stdbool.h>
#include "model/addr.h"
#include "base/err.h"
#include "fwd/addr.h"
#include "fwd/config.h"
#include "fwd/device.h"

/* The reason why if_nametoindex() or if_indextoname() has just found none, an errno: glibc hides that there is no
 * socket to ask with. ENODEV: there is no such device. */
int iface_lookup_error(void);

/* The first header of the device's frames. Fails if there is no such device, or if fwdctl does not support its type. */
enum fwd_exit iface_link(const char *name, enum fwd_link *link, struct fwd_report *report);

/* The device's MAC address, 6 bytes, and the name of its driver ("": it reports none). False: no such device. */
bool iface_mac(const char *name, __u8 *mac);
bool iface_driver(const char *name, char *driver, size_t size);

/* Whether the NIC removes VLAN tags from the frames that it receives (ethtool: rx-vlan-offload). */
bool iface_strips_vlan_tags(const char *name);

/* The addresses of this host at one moment, because there may be thousands of addresses to compare with. Zeroed: not
 * read yet. */
struct iface_addrs {
	struct ifaddrs *list;
};

/* The device that has the address, in name[IF_NAMESIZE]; reads *addrs if that was not done yet. False: none has. */
bool iface_of_address(struct iface_addrs *addrs, const struct fwd_addr *addr, char *name);
void iface_addrs_free(struct iface_addrs *addrs);

/* The source address that the kernel would choose. Port in host order. False: no route. */
bool iface_source_towards(const struct fwd_addr *target, __u16 port, struct fwd_addr *source);

/* The kernel's reverse path filter of the device, of IPv4. */
enum fwd_rp_filter iface_rp_filter(const char *name);

/* Copies the kernel's limits of ICMP errors, the members icmp_*. */
void iface_icmp_limits(struct fwd_config *config);

/* Notes that packets that arrive by the device are not forwarded, if so: bpf_fib_lookup() returns
 * BPF_FIB_LKUP_RET_FWD_DISABLED then. False: that is so for all devices, and no other need be checked. */
bool iface_check_forwarding(const char *name, enum fwd_family family, struct fwd_report *report);

#endif
