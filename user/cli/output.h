/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Standard output: JSON, tables, and numbers for people. */
#ifndef FWD_USER_OUTPUT_H
#define FWD_USER_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include "base/err.h"

/* True: something that was written to standard output is lost. To be called right after a write, whose errno it keeps.
 * main() reports it at the end, so a command that sees it only stops. */
bool output_stopped(void);

/* The same after a flush; errno is the reason: EPIPE if the reader of a pipe has closed it. */
bool output_failed(void);

/* An array whose elements are written one by one, because a million of them would need too much memory. */
struct json_stream {
	bool started;
};

void json_stream_begin(struct json_stream *stream);
/* Takes over the reference to element; NULL: there was no memory for it. */
enum fwd_exit json_stream_add(struct json_stream *stream, json_t *element, struct fwd_report *report);
void json_stream_end(struct json_stream *stream);

/* One value on a line of its own. Takes over the reference; NULL: there was no memory for it. */
enum fwd_exit json_print(json_t *value, struct fwd_report *report);

#define TABLE_COLUMNS_MAX 10

/* Rows of text. Each column is as wide as its widest cell. */
struct table {
	size_t columns;
	size_t rows;
	char **cells;       /* rows * columns */
	unsigned int right; /* bit n: column n is aligned to the right */
	size_t width[TABLE_COLUMNS_MAX];
	bool failed; /* no memory: table_print() reports it */
};

/* Copies the cells, one for each column. */
void table_row(struct table *table, const char *const *cells);
/* Prints the table unless it is incomplete, and frees it. */
enum fwd_exit table_print(struct table *table, struct fwd_report *report);
void table_free(struct table *table);

#define HUMAN_TEXT 48

/* "0", "999", "12.3k"; "1.2 MiB". Return text, of HUMAN_TEXT bytes. */
char *human_count(__u64 value, char *text);
char *human_bytes(__u64 value, char *text);
/* "12.3k/1.2MiB": packets and bytes. */
char *human_traffic(__u64 packets, __u64 bytes, char *text);
/* "45s", "2m03s", "5d00h" */
char *human_seconds(__u32 seconds, char *text);

#endif
