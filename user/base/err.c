/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/array.h"
#include "base/err.h"

static void copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

static enum fwd_exit report(struct fwd_report *to, struct fwd_error *error, const struct fwd_about *about,
			    const char *format, va_list args)
{
	static const struct fwd_about nothing;

	/* First, because %m is the errno of now. */
	vsnprintf(error->text, sizeof(error->text), format, args);
	if (!about)
		about = &nothing;
	error->line = about->line ? about->line : to->line;
	error->column = about->column;
	error->has_object = about->object;
	copy(error->option, sizeof(error->option), about->option);
	copy(error->object, sizeof(error->object), about->object);
	copy(error->fix, sizeof(error->fix), about->fix);
	to->emit(to, error);
	return error->status;
}

#define REPORT(level, exit)                                                   \
	do {                                                                  \
		struct fwd_error error = {.severity = level, .status = exit}; \
		va_list args;                                                 \
                                                                              \
		va_start(args, format);                                       \
		report(to, &error, about, format, args);                      \
		va_end(args);                                                 \
	} while (0)

enum fwd_exit report_error(struct fwd_report *to, const struct fwd_about *about, const char *format, ...)
{
	REPORT(FWD_ERROR, FWD_NOT_DONE);
	return FWD_NOT_DONE;
}

enum fwd_exit report_usage(struct fwd_report *to, const struct fwd_about *about, const char *format, ...)
{
	REPORT(FWD_ERROR, FWD_BAD_USAGE);
	return FWD_BAD_USAGE;
}

enum fwd_exit report_no_memory(struct fwd_report *to)
{
	return report_error(to, NULL, "not enough memory");
}

const char *errno_fix(int error)
{
	switch (error) {
	case EMFILE:
		return "raise the limit of this process: ulimit -n 4096 (systemd: LimitNOFILE=)";
	case ENFILE:
		return "raise the limit of the host: sysctl fs.file-max";
	default:
		return NULL;
	}
}

void report_note(struct fwd_report *to, const struct fwd_about *about, const char *format, ...)
{
	REPORT(FWD_NOTE, FWD_DONE);
}

void report_progress(struct fwd_report *to, const struct fwd_about *about, const char *format, ...)
{
	if (to->verbose)
		REPORT(FWD_PROGRESS, FWD_DONE);
}

char *error_format(const struct fwd_error *error, char *text, size_t size)
{
	char line[32] = "", column[32] = "", object[FWD_OBJECT_TEXT + 8] = "";

	if (error->line)
		snprintf(line, sizeof(line), "line %u%s", error->line, error->column ? "" : ": ");
	if (error->column)
		snprintf(column, sizeof(column), "%scolumn %u: ", error->line ? ", " : "", error->column);
	if (error->has_object)
		snprintf(object, sizeof(object), "\"%s\": ", error->object);
	snprintf(text, size, "%s%s%s%s%s%s%s%s%s", line, column, error->severity == FWD_NOTE ? "note: " : "",
		 error->option, *error->option ? ": " : "", object, error->text, *error->fix ? ": " : "", error->fix);
	return text;
}

static void drop(struct fwd_report *to, const struct fwd_error *error)
{
}

struct fwd_report report_nowhere(void)
{
	return (struct fwd_report){.emit = drop};
}

static void keep(struct fwd_report *to, const struct fwd_error *error)
{
	struct fwd_error_list *list = (struct fwd_error_list *)to;
	struct fwd_error *grown = array_grow(list->error, list->count, sizeof(*grown));

	if (!grown) {
		list->failed = true;
		return;
	}
	list->error = grown;
	list->error[list->count++] = *error;
}

struct fwd_error_list error_list_init(void)
{
	return (struct fwd_error_list){.report = {.emit = keep}};
}

void error_list_pass_on(const struct fwd_error_list *list, struct fwd_report *to)
{
	for (size_t i = 0; i < list->count; i++)
		to->emit(to, &list->error[i]);
}

void error_list_note(const struct fwd_error_list *list, struct fwd_report *to)
{
	for (size_t i = 0; i < list->count; i++) {
		struct fwd_error note = list->error[i];

		note.severity = FWD_NOTE;
		note.status = FWD_DONE;
		to->emit(to, &note);
	}
	if (list->failed)
		report_note(to, NULL, "out of memory: some messages are lost");
}

void error_list_free(struct fwd_error_list *list)
{
	free(list->error);
	*list = error_list_init();
}
