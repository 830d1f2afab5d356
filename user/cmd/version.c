/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "cli/command.h"
#include "cli/output.h"
#include "fwd/abi.h"
#include "version.h"

/* FWD_VERSION is "VERSION" or, built from a git checkout, "VERSION (COMMIT)". */
static json_t *version_json(void)
{
	const char *text = FWD_VERSION, *commit = strstr(text, " (");
	int length = commit ? commit - text : (int)strlen(text);
	json_t *object = json_pack("{s:s%,s:i}", "version", text, length, "abi", FWD_ABI_VERSION);

	if (commit)
		json_object_set_new(object, "commit", json_stringn(commit + 2, strcspn(commit + 2, ")")));
	return object;
}

enum fwd_exit cmd_version(const struct args *args, struct fwd_report *report)
{
	if (args->option[OPT_JSON])
		return json_print(version_json(), report);
	puts("fwdctl " FWD_VERSION);
	return FWD_DONE;
}
