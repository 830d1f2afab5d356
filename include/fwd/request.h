/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests of fwdctl to the program fwd_control. User space never edits a connection itself, so every end of a
 * connection, by packet, timer or command, is the same code.
 */
#ifndef FWD_REQUEST_H
#define FWD_REQUEST_H

#include "fwd/tuple.h"

enum fwd_request_type {
	FWD_REQUEST_START_GC = 0,
	FWD_REQUEST_END_CONNECTION = 1, /* of the tuple `forward` */
	FWD_REQUEST_PROBE_CSUM_IPV6 = 2,
};

/* The packet of BPF_PROG_RUN, after 14 bytes that stand for an Ethernet header. The program returns 0 or a negative
 * errno. */
struct fwd_request {
	__u32 type; /* enum fwd_request_type */
	__u32 pad;
	struct fwd_tuple forward;
};

FWD_ABI_SIZE(struct fwd_request, 48);
FWD_ABI_OFFSET(struct fwd_request, forward, 8);

#endif
