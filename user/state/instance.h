/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One instance of fwdctl: a directory in a bpffs that holds all its state.
 *
 *   DIR/maps/NAME          the maps; `meta` is pinned last, so without it the rest is leftover
 *   DIR/progs/fwd_control  what connections are ended with
 *   DIR/links/DEV_ingress, DEV_egress
 *   DIR/dirty              a directory: a change of rules is under way, or was cut short
 *
 * Who changes anything holds an exclusive flock() on DIR; readers take no lock.
 */
#ifndef FWD_USER_INSTANCE_H
#define FWD_USER_INSTANCE_H

#include <limits.h>
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
	int lock_fd; /* -1: not locked */
	bool exists; /* maps and meta below are valid */
	struct fwd_maps maps;
	struct fwd_meta meta;
};

enum instance_use {
	INSTANCE_READ,   /* no lock; it need not exist */
	INSTANCE_CHANGE, /* lock; it need not exist, then there is nothing to change */
	INSTANCE_MAKE,   /* lock; made with the default sizes if it doesn't exist */
};

/* Checks privileges and the bpffs, then opens the maps. Prints what is wrong. instance_close() must
 * follow whatever it returns. Signals that end a process by hand wait while the lock is held. */
enum fwd_exit instance_open(struct instance *in, const char *dir, enum instance_use use);

/* The lock alone: for who can't rely on the maps. lock_fd stays -1 if there is no such directory.
 */
enum fwd_exit instance_open_blind(struct instance *in, const char *dir);
void instance_close(struct instance *in);

/* Makes the connection table anew with these sizes. No program that uses it may be attached. */
enum fwd_exit instance_resize(struct instance *in, __u32 connections, __u32 half_open);

/* Whether all parts of the connection table have the sizes that `meta` names. */
bool instance_sizes_match(const struct instance *in);

/* DIR/SUB/NAME, or DIR/NAME for sub "". Returns path, of PATH_MAX bytes. */
char *instance_path(const struct instance *in, const char *sub, const char *name, char *path);

/* Pins fd at DIR/SUB/NAME in one step, in place of what is there. Returns 0 or a negative errno. */
int instance_pin(const struct instance *in, int fd, const char *sub, const char *name);

/* The mark of a change of rules that is under way; see rules_open(). */
enum fwd_exit instance_dirty_set(const struct instance *in);
void instance_dirty_clear(const struct instance *in);
bool instance_dirty(const struct instance *in);

/* The network namespace we are in, as fwd_meta names it. */
void instance_this_netns(__u64 *dev, __u64 *ino);

#endif
