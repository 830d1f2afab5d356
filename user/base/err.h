/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Errors as values. A function that can fail reports to the struct fwd_report that its caller passes, and returns the
 * status; its callers only pass the status on. A report of cli/ prints the message, one of a list collects it.
 * Nothing below cli/ prints.
 */
#ifndef FWD_USER_ERR_H
#define FWD_USER_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses, which most functions return. */
enum fwd_exit {
	FWD_DONE = 0,
	FWD_NOT_DONE = 1,  /* the host or the running state does not allow it */
	FWD_BAD_USAGE = 2, /* the text cannot be right, on any host */
};

enum fwd_severity {
	FWD_ERROR,
	FWD_NOTE,     /* a warning: the command continues */
	FWD_PROGRESS, /* only if asked for (-v) */
};

#define FWD_OPTION_TEXT  32
#define FWD_OBJECT_TEXT  128
#define FWD_REASON_TEXT  512
#define FWD_FIX_TEXT     384
#define FWD_MESSAGE_TEXT 1280 /* all of them, as error_format() puts them together */

/* One error, note or progress message. Texts that do not fit are truncated. */
struct fwd_error {
	enum fwd_severity severity;
	enum fwd_exit status; /* FWD_DONE unless severity is FWD_ERROR */
	unsigned int line;    /* of the input, from 1 on; 0: it is about no line */
	unsigned int column;  /* of the input, from 1 on; 0: unknown */
	bool has_object;
	char option[FWD_OPTION_TEXT]; /* the option or setting that the object is the value of; "": none */
	char object[FWD_OBJECT_TEXT]; /* as the user wrote it */
	char text[FWD_REASON_TEXT];   /* the reason */
	char fix[FWD_FIX_TEXT];       /* "": none is known */
};

/* The subject of a message, for report_*(). A member that is left out is none. */
struct fwd_about {
	const char *option;
	const char *object;
	const char *fix;
	unsigned int line; /* 0: that of the report */
	unsigned int column;
};

/* report_error(report, ABOUT(.object = name), "no such device") */
#define ABOUT(...) (&(const struct fwd_about){__VA_ARGS__})

/* Receives messages. Embed it in a larger struct to keep state. */
struct fwd_report {
	void (*emit)(struct fwd_report *report, const struct fwd_error *error);
	bool verbose;      /* FWD_PROGRESS is wanted */
	unsigned int line; /* the line of the input that is being read; 0: none */
};

#define FWD_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* `about` may be NULL: there is nothing but the reason. Returns FWD_NOT_DONE, to return in one line. */
enum fwd_exit report_error(struct fwd_report *report, const struct fwd_about *about, const char *format, ...)
	FWD_PRINTF(3, 4);

/* For a text that cannot be right. Returns FWD_BAD_USAGE. */
enum fwd_exit report_usage(struct fwd_report *report, const struct fwd_about *about, const char *format, ...)
	FWD_PRINTF(3, 4);

enum fwd_exit report_no_memory(struct fwd_report *report);

/* The fix of an error that has the same one wherever it happens; `error`: an errno. NULL: it has none. */
const char *errno_fix(int error);

void report_note(struct fwd_report *report, const struct fwd_about *about, const char *format, ...) FWD_PRINTF(3, 4);
void report_progress(struct fwd_report *report, const struct fwd_about *about, const char *format, ...)
	FWD_PRINTF(3, 4);

/* Drops all messages: for a caller that only needs to know whether it works. */
struct fwd_report report_nowhere(void);

/* "line 3: --snat: "OBJECT": REASON: FIX", in text[size]. Returns text. */
char *error_format(const struct fwd_error *error, char *text, size_t size);

/* A report that keeps errors and notes, for a caller that wants all of them. */
struct fwd_error_list {
	struct fwd_report report; /* to be passed on */
	struct fwd_error *error;
	size_t count;
	bool failed; /* there was no memory for some */
};

struct fwd_error_list error_list_init(void);

/* Reports all of them to `to`. */
void error_list_pass_on(const struct fwd_error_list *list, struct fwd_report *to);

/* The same for a caller that cannot undo what the errors are about: they become notes. */
void error_list_note(const struct fwd_error_list *list, struct fwd_report *to);
void error_list_free(struct fwd_error_list *list);

#endif
