/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The oracle: random sequences of packets through two gateways, one with netfilter, one with fwdctl, whose output is
 * compared. scripts/oracle creates the gateways and starts this program.
 *
 *   chance.c   random numbers               model.c    addresses, maps, connections
 *   spec.c     sound packets                mangle.c   faulty ones
 *   send.c     steps, fragments             actions.c  what happens in a sequence
 *   world.c    injects and collects         compare.c  compares
 *   known.c    the differences that are accepted, by facts.c
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "actions.h"
#include "compare.h"

#define SLOTS_TO_FLUSH 150 /* sequences, each with ports of its own: model_client_port() */
#define FAILURES_MAX   100 /* that are reported in full */
#define ERRORS_MAX     500 /* ICMP errors of fwdctl in a second: its rate limit is 1,000 */

enum result {
	EQUAL,
	KNOWN,
	DIFFERENT
};

static struct {
	const char *maps;
	double seconds;
	unsigned long sequences;
	uint64_t seed;
	bool replay, no_fragments, show_known;
	uint32_t actions;
} options = {.seconds = 10, .actions = 0xffffffff};

static struct sequence sequence;
static struct run {
	enum result result;
	enum {
		QUIET,
		BRIEF,
		VERBOSE
	} verbose; /* BRIEF: the injected packets; VERBOSE: also the packets that left */
	unsigned steps;
	char why[100];
	char signature[500];
	struct step last;
	struct known *known; /* the last one that applied */
} run;
static unsigned long total_steps;
static unsigned slot;
static bool shared_ports; /* a sequence that uses low ports has run since the last flush */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t next_seed(uint64_t seed, unsigned long n)
{
	uint64_t x = seed + n;

	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
	/* The first is the seed itself, so that --replay takes the same number as --seed. */
	return n ? x ^ (x >> 33) : seed;
}

static void print_step(const struct step *step, bool brief)
{
	static const char *const gateways[] = {"nft    ", "fwdctl "}, *const sides[] = {"outside", "inside "};
	char text[700];
	unsigned g, i;

	packet_describe(step->packet.data, step->packet.len, text, sizeof(text));
	printf("  %s, from the %s%s%s\n    sent    %s\n", step->what, step->side == INSIDE ? "inside" : "outside",
	       step->mangled ? ", mangled" : "", step->to == TO_GATEWAY ? "" : ", to another MAC address", text);
	if (brief)
		return;
	if (step->mangled)
		packet_dump(&step->packet, "            ");
	if (step->invalid)
		printf("    INVALID in netfilter\n");
	for (g = 0; g < GATEWAYS; g++)
		for (i = 0; i < step->outs[g].count; i++) {
			const struct out *out = &step->outs[g].out[i];

			packet_describe(out->packet.data, out->packet.len, text, sizeof(text));
			printf("    %s %s %s\n", gateways[g], sides[out->side], text);
		}
}

static void print_bytes(const struct step *step)
{
	const struct packet *a = &step->outs[NFT].out[0].packet, *b = &step->outs[FWD].out[0].packet;
	unsigned g, i;

	packet_dump(&step->packet, "    sent   ");
	for (g = 0; g < GATEWAYS; g++)
		for (i = 0; i < step->outs[g].count; i++)
			packet_dump(&step->outs[g].out[i].packet, g == NFT ? "    nft    " : "    fwdctl ");
	if (step->outs[NFT].count != 1 || step->outs[FWD].count != 1)
		return;
	printf("    different bytes:");
	for (i = g = 0; i < a->len && i < b->len && g < 12; i++)
		if (a->data[i] != b->data[i]) {
			printf(" %u: %02x/%02x", i, a->data[i], b->data[i]);
			g++;
		}
	printf("\n");
}

static void sign(const struct step *step)
{
	char nft[120], fwd[120];
	struct layout l;

	packet_layout(step->packet.data, step->packet.len, &l);
	compare_kinds(step, NFT, nft, sizeof(nft));
	compare_kinds(step, FWD, fwd, sizeof(fwd));
	snprintf(run.signature, sizeof(run.signature), "%s: v%u proto %u mangled %x%s%s: nft [%s] fwdctl [%s]", run.why,
		 l.family, l.proto, step->mangled, step->invalid ? " invalid" : "",
		 step->side == INSIDE ? " from inside" : "", nft, fwd);
}

