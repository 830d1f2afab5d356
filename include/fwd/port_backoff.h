/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Targets towards which a search for a source port failed: the map `port_backoff`. See bpf/ct/port_backoff.h.
 */
#ifndef FWD_PORT_BACKOFF_H
#define FWD_PORT_BACKOFF_H

#include "fwd/abi.h"

/* By a hash of the target and, with FWD_SNAT_NONE, the visitor. Two that collide reset each other. */
struct fwd_port_backoff {
	__u32 tag;    /* the part of the hash that is not in the index */
	__u32 tick;   /* of the last failure */
	__u32 failed; /* consecutive failed searches at that tick */
};

FWD_ABI_SIZE(struct fwd_port_backoff, 12);
FWD_ABI_OFFSET(struct fwd_port_backoff, tick, 4);
FWD_ABI_OFFSET(struct fwd_port_backoff, failed, 8);

#define FWD_PORT_BACKOFF_MAX 4096
/* The index of the last failure of all, which is read first. */
#define FWD_PORT_BACKOFF_ANY FWD_PORT_BACKOFF_MAX

#endif
