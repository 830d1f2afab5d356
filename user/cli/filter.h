/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filter options of `conn list`, `conn count` and `conn flush`. */
#ifndef FWD_USER_FILTER_H
#define FWD_USER_FILTER_H

#include "cli/command.h"
#include "model/conn.h"

enum fwd_exit filter_parse(const struct args *args, struct conn_filter *filter, struct fwd_report *report);

#endif
