/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line: one table of options, one of commands. Parsing, usage and help are all made from them. */
#ifndef FWD_USER_COMMAND_H
#define FWD_USER_COMMAND_H

#include <stdbool.h>
#include "base/err.h"

/*
 * X(symbol, name, letter of the short form or 0, word for its value or NULL, text)
 * An option has one meaning for all commands, so options are parsed before the command is known.
 */
#define FWD_OPTIONS(X)                                                                                 \
	X(MODE, "--mode", 0, "auto|tc|xdp|xdp-generic", "forward at tc, or as far as possible by XDP") \
	X(CONNECTIONS, "--connections", 0, "N", "room for N confirmed connections (65536)")            \
	X(HALF_OPEN, "--half-open", 0, "N", "room for N half-open connections (16384)")                \
	X(SNAT, "--snat", 0, "auto|none|ADDR[,ADDR...]", "the source address that TARGET sees")        \
	X(NAME, "--name", 0, "NAME", "a name for the map")                                             \
	X(MSS, "--mss", 0, "auto|off|N", "the largest TCP segment that the ends offer")                \
	X(FORCE, "--force", 0, NULL, "accept addresses of --snat that are not this host's")            \
	X(KEEP, "--keep-connections", 0, NULL, "let the map's connections continue until they end")    \
	X(PROTO, "--proto", 0, "tcp|udp", "only connections of this protocol")                         \
	X(CLIENT, "--client", 0, "ADDR[/N]", "only those from this address or network")                \
	X(LISTEN, "--listen", 0, "ADDR[:PORT]", "only those to this address of the gateway")           \
	X(TARGET, "--target", 0, "ADDR[:PORT]", "only those to this target")                           \
	X(SOURCE, "--source", 0, "ADDR", "only those that TARGET sees from this address")              \
	X(STATE, "--state", 0, "STATE", "only those in this state: ESTABLISHED, ...")                  \
	X(MAP, "--map", 0, "NAME", "only those of the map of this name")                               \
	X(WATCH, "--watch", 0, NULL, "repeat every second, until Ctrl-C")                              \
	X(JSON, "--json", 'j', NULL, "print JSON")                                                     \
	X(PIN_DIR, "--pin-dir", 0, "DIR", "the instance (FWDCTL_PIN_DIR, /sys/fs/bpf/fwdctl)")         \
	X(VERBOSE, "--verbose", 'v', NULL, "print what is done")                                       \
	X(HELP, "--help", 'h', NULL, "print help about the command")                                   \
	X(VERSION, "--version", 'V', NULL, "print the version")

enum fwd_option {
#define X(symbol, name, letter, value, text) OPT_##symbol,
	FWD_OPTIONS(X)
#undef X
	OPT_MAX,
};

struct option {
	const char *name;
	char letter;       /* 0: no short form */
	const char *value; /* NULL: it has no value */
	const char *text;
};

extern const struct option options[OPT_MAX];

#define OPT_BIT(symbol) (1U << OPT_##symbol)
#define OPTS_EVERYWHERE (OPT_BIT(PIN_DIR) | OPT_BIT(VERBOSE) | OPT_BIT(HELP) | OPT_BIT(VERSION))
#define OPTS_FILTER                                                                                                \
	(OPT_BIT(PROTO) | OPT_BIT(CLIENT) | OPT_BIT(LISTEN) | OPT_BIT(TARGET) | OPT_BIT(SOURCE) | OPT_BIT(STATE) | \
	 OPT_BIT(MAP))

/* With a lone "-" the command reads its words and options from the lines of standard input. */
#define COMMAND_LINES (1U << 31)

struct command;

/* A parsed command line. */
struct args {
	const struct command *command;
	int count;
	char **word;                 /* those after the command's name */
	const char *option[OPT_MAX]; /* NULL: not given; "" for one without a value */
	const char *pin_dir;
	unsigned int line; /* of standard input; 0: the command line */
};

struct command {
	const char *name;  /* "map add" */
	const char *words; /* as usage shows them */
	const char *text;  /* one line */
	int words_min;
	int words_max;        /* -1: any number */
	unsigned int options; /* OPT_BIT()s, and COMMAND_LINES */
	const char *more;     /* what help adds; NULL: nothing */
	enum fwd_exit (*run)(const struct args *args, struct fwd_report *report);
};

extern const struct command commands[];
extern const size_t commands_count;

/* The command that words[0] and maybe words[1] name, and how many words that takes. NULL: none. */
const struct command *command_find(int count, char **words, int *matched);

/* Splits argv[1] to argv[argc - 1] into args->option and args->word, which has room for all of them. */
enum fwd_exit args_parse(int argc, char **argv, struct args *args, struct fwd_report *report);

/* Whether args->command accepts them. */
enum fwd_exit args_check(const struct args *args, struct fwd_report *report);

/* Whether they are the "-" of a command with COMMAND_LINES. */
bool args_are_lines(const struct args *args);

/* Parses and checks the words of such a line as if they followed the command's name. */
enum fwd_exit args_parse_line(int argc, char **argv, struct args *args, struct fwd_report *report);

enum fwd_exit cmd_attach(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_detach(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_map_add(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_map_del(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_map_list(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_map_flush(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_conn_list(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_conn_count(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_conn_flush(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_stats(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_set(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_get(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_purge(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_help(const struct args *args, struct fwd_report *report);
enum fwd_exit cmd_version(const struct args *args, struct fwd_report *report);

#endif
