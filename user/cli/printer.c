/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/printer.h"

static void print(struct fwd_report *report, const struct fwd_error *error)
{
	const struct printer *printer = (const struct printer *)report;
	char text[FWD_MESSAGE_TEXT];

	/* One call, so that lines of two processes do not mix. */
	fprintf(stderr, "fwdctl: %s%s%s\n", printer->command ? printer->command : "", printer->command ? ": " : "",
		error_format(error, text, sizeof(text)));
}

struct printer printer_init(void)
{
	return (struct printer){.report = {.emit = print}};
}
