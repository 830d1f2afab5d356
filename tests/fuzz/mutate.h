/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Mutations that respect the steps of a script: one is changed, duplicated, removed, or inserted from packets.h.
 * Without them, an inserted byte would change all steps that follow.
 */
#ifndef MUTATE_H
#define MUTATE_H

#include "packets.h"

size_t LLVMFuzzerMutate(__u8 *data, size_t size, size_t max);

static struct script {
	__u8 bytes[1 << 16];
	size_t size, count;
	struct {
		size_t at, size;
	} step[SCRIPT_STEPS_MAX];
} script;

static __u32 mutate_seed;

static __u32 mutate_random(__u32 bound)
{
	mutate_seed = mutate_seed * 1664525 + 1013904223; /* Numerical Recipes */
	return (__u64)(mutate_seed >> 8) * bound >> 24;
}

static void script_read(const __u8 *bytes, size_t size)
{
	size_t at = sizeof(struct script_setup), begin = at;
	const __u8 *data;
	struct step step;

	script.size = size;
	script.count = 0;
	memcpy(script.bytes, bytes, size);
	while (script.count < SCRIPT_STEPS_MAX && script_next(bytes, size, &at, &step, &data)) {
		script.step[script.count].at = begin;
		script.step[script.count++].size = at - begin;
		begin = at;
	}
}

/* Replaces `old` bytes at `at` by `len` others. */
static void script_splice(size_t at, size_t old, const __u8 *bytes, size_t len, size_t max)
{
	if (script.size - old + len > max || script.size - old + len > sizeof(script.bytes))
		return;
	memmove(script.bytes + at + len, script.bytes + at + old, script.size - at - old);
	memcpy(script.bytes + at, bytes, len);
	script.size += len - old;
}

/* An offset at which a step can be inserted. */
static size_t script_boundary(void)
{
	__u32 i = mutate_random(script.count + 1);

	return i < script.count ? script.step[i].at
	       : i              ? script.step[i - 1].at + script.step[i - 1].size
				: sizeof(struct script_setup);
}

static void mutate_insert(size_t max)
{
	static __u8 bytes[sizeof(struct step) + FRAME_MAX];
	__u32 kind = mutate_random(10);
	struct step step = {
		.kind = STEP_ERROR + mutate_random(STEP_MAX - STEP_ERROR),
		.nth = mutate_random(16),
		.arg = mutate_random(256),
		.size = mutate_random(3) ? 0 : mutate_random(1500),
	};
	size_t len = kind < 7 ? step_put_known(bytes, mutate_random(PACKET_STEPS)) : step_put(bytes, step, "", 0);

	if (kind < 4)
		bytes[offsetof(struct step, nth)] = mutate_random(4);
	script_splice(script_boundary(), 0, bytes, len, max);
}

/* One byte of a step's head: a flipped bit, or another number. */
static void mutate_head(size_t step)
{
	size_t i = mutate_random(offsetof(struct step, len));
	__u8 *byte = script.bytes + script.step[step].at + i;

	if (mutate_random(2))
		*byte ^= 1U << mutate_random(8);
	else
		*byte = mutate_random(mutate_random(2) ? 8 : 256);
}

static void mutate_data(size_t step, size_t max)
{
	static __u8 bytes[sizeof(struct step) + STEP_DATA_MAX];
	size_t old = script.step[step].size, len;
	struct step head;

	memcpy(bytes, script.bytes + script.step[step].at, old);
	memcpy(&head, bytes, sizeof(head));
	len = LLVMFuzzerMutate(bytes + sizeof(head), old - sizeof(head), STEP_DATA_MAX);
	head.len = len;
	memcpy(bytes, &head, sizeof(head));
	script_splice(script.step[step].at, old, bytes, sizeof(head) + len, max);
}

size_t LLVMFuzzerCustomMutator(__u8 *bytes, size_t size, size_t max, unsigned int seed)
{
	size_t step, other;

	mutate_seed = seed;
	if (size < sizeof(struct script_setup)) {
		memset(bytes, 0, sizeof(struct script_setup));
		size = sizeof(struct script_setup);
	}
	script_read(bytes, size);
	step = script.count ? mutate_random(script.count) : 0;
	other = script_boundary();
	switch (script.count ? mutate_random(12) : 0) {
	case 0:
	case 1:
	case 2:
		mutate_insert(max);
		break;
	case 3:
	case 4:
	case 5:
		mutate_head(step);
		break;
	case 6:
	case 7:
		mutate_data(step, max);
		break;
	case 8: /* duplicated */
		memcpy(bytes, script.bytes + script.step[step].at, script.step[step].size);
		script_splice(other, 0, bytes, script.step[step].size, max);
		break;
	case 9:
		script_splice(script.step[step].at, script.step[step].size, (const __u8 *)"", 0, max);
		break;
	case 10:
		script.bytes[mutate_random(sizeof(struct script_setup))] = mutate_random(256);
		break;
	default:
		return LLVMFuzzerMutate(bytes, size, max);
	}
	memcpy(bytes, script.bytes, script.size);
	return script.size;
}

#endif
