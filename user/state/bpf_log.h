/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The messages of libbpf and libxdp, the verifier's log among them. Both libraries print through a callback that gets
 * no argument of the caller, so there is one buffer in the process. It holds the last messages since it was
 * cleared, and no function but these uses it.
 */
#ifndef FWD_USER_BPF_LOG_H
#define FWD_USER_BPF_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include "base/err.h"

/* Makes libbpf write to the buffer instead of standard error, and clears it. */
void bpf_log_start(void);

/* For callbacks of other libraries. Format as in vprintf(). */
void bpf_log_append(const char *format, va_list args);

const char *bpf_log_text(void);

/* Reports each line as progress. */
void bpf_log_report(struct fwd_report *report);

/* The program that could not be loaded, as libbpf names it in the log, in name[size]: "" if none is. Returns name. */
char *bpf_log_refused_program(const char *log, char *name, size_t size);

/* The last message of the kernel, most often of a driver, about a refusal ("Kernel error message: ..."), in
 * text[size]: "" if there is none. Returns text. */
char *bpf_log_kernel_message(const char *log, char *text, size_t size);

#endif
