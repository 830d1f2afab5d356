/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops that do not answer.
 *
 * bpf_fib_lookup() says that the kernel has no address for a next hop, but not whether it is still asking for it. A
 * packet that is sent by bpf_redirect_neigh() makes the kernel ask: three times, a second apart (mcast_solicit and
 * retrans_time_ms; net/core/neighbour.c, neigh_timer_handler()). Meanwhile it keeps the packets, and in the end drops
 * them. So a next hop that has no address three seconds after the first packet does not answer.
 *
 * From then on one packet in two seconds is still given to the kernel, so that it asks again. The interval is longer
 * than TCP's first retransmission, so a client whose SYN was that packet gets the error about its next one.
 */
#ifndef FWD_BPF_HOST_NEIGH_FAILURE_H
#define FWD_BPF_HOST_NEIGH_FAILURE_H

#include "fwd/addr.h"
#include "base/maps.h"

#define NEIGH_RESOLVE_TIME (FWD_TICKS(3) - FWD_TICKS(1) / 20) /* TCP's third SYN, after three seconds, comes later */
#define NEIGH_ASK_INTERVAL FWD_TICKS(2)
#define NEIGH_PAUSE        FWD_TICKS(4)  /* since the kernel was asked, without a packet that was refused */
#define NEIGH_FAILURE_AGE  FWD_TICKS(60) /* without a packet for so long it may have been resolved meanwhile */

struct fwd_neigh_failure {
	struct fwd_addr addr; /* as in struct fwd_neigh */
	__u32 ifindex;        /* 0: unused */
	__u32 since;          /* ticks: the first packet without an address */
	__u32 seen;           /* ticks: the last one */
	__u32 asked;          /* ticks: the last one that was given to the kernel since it gave up */
	__u32 told;           /* 1: a sender has got an ICMP error since then */
};

static __always_inline struct fwd_neigh_failure *neigh_failure_slot(__u32 ifindex, const struct fwd_addr *addr)
{
	__u32 mixed = addr->w[0] ^ addr->w[1] ^ addr->w[2] ^ addr->w[3] ^ ifindex;
	__u32 index = (mixed * 0x9e3779b1U >> 24) % FWD_NEIGH_FAILURES_MAX;

	return bpf_map_lookup_elem(&neigh_failures, &index);
}

static __always_inline bool neigh_failure_is_of(const struct fwd_neigh_failure *f, __u32 ifindex,
						const struct fwd_addr *addr)
{
	return f->ifindex == ifindex && addr_equal(&f->addr, addr);
}

/* For a packet whose next hop has no address. True: it does not answer, and the sender is to be told. False: the packet
 * is given to the kernel. May be asked more than once about a packet. CPUs write without coordination: at worst a
 * packet more or less is given to the kernel. */
__noinline bool neigh_has_failed(__u32 ifindex, const struct fwd_addr *addr, __u32 now)
{
	struct fwd_neigh_failure *f = addr ? neigh_failure_slot(ifindex, addr) : NULL;

	if (!f)
		return false;
	if (!neigh_failure_is_of(f, ifindex, addr) || now - f->seen >= NEIGH_FAILURE_AGE)
		*f = (struct fwd_neigh_failure){.addr = *addr, .ifindex = ifindex, .since = now, .asked = now};
	f->seen = now;
	if (now - f->since < NEIGH_RESOLVE_TIME || f->asked == now)
		return false;
	/* An error only while the kernel's last attempt can have failed just now: after a pause the next hop may be
	 * there again, and the kernel begins its three probes anew. */
	if (now - f->asked >= (f->told ? NEIGH_ASK_INTERVAL : NEIGH_PAUSE)) {
		if (!f->told)
			f->since = now;
		f->asked = now;
		f->told = 0;
		return false;
	}
	f->told = 1;
	return true;
}

/* The next hop has an address. */
static __always_inline void neigh_forget_failure(__u32 ifindex, const struct fwd_addr *addr)
{
	struct fwd_neigh_failure *f = neigh_failure_slot(ifindex, addr);

	if (f && neigh_failure_is_of(f, ifindex, addr))
		f->ifindex = 0;
}

#endif
