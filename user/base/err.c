/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include "base/err.h"

bool fwd_verbose;
static const char *fwd_err_context;
static unsigned int fwd_err_line;

void fwd_context(const char *context)
{
	fwd_err_context = context;
}

void fwd_line(unsigned int line)
{
	fwd_err_line = line;
}

static void print_line(const char *kind, const char *format, va_list args)
{
	char text[1024], line[32] = "";

	vsnprintf(text, sizeof(text), format, args);
	if (fwd_err_line)
		snprintf(line, sizeof(line), "line %u: ", fwd_err_line);
	/* One call, so that lines of two processes don't mix. */
	fprintf(stderr, "fwdctl: %s%s%s%s%s\n", fwd_err_context ? fwd_err_context : "", fwd_err_context ? ": " : "",
		line, kind, text);
}

#define PRINT_LINE(kind, format)                \
	do {                                    \
		va_list args;                   \
		va_start(args, format);         \
		print_line(kind, format, args); \
		va_end(args);                   \
	} while (0)

enum fwd_exit fwd_err(const char *format, ...)
{
	PRINT_LINE("", format);
	return FWD_NOT_DONE;
}

enum fwd_exit fwd_usage(const char *format, ...)
{
	PRINT_LINE("", format);
	return FWD_BAD_USAGE;
}

void fwd_note(const char *format, ...)
{
	PRINT_LINE("note: ", format);
}

void fwd_say(const char *format, ...)
{
	if (fwd_verbose)
		PRINT_LINE("", format);
}
