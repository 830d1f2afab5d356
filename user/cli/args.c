/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "cli/command.h"

const struct option options[OPT_MAX] = {
#define X(symbol, name, value, text) {name, value, text},
	FWD_OPTIONS(X)
#undef X
};

/* "--name=VALUE" is "--name VALUE". OPT_MAX: no such option. */
static enum fwd_option find_option(const char *text, const char **value)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	enum fwd_option i;

	*value = equals ? equals + 1 : NULL;
	if (!strcmp(text, "-v"))
		return OPT_VERBOSE;
	if (!strcmp(text, "-h"))
		return OPT_HELP;
	for (i = 0; i < OPT_MAX; i++)
		if (strlen(options[i].name) == length && !memcmp(options[i].name, text, length))
			break;
	return i;
}

static enum fwd_exit unknown_option(const char *text)
{
	static const char *const planned[] = {"--allow"};

	for (size_t i = 0; i < sizeof(planned) / sizeof(planned[0]); i++)
		if (!strcmp(text, planned[i]) ||
		    (!strncmp(text, planned[i], strlen(planned[i])) && text[strlen(planned[i])] == '='))
			return fwd_usage("%s is not in this version", planned[i]);
	return fwd_usage("unknown option \"%s\"", text);
}

/* Takes the option at argv[*at], and its value, which may be the next word. */
static enum fwd_exit take_option(int argc, char **argv, int *at, struct args *args)
{
	const char *text = argv[*at], *value;
	enum fwd_option option = find_option(text, &value);

	if (option == OPT_MAX)
		return unknown_option(text);
	if (!options[option].value && value)
		return fwd_usage("%s takes no value", options[option].name);
	if (options[option].value && !value) {
		if (*at + 1 >= argc)
			return fwd_usage("%s needs a value: %s", options[option].name, options[option].value);
		value = argv[++*at];
	}
	if (args->option[option] && options[option].value)
		return fwd_usage("%s is given twice", options[option].name);
	args->option[option] = value ? value : "";
	return FWD_DONE;
}

enum fwd_exit args_sort(int argc, char **argv, struct args *args)
{
	enum fwd_exit ret = FWD_DONE;
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		if (!only_words && !strcmp(argv[i], "--"))
			only_words = true;
		else if (only_words || argv[i][0] != '-' || !argv[i][1])
			args->word[args->count++] = argv[i];
		else if (!ret)
			ret = take_option(argc, argv, &i, args);
	}
	return ret;
}

bool args_are_lines(const struct args *args)
{
	return (args->command->options & COMMAND_LINES) && args->count && !strcmp(args->word[0], "-");
}

static enum fwd_exit check_options(const struct args *args, unsigned int allowed, const char *what)
{
	for (int i = 0; i < OPT_MAX; i++)
		if (args->option[i] && !(allowed & (1U << i)))
			return fwd_usage("%s does not go with %s", options[i].name, what);
	return FWD_DONE;
}

static enum fwd_exit check_words(const struct args *args)
{
	const struct command *command = args->command;

	if (args->count < command->words_min)
		return fwd_usage("it takes %s", command->words);
	if (command->words_max >= 0 && args->count > command->words_max)
		return fwd_usage("\"%s\" is one word too many", args->word[command->words_max]);
	for (int i = 0; i < args->count; i++)
		if (!*args->word[i])
			return fwd_usage("an empty word");
	return FWD_DONE;
}

enum fwd_exit args_check(const struct args *args)
{
	enum fwd_exit ret;

	if (args_are_lines(args) && args->count > 1)
		return fwd_usage("\"%s\": \"-\" stands alone: the words are on the lines of standard input",
				 args->word[1]);
	if (args_are_lines(args))
		return check_options(args, OPTS_EVERYWHERE, "\"-\": it belongs on the lines of standard input");
	ret = check_options(args, args->command->options | OPTS_EVERYWHERE, "this command");
	return ret ? ret : check_words(args);
}

enum fwd_exit args_of_line(int argc, char **argv, struct args *args)
{
	enum fwd_exit ret = args_sort(argc, argv, args);

	if (!ret)
		ret = check_options(args, args->command->options, "a line");
	return ret ? ret : check_words(args);
}
