/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the host says about its devices, addresses and routes, in the current network namespace. */
#ifndef FWD_USER_IFACE_H
#define FWD_USER_IFACE_H

#include <stdbool.h>
#include "model/addr.h"
#include "base/err.h"
#include "fwd/addr.h"
#include "fwd/device.h"

/* Where the device's frames begin. Prints why fwdctl can't be attached to it, or that there is no
 * such device. */
enum fwd_exit iface_link(const char *name, enum fwd_link *link);

/* Its address on the link, 6 bytes, and the name of its driver ("": it tells none). False: no such device. */
bool iface_mac(const char *name, __u8 *mac);
bool iface_driver(const char *name, char *driver, size_t size);

/* Whether the NIC takes VLAN tags out of the frames that it receives (rx-vlan-offload). */
bool iface_takes_vlan_tags(const char *name);

/* The device that has the address, in name[IF_NAMESIZE]. False: it is nobody's here. */
bool iface_of_address(const struct fwd_addr *addr, char *name);

/* Whether the routes have it as the broadcast address of a network. */
bool iface_is_broadcast(const struct fwd_addr *addr);

/* The address that the kernel would send from. Port in host order. False: no route. */
bool iface_source_towards(const struct fwd_addr *target, __u16 port, struct fwd_addr *source);

/* Warns, with the mend, if packets that come in by the device are not forwarded: bpf_fib_lookup()
 * finds no way for them then. False if that is so for every device, so that no more need be asked.
 */
bool iface_check_forwarding(const char *name, enum fwd_family family);

#endif
