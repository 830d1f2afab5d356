/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "chance.h"

static uint64_t random_state;

uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void chance_seed(uint64_t seed)
{
	random_state = seed;
}

uint32_t rnd(void)
{
	random_state += 0x9e3779b97f4a7c15;
	return mix(random_state) >> 32;
}

unsigned below(unsigned n)
{
	return n ? rnd() % n : 0;
}

bool chance(unsigned percent)
{
	return below(100) < percent;
}
