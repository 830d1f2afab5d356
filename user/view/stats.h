/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The snapshot behind `stats`. */
#ifndef FWD_USER_VIEW_STATS_H
#define FWD_USER_VIEW_STATS_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include "base/err.h"
#include "fwd/counters.h"
#include "fwd/device.h"
#include "fwd/reason.h"

struct device_snapshot {
	char name[IF_NAMESIZE];        /* the present one */
	const char *mode;              /* "tc", "xdp" or "xdp-generic" */
	const char *mode_reason;       /* a sentence */
	const char *link;              /* "ethernet" or "ip" */
	const char *hook;              /* "tcx" or "clsact" */
	char version[FWD_VERSION_LEN]; /* of the fwdctl whose programs are attached */
	bool xdp;
	bool attached;  /* false: recorded as attached, but its programs are gone, or it is in another namespace */
	bool missed;    /* a program of another tool gets packets first, and fwdctl's have seen none that arrived */
	__u64 received; /* packets since it was attached, by the device's own count; 0: unknown */
	struct fwd_device_stats stats;
};

struct stats_snapshot {
	struct device_snapshot device[FWD_DEVICES_MAX];
	size_t devices;
	struct fwd_counters counters;
	__u64 reasons[FWD_REASON_MAX];
	__u32 connections; /* sizes of the connection table */
	__u32 half_open;
	__u64 memory; /* bytes of all maps; 0: unknown */
};

/* The lists under which reasons are shown. */
enum reason_list {
	REASON_LIST_NONE,
	REASON_LIST_PASSES,
	REASON_LIST_DROPS,
};

const char *reason_name(enum fwd_reason reason);
const char *reason_text(enum fwd_reason reason);
enum reason_list reason_list(enum fwd_reason reason);

/* Without an instance all is zero, and the sizes are the defaults. */
enum fwd_exit stats_read(const char *pin_dir, struct stats_snapshot *stats, struct fwd_report *report);

/* Connections that exist: "created", without all those that ended. */
__u64 stats_active(const struct stats_snapshot *stats);

/* A new reference; NULL: no memory. */
json_t *stats_json(const struct stats_snapshot *stats);

#endif
