/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Adding and removing port maps, one or thousands at once, checked against the host and the instance. */
#ifndef FWD_USER_MAP_CHANGE_H
#define FWD_USER_MAP_CHANGE_H

#include <stddef.h>
#include "base/err.h"
#include "host/target.h"
#include "model/addr.h"
#include "state/rules.h"

/* The maps to be added. Zeroed but for pin_dir: none. */
struct map_additions {
	const char *pin_dir; /* of the instance */
	bool netns_checked;
	struct new_rule *rule;
	size_t count;
	struct targets targets;
};

/* Adds a parsed rule to the list, checks its target and its source addresses on this host and chooses the source
 * address of `--snat auto`. Fails first if the instance is attached in another network namespace. `force`: the source
 * addresses may be foreign. */
enum fwd_exit map_additions_add(struct map_additions *all, const struct fwd_rule *rule, unsigned int line, bool force,
				struct fwd_report *report);
void map_additions_free(struct map_additions *all);

/* All of them or none. Creates the instance if there is none. */
enum fwd_exit maps_add(struct map_additions *all, struct fwd_report *report);

/* A map to be removed, by what it listens on. */
struct map_removal {
	char text[FWD_ENDPOINT_TEXT]; /* LISTEN as the user wrote it */
	struct fwd_endpoint listen;
	__u8 proto;
	__u8 change; /* FWD_CHANGE_END or FWD_CHANGE_KEEP */
	unsigned int line;
};

/* All of them or none. */
enum fwd_exit maps_remove(const char *pin_dir, const struct map_removal *removal, size_t count,
			  struct fwd_report *report);

/* Removes all maps and ends their connections. */
enum fwd_exit maps_flush(const char *pin_dir, struct fwd_report *report);

#endif
