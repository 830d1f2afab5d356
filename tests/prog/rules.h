/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Port maps ("rules") written into the BPF maps as fwdctl writes them, and flows as tuples.
 */
#ifndef RULES_H
#define RULES_H

#include "fwd/rule.h"
#include "gateway.h"
#include "packet.h"

struct fwd_addr addr_of(const struct endpoint *e);

/* Of packets "SRC:PORT > DST:PORT". */
struct fwd_tuple tuple_of(const char *flow, __u8 proto);
struct fwd_tuple tuple_reverse(struct fwd_tuple t);
bool tuple_same(const struct fwd_tuple *a, const struct fwd_tuple *b);

/* A map as text; see rule_put(). */
struct rule {
	__u8 proto;
	const char *listen; /* "ADDR:PORT", "ADDR:LOW" with `last`; 0.0.0.0 and [::] are wildcards */
	const char *target; /* "ADDR:PORT" */
	const char *source; /* "ADDR,ADDR"; NULL: --snat none */
	__u16 last;         /* of a range */
	enum fwd_rule_state state;
};

void rule_read(__u32 index, struct fwd_rule *r);
void rule_write(__u32 index, const struct fwd_rule *r);

/* As `fwdctl map add` does, at this index of `rules`. */
void rule_put(__u32 index, const struct rule *rule);

/* As `fwdctl map del` does to the element of `rules`; keys and ports stay. */
void rule_delete(__u32 index);

/* A gateway of 64 connections and as many half-open ones, with these maps. */
void gateway_start_with(const struct rule *rules, size_t count);

#endif
