/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ABI: the list of BPF maps (include/fwd/maps.h) against the loaded objects, and the values that must not be
 * renumbered because they index pinned maps.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "fwd/maps.h"
#include "control.skel.h"
#include "tc.skel.h"
#include "xdp.skel.h"

/* ---- BPF maps ------------------------------------------------------------------------------ */

enum object {
	CONTROL = 1,
	TC = 2,
	XDP = 4,
};

#define PROGRAMS_ALL  (CONTROL | TC | XDP)
#define PROGRAMS_PATH (TC | XDP)
#define PROGRAMS_TC   TC
#define PROGRAMS_XDP  XDP

/* An entry of the list. Types are text, because those of LOCAL maps are private to the programs. */
static const struct listed {
	const char *name, *key, *value;
	enum bpf_map_type type;
	__u32 entries, flags;
	unsigned int objects; /* enum object */
} listed[] = {
#define X(symbol, name, type, key, value, entries, flags, scope, programs) \
	{#name, #key, #value, BPF_MAP_TYPE_##type, entries, flags, PROGRAMS_##programs},
	FWD_MAPS(X)
#undef X
};
#define LISTED (sizeof(listed) / sizeof(listed[0]))

/* The size of a type by its BTF; 0: no type ("FWD_NO_KEY"). */
static __u32 type_size(const struct bpf_object *o, const char *text)
{
	const struct btf *btf = bpf_object__btf(o);
	bool is_struct = !strncmp(text, "struct ", 7);
	int id;

	if (!strcmp(text, "FWD_NO_KEY"))
		return 0;
	id = is_struct ? btf__find_by_name_kind(btf, text + 7, BTF_KIND_STRUCT)
		       : btf__find_by_name_kind(btf, text, BTF_KIND_TYPEDEF);
	cr_assert(id > 0, "%s is not in the BTF", text);
	return btf__resolve_size(btf, id);
}

static const struct listed *listed_find(const char *name)
{
	for (size_t i = 0; i < LISTED; i++)
		if (!strcmp(listed[i].name, name))
			return &listed[i];
	return NULL;
}

static void check_map(const char *what, const struct bpf_object *o, const struct bpf_map *map, enum object object)
{
	const struct listed *want = listed_find(bpf_map__name(map));
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	cr_expect(want && want->objects & object, "%s: \"%s\" is not listed", what, bpf_map__name(map));
	if (!want)
		return;
	cr_assert(!bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size));
	/* Set by the kernel itself (kernel/bpf/devmap.c, dev_map_init_map). */
	if (info.type == BPF_MAP_TYPE_DEVMAP_HASH)
		info.map_flags &= ~BPF_F_RDONLY_PROG;
	cr_expect(info.type == want->type, "%s: %s: type %u", what, want->name, info.type);
	cr_expect(info.map_flags == want->flags, "%s: %s: flags %#x", what, want->name, info.map_flags);
	cr_expect(info.max_entries == want->entries, "%s: %s: %u entries", what, want->name, info.max_entries);
	cr_expect(info.key_size == type_size(o, want->key), "%s: %s: key of %u bytes", what, want->name, info.key_size);
	cr_expect(info.value_size == type_size(o, want->value), "%s: %s: value of %u bytes", what, want->name,
		  info.value_size);
}

/* Creates the BPF maps of an object and compares them with the list, in both directions. */
static void check_object(const char *what, struct bpf_object *o, enum object object)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_program (program, o)
		bpf_program__set_autoload(program, false);
	cr_assert(!bpf_object__load(o), "%s: %s", what, strerror(errno));
	bpf_object__for_each_map (map, o)
		if (!strchr(bpf_map__name(map), '.')) /* .rodata, .bss */
			check_map(what, o, map, object);
	for (size_t i = 0; i < LISTED; i++)
		if (listed[i].objects & object)
			cr_expect(bpf_object__find_map_by_name(o, listed[i].name), "%s: no \"%s\"", what,
				  listed[i].name);
}

Test(abi, maps_of_control)
{
	struct fwd_control *o = fwd_control__open();

	check_object("control", o->obj, CONTROL);
	fwd_control__destroy(o);
}

Test(abi, maps_of_tc)
{
	struct fwd_tc *o = fwd_tc__open();

	check_object("tc", o->obj, TC);
	fwd_tc__destroy(o);
}

Test(abi, maps_of_xdp)
{
	struct fwd_xdp *o = fwd_xdp__open();

	check_object("xdp", o->obj, XDP);
	fwd_xdp__destroy(o);
}

