/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernels without the kfuncs of bpf/ctx/ct_kfunc.h. The programs do not call them there (fwd_conntrack is 0), but
 * kernel 5.15 refuses a call that it does not know even in code that is never reached, and any kernel refuses all calls
 * if its JIT is off (kernel/bpf/verifier.c, add_kfunc_call).
 */
#ifndef FWD_USER_KFUNC_H
#define FWD_USER_KFUNC_H

/* From now on, programs that are opened are loaded with `r0 = 0` in place of each call of a kfunc. kfuncs_restore()
 * must follow, when no such object is loaded any more. Returns 0 or a negative errno. */
struct kfuncs {
	int handlers[2]; /* of libbpf, plus 1; 0: none */
};
int kfuncs_remove(struct kfuncs *kfuncs);
void kfuncs_restore(struct kfuncs *kfuncs);

#endif
