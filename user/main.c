/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fwd/ct_state.h"
#include "cli/command.h"
#include "state/instance.h"
#include "state/loader.h"
#include "version.h"
#include "cli/output.h"

static const char set_help[] = "VALUE is a number of seconds, or default. Connections under way are held to it, too.\n"
			       "NAMEs and defaults:\n"
#define X(symbol, index, name, seconds) "  " name " " #seconds "\n"
	FWD_TIMEOUTS(X)
#undef X
	;

static const struct command commands[] = {
	{"attach", "DEV...", "Forward on these devices (all that packets come in or go out by)", 1, -1,
	 OPT_BIT(MODE) | OPT_BIT(CONNECTIONS) | OPT_BIT(HALF_OPEN),
	 "A second attach of the same device puts this version's programs in place, without losing\n"
	 "a packet, and chooses the source addresses of `--snat auto` maps anew.\n"
	 "--mode  xdp forwards in the driver what goes from one Ethernet device to another, and leaves\n"
	 "        the rest to tc; auto takes it where at least two devices have it\n",
	 cmd_attach},
	{"detach", "[DEV...]", "Forward no more on these devices, or on all; maps stay", 0, -1, 0, NULL, cmd_detach},
	{"map add", "PROTO LISTEN TARGET", "Make a map: what arrives at LISTEN goes to TARGET", 3, 3,
	 OPT_BIT(SNAT) | OPT_BIT(NAME) | OPT_BIT(MSS) | COMMAND_LINES,
	 "PROTO   tcp or udp\n"
	 "LISTEN  ADDR:PORT, ADDR:LOW-HIGH, or without ADDR for every address of this host;\n"
	 "        an IPv6 address in brackets: [ADDR]:PORT\n"
	 "TARGET  ADDR:PORT, ADDR:LOW-HIGH (as many ports as LISTEN), ADDR (the same ports)\n"
	 "--snat  auto: the address this host uses towards TARGET; none: the visitor's own stays;\n"
	 "        or up to 16 addresses that are used in turn\n"
	 "--mss   TCP's maximum segment size is lowered in SYNs, both ways, to what fits the ways\n"
	 "        out (auto) or to N bytes, or left as the ends offer it (off)\n"
	 "-       reads maps from standard input, on each line the words and options of one; blank lines\n"
	 "        and those that begin with # are skipped. All of them are made, or none\n",
	 cmd_map_add},
	{"map del", "PROTO LISTEN", "Remove a map and end its connections", 2, 2, OPT_BIT(KEEP) | COMMAND_LINES,
	 "-  reads from standard input which maps, as map add - does\n", cmd_map_del},
	{"map list", "", "Show all maps", 0, 0, OPT_BIT(JSON), NULL, cmd_map_list},
	{"map flush", "", "Remove all maps and end their connections", 0, 0, 0, NULL, cmd_map_flush},
	{"conn list", "", "Show connections", 0, 0, OPTS_FILTER | OPT_BIT(JSON), NULL, cmd_conn_list},
	{"conn count", "", "Count connections", 0, 0, OPTS_FILTER | OPT_BIT(JSON), NULL, cmd_conn_count},
	{"conn flush", "", "End connections", 0, 0, OPTS_FILTER, NULL, cmd_conn_flush},
	{"stats", "", "Show devices, and what became of packets", 0, 0, OPT_BIT(WATCH) | OPT_BIT(JSON), NULL,
	 cmd_stats},
	{"set", "NAME VALUE", "Change a timeout; it is kept with the maps", 2, 2, 0, set_help, cmd_set},
	{"get", "[NAME]", "Show the timeouts, or one", 0, 1, OPT_BIT(JSON), NULL, cmd_get},
	{"purge", "", "Remove everything that fwdctl put on the host", 0, 0, 0, NULL, cmd_purge},
	{"help", "[COMMAND]", "Show this, or more about a command", 0, 2, 0, NULL, cmd_help},
	{"version", "", "Show the version", 0, 0, OPT_BIT(JSON), NULL, cmd_version},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* How many of the words make up this command's name; 0: it is another. */
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

static const struct command *find_command(int count, char **words, int *matched)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		*matched = words_matched(&commands[i], count, words);
		if (*matched)
			return &commands[i];
	}
	return NULL;
}

/* "map" of "map add" */
static bool is_of_family(const struct command *command, const char *word)
{
	size_t length = strlen(word);

	return !strncmp(command->name, word, length) && command->name[length] == ' ';
}

static bool is_family(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (is_of_family(&commands[i], word))
			return true;
	return false;
}

