/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Notes about maps that were added but may not work, or do more than was meant: an address of LISTEN that is not this
 * host's, a route that avoids the attached devices, a socket of this host on the same port.
 */
#ifndef FWD_USER_MAP_NOTES_H
#define FWD_USER_MAP_NOTES_H

#include "attach/map_change.h"
#include "state/devices.h"

/* One note for each address of LISTEN, target and map, at most. `list`: the attached devices. */
void map_notes(struct device_list *list, struct map_additions *all, struct fwd_report *report);

#endif
