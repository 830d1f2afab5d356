/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The size of the connection table, which can change only while no device is attached and no connection exists. */
#ifndef FWD_USER_TABLE_H
#define FWD_USER_TABLE_H

#include "base/err.h"
#include "state/devices.h"
#include "state/instance.h"
#include "state/rules.h"

/* Gives the table these sizes; 0: as they are. Also replaces a table that an interrupted change left incomplete. */
enum fwd_exit table_resize(struct instance *in, const struct rules *rules, const struct device_list *attached,
			   __u32 connections, __u32 half_open, struct fwd_report *report);

/* Rolls that back if no device is attached: then the table is empty, and nothing is lost. */
void table_restore(struct instance *in, const struct fwd_meta *before, struct fwd_report *report);

#endif
