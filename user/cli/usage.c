/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>
#include "base/word.h"
#include "cli/usage.h"

#define COMMANDS_MAX 64

/* "map" is the family of "map add". */
static bool is_of_family(const struct command *command, const char *word)
{
	size_t length = strlen(word);

	return !strncmp(command->name, word, length) && command->name[length] == ' ';
}

static bool is_family(const char *word)
{
	for (size_t i = 0; i < commands_count; i++)
		if (is_of_family(&commands[i], word))
			return true;
	return false;
}

void usage_print_line(FILE *out, const struct command *command)
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

static void print_option(FILE *out, const struct option *option)
{
	const char *value = option->value ? option->value : "";

	fprintf(out, "  %s %-*s  ", option->name, 36 - (int)strlen(option->name), value);
	if (option->letter)
		fprintf(out, "or -%c: ", option->letter);
	fprintf(out, "%s\n", option->text);
}

void usage_print_help(FILE *out, const struct command *command)
{
	usage_print_line(out, command);
	fprintf(out, "\n%s.\n", command->text);
	if (command->more)
		fprintf(out, "\n%s", command->more);
	fputs("\noptions:\n", out);
	for (int i = 0; i < OPT_MAX; i++)
		if ((command->options | OPTS_EVERYWHERE) & (1U << i))
			print_option(out, &options[i]);
}

/* All commands, or one family's. */
static void print_commands(FILE *out, const char *family)
{
	fprintf(out, "usage: fwdctl %s ...\n\n", family ? family : "COMMAND");
	for (size_t i = 0; i < commands_count; i++) {
		char usage[64];

		if (family && !is_of_family(&commands[i], family))
			continue;
		snprintf(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].words);
		fprintf(out, "  %-28s  %s\n", usage, commands[i].text);
	}
	fputs("\nfwdctl help COMMAND shows its options; fwdctl --pin-dir DIR ... uses another instance.\n", out);
}

enum fwd_exit usage_help(int count, char **words, struct fwd_report *report)
{
	const struct command *command;
	int matched;

	command = command_find(count, words, &matched);
	if (!count)
		print_commands(stdout, NULL);
	else if (command && matched == count)
		usage_print_help(stdout, command);
	else if (!command && count == 1 && is_family(words[0]))
		print_commands(stdout, words[0]);
	else
		return usage_unknown(count, words, report);
	return FWD_DONE;
}

/* The first words of all commands, or the second ones of a family: copies in text, pointers in names. */
static size_t list_words(const char *family, char text[][32], const char **names)
{
	size_t count = 0;

	for (size_t i = 0; i < commands_count && count < COMMANDS_MAX; i++) {
		const char *name = commands[i].name;

		if (family && !is_of_family(&commands[i], family))
			continue;
		if (family)
			name += strlen(family) + 1;
		snprintf(text[count], sizeof(text[count]), "%.*s", (int)strcspn(name, " "), name);
		names[count] = text[count];
		count++;
	}
	return count;
}

/* The word of a command that other tools call `word`: `wg show`, `docker ps`, `ip addr delete`; NULL: none. */
static const char *synonym(const char *word, const char *const *names, size_t count)
{
	static const char *const table[][2] = {
		{"show", "list"},    {"ls", "list"},    {"ps", "list"},     {"rm", "del"},      {"remove", "del"},
		{"delete", "del"},   {"create", "add"}, {"new", "add"},     {"clear", "flush"}, {"status", "stats"},
		{"start", "attach"}, {"up", "attach"},  {"stop", "detach"}, {"down", "detach"}, {"uninstall", "purge"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(word, table[i][0]) && word_find(table[i][1], names, count) >= 0)
			return table[i][1];
	return NULL;
}

/* `fwdctl add` instead of `fwdctl map add`, and the same with a synonym: the first command with that second word. */
static const char *without_family(const char *word)
{
	for (size_t i = 0; i < commands_count; i++) {
		const char *space = strchr(commands[i].name, ' '), *second = space ? space + 1 : "";

		if (*second && (word_find(word, &second, 1) >= 0 || synonym(word, &second, 1)))
			return commands[i].name;
	}
	return NULL;
}

/* `did you mean "map list"?`, in text[FWD_FIX_TEXT]; NULL: there is no command that is likely meant. `map flush` is not
 * suggested for another word than a misspelt one, because it ends all connections. */
static const char *suggest(const char *family, const char *word, char *text)
{
	char words[COMMANDS_MAX][32], prefix[32] = "";
	const char *names[COMMANDS_MAX] = {}, *other;
	size_t known = list_words(family, words, names);

	if (family)
		snprintf(prefix, sizeof(prefix), "%s ", family);
	other = synonym(word, names, known);
	if (!other && !family)
		other = without_family(word);
	if (!other)
		return word_fix(word, names, known, prefix, text);
	if (!strcmp(other, "map flush") || (!strcmp(prefix, "map ") && !strcmp(other, "flush")))
		return NULL;
	snprintf(text, FWD_FIX_TEXT, "did you mean \"%s%s\"?", prefix, other);
	return text;
}

enum fwd_exit usage_unknown(int count, char **words, struct fwd_report *report)
{
	const char *family = count && is_family(words[0]) ? words[0] : NULL;
	char text[FWD_FIX_TEXT];
	const char *fix;

	if (!count) {
		print_commands(stderr, NULL);
		return FWD_BAD_USAGE;
	}
	if (family && count == 1) {
		report_usage(report, NULL, "\"%s\" alone is not a command", family);
		print_commands(stderr, family);
		return FWD_BAD_USAGE;
	}
	fix = suggest(family, words[!!family], text);
	report_usage(report, ABOUT(.fix = fix ? fix : "fwdctl help shows all commands"), "unknown command \"%s%s%s\"",
		     family ? family : "", family ? " " : "", words[!!family]);
	if (family && !fix)
		print_commands(stderr, family);
	return FWD_BAD_USAGE;
}
