/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "host/iface.h"
#include "host/target.h"

static int by_address(const void *a, const void *b)
{
	const struct target *left = a, *right = b;

	return memcmp(&left->addr, &right->addr, sizeof(left->addr));
}

struct target *target_find(struct targets *targets, const struct fwd_addr *addr, __u16 port)
{
	struct target *target, like = {.addr = *addr}, **found = tfind(&like, &targets->tree, by_address);

	if (found)
		return *found;
	target = malloc(sizeof(*target));
	if (target) {
		*target = like;
		target->has_source = iface_source_towards(addr, port, &target->source);
	}
	if (target && tsearch(target, &targets->tree, by_address))
		return target;
	free(target);
	fwd_err("not enough memory");
	return NULL;
}

void targets_free(struct targets *targets)
{
	tdestroy(targets->tree, free);
}
