/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Are the two gateways' answers alike? And the table of differences that are known and right
 * (docs/rfc.md tells of each, under its name).
 */
#ifndef ORACLE_COMPARE_H
#define ORACLE_COMPARE_H

#include "model.h"

struct known {
	const char *name;
	bool (*applies)(const struct sequence *s, const struct step *step);
	bool goes_on; /* the gateways are still in the same state behind it */
	unsigned long count;
	bool shown;
};

extern struct known known[];
extern const unsigned known_count;

void compare_begin(void);
/* The packet as gateway g gets it: with the source port that it has chosen. */
void compare_make_real(struct sequence *s, const struct step *step, enum gateway g, struct packet *p);
/* Makes what came out symbolic, and compares. True: alike. Else *why tells in a few words. */
bool compare_step(struct sequence *s, struct step *step, char *why, size_t size);
/* Alike but for what a gateway that makes a packet chooses by itself? */
bool compare_same_packet(const struct step *step, const struct packet *a, const struct packet *b);
/* Has anything that came out of g a checksum that isn't right? */
bool compare_has_wrong_sums(const struct step *step, enum gateway g);
/* Which known difference it is, or NULL. */
struct known *compare_known(const struct sequence *s, const struct step *step);
/* Kinds of packets that came out, in a few words: for telling failures apart. */
void compare_kinds(const struct step *step, enum gateway g, char *text, size_t size);

#endif
