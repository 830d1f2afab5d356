/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet and everything that can be observed of its fate: verdict, bytes, counters, route.
 */
#ifndef CHECK_H
#define CHECK_H

#include "run.h"
#include "table.h"

extern const char *const reason_names[FWD_REASON_MAX];

enum fate_type {
	FATE_LEAVES,    /* translated and redirected */
	FATE_STAYS,     /* translated, continues on the same device */
	FATE_UNTOUCHED, /* continues unchanged */
	FATE_DROPPED,
	FATE_ICMP_ERROR, /* returned as an ICMP error */
};

struct fate {
	enum fate_type type;
	enum device out;
	const char *flow;   /* after translation; NULL: any, see frame_flow() */
	const char *reason; /* the only counter that is incremented */
	__u8 icmp_type, code;
};

/* "The packet ..." */
#define LEAVES_BY(out_, flow_)                 ((struct fate){FATE_LEAVES, out_, flow_, NULL})
#define CONTINUES_AS(flow_)                    ((struct fate){FATE_STAYS, 0, flow_, NULL})
#define IS_UNTOUCHED                           ((struct fate){FATE_UNTOUCHED, 0, NULL, NULL})
#define IS_PASSED(reason_)                     ((struct fate){FATE_UNTOUCHED, 0, NULL, reason_})
#define IS_DROPPED(reason_)                    ((struct fate){FATE_DROPPED, 0, NULL, reason_})
#define GETS_ICMP_ERROR(reason_, type_, code_) ((struct fate){FATE_ICMP_ERROR, 0, NULL, reason_, type_, code_})

const char *verdict_name(int verdict);

/* "SRC:PORT > DST:PORT" of the IP packet without options at this offset; valid until the next call. */
const char *frame_flow(const struct frame *f, size_t l3);

/* The same of the packet that left by `out`. */
const char *flow_out(const struct result *r, enum device in, enum device out);

/* "DST:PORT > SRC:PORT"; valid for the next three calls. */
const char *reverse_of(const char *flow);

/* Exactly this counter of `reasons` was incremented, by one; NULL: none was. */
void check_reasons(const char *what, const __u64 *before, const char *reason);

/* The ICMP error that fwdctl is expected to make of a packet. */
struct icmp_error {
	__u8 type, code;
	__u32 info; /* the lower half of its second word: the MTU */
	const char *reason;
	const char *from; /* IPv4; NULL: the packet's destination address */
};

/* `p`, received by `in`, is returned as that error. */
void check_icmp_error(const char *what, enum device in, const struct packet *p, const struct icmp_error *want);

/* Runs one packet and compares its fate. The result stays valid until the next call, for flow_out(). */
const struct result *packet_at(const char *what, enum device in, enum hook hook, struct packet p, struct fate fate);

/* The same for a received packet. */
const struct result *arrives(const char *what, enum device in, struct packet p, struct fate fate);

#endif
