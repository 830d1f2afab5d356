/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Facts about a step that the tests of known.c are built from.
 */
#ifndef ORACLE_FACTS_H
#define ORACLE_FACTS_H

#include "model.h"

#define INNER_MTU 1420 /* the smaller of the two, as scripts/oracle sets them */

/* The packet has a whole TCP header and is no fragment. *l: its layout. */
bool fact_is_tcp(const struct step *step, struct layout *l);

/* The type of the ICMP error that was sent; 0: it was none. */
uint8_t fact_icmp_type(const struct step *step, struct layout *l);

/* The only packet that left a gateway; NULL: none, or several. */
const struct packet *fact_only_out(const struct step *step, enum gateway g);

/* The connection that the packet belongs to, and the end that sent it. Of a later fragment, which has no ports, the
 * step knows it. */
const struct conn *fact_conn(const struct sequence *s, const struct step *step, enum end *end);

/* The connection that an ICMP error is about, and the end that sends packets in the direction of the error. */
const struct conn *fact_quoted_conn(const struct sequence *s, const struct step *step, enum end *end);

/* True if fwdctl sent the error on to the other end of that connection. */
bool fact_error_reached(const struct step *step, const struct conn *c, enum end end);

/* Where nft's `maxseg` finds the MSS option of a SYN, from the TCP header on: it takes the first option of that kind,
 * also behind the end of the list (*ended), whatever its length. 0: there is none. */
unsigned fact_mss_offset(const struct packet *p, unsigned l4, bool *ended);

/* Copies the MSS and the checksum from `from`, so that the rest can be compared. */
void fact_ignore_mss(struct packet *p, const struct packet *from, unsigned l4);

/* True if fwdctl sent on exactly the packet, translated as its connection requires. */
bool fact_is_translated(const struct sequence *s, const struct step *step);

/* True if fwdctl refused the packet as a router must (TTL used up, or larger than the MTU) and quoted it
 * unchanged. */
bool fact_is_refused(const struct step *step);

/* True if everything that left the gateway is its stack's: the packet with its own addresses, or a reply to its
 * sender. */
bool fact_is_by_stack(const struct step *step, enum gateway g);

#endif
