/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The report of a command line: each message is one line on standard error. */
#ifndef FWD_USER_PRINTER_H
#define FWD_USER_PRINTER_H

#include "base/err.h"

struct printer {
	struct fwd_report report;
	const char *command; /* "map add"; NULL: none yet */
};

/* Prints "fwdctl: COMMAND: ...". */
struct printer printer_init(void);

#endif
