/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Removing an instance, in any condition. */
#ifndef FWD_USER_PURGE_H
#define FWD_USER_PURGE_H

#include "base/err.h"

/* Detaches all programs and removes all pins, of incomplete instances, of other versions and of devices that are gone,
 * too: it goes by names and relies on no contents. */
enum fwd_exit purge_instance(const char *pin_dir, struct fwd_report *report);

#endif
