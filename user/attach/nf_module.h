/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Modules of netfilter. */
#ifndef FWD_USER_NF_MODULE_H
#define FWD_USER_NF_MODULE_H

/* Loads nf_conntrack if it is a module. It registers no hook: only rules of netfilter make it track packets. Without
 * effect if it is loaded, if the kernel has none, or without privileges (CAP_NET_ADMIN). */
void nf_module_load_conntrack(void);

#endif
