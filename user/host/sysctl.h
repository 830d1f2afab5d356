/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings of the kernel. */
#ifndef FWD_USER_SYSCTL_H
#define FWD_USER_SYSCTL_H

/* The number in a file of /proc/sys. `unknown` if it cannot be read. */
int sysctl_read(const char *path, int unknown);

#endif
