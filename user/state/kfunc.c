/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include "state/kfunc.h"

static const struct {
	const char *section;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} sections[] = {{"tc", BPF_PROG_TYPE_SCHED_CLS, 0}, {"xdp", BPF_PROG_TYPE_XDP, BPF_XDP}};

#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* libbpf calls it when the instructions are those that the kernel is to get. */
static int remove_calls(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	const struct bpf_insn zero = {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0};
	size_t count = bpf_program__insn_cnt(program), size = count * sizeof(zero);
	struct bpf_insn *insns = malloc(size);
	int ret;

	(void)opts;
	(void)cookie;
	if (!insns)
		return -ENOMEM;
	memcpy(insns, bpf_program__insns(program), size);
	for (size_t i = 0; i < count; i++)
		if (insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			insns[i] = zero;
	ret = bpf_program__set_insns(program, insns, count);
	free(insns);
	return ret;
}

int kfuncs_remove(struct kfuncs *kfuncs)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = remove_calls);

	*kfuncs = (struct kfuncs){};
	for (size_t i = 0; i < SECTIONS; i++) {
		int handler =
			libbpf_register_prog_handler(sections[i].section, sections[i].type, sections[i].attach, &opts);

		if (handler < 0) {
			kfuncs_restore(kfuncs);
			return handler;
		}
		kfuncs->handlers[i] = handler + 1;
	}
	return 0;
}

void kfuncs_restore(struct kfuncs *kfuncs)
{
	for (size_t i = 0; i < SECTIONS; i++)
		if (kfuncs->handlers[i])
			libbpf_unregister_prog_handler(kfuncs->handlers[i] - 1);
	*kfuncs = (struct kfuncs){};
}
