/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The snapshot behind `map list`. */
#ifndef FWD_USER_VIEW_MAPS_H
#define FWD_USER_VIEW_MAPS_H

#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "fwd/rule.h"

/* One map. `rule` is valid during the visit. */
struct map_snapshot {
	const struct fwd_rule *rule;
	bool draining;
	__u64 connections;
	__u64 packets[FWD_DIR_MAX]; /* by enum fwd_dir */
	__u64 bytes[FWD_DIR_MAX];
};

/* Returns FWD_DONE to go on; anything else stops the visits and is passed on. */
typedef enum fwd_exit (*map_visit)(const struct map_snapshot *map, void *arg);

/* Calls begin(), unless it is NULL, once the maps have been read, and then visit() for each. */
enum fwd_exit maps_visit(const char *pin_dir, void (*begin)(void *arg), map_visit visit, void *arg,
			 struct fwd_report *report);

/* A new reference; NULL: no memory. */
json_t *map_json(const struct map_snapshot *map);

#endif
