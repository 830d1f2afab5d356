/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/lines.h"

#define BLANKS    " \t\r\n"
#define WORDS_MAX 64

static enum fwd_exit visit_line(const struct args *all, char *line, unsigned int number, lines_visit visit, void *arg)
{
	char *argv[WORDS_MAX], *words[WORDS_MAX], *rest = NULL;
	struct args args = {.command = all->command, .word = words, .line = number};
	enum fwd_exit ret;
	int argc = 1; /* as in main(), where the first is the program's name */

	for (char *word = strtok_r(line, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
		if (argc == WORDS_MAX)
			return fwd_err("too many words");
		argv[argc++] = word;
	}
	ret = args_of_line(argc, argv, &args);
	return ret ? ret : visit(&args, arg);
}

enum fwd_exit lines_each(const struct args *args, lines_visit visit, void *arg)
{
	enum fwd_exit ret = FWD_DONE;
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	if (!args_are_lines(args))
		return visit(args, arg);
	while (!ret && (length = getline(&line, &size, stdin)) >= 0) {
		const char *first = line + strspn(line, BLANKS);

		fwd_line(++number);
		if (strlen(line) != (size_t)length)
			ret = fwd_err("holds a NUL byte");
		else if (*first && *first != '#')
			ret = visit_line(args, line, number, visit, arg);
	}
	fwd_line(0);
	if (!ret && ferror(stdin))
		ret = fwd_err("can't read standard input: %m");
	free(line);
	/* The command line makes sense: its usage would be no help. */
	return ret == FWD_BAD_USAGE ? FWD_NOT_DONE : ret;
}
