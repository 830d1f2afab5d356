/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the host says about the targets of maps: asked once for each address, however many maps lead there. */
#ifndef FWD_USER_TARGET_H
#define FWD_USER_TARGET_H

#include <stdbool.h>
#include "fwd/addr.h"

struct target {
	struct fwd_addr addr;
	struct fwd_addr source; /* this host's address towards it, if has_source */
	bool has_source;
	bool checked; /* for the caller */
	bool told;    /* likewise */
};

struct targets {
	void *tree; /* tsearch(3) */
};

/* Port in host order: routes may differ by it (ip rule), but the first one asked stands for all. NULL, and a word about
 * it: no memory. */
struct target *target_find(struct targets *targets, const struct fwd_addr *addr, __u16 port);
void targets_free(struct targets *targets);

#endif
