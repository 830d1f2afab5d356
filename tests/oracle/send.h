/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps: packets that are handed to both gateways, whole or in fragments, and remembered.
 */
#ifndef ORACLE_SEND_H
#define ORACLE_SEND_H

#include "model.h"

/* The step that is filled in next; there is only one. conn: NULL: of none. */
struct step *step_begin(enum side side, struct conn *c, enum end end);
void step_describe(struct step *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* These return false if the sequence is over. */

/* step->packet as it is. */
bool send_built(struct sequence *s, struct step *step, take_step take);

/* Built from `spec`; by chance mangled, or in fragments. */
bool send_spec(struct sequence *s, struct spec *spec, struct step *step, take_step take);

#endif
