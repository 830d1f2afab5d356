/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <string.h>
#include <unistd.h>
#include "state/control.h"
#include "state/loader.h"
#include "state/config.h"

#define PROGRAM_NAME "fwd_control"

int control_run(int control_fd, enum fwd_request_type type, const struct fwd_tuple *forward)
{
	char packet[ETH_HLEN + sizeof(struct fwd_request)] = {};
	struct fwd_request request = {.type = type};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);
	int ret;

	if (forward)
		request.forward = *forward;
	memcpy(packet + ETH_HLEN, &request, sizeof(request));
	ret = bpf_prog_test_run_opts(control_fd, &opts);
	return ret ? ret : (int)opts.retval;
}

int control_open(const struct instance *in)
{
	char path[PATH_MAX];

	return pin_open(instance_path(in, FWD_DIR_PROGS, PROGRAM_NAME, path));
}

static enum fwd_exit start(struct instance *in, int control_fd, struct fwd_report *report)
{
	struct fwd_config config;
	int ret;

	if (config_read(in, &config, report))
		return FWD_NOT_DONE;
	config.csum_ipv6 = !control_run(control_fd, FWD_REQUEST_PROBE_CSUM_IPV6, NULL);
	if (config_write(in, &config, report))
		return FWD_NOT_DONE;
	ret = instance_pin(in, control_fd, FWD_DIR_PROGS, PROGRAM_NAME);
	if (ret)
		return report_error(report, NULL, "can't pin " PROGRAM_NAME ": %s", strerror(-ret));
	ret = control_run(control_fd, FWD_REQUEST_START_GC, NULL);
	return ret ? report_error(report, NULL, "can't start the garbage collector: %s", strerror(-ret)) : FWD_DONE;
}

enum fwd_exit control_start(struct instance *in, struct fwd_report *report)
{
	enum fwd_exit ret;
	int control_fd;

	if (loader_load_control(&in->maps, &in->meta, &control_fd, report))
		return FWD_NOT_DONE;
	ret = start(in, control_fd, report);
	close(control_fd);
	return ret;
}
