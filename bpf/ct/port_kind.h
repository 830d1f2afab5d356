/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kinds of source ports. A client gets a port of the same kind as its own, because some servers trust ports that
 * only a privileged process can bind (NFS "secure", rlogin). The limits are those of netfilter
 * (net/netfilter/nf_nat_core.c, nf_nat_l4proto_unique_tuple).
 */
#ifndef FWD_BPF_CT_PORT_KIND_H
#define FWD_BPF_CT_PORT_KIND_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum port_kind {
	PORT_KIND_ANY,        /* 1024 to 65535, and clients without a port */
	PORT_KIND_RESERVED,   /* 1 to 511 */
	PORT_KIND_PRIVILEGED, /* 600 to 1023, and clients from 512 on */
};

static __always_inline enum port_kind port_kind(__be16 port)
{
	__u16 p = bpf_ntohs(port);

	if (!p || p >= 1024)
		return PORT_KIND_ANY;
	return p < 512 ? PORT_KIND_RESERVED : PORT_KIND_PRIVILEGED;
}

/* A random port of this kind. */
static __always_inline __be16 port_random(enum port_kind kind)
{
	__u32 low = 1024, high = 65535;

	if (kind == PORT_KIND_RESERVED) {
		low = 1;
		high = 511;
	} else if (kind == PORT_KIND_PRIVILEGED) {
		low = 600;
		high = 1023;
	}
	return bpf_htons(low + bpf_get_prandom_u32() % (high - low + 1));
}

#endif
