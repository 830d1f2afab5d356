/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random numbers (splitmix64) that follow from a seed.
 */
#ifndef ORACLE_CHANCE_H
#define ORACLE_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* A hash of x, the same for each run. */
uint64_t mix(uint64_t x);

/* The numbers that follow are those of this seed. */
void chance_seed(uint64_t seed);
uint32_t rnd(void);

/* 0 to n-1; 0 if n is 0. */
unsigned below(unsigned n);

/* True in so many of 100 cases. */
bool chance(unsigned percent);

#define PICK(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

#endif
