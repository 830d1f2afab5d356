/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports that no other client gets yet: the map `port_quarantine`. See bpf/ct/port_quarantine.h.
 */
#ifndef FWD_PORT_QUARANTINE_H
#define FWD_PORT_QUARANTINE_H

#include "fwd/abi.h"

/* By a hash of the reply tuple. Of two that collide the later one remains. */
struct fwd_port_quarantine {
	__u32 tag;    /* the part of the hash that is not in the index */
	__u32 client; /* hash of the address of the client that had the port */
	__u32 until;  /* ticks; 0: unused */
};

FWD_ABI_SIZE(struct fwd_port_quarantine, 12);
FWD_ABI_OFFSET(struct fwd_port_quarantine, client, 4);
FWD_ABI_OFFSET(struct fwd_port_quarantine, until, 8);

#define FWD_PORT_QUARANTINE_MAX 32768
/* The index of the last end of all, which is read first. */
#define FWD_PORT_QUARANTINE_ANY FWD_PORT_QUARANTINE_MAX

#endif
