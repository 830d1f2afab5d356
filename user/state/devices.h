/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The devices of an instance, and the two programs at each: attached as TCX links that are pinned,
 * or on kernels before 6.6 as filters of a clsact qdisc.
 */
#ifndef FWD_USER_DEVICE_H
#define FWD_USER_DEVICE_H

#include <net/if.h>
#include <stdbool.h>
#include "base/err.h"
#include "fwd/device.h"
#include "state/instance.h"
#include "state/loader.h"

/* An entry of `devices`. */
struct device {
	__u32 ifindex;
	struct fwd_device entry;
};

struct device_list {
	size_t count;
	struct device device[FWD_DEVICES_MAX];
};

/* Cuts names that are too long, which no device has. */
void device_set_name(struct device *device, const char *name);

/* Prints what is wrong. Empty if there is no instance. */
enum fwd_exit devices_read(const struct instance *in, struct device_list *list);

/* The one that is attached along with those that are named. Users aren't shown it. */
bool device_is_loopback(const struct device *device);

/* "tc", "xdp" or "xdp-generic", and why that. */
const char *device_mode_name(const struct device *device);
const char *device_mode_reason(const struct device *device);

/* How many users have named. */
size_t devices_named(const struct device_list *list);

/* NULL: not in the list. */
struct device *device_at(struct device_list *list, __u32 ifindex);

/* By the name it has now (an alternative one, too), or had when it was attached, if no other device has that
 * now. NULL: not attached. */
struct device *device_find(struct device_list *list, const char *name);

/* The name that it has now; of one that is gone the one that it had when it was attached. */
const char *device_name_now(const struct device *device, char name[IF_NAMESIZE]);

/* Whether its programs still see packets: false once the device is gone. */
bool device_is_alive(const struct instance *in, const struct device *device);

/* Prints an error if they are another network namespace's and still attached there. Sets *foreign
 * if they are another's, and dead. */
enum fwd_exit devices_check_netns(const struct instance *in, const struct device_list *list, bool *foreign);

/* Forgets those that are gone from the host, and their pins; takes over new names of others. */
enum fwd_exit devices_refresh(const struct instance *in, struct device_list *list);

/* Writes its entry to `devices`. */
enum fwd_exit device_write(const struct instance *in, const struct device *device);

/* Attaches the programs, egress first, or puts them in the place of those that are there, without a
 * packet lost between them. Prints what is wrong; then old programs may be in one place and new
 * ones in the other. */
enum fwd_exit device_attach(const struct instance *in, const struct device *device, int ingress_fd, int egress_fd);

/* The programs that are attached: file descriptors to close, -1 where there is none. */
void device_programs(const struct instance *in, const struct device *device, int *ingress_fd, int *egress_fd);

/* Takes the programs off, ingress first, and then the entry. */
enum fwd_exit device_detach(const struct instance *in, const struct device *device);

/* For purge, which can't trust `devices`: takes off all filters that use a map of this instance
 * from all devices of this network namespace. Returns how many. */
int devices_sweep_clsact(const struct instance *in);

#endif
