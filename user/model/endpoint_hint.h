/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fix for an address and port that endpoint_parse() refuses: the text that was probably meant. Most mistakes are
 * habits from another tool: a URL, iptables' "7000:7010", docker's "8080:80", ss's "*:80", a list of ports, a name.
 */
#ifndef FWD_USER_ENDPOINT_HINT_H
#define FWD_USER_ENDPOINT_HINT_H

#include <stdbool.h>
#include "base/err.h"
#include "model/addr.h"

enum endpoint_role {
	ENDPOINT_LISTEN,  /* without an address: every address of this host */
	ENDPOINT_TARGET,  /* needs an address */
	ENDPOINT_NO_PORT, /* an address without a port: --snat, --client, --source */
};

struct endpoint_hint {
	const char *why;        /* a static string that follows the quoted text in a message */
	char fix[FWD_FIX_TEXT]; /* "": none */
};

/* False: the mistake is none of the known ones, and the reason of endpoint_parse() is all that is known. */
bool endpoint_hint(const char *text, enum endpoint_role role, struct endpoint_hint *hint);

/* Reports that `text` is refused because of `why`, the reason of endpoint_parse(), addr_parse() or cidr_parse(), or of
 * the hint if there is one. `option`: the option that text is the value of; NULL: none. Returns FWD_BAD_USAGE. */
enum fwd_exit endpoint_refuse(const char *option, const char *text, enum endpoint_role role, const char *why,
			      struct fwd_report *report);

#endif
