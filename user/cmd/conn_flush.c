/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/filter.h"
#include "view/conns.h"

enum fwd_exit cmd_conn_flush(const struct args *args, struct fwd_report *report)
{
	struct conn_filter filter;
	__u64 count = 0;
	enum fwd_exit ret = filter_parse(args, &filter, report);

	if (!ret)
		ret = conns_end(args->pin_dir, &filter, &count, report);
	if (!ret || count)
		printf("%llu connection%s ended\n", count, count == 1 ? "" : "s");
	return ret;
}
