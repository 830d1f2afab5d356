/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/array.h"
#include "cli/output.h"

/* errno of the first write that failed: stdio keeps no more than that one did, and drops what it had. */
static int output_errno;

bool output_stopped(void)
{
	if (ferror(stdout) && !output_errno)
		output_errno = errno ? errno : EIO;
	return output_errno;
}

bool output_failed(void)
{
	if (fflush(stdout) && !output_errno)
		output_errno = errno;
	errno = output_stopped() ? output_errno : 0;
	return errno;
}

static enum fwd_exit json_dump(json_t *value, struct fwd_report *report)
{
	bool failed;

	if (!value)
		return report_error(report, NULL, "not enough memory, or a text that is not UTF-8");
	failed = json_dumpf(value, stdout, JSON_COMPACT);
	failed |= output_stopped();
	json_decref(value);
	return failed ? FWD_NOT_DONE : FWD_DONE;
}

void json_stream_begin(struct json_stream *stream)
{
	stream->started = false;
	putchar('[');
}

enum fwd_exit json_stream_add(struct json_stream *stream, json_t *element, struct fwd_report *report)
{
	fputs(stream->started ? ",\n" : "\n", stdout);
	stream->started = true;
	return json_dump(element, report);
}

void json_stream_end(struct json_stream *stream)
{
	puts(stream->started ? "\n]" : "]");
}

enum fwd_exit json_print(json_t *value, struct fwd_report *report)
{
	enum fwd_exit ret = json_dump(value, report);

	putchar('\n');
	return ret;
}

void table_row(struct table *table, const char *const *cells)
{
	size_t filled = table->rows * table->columns;
	char **grown = array_grow(table->cells, table->rows, table->columns * sizeof(*grown));

	if (!grown) {
		table->failed = true;
		return;
	}
	table->cells = grown;
	for (size_t i = 0; i < table->columns; i++) {
		size_t width = strlen(cells[i]);

		table->cells[filled + i] = strdup(cells[i]);
		table->failed |= !table->cells[filled + i];
		if (table->width[i] < width)
			table->width[i] = width;
	}
	table->rows++;
}

static void print_cell(const struct table *table, size_t row, size_t column)
{
	const char *text = table->cells[row * table->columns + column];
	int width = table->width[column];
	bool last = column + 1 == table->columns;

	if (table->right & (1U << column))
		printf("%*s", width, text);
	else
		printf("%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", stdout);
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->rows = 0;
}

enum fwd_exit table_print(struct table *table, struct fwd_report *report)
{
	for (size_t row = 0; !table->failed && !output_stopped() && row < table->rows; row++)
		for (size_t column = 0; column < table->columns; column++)
			print_cell(table, row, column);
	table_free(table);
	return table->failed ? report_no_memory(report) : FWD_DONE;
}

static char *human(__u64 value, unsigned int step, const char *const *units, char *text)
{
	double scaled = value;
	int unit = 0;

	while (scaled >= step && units[unit + 1]) {
		scaled /= step;
		unit++;
	}
	snprintf(text, HUMAN_TEXT, unit ? "%.1f%s" : "%.0f%s", scaled, units[unit]);
	return text;
}

char *human_count(__u64 value, char *text)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", NULL};

	return human(value, 1000, units, text);
}

char *human_bytes(__u64 value, char *text)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL};

	return human(value, 1024, units, text);
}

char *human_traffic(__u64 packets, __u64 bytes, char *text)
{
	size_t length = strlen(human_count(packets, text));
	char size[HUMAN_TEXT];

	snprintf(text + length, HUMAN_TEXT - length, "/%s", human_bytes(bytes, size));
	return text;
}

char *human_seconds(__u32 s, char *text)
{
	if (s < 60)
		snprintf(text, HUMAN_TEXT, "%us", s);
	else if (s < 3600)
		snprintf(text, HUMAN_TEXT, "%um%02us", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, HUMAN_TEXT, "%uh%02um", s / 3600, s / 60 % 60);
	else
		snprintf(text, HUMAN_TEXT, "%ud%02uh", s / 86400, s / 3600 % 24);
	return text;
}