/* The types of pinned maps are those that fwdctl is compiled with. */
Test(abi, types_of_pinned_maps)
{
	struct fwd_tc *tc = fwd_tc__open();
	struct fwd_xdp *xdp = fwd_xdp__open();

#define OBJECT_ALL tc->obj
#define OBJECT_XDP xdp->obj
#define SIZE(object, type) \
	cr_expect(type_size(object, #type) == sizeof(type), #type ": %u bytes in the BTF", type_size(object, #type))
#define SIZE_PINNED(key, value, programs) SIZE(OBJECT_##programs, value)
#define SIZE_FIXED                        SIZE_PINNED
#define SIZE_TABLE                        SIZE_PINNED
#define SIZE_HALF_OPEN                    SIZE_PINNED
#define SIZE_RECORDS                      SIZE_PINNED
#define SIZE_BUCKETS                      SIZE_PINNED
#define SIZE_LOCAL(key, value, programs)
#define X(symbol, name, type, key, value, entries, flags, scope, programs) SIZE_##scope(key, value, programs);
	FWD_MAPS(X)
#undef X
	SIZE(tc->obj, struct fwd_rule_key);
	fwd_xdp__destroy(xdp);
	fwd_tc__destroy(tc);
}

/* ---- numbers ------------------------------------------------------------------------------- */

struct number {
	const char *name;
	int value;
};

/* The values in use, and the frozen ones. New values are appended to both; a change of a frozen one is a change of the
 * ABI, since it would give another meaning to the elements of a pinned map. */
static const struct number reasons[] = {
#define X(symbol, value, name, class, text) {name, FWD_##symbol},
	FWD_REASONS(X)
#undef X
};

static const struct number frozen_reasons[] = {
	{"ok", 0},
	{"not_ours", 1},
	{"malformed", 2},
	{"fragment_early", 3},
	{"fragment_overflow", 4},
	{"ip_options", 5},
	{"extension_header", 6},
	{"martian", 7},
	{"no_connection", 8},
	{"own_socket", 9},
	{"no_source", 10},
	{"no_forwarding", 11},
	{"not_attached", 12},
	{"no_route", 13},
	{"route_lost", 14},
	{"unreachable", 15},
	{"prohibited", 16},
	{"blackhole", 17},
	{"ttl_exceeded", 18},
	{"too_big", 19},
	{"fragment_overlap", 20},
	{"fragment_tiny", 21},
	{"no_port", 22},
	{"race", 23},
	{"table_full", 24},
	{"rewrite_failed", 25},
	{"netfilter", 26},
	{"no_neighbour", 27},
	{"tunnel_gone", 28},
	{"rp_filter", 29},
	{"ipsec", 30},
};

static const struct number timeouts[] = {
#define X(symbol, index, name, seconds) {name, FWD_TIMEOUT_##symbol},
	FWD_TIMEOUTS(X)
#undef X
};

static const struct number frozen_timeouts[] = {
	{"tcp_syn_sent", 0}, {"tcp_syn_recv", 1},  {"tcp_established", 2}, {"tcp_fin_wait", 3}, {"tcp_close_wait", 4},
	{"tcp_last_ack", 5}, {"tcp_time_wait", 6}, {"tcp_close", 7},       {"udp", 8},          {"udp_stream", 9},
	{"flood", 10},
};

static const struct number counters[] = {
#define X(symbol, index, name, text) {name, FWD_COUNTER_##symbol},
	FWD_COUNTERS(X)
#undef X
};

static const struct number frozen_counters[] = {
	{"created", 0}, {"expired", 1},  {"ended", 2},   {"failed", 3},
	{"evicted", 4}, {"replaced", 5}, {"removed", 6}, {"flushed", 7},
};

/* The reasons for a device's mode have no names; their symbols stand for these. */
static const struct number mode_reasons[] = {
#define X(symbol, value, text) {#symbol, FWD_MODE_REASON_##symbol},
	FWD_MODE_REASONS(X)
#undef X
};

static const struct number frozen_mode_reasons[] = {
	{"ASKED", 0},   {"NATIVE", 1}, {"LINK", 2},  {"VETH", 3},    {"ALONE", 4},
	{"UNKNOWN", 5}, {"VLAN", 6},   {"QDISC", 7}, {"REFUSED", 8}, {"FOREIGN", 9},
};

static void check_numbers(const char *what, const struct number *now, size_t count, int max,
			  const struct number *frozen, size_t frozen_count)
{
	cr_expect((size_t)max == count, "%s: %zu values, but a maximum of %d", what, count, max);
	cr_expect(count >= frozen_count, "%s: %zu values instead of at least %zu", what, count, frozen_count);
	for (size_t i = 0; i < count; i++) {
		cr_expect(now[i].value == (int)i, "%s: %s is %d, but entry %zu of the list", what, now[i].name,
			  now[i].value, i);
		for (size_t k = 0; k < i; k++)
			cr_expect(strcmp(now[i].name, now[k].name), "%s: %s is not unique", what, now[i].name);
	}
	for (size_t i = 0; i < frozen_count && i < count; i++)
		cr_expect(!strcmp(now[i].name, frozen[i].name) && frozen[i].value == (int)i,
			  "%s: %zu is %s, frozen as %s", what, i, now[i].name, frozen[i].name);
}

#define CHECK_NUMBERS(name, max)                                                       \
	check_numbers(#name, name, sizeof(name) / sizeof(name[0]), max, frozen_##name, \
		      sizeof(frozen_##name) / sizeof(frozen_##name[0]))

Test(abi, numbers)
{
	CHECK_NUMBERS(reasons, FWD_REASON_MAX);
	CHECK_NUMBERS(timeouts, FWD_TIMEOUT_MAX);
	CHECK_NUMBERS(counters, FWD_COUNTER_MAX);
	CHECK_NUMBERS(mode_reasons, FWD_MODE_REASON_MAX);
}
