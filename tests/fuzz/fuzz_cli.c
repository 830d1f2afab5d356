/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line, from main() to the first access to the kernel. Every command is the real one; by the linker's
 * --wrap (see the Makefile) no instance can be opened, and the host has no devices.
 */
#include <errno.h>
#include "fail.h"
#include "host/iface.h"
#include "host/ipsec.h"
#include "host/route.h"
#include "words.h"

#define main fwdctl_main
#include "../../user/main.c"
#undef main

enum fwd_exit __wrap_instance_open(struct instance *in, const char *dir, enum instance_use use,
				   struct fwd_report *report)
{
	*in = (struct instance){.dir = dir, .lock_fd = -1, .maps = maps_init()};
	/* Such a caller has nothing to change then. */
	return use == INSTANCE_CHANGE ? FWD_DONE : report_error(report, NULL, "%s: no instance here", dir);
}

enum fwd_exit __wrap_instance_open_blind(struct instance *in, const char *dir, struct fwd_report *report)
{
	return __wrap_instance_open(in, dir, INSTANCE_READ, report);
}

void __wrap_instance_close(struct instance *in)
{
}

enum fwd_exit __wrap_iface_link(const char *name, enum fwd_link *link, struct fwd_report *report)
{
	*link = FWD_LINK_IP;
	return strlen(name) < 16 ? FWD_DONE : report_error(report, ABOUT(.object = name), "no such device");
}

bool __wrap_iface_of_address(struct iface_addrs *addrs, const struct fwd_addr *addr, char *name)
{
	return false;
}

bool __wrap_route_get(struct routes *routes, const struct fwd_addr *to, struct route *route)
{
	return false;
}

bool __wrap_iface_source_towards(const struct fwd_addr *target, __u16 port, struct fwd_addr *source)
{
	return false;
}

enum fwd_exit __wrap_ipsec_read(struct ipsec_policies *all, struct fwd_report *report)
{
	return FWD_DONE;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* libFuzzer holds its own; `fail()` writes to the descriptor. */
	stderr = fopen("/dev/null", "w");
	/* `map add -` reads on. */
	return !freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "r", stdin);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size)
{
	char *argv[WORDS_MAX + 2] = {"fwdctl"};
	struct words w;
	int ret;

	words_read(&w, bytes, size);
	memcpy(argv + 1, w.word, w.count * sizeof(*argv));
	ret = fwdctl_main(w.count + 1, argv);
	if (ret != FWD_DONE && ret != FWD_NOT_DONE && ret != FWD_BAD_USAGE)
		fail("exit status %d", ret);
	words_free(&w);
	return 0;
}
