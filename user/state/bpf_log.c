/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "state/bpf_log.h"

static char log_tail[8192];

void bpf_log_append(const char *format, va_list args)
{
	size_t have = strlen(log_tail), room = sizeof(log_tail) - 1, length;
	const char *end;
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return;
	length = strlen(text);
	end = length > room ? text + length - room : text;
	length = strlen(end);
	if (have + length > room) {
		size_t gone = have + length - room;

		memmove(log_tail, log_tail + gone, have - gone + 1);
		have -= gone;
	}
	memcpy(log_tail + have, end, length + 1);
	free(text);
}

static int append(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_DEBUG)
		bpf_log_append(format, args);
	return 0;
}

void bpf_log_start(void)
{
	libbpf_set_print(append);
	log_tail[0] = '\0';
}

const char *bpf_log_text(void)
{
	return log_tail;
}

void bpf_log_report(struct fwd_report *report)
{
	for (const char *line = log_tail; *line;) {
		size_t length = strcspn(line, "\n");

		report_progress(report, NULL, "%.*s", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

/* libbpf ends such a log with "libbpf: prog 'NAME': failed to load: -13" (bpf_object_load_prog()). */
char *bpf_log_refused_program(const char *log, char *name, size_t size)
{
	static const char mark[] = "prog '";
	const char *failed = NULL, *start = NULL;

	for (const char *at = log; (at = strstr(at, "': failed to load")); at++)
		failed = at;
	for (const char *at = log; failed && (at = strstr(at, mark)) && at < failed;)
		start = at += strlen(mark);
	snprintf(name, size, "%.*s", start ? (int)(failed - start) : 0, start ? start : "");
	return name;
}

char *bpf_log_kernel_message(const char *log, char *text, size_t size)
{
	static const char mark[] = "Kernel error message: ";
	const char *last = NULL;

	for (const char *at = log; (at = strstr(at, mark));)
		last = at += strlen(mark);
	snprintf(text, size, "%.*s", last ? (int)strcspn(last, "\n") : 0, last ? last : "");
	return text;
}
