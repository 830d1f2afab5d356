/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What may happen in a sequence: handshakes, data, resets, repeated packets, ICMP errors, strays.
 */
#ifndef ORACLE_ACTIONS_H
#define ORACLE_ACTIONS_H

#include "model.h"

/* Runs the action with this number. False: a step ended the sequence. */
bool action_run(struct sequence *s, unsigned action, take_step take);

#endif