static void print_usage_line(FILE *out, const struct command *command)
{
	fprintf(out, "usage: fwdctl %s%s%s", command->name, *command->words ? " " : "", command->words);
	for (int i = 0; i < OPT_MAX; i++)
		if (command->options & (1U << i))
			fprintf(out, " [%s%s%s]", options[i].name, options[i].value ? " " : "",
				options[i].value ? options[i].value : "");
	fputc('\n', out);
	if (command->options & COMMAND_LINES)
		fprintf(out, "       fwdctl %s -\n", command->name);
}

static void print_command_help(FILE *out, const struct command *command)
{
	print_usage_line(out, command);
	fprintf(out, "\n%s.\n", command->text);
	if (command->more)
		fprintf(out, "\n%s", command->more);
	fputs("\noptions:\n", out);
	for (int i = 0; i < OPT_MAX; i++)
		if ((command->options | OPTS_EVERYWHERE) & (1U << i))
			fprintf(out, "  %s %-*s  %s\n", options[i].name, 36 - (int)strlen(options[i].name),
				options[i].value ? options[i].value : "", options[i].text);
}

/* All commands, or one family's. */
static void print_commands(FILE *out, const char *family)
{
	fprintf(out, "usage: fwdctl %s ...\n\n", family ? family : "COMMAND");
	for (size_t i = 0; i < COMMANDS; i++) {
		char usage[64];

		if (family && !is_of_family(&commands[i], family))
			continue;
		snprintf(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].words);
		fprintf(out, "  %-28s  %s\n", usage, commands[i].text);
	}
	fputs("\nfwdctl help COMMAND tells more; fwdctl --pin-dir DIR ... works on another "
	      "instance.\n",
	      out);
}

static enum fwd_exit unknown_command(int count, char **words)
{
	if (!count) {
		print_commands(stderr, NULL);
		return FWD_BAD_USAGE;
	}
	if (!is_family(words[0]))
		return fwd_usage("unknown command \"%s\": fwdctl help shows them all", words[0]);
	if (count > 1)
		fwd_usage("unknown command \"%s %s\"", words[0], words[1]);
	else
		fwd_usage("\"%s\" alone is no command", words[0]);
	print_commands(stderr, words[0]);
	return FWD_BAD_USAGE;
}

static enum fwd_exit help(int count, char **words)
{
	const struct command *command;
	int matched;

	if (!count) {
		print_commands(stdout, NULL);
		return FWD_DONE;
	}
	command = find_command(count, words, &matched);
	if (command && matched == count)
		print_command_help(stdout, command);
	else if (!command && count == 1 && is_family(words[0]))
		print_commands(stdout, words[0]);
	else
		return fwd_usage("unknown command \"%s%s%s\": fwdctl help shows them all", words[0],
				 count > 1 ? " " : "", count > 1 ? words[1] : "");
	return FWD_DONE;
}

enum fwd_exit cmd_help(const struct args *args)
{
	return help(args->count, args->word);
}

enum fwd_exit cmd_version(const struct args *args)
{
	if (args->option[OPT_JSON])
		return json_print(json_pack("{s:s,s:i}", "version", FWD_VERSION, "abi", FWD_ABI_VERSION));
	printf("fwdctl %s\n", FWD_VERSION);
	return FWD_DONE;
}

static const char *choose_pin_dir(const struct args *args)
{
	const char *dir = args->option[OPT_PIN_DIR];

	if (!dir)
		dir = getenv("FWDCTL_PIN_DIR");
	return dir && *dir ? dir : FWD_DEFAULT_PIN_DIR;
}

static enum fwd_exit run(const struct command *command, struct args *args, enum fwd_exit parsed)
{
	enum fwd_exit ret = parsed;

	if (!ret && args->option[OPT_HELP]) {
		print_command_help(stdout, command);
		return FWD_DONE;
	}
	if (!ret)
		ret = args_check(args);
	if (!ret)
		ret = command->run(args);
	if (ret == FWD_BAD_USAGE)
		print_usage_line(stderr, command);
	return ret;
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct args args = {.word = calloc(argc + 1, sizeof(char *))};
	char **words = args.word;
	enum fwd_exit ret, parsed;
	int matched;

	/* A closed pipe is an error like any other, not a silent death. */
	signal(SIGPIPE, SIG_IGN);
	loader_init();
	if (!words)
		return fwd_err("not enough memory");
	parsed = args_sort(argc, argv, &args);
	command = find_command(args.count, words, &matched);
	fwd_verbose = args.option[OPT_VERBOSE];
	args.pin_dir = choose_pin_dir(&args);
	if (command) {
		fwd_context(command->name);
		args.command = command;
		args.word += matched;
		args.count -= matched;
		ret = run(command, &args, parsed);
	} else if (args.option[OPT_HELP] && !parsed) {
		ret = help(args.count, words);
	} else {
		ret = parsed ? parsed : unknown_command(args.count, words);
	}
	free(words);
	/* Also after a failure: what was printed before it counts. */
	return output_check() && !ret ? FWD_NOT_DONE : ret;
}
