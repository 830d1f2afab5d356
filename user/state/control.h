/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fwd_control, the program that fwdctl runs by BPF_PROG_RUN: it starts the garbage collector, ends connections, and
 * probes the kernel. It is pinned, so that connections can be ended without loading it.
 */
#ifndef FWD_USER_CONTROL_H
#define FWD_USER_CONTROL_H

#include "base/err.h"
#include "fwd/request.h"
#include "state/instance.h"

/* Loads this version's fwd_control, pins it in place of an older one, and lets it collect garbage from now on. */
enum fwd_exit control_start(struct instance *in, struct fwd_report *report);

/* The pinned program: a file descriptor to close, or a negative errno. */
int control_open(const struct instance *in);

/* Runs it once. `forward` may be NULL if the request is about no connection. Returns the program's return value, or the
 * negative errno with which it could not be run. */
int control_run(int control_fd, enum fwd_request_type type, const struct fwd_tuple *forward);

#endif
