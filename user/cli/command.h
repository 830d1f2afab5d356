/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line: one table of options, one of commands; usage and help are printed from them. */
#ifndef FWD_USER_FWDCTL_H
#define FWD_USER_FWDCTL_H

#include <stdbool.h>
#include "base/err.h"

/*
 * X(symbol, name, word for its value or NULL, text)
 * An option means the same wherever it is allowed, so they are parsed before the command is known.
 */
#define FWD_OPTIONS(X)                                                                         \
	X(MODE, "--mode", "auto|tc|xdp|xdp-generic", "at tc, or what XDP can do there (auto)") \
	X(CONNECTIONS, "--connections", "N", "room for N confirmed connections (65536)")       \
	X(HALF_OPEN, "--half-open", "N", "room for N connections yet unconfirmed (16384)")     \
	X(SNAT, "--snat", "auto|none|ADDR[,ADDR...]", "the source address that TARGET sees")   \
	X(NAME, "--name", "NAME", "a name for the map")                                        \
	X(MSS, "--mss", "auto|off|N", "the largest TCP segment that the ends offer")           \
	X(KEEP, "--keep-connections", NULL, "let the map's connections go on to their end")    \
	X(PROTO, "--proto", "tcp|udp", "only connections of this protocol")                    \
	X(CLIENT, "--client", "ADDR[/N]", "only those from this address or network")           \
	X(LISTEN, "--listen", "ADDR[:PORT]", "only those to this address of ours")             \
	X(TARGET, "--target", "ADDR[:PORT]", "only those that lead there")                     \
	X(SOURCE, "--source", "ADDR", "only those that TARGET sees from this address")         \
	X(STATE, "--state", "STATE", "only those in this state: ESTABLISHED, ...")             \
	X(MAP, "--map", "NAME", "only those through the map of this name")                     \
	X(WATCH, "--watch", NULL, "again every second, until Ctrl-C")                          \
	X(JSON, "--json", NULL, "for programs")                                                \
	X(PIN_DIR, "--pin-dir", "DIR", "the instance (FWDCTL_PIN_DIR, /sys/fs/bpf/fwdctl)")    \
	X(VERBOSE, "--verbose", NULL, "or -v: tell what is done")                              \
	X(HELP, "--help", NULL, "or -h: about the command")

enum fwd_option {
#define X(symbol, name, value, text) OPT_##symbol,
	FWD_OPTIONS(X)
#undef X
	OPT_MAX,
};

struct option {
	const char *name;
	const char *value; /* NULL: it takes none */
	const char *text;
};

extern const struct option options[OPT_MAX];

#define OPT_BIT(symbol) (1U << OPT_##symbol)
#define OPTS_EVERYWHERE (OPT_BIT(PIN_DIR) | OPT_BIT(VERBOSE) | OPT_BIT(HELP))
#define OPTS_FILTER                                                                                                \
	(OPT_BIT(PROTO) | OPT_BIT(CLIENT) | OPT_BIT(LISTEN) | OPT_BIT(TARGET) | OPT_BIT(SOURCE) | OPT_BIT(STATE) | \
	 OPT_BIT(MAP))

struct command;

/* For a lone "-" it takes from each line of standard input such words and options. */
#define COMMAND_LINES (1U << 31)

/* A command line, sorted. */
struct args {
	const struct command *command;
	int count;
	char **word;                 /* those behind the command's name */
	const char *option[OPT_MAX]; /* NULL: not given; "" for those without a value */
	const char *pin_dir;
	unsigned int line; /* of standard input, that it was read from; 0: it is the command line */
};

struct command {
	const char *name;  /* "map add" */
	const char *words; /* as usage shows them */
	const char *text;  /* one line */
	int words_min;
	int words_max;        /* -1: any number */
	unsigned int options; /* OPT_BIT()s, and COMMAND_LINES */
	const char *more;     /* what help adds; NULL: nothing */
	enum fwd_exit (*run)(const struct args *args);
};

/* Sorts argv[1] to argv[argc - 1] into args->option and args->word, which has room for all of them. Prints what is
 * wrong. */
enum fwd_exit args_sort(int argc, char **argv, struct args *args);

/* Whether they go with args->command. Prints what doesn't. */
enum fwd_exit args_check(const struct args *args);

/* Whether they are the "-" of a command with COMMAND_LINES. */
bool args_are_lines(const struct args *args);

/* Sorts and checks the words of such a line as if they stood behind the command's name. */
enum fwd_exit args_of_line(int argc, char **argv, struct args *args);

enum fwd_exit cmd_attach(const struct args *args);
enum fwd_exit cmd_detach(const struct args *args);
enum fwd_exit cmd_map_add(const struct args *args);
enum fwd_exit cmd_map_del(const struct args *args);
enum fwd_exit cmd_map_list(const struct args *args);
enum fwd_exit cmd_map_flush(const struct args *args);
enum fwd_exit cmd_conn_list(const struct args *args);
enum fwd_exit cmd_conn_count(const struct args *args);
enum fwd_exit cmd_conn_flush(const struct args *args);
enum fwd_exit cmd_stats(const struct args *args);
enum fwd_exit cmd_set(const struct args *args);
enum fwd_exit cmd_get(const struct args *args);
enum fwd_exit cmd_purge(const struct args *args);
enum fwd_exit cmd_help(const struct args *args);
enum fwd_exit cmd_version(const struct args *args);

#endif
