// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * maps: adds the maps of standard input, lines of "PROTO LISTEN TARGET SOURCE", by fwdctl's own
 * functions in one process: `fwdctl map add` reads all maps anew for each, so ten thousand of them
 * take long. Sets the scene, and isn't timed.
 */
#include <stdio.h>
#include <stdlib.h>
#include "instance.h"
#include "map_rule.h"
#include "rules.h"

static enum fwd_exit add(const struct instance *in, struct fwd_rule *rules, char *words[4])
{
	const struct fwd_rule_words w = {
	    .proto = words[0], .listen = words[1], .target = words[2], .snat = words[3]};
	struct fwd_rule rule;
	enum fwd_exit ret = rule_parse(&w, &rule);

	return ret ? ret : rules_add(in, rules, &rule);
}

int main(int argc, char **argv)
{
	char line[512], proto[8], listen[64], target[64], source[64];
	char *words[4] = {proto, listen, target, source};
	struct fwd_rule *rules = NULL;
	struct instance in;
	enum fwd_exit ret =
	    instance_open(&in, argc > 1 ? argv[1] : FWD_DEFAULT_PIN_DIR, INSTANCE_MAKE);

	if (!ret && !(rules = rules_open(&in)))
		ret = FWD_NOT_DONE;
	while (!ret && fgets(line, sizeof(line), stdin))
		ret = sscanf(line, "%7s %63s %63s %63s", proto, listen, target, source) == 4
			  ? add(&in, rules, words)
			  : fwd_err("not four words: %s", line);
	free(rules);
	instance_close(&in);
	return ret;
}
