/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One instance of fwdctl: a directory in a bpffs that holds all its state.
 *
 *   DIR/maps/NAME          the BPF maps; `meta` is pinned last: without it the others are incomplete
 *   DIR/progs/fwd_control  see control.h
 *   DIR/links/DEV_ingress, DEV_egress   TCX links
 *   DIR/dirty              a directory: a change of rules is in progress, or was interrupted
 *
 * A writer holds an exclusive flock() on DIR; readers take no lock.
 */
#ifndef FWD_USER_INSTANCE_H
#define FWD_USER_INSTANCE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include "base/err.h"
#include "fwd/config.h"
#include "state/bpfmaps.h"

#define FWD_DEFAULT_PIN_DIR "/sys/fs/bpf/fwdctl"

/* The subdirectories of DIR; "" is DIR itself. */
#define FWD_DIR_SELF  ""
#define FWD_DIR_MAPS  "maps"
#define FWD_DIR_PROGS "progs"
#define FWD_DIR_LINKS "links"

struct instance {
	const char *dir;
	int lock_fd;      /* -1: not locked */
	sigset_t signals; /* the signal mask before the lock, if locked */
	bool exists;      /* maps and meta below are valid */
	struct fwd_maps maps;
	struct fwd_meta meta;
};

enum instance_use {
	INSTANCE_READ,   /* no lock; it need not exist */
	INSTANCE_CHANGE, /* lock; it need not exist: then there is nothing to change */
	INSTANCE_CREATE, /* lock; created with the default sizes if it does not exist */
};

/* Checks privileges and the bpffs, then opens the maps. instance_close() must follow, after a failure, too. SIGINT,
 * SIGTERM, SIGHUP and SIGTSTP are blocked while the lock is held. `dir` must outlive the instance. */
enum fwd_exit instance_open(struct instance *in, const char *dir, enum instance_use use, struct fwd_report *report);

/* Takes the lock only, for a caller that cannot rely on the maps. lock_fd stays -1 if there is no such directory. */
enum fwd_exit instance_open_blind(struct instance *in, const char *dir, struct fwd_report *report);

/* Releases the lock and restores the signal mask. */
void instance_close(struct instance *in);

/* Opens those maps that exist, after instance_open_blind(). False: another version of fwdctl created them. */
bool instance_open_known_maps(struct instance *in);

/* Creates the connection table again with these sizes. No program that uses it may be attached. */
enum fwd_exit instance_resize(struct instance *in, __u32 connections, __u32 half_open, struct fwd_report *report);

/* Whether all maps of the connection table have the sizes of `meta`: false if instance_resize() was interrupted. */
bool instance_sizes_match(const struct instance *in);

/* Makes the current network namespace the instance's own, if it can be determined. */
enum fwd_exit instance_claim_netns(struct instance *in, struct fwd_report *report);

/* Whether the instance belongs to another network namespace. False also if the current one cannot be determined. */
bool instance_is_foreign(const struct instance *in);

/* DIR/SUB/NAME, or DIR/NAME for sub "". Returns path, of PATH_MAX bytes. */
char *instance_path(const struct instance *in, const char *sub, const char *name, char *path);

/* Pins fd at DIR/SUB/NAME and replaces a pin of that name atomically. Returns 0 or a negative errno. */
int instance_pin(const struct instance *in, int fd, const char *sub, const char *name);

/* DIR/dirty; see rules_open(). */
enum fwd_exit instance_dirty_set(const struct instance *in, struct fwd_report *report);
void instance_dirty_clear(const struct instance *in);
bool instance_dirty(const struct instance *in);

#endif
