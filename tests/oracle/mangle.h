/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Deliberate faults, and rare but valid forms, of a packet. What was done is noted in step->mangled.
 */
#ifndef ORACLE_MANGLE_H
#define ORACLE_MANGLE_H

#include "model.h"

/* Before the packet is built: TTL, TOS, options, extension headers. */
void mangle_spec(struct spec *spec, struct step *step);

/* Afterwards: checksums, lengths, header fields, padding, MAC addresses. */
void mangle_packet(struct packet *p, struct step *step);

/* Changes a packet as routers and hosts do before they quote it. False: the quote no longer identifies the packet. */
bool mangle_quote(struct packet *q);

#endif
