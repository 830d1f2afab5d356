/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verifier's budget. It gives up at 1,000,000 instructions; another kernel counts otherwise, so there must be
 * room. tests/prog/verifier has what each program took when somebody last looked: one that grows by more than a
 * tenth is to be looked at again, and the file changed with it.
 */
#include <sys/utsname.h>
#include "gateway.h"

#define VERIFIER_LIMIT 1000000
#define TABLE          "tests/prog/verifier"
#define LOG_STATS      4 /* BPF_LOG_STATS */

struct cost {
	unsigned int instructions; /* that were verified */
	unsigned int frame;        /* bytes of stack of the largest function */
};

static char log_text[1 << 16];

static struct cost cost_of_log(void)
{
	const char *stack = strstr(log_text, "stack depth "), *processed = strstr(log_text, "processed ");
	struct cost cost = {};
	int length = 0;
	unsigned int frame;

	cr_assert(stack && processed && sscanf(processed, "processed %u", &cost.instructions) == 1, "%s",
		  log_text);
	for (stack += strlen("stack depth "); sscanf(stack, "%u%n", &frame, &length) == 1; stack += length + 1) {
		cost.frame = frame > cost.frame ? frame : cost.frame;
		if (stack[length] != '+')
			break;
	}
	return cost;
}

static void prepare(struct bpf_object *o, const char *name)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, o)
	{
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), name));
		bpf_program__set_log_level(p, LOG_STATS);
		bpf_program__set_log_buf(p, log_text, sizeof(log_text));
	}
	log_text[0] = 0;
}

static struct cost load_tc(const char *name, enum fwd_link link)
{
	struct fwd_tc *o = fwd_tc__open();
	struct cost cost;

	cr_assert(o);
	o->rodata->fwd_link = link;
	prepare(o->obj, name);
	cr_assert(!fwd_tc__load(o), "%s", log_text);
	cost = cost_of_log();
	fwd_tc__destroy(o);
	return cost;
}

static struct cost load_xdp(const char *name, enum fwd_mode mode)
{
	struct fwd_xdp *o = fwd_xdp__open();
	struct cost cost;

	cr_assert(o);
	o->rodata->fwd_mode = mode;
	prepare(o->obj, name);
	cr_assert(!fwd_xdp__load(o), "%s", log_text);
	cost = cost_of_log();
	fwd_xdp__destroy(o);
	return cost;
}

/* The line of the table; false: there is none, or it is another kernel's. */
static bool table_find(const char *name, const char *variant, struct cost *cost)
{
	char line[256], kernel[32] = "", program[32], of[32];
	FILE *table = fopen(TABLE, "r");
	struct utsname uts;
	bool found = false;

	cr_assert(table && !uname(&uts), TABLE ": %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), table)) {
		sscanf(line, "kernel %31s", kernel);
		found = sscanf(line, "%31s %31s %u %u", program, of, &cost->instructions, &cost->frame) == 4 &&
			!strcmp(program, name) && !strcmp(of, variant);
	}
	fclose(table);
	cr_expect(found, "%s %s is not in " TABLE, name, variant);
	return found && !strncmp(uts.release, kernel, strlen(kernel));
}

static void check(const char *name, const char *variant, struct cost now)
{
	struct cost then;

	printf("%-12s %-12s %7u %4u\n", name, variant, now.instructions, now.frame);
	cr_expect(now.instructions && now.instructions < VERIFIER_LIMIT / 10 * 7, "%s: %u instructions", name,
		  now.instructions);
	if (!table_find(name, variant, &then))
		return;
	cr_expect(now.instructions <= then.instructions / 10 * 11, "%s %s: %u instructions, in " TABLE " %u", name,
		  variant, now.instructions, then.instructions);
	cr_expect(now.frame <= then.frame / 10 * 11, "%s %s: %u bytes of stack, in " TABLE " %u", name, variant,
		  now.frame, then.frame);
}

Test(verifier, budget)
{
	static const char *const names[] = {"fwd_ingress", "fwd_egress", "fwd_control"};
	static const char *const links[] = {[FWD_LINK_IP] = "ip", [FWD_LINK_ETHERNET] = "ethernet"};

	for (enum fwd_link link = FWD_LINK_IP; link < FWD_LINK_MAX; link++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			check(names[i], links[link], load_tc(names[i], link));
	check("fwd_xdp", "xdp", load_xdp("fwd_xdp", FWD_MODE_XDP));
	check("fwd_xdp", "xdp-generic", load_xdp("fwd_xdp", FWD_MODE_XDP_GENERIC));
}
