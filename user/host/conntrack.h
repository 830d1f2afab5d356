/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's connection tracking. */
#ifndef FWD_USER_CONNTRACK_H
#define FWD_USER_CONNTRACK_H

#include <stdbool.h>

/* Whether the kernel has the kfuncs of bpf/ctx/ct_kfunc.h, for tc and XDP. Reads the kernel's BTF: some 5 ms. */
bool conntrack_has_kfuncs(void);

#endif
