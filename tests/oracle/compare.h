/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Compares what left the two gateways, and the table of known differences (docs/rfc.md explains each under its name).
 */
#ifndef ORACLE_COMPARE_H
#define ORACLE_COMPARE_H

#include "model.h"

struct known {
	const char *name;
	bool (*applies)(const struct sequence *s, const struct step *step);
	bool goes_on; /* the gateways are in the same state afterwards, so that the sequence can continue */
	unsigned long count;
	bool shown;
};

extern struct known known[];
extern const unsigned known_count;

void compare_begin(void);
/* The packet for gateway g: with the source port that this gateway has chosen. */
void compare_make_real(struct sequence *s, const struct step *step, enum gateway g, struct packet *p);
/* Makes the packets that left symbolic, and compares them. True: equal. Else `why` says in a few words what differs. */
bool compare_step(struct sequence *s, struct step *step, char *why, size_t size);
/* True if the packets are equal but for fields that a gateway chooses in packets of its own. */
bool compare_same_packet(const struct step *step, const struct packet *a, const struct packet *b);
/* True if a packet that left g has a wrong checksum. */
bool compare_has_wrong_sums(const struct step *step, enum gateway g);
/* The known difference that explains the step; NULL: none. */
struct known *compare_known(const struct sequence *s, const struct step *step);
/* The kinds of packets that left, in a few words: failures with the same text are reported once. */
void compare_kinds(const struct step *step, enum gateway g, char *text, size_t size);

#endif
