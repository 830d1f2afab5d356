/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verifier's budget. It gives up at 1,000,000 instructions; another kernel counts otherwise, so
 * there must be room.
 */
#include "gateway.h"

#define VERIFIER_LIMIT 1000000

static void check_program(const struct bpf_program *prog, enum fwd_link link)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	cr_assert(!bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len));
	printf("%-12s link %d: %7u instructions verified, %5u bytes\n", bpf_program__name(prog),
	       link, info.verified_insns, info.xlated_prog_len);
	cr_expect(info.verified_insns > 0, "%s: no number", bpf_program__name(prog));
	cr_expect(info.verified_insns < VERIFIER_LIMIT / 10 * 7, "%s: %u instructions",
		  bpf_program__name(prog), info.verified_insns);
}

Test(verifier, budget)
{
	static const char *const names[] = {"fwd_ingress", "fwd_egress", "fwd_control"};

	gw.connections = gw.half_open = 64;
	for (enum fwd_link link = FWD_LINK_IP; link < FWD_LINK_MAX; link++) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			struct fwd_tc *o = object_load(link, names[i]);

			check_program(bpf_object__find_program_by_name(o->obj, names[i]), link);
		}
	}
}