/* Waits before fwdctl's rate limit of ICMP errors is reached. (The limits of the kernel are set by sysctl.) */
static void pace(const struct step *step)
{
	static double second;
	static unsigned errors;
	struct layout l;
	unsigned i;

	if (now() - second >= 1) {
		second = now();
		errors = 0;
	}
	for (i = 0; i < step->outs[FWD].count; i++)
		if (packet_layout(step->outs[FWD].out[i].packet.data, step->outs[FWD].out[i].packet.len, &l))
			errors += packet_is_icmp_error(step->outs[FWD].out[i].packet.data, &l);
	while (errors >= ERRORS_MAX && now() - second < 1)
		usleep(1000);
}

static bool take(struct sequence *s, struct step *step)
{
	unsigned long invalid = world_invalid();
	struct packet real;
	struct known *k;
	unsigned g;

	for (g = 0; g < GATEWAYS; g++) {
		compare_make_real(s, step, g, &real);
		world_inject(g, step->side, &real, step->to, step->tags);
	}
	for (g = 0; g < GATEWAYS; g++)
		world_collect(g, &step->outs[g]);
	step->invalid = world_invalid() - invalid;
	pace(step);
	run.steps++;
	total_steps++;
	if (compare_step(s, step, run.why, sizeof(run.why))) {
		if (run.verbose)
			print_step(step, run.verbose == BRIEF);
		return true;
	}
	k = compare_known(s, step);
	if (run.verbose)
		print_step(step, false);
	if (k) {
		run.known = k;
		k->count++;
		if (run.verbose)
			printf("    known: %s\n", k->name);
		if (run.result == EQUAL)
			run.result = KNOWN;
		if (options.show_known && !k->shown && !run.verbose) {
			k->shown = true;
			printf("known: %s (seed %#lx)\n", k->name, (unsigned long)s->seed);
			print_step(step, false);
		}
		return k->goes_on && step->same_ports;
	}
	run.result = DIFFERENT;
	run.last = *step;
	sign(step);
	return false;
}

static enum result play(uint64_t seed, uint32_t actions, bool flush, int verbose)
{
	unsigned count = model_action_count(seed), i;

	slot = (slot + 1) % 65000;
	/* Sequences that use low ports share these; they have clients of their own. */
	if (flush || slot % SLOTS_TO_FLUSH == 0 || (model_uses_low_ports(seed) && shared_ports)) {
		world_flush();
		shared_ports = false;
	}
	shared_ports |= model_uses_low_ports(seed);
	model_begin(&sequence, seed, slot, !options.no_fragments);
	compare_begin();
	run.result = EQUAL;
	run.verbose = verbose;
	run.steps = 0;
	for (i = 0; i < count; i++)
		if (actions >> i & 1 && !action_run(&sequence, i, take))
			break;
	return run.result;
}

/* Leaves out actions as long as the same difference remains. */
static uint32_t minimise(uint64_t seed)
{
	uint32_t actions = (1ULL << model_action_count(seed)) - 1;
	char signature[sizeof(run.signature)];
	unsigned i;

	memcpy(signature, run.signature, sizeof(signature));
	for (i = 0; i < model_action_count(seed); i++) {
		uint32_t fewer = actions & ~(1U << i);

		if (play(seed, fewer, false, QUIET) == DIFFERENT && !strcmp(run.signature, signature))
			actions = fewer;
	}
	return actions;
}

static struct {
	char signature[sizeof(run.signature)];
	unsigned long count;
} failures[FAILURES_MAX];
static unsigned failure_count;

/* True if a failure of this signature was reported before. */
static bool is_reported(void)
{
	unsigned i;

	for (i = 0; i < failure_count; i++)
		if (!strcmp(failures[i].signature, run.signature)) {
			failures[i].count++;
			return true;
		}
	return failure_count == FAILURES_MAX;
}

static void report_once(void)
{
	if (is_reported())
		return;
	memcpy(failures[failure_count].signature, run.signature, sizeof(run.signature));
	failures[failure_count++].count = 1;
}

/* Repeats the sequence alone, and reports it. False: it does not differ again. */
static bool examine(uint64_t seed)
{
	uint32_t actions;
	int tries;

	if (is_reported())
		return true;
	for (tries = 0; tries < 3; tries++)
		if (play(seed, 0xffffffff, !tries, QUIET) == DIFFERENT)
			break;
	if (tries == 3)
		return false;
	report_once();
	actions = minimise(seed);
	printf("DIFFERENT: %s\n  scripts/oracle --replay %#lx --actions %#x\n", run.signature, (unsigned long)seed,
	       actions);
	play(seed, actions, true, BRIEF);
	print_bytes(&run.last);
	fflush(stdout);
	return true;
}

