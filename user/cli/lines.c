/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/lines.h"

#define BLANKS    " \t\r\n"
#define WORDS_MAX 64

static enum fwd_exit visit_line(const struct args *all, char *line, lines_visit visit, void *arg,
				struct fwd_report *report)
{
	char *argv[WORDS_MAX], *words[WORDS_MAX], *rest = NULL;
	struct args args = {.command = all->command, .word = words, .line = report->line};
	enum fwd_exit ret;
	int argc = 1; /* as in main(), where the first is the program's name */

	for (char *word = strtok_r(line, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
		if (argc == WORDS_MAX)
			return report_usage(report, NULL, "too many words");
		argv[argc++] = word;
	}
	ret = args_parse_line(argc, argv, &args, report);
	return ret ? ret : visit(&args, report, arg);
}

enum fwd_exit lines_each(const struct args *args, lines_visit visit, void *arg, struct fwd_report *report)
{
	enum fwd_exit ret = FWD_DONE;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	if (!args_are_lines(args))
		return visit(args, report, arg);
	while (!ret && (length = getline(&line, &size, stdin)) >= 0) {
		const char *first = line + strspn(line, BLANKS);

		report->line++;
		if (strlen(line) != (size_t)length)
			ret = report_usage(report, NULL, "contains a NUL byte");
		else if (*first && *first != '#')
			ret = visit_line(args, line, visit, arg, report);
	}
	report->line = 0;
	if (!ret && ferror(stdin))
		ret = report_error(report, NULL, "can't read standard input: %m");
	free(line);
	return ret;
}
