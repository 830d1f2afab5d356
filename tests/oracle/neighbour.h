/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hosts beside the maps whose connections netfilter masquerades, on both gateways: one behind the tunnel that reaches
 * the internet, and one on the internet's side that reaches the tunnel, like a container.
 */
#ifndef ORACLE_NEIGHBOUR_H
#define ORACLE_NEIGHBOUR_H

#include "model.h"

/* The inner host sends from a port that a map listens on, and gets replies. */
bool neighbour_replies(struct sequence *s, take_step take);

/* The container has the port of a visitor towards the same target, and is first. `next`: sends the next packet of the
 * visitor's connection. */
bool neighbour_first(struct sequence *s, bool (*next)(struct sequence *s, struct conn *c, take_step take),
		     take_step take);

#endif