static int report(unsigned long sequences, unsigned long different, unsigned long unrepeated, double took)
{
	unsigned i;

	printf("%lu sequences, %lu packets in %.1f s (%.0f sequences/s)\n", sequences, total_steps, took,
	       sequences / took);
	for (i = 0; i < known_count; i++)
		if (known[i].count)
			printf("  known, %6lu times: %s\n", known[i].count, known[i].name);
	for (i = 0; i < failure_count; i++)
		printf("  DIFFERENT, %4lu times: %s\n", failures[i].count, failures[i].signature);
	if (unrepeated)
		printf("  different, but not when repeated: %lu\n", unrepeated);
	printf("%lu unexplained differences\n", different);
	return different ? 1 : 0;
}

static int run_many(void)
{
	static struct step step;
	unsigned long n = 0, different = 0, unrepeated = 0;
	double start = now(), end = start + options.seconds;

	printf("seed %#lx\n", (unsigned long)options.seed);
	fflush(stdout);
	while (options.sequences ? n < options.sequences : now() < end) {
		uint64_t seed = next_seed(options.seed, n++);

		if (play(seed, 0xffffffff, false, QUIET) != DIFFERENT)
			continue;
		step = run.last;
		if (examine(seed)) {
			different++;
			continue;
		}
		unrepeated++;
		printf("not repeated: seed %#lx: %s\n", (unsigned long)seed, run.signature);
		print_step(&step, false);
	}
	return report(n, different, unrepeated, now() - start);
}

static int replay(void)
{
	static const char *const words[] = {"equal", "equal but for known differences", "DIFFERENT"};

	play(options.seed, options.actions, true, VERBOSE);
	if (run.result == DIFFERENT) {
		printf("  %s\n", run.signature);
		print_bytes(&run.last);
	}
	printf("%s\n", words[run.result]);
	return run.result == DIFFERENT;
}

static void read_options(int argc, char **argv, struct world_config *config)
{
	int i;

	for (i = 1; i < argc; i++) {
		bool more = i + 1 < argc, two = i + 2 < argc;

		if (!strcmp(argv[i], "--maps") && more)
			options.maps = argv[++i];
		else if (!strcmp(argv[i], "--seconds") && more)
			options.seconds = atof(argv[++i]);
		else if (!strcmp(argv[i], "--sequences") && more)
			options.sequences = strtoul(argv[++i], NULL, 0);
		else if ((!strcmp(argv[i], "--seed") || !strcmp(argv[i], "--replay")) && more) {
			options.replay |= argv[i][2] == 'r';
			options.seed = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--actions") && more)
			options.actions = strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--no-fragments"))
			options.no_fragments = true;
		else if (!strcmp(argv[i], "--known"))
			options.show_known = true;
		else if (!strcmp(argv[i], "--netns") && two) {
			config->netns[NFT] = argv[++i];
			config->netns[FWD] = argv[++i];
		} else if (!strcmp(argv[i], "--outer") && two) {
			config->outer[NFT] = argv[++i];
			config->outer[FWD] = argv[++i];
		} else if (!strcmp(argv[i], "--inner") && two) {
			config->inner[NFT] = argv[++i];
			config->inner[FWD] = argv[++i];
		} else {
			fprintf(stderr, "oracle: unexpected argument \"%s\": run scripts/oracle\n", argv[i]);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct world_config config = {.flush = getenv("ORACLE_FLUSH"), .quarantine = getenv("ORACLE_QUARANTINE")};
	cpu_set_t cpu;

	if (getrandom(&options.seed, sizeof(options.seed), 0) < 0)
		return 2;
	options.seed >>= 16; /* shorter to type */
	read_options(argc, argv, &config);
	if (!options.maps || !config.netns[FWD] || !config.outer[FWD] || !config.flush || !config.quarantine) {
		fprintf(stderr, "oracle: missing arguments: run scripts/oracle\n");
		return 2;
	}
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	model_read_maps(options.maps);
	world_open(&config);
	return options.replay ? replay() : run_many();
}
