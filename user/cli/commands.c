/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "cli/command.h"
#include "fwd/ct_state.h"

static const char set_help[] = "VALUE is a number of seconds, or default. It also applies to existing connections.\n"
			       "NAMEs and defaults:\n"
#define X(symbol, index, name, seconds) "  " name " " #seconds "\n"
	FWD_TIMEOUTS(X)
#undef X
	;

const struct command commands[] = {
	{"attach", "DEV...", "Forward on these devices: all that packets arrive and leave by", 1, -1,
	 OPT_BIT(MODE) | OPT_BIT(CONNECTIONS) | OPT_BIT(HALF_OPEN),
	 "Attaching a device again replaces its programs by those of this version without losing a\n"
	 "packet, and chooses the source addresses of `--snat auto` maps again.\n"
	 "--mode  xdp forwards in the driver between Ethernet devices, and leaves other packets to tc;\n"
	 "        auto chooses it where at least two devices support it\n",
	 cmd_attach},
	{"detach", "[DEV...]", "Stop forwarding on these devices, or on all; maps stay", 0, -1, 0, NULL, cmd_detach},
	{"map add", "PROTO LISTEN TARGET", "Add a map: forward packets for LISTEN to TARGET", 3, 3,
	 OPT_BIT(SNAT) | OPT_BIT(NAME) | OPT_BIT(MSS) | OPT_BIT(FORCE) | COMMAND_LINES,
	 "PROTO   tcp or udp\n"
	 "LISTEN  ADDR:PORT, ADDR:LOW-HIGH, or without ADDR for every address of this host;\n"
	 "        an IPv6 address in brackets: [ADDR]:PORT\n"
	 "TARGET  ADDR:PORT, ADDR:LOW-HIGH (as many ports as LISTEN), ADDR (the same ports)\n"
	 "--snat  auto: the address that this host uses towards TARGET; none: the client's address\n"
	 "        stays; or up to 16 addresses that are used in turn\n"
	 "--mss   lowers the maximum segment size in SYNs of both directions to what fits both routes\n"
	 "        (auto) or to N bytes, or leaves it unchanged (off)\n"
	 "-       reads maps from standard input, the words and options of one on each line. Blank lines\n"
	 "        and lines that begin with # are skipped. Adds all maps, or none\n",
	 cmd_map_add},
	{"map del", "PROTO LISTEN", "Remove a map and end its connections", 2, 2, OPT_BIT(KEEP) | COMMAND_LINES,
	 "-  reads the maps from standard input, as map add - does\n", cmd_map_del},
	{"map list", "", "Show all maps", 0, 0, OPT_BIT(JSON), NULL, cmd_map_list},
	{"map flush", "", "Remove all maps and end their connections", 0, 0, 0, NULL, cmd_map_flush},
	{"conn list", "", "Show connections", 0, 0, OPTS_FILTER | OPT_BIT(JSON), NULL, cmd_conn_list},
	{"conn count", "", "Count connections", 0, 0, OPTS_FILTER | OPT_BIT(JSON), NULL, cmd_conn_count},
	{"conn flush", "", "End connections", 0, 0, OPTS_FILTER, NULL, cmd_conn_flush},
	{"stats", "", "Show devices, connections, and why packets were dropped or passed", 0, 0,
	 OPT_BIT(WATCH) | OPT_BIT(JSON), NULL, cmd_stats},
	{"set", "NAME VALUE", "Change a timeout; it is kept with the maps", 2, 2, 0, set_help, cmd_set},
	{"get", "[NAME]", "Show all timeouts, or one", 0, 1, OPT_BIT(JSON), NULL, cmd_get},
	{"purge", "", "Remove everything that fwdctl created on the host", 0, 0, 0, NULL, cmd_purge},
	{"help", "[COMMAND]", "Show all commands, or one in detail", 0, 2, 0, NULL, cmd_help},
	{"version", "", "Show the version", 0, 0, OPT_BIT(JSON), NULL, cmd_version},
};

const size_t commands_count = sizeof(commands) / sizeof(commands[0]);

/* How many of the words make up this command's name; 0: it is another command. */
static int words_matched(const struct command *command, int count, char **words)
{
	const char *space = strchr(command->name, ' ');
	size_t first = space ? (size_t)(space - command->name) : strlen(command->name);

	if (!count || strlen(words[0]) != first || memcmp(words[0], command->name, first))
		return 0;
	if (!space)
		return 1;
	return count > 1 && !strcmp(words[1], space + 1) ? 2 : 0;
}

const struct command *command_find(int count, char **words, int *matched)
{
	for (size_t i = 0; i < commands_count; i++) {
		*matched = words_matched(&commands[i], count, words);
		if (*matched)
			return &commands[i];
	}
	return NULL;
}
