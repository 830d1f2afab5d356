/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sound packets, as a struct spec (packet.h) that is then mangled or built.
 */
#ifndef ORACLE_SPEC_H
#define ORACLE_SPEC_H

#include "model.h"

/* The payload of all packets of an action begins with these bytes. */
void spec_payload(unsigned action);

/* A random length: mostly short, often around the MTU of the inside. */
unsigned spec_payload_len(void);

void spec_begin(struct spec *spec, const struct addr *src, const struct addr *dst, uint8_t proto);

/* Of a connection, from one of its ends. */
void spec_conn(struct spec *spec, const struct sequence *s, const struct conn *c, enum end end);

void spec_add_tcp_option(struct spec *spec, const uint8_t *bytes, unsigned len);

/* The options of a SYN, some of them malformed. */
void spec_syn_options(struct spec *spec);

/* `rest`: the second word of the ICMP header. */
void spec_icmp(struct spec *spec, uint8_t type, uint8_t code, uint32_t rest);

/* Type, code and second word of a random ICMP error. */
void spec_icmp_error(struct spec *spec);

#endif
