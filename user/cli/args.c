/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "base/word.h"
#include "cli/command.h"

const struct option options[OPT_MAX] = {
#define X(symbol, name, letter, value, text) {name, letter, value, text},
	FWD_OPTIONS(X)
#undef X
};

/* Options that a later version will have. */
static const char *const planned[] = {"--allow", "--deny", "--rate", "--max-connections"};

static bool is_option(const char *text, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(text, name, length) && (!text[length] || text[length] == '=');
}

/* "--name=VALUE" is the same as "--name VALUE"; *value is NULL without "=". OPT_MAX: an unknown option. */
static enum fwd_option find_option(const char *text, const char **value)
{
	const char *equals = strchr(text, '=');
	enum fwd_option i;

	*value = equals ? equals + 1 : NULL;
	for (i = 0; i < OPT_MAX; i++)
		if (is_option(text, options[i].name) || (text[1] && text[1] == options[i].letter && !text[2]))
			break;
	return i;
}

static enum fwd_exit unknown_option(const char *whole, struct fwd_report *report)
{
	char word[64], fix[FWD_FIX_TEXT];
	const char *names[OPT_MAX], *text = whole;

	for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++)
		if (is_option(text, planned[i]))
			return report_usage(report, NULL, "%s is not in this version", planned[i]);
	/* Without the dashes, which would make short names seem alike: "--rate" is not "--name". */
	for (int i = 0; i < OPT_MAX; i++)
		names[i] = options[i].name + 2;
	text += strspn(text, "-");
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, "="), text);
	return report_usage(report, ABOUT(.fix = word_fix(word, names, OPT_MAX, "--", fix)), "unknown option \"%s\"",
			    whole);
}

/* Reads the option at argv[*at], and its value, which may be the next word. */
static enum fwd_exit parse_option(int argc, char **argv, int *at, struct args *args, struct fwd_report *report)
{
	const char *text = argv[*at], *value;
	enum fwd_option option = find_option(text, &value);

	if (option == OPT_MAX)
		return unknown_option(text, report);
	if (!options[option].value && value)
		return report_usage(report, NULL, "%s has no value", options[option].name);
	if (options[option].value && !value) {
		if (*at + 1 >= argc)
			return report_usage(report, NULL, "%s needs a value: %s", options[option].name,
					    options[option].value);
		value = argv[++*at];
	}
	if (args->option[option] && options[option].value)
		return report_usage(report, NULL, "%s is given twice", options[option].name);
	args->option[option] = value ? value : "";
	return FWD_DONE;
}

enum fwd_exit args_parse(int argc, char **argv, struct args *args, struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		if (!only_words && !strcmp(argv[i], "--"))
			only_words = true;
		else if (only_words || argv[i][0] != '-' || !argv[i][1])
			args->word[args->count++] = argv[i];
		else if (!ret)
			ret = parse_option(argc, argv, &i, args, report);
	}
	return ret;
}

bool args_are_lines(const struct args *args)
{
	return (args->command->options & COMMAND_LINES) && args->count && !strcmp(args->word[0], "-");
}

static enum fwd_exit check_options(const struct args *args, unsigned int allowed, const char *with, const char *fix,
				   struct fwd_report *report)
{
	for (int i = 0; i < OPT_MAX; i++)
		if (args->option[i] && !(allowed & (1U << i)))
			return report_usage(report, ABOUT(.fix = fix), "%s does not go with %s", options[i].name, with);
	return FWD_DONE;
}

static enum fwd_exit check_words(const struct args *args, struct fwd_report *report)
{
	const struct command *command = args->command;

	if (args->count < command->words_min)
		return report_usage(report, NULL, "expected %s", command->words);
	if (command->words_max >= 0 && args->count > command->words_max)
		return report_usage(report, ABOUT(.object = args->word[command->words_max]), "unexpected argument");
	for (int i = 0; i < args->count; i++)
		if (!*args->word[i])
			return report_usage(report, ABOUT(.object = ""), "empty argument");
	return FWD_DONE;
}

enum fwd_exit args_check(const struct args *args, struct fwd_report *report)
{
	enum fwd_exit ret;

	if (args_are_lines(args) && args->count > 1)
		return report_usage(report, ABOUT(.object = args->word[1]),
				    "unexpected argument: \"-\" reads the words from the lines of standard input");
	if (args_are_lines(args))
		return check_options(args, OPTS_EVERYWHERE, "\"-\"", "write it on the lines of standard input", report);
	ret = check_options(args, args->command->options | OPTS_EVERYWHERE, "this command", NULL, report);
	return ret ? ret : check_words(args, report);
}

enum fwd_exit args_parse_line(int argc, char **argv, struct args *args, struct fwd_report *report)
{
	enum fwd_exit ret = args_parse(argc, argv, args, report);

	if (!ret)
		ret = check_options(args, args->command->options, "a line of standard input", NULL, report);
	return ret ? ret : check_words(args, report);
}
