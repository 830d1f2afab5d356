/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's connection tracking, for both hooks. CTX_CT_LOOKUP is the kfunc of the hook's program type
 * (net/netfilter/nf_conntrack_bpf.c, since kernel 5.18).
 *
 * fwdctl sets fwd_conntrack if the kernel has the kfuncs. Otherwise the calls are never reached, and fwdctl replaces
 * them before it loads the programs (user/state/kfunc.h).
 */
#ifndef FWD_BPF_CTX_CT_KFUNC_H
#define FWD_BPF_CTX_CT_KFUNC_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "base/config.h"

/* The kernel's struct; the loader finds the offset in the kernel's BTF. */
struct nf_conn {
	unsigned long status; /* bits of enum ip_conntrack_status */
} __attribute__((preserve_access_index));

/* In its first form, which all kernels accept. The kernel declares it without an UAPI header. */
struct bpf_ct_opts {
	__s32 netns_id; /* BPF_F_CURRENT_NETNS */
	__s32 error;
	__u8 l4proto;
	__u8 dir; /* result: enum ip_conntrack_dir */
	__u8 reserved[2];
};

extern struct nf_conn *CTX_CT_LOOKUP(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size, struct bpf_ct_opts *opts,
				     __u32 opts_size) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

/* Looks up the connection that has this tuple in one direction, in the default zone. False: there is none. *dir: enum
 * ip_conntrack_dir of the tuple; *status: bits of enum ip_conntrack_status. */
static __always_inline bool ctx_ct_find(fwd_ctx *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u8 proto, __u8 *dir,
					__u32 *status)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = proto};
	struct nf_conn *ct;

	if (!fwd_conntrack)
		return false;
	ct = CTX_CT_LOOKUP(ctx, tuple, size, &opts, sizeof(opts));
	if (!ct)
		return false;
	*dir = opts.dir;
	*status = ct->status;
	bpf_ct_release(ct);
	return true;
}

#endif
