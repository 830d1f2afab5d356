/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "cli/filter.h"
#include "cli/output.h"
#include "view/conns.h"

enum fwd_exit cmd_conn_count(const struct args *args, struct fwd_report *report)
{
	struct conn_filter filter;
	__u64 count;
	enum fwd_exit ret = filter_parse(args, &filter, report);

	if (!ret)
		ret = conns_count(args->pin_dir, &filter, &count, report);
	if (ret)
		return ret;
	if (args->option[OPT_JSON])
		return json_print(json_pack("{s:I}", "count", (json_int_t)count), report);
	printf("%llu\n", count);
	return FWD_DONE;
}
