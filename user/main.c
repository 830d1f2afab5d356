/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "cli/command.h"
#include "cli/output.h"
#include "cli/printer.h"
#include "cli/usage.h"
#include "state/instance.h"

static const char *choose_pin_dir(const struct args *args)
{
	const char *dir = args->option[OPT_PIN_DIR];

	if (!dir)
		dir = secure_getenv("FWDCTL_PIN_DIR");
	return dir && *dir ? dir : FWD_DEFAULT_PIN_DIR;
}

/* A device's programs and maps are some 40 open files, and attach opens those of all devices before it attaches the
 * first. A process gets 1,024, and may raise that to its hard limit, which is most often half a million. */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Usage is printed for wrong words and options, not for a wrong value: that message has the expected values. */
static enum fwd_exit run(const struct args *args, enum fwd_exit parsed, struct fwd_report *report)
{
	if (!parsed && args->option[OPT_HELP]) {
		usage_print_help(stdout, args->command);
		return FWD_DONE;
	}
	if (!parsed)
		parsed = args_check(args, report);
	if (!parsed)
		return args->command->run(args, report);
	usage_print_line(stderr, args->command);
	return parsed;
}

static enum fwd_exit run_words(struct args *args, int matched, enum fwd_exit parsed, struct fwd_report *report)
{
	if (!parsed && args->option[OPT_VERSION])
		return cmd_version(args, report);
	if (args->command) {
		args->word += matched;
		args->count -= matched;
		return run(args, parsed, report);
	}
	if (parsed)
		return parsed;
	return args->option[OPT_HELP] ? usage_help(args->count, args->word, report)
				      : usage_unknown(args->count, args->word, report);
}

/* Options are parsed before the command is known; errors are printed after, with its name. */
static enum fwd_exit run_line(int argc, char **argv, struct args *args, struct printer *printer)
{
	struct fwd_error_list errors = error_list_init();
	enum fwd_exit parsed = args_parse(argc, argv, args, &errors.report);
	int matched;

	args->command = command_find(args->count, args->word, &matched);
	args->pin_dir = choose_pin_dir(args);
	printer->command = args->command ? args->command->name : NULL;
	printer->report.verbose = args->option[OPT_VERBOSE];
	error_list_pass_on(&errors, &printer->report);
	error_list_free(&errors);
	return run_words(args, matched, parsed, &printer->report);
}

/* After everything else, also after a failure, because what was printed before it counts. A reader that has closed the
 * pipe (`| head`) has all that was asked for: then the process ends by SIGPIPE, as ip(8) does. */
static enum fwd_exit end_output(enum fwd_exit ret, sighandler_t on_closed_pipe, struct fwd_report *report)
{
	if (!output_failed())
		return ret;
	if (errno == EPIPE) {
		signal(SIGPIPE, on_closed_pipe);
		raise(SIGPIPE);
	} else {
		report_error(report, NULL, "standard output: %m");
	}
	return ret ? ret : FWD_NOT_DONE;
}

int main(int argc, char **argv)
{
	struct printer printer = printer_init();
	char **words = calloc(argc + 1, sizeof(char *));
	struct args args = {.word = words};
	/* A note to a closed pipe must not end a command in the middle of a change. */
	sighandler_t on_closed_pipe = signal(SIGPIPE, SIG_IGN);
	enum fwd_exit ret;

	raise_open_files();
	ret = words ? run_line(argc, argv, &args, &printer) : report_no_memory(&printer.report);
	free(words);
	return end_output(ret, on_closed_pipe, &printer.report);
}
