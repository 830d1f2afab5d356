/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/filter.h"

enum fwd_exit filter_parse(const struct args *args, struct conn_filter *filter, struct fwd_report *report)
{
	const struct conn_filter_words words = {
		.proto = args->option[OPT_PROTO],
		.client = args->option[OPT_CLIENT],
		.listen = args->option[OPT_LISTEN],
		.target = args->option[OPT_TARGET],
		.source = args->option[OPT_SOURCE],
		.state = args->option[OPT_STATE],
		.map = args->option[OPT_MAP],
	};

	return conn_filter_parse(&words, filter, report);
}
