/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "state/bpfmaps.h"

/* Of one program; those of fwdctl have fewer than 40. */
#define PROGRAM_MAPS_MAX 64

/* The key of a queue; 0 bytes. */
typedef struct {
} FWD_NO_KEY;

static const struct {
	const char *name;
	enum fwd_map_size size;
	__u32 type; /* enum bpf_map_type */
	__u32 key_size;
	__u32 value_size;
	__u32 entries; /* of FIXED and TABLE */
	__u32 flags;
} map_table[] = {
#define X(symbol, name, type, key, value, entries, flags, scope, programs) \
	FWD_PINNED_##scope({#name, FWD_SIZE_##scope, BPF_MAP_TYPE_##type, sizeof(key), sizeof(value), entries, flags}, )
	FWD_MAPS(X)
#undef X
};

const char *map_name(enum fwd_map map)
{
	return map_table[map].name;
}

bool map_is_table(enum fwd_map map)
{
	return map_table[map].size != FWD_SIZE_FIXED;
}

__u32 map_entries(enum fwd_map map, __u32 connections, __u32 half_open)
{
	switch (map_table[map].size) {
	case FWD_SIZE_HALF_OPEN:
		return half_open;
	case FWD_SIZE_RECORDS:
		return FWD_RECORDS(connections, half_open);
	case FWD_SIZE_BUCKETS:
		return FWD_BUCKETS(connections, half_open);
	default:
		return 0;
	}
}

static struct bpf_map_info map_info(const struct fwd_maps *maps, enum fwd_map map)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(maps->fd[map], &info, &size))
		memset(&info, 0, sizeof(info));
	return info;
}

struct fwd_maps maps_init(void)
{
	struct fwd_maps maps = {};

	for (int i = 0; i < FWD_MAP_MAX; i++)
		maps.fd[i] = -1;
	return maps;
}

void maps_set(struct fwd_maps *maps, enum fwd_map map, int fd)
{
	maps->fd[map] = fd;
	maps->id[map] = fd >= 0 ? map_info(maps, map).id : 0;
}

void maps_close(struct fwd_maps *maps)
{
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
	*maps = maps_init();
}

/* The ids of the maps that a program uses. Returns their number. */
static __u32 map_ids_of(__u32 prog_id, __u32 ids[PROGRAM_MAPS_MAX])
{
	struct bpf_prog_info info = {.nr_map_ids = PROGRAM_MAPS_MAX, .map_ids = (__u64)(unsigned long)ids};
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		info.nr_map_ids = 0;
	close(fd);
	return info.nr_map_ids < PROGRAM_MAPS_MAX ? info.nr_map_ids : PROGRAM_MAPS_MAX;
}

bool maps_own_program(const struct fwd_maps *maps, __u32 prog_id)
{
	__u32 ids[PROGRAM_MAPS_MAX], count = map_ids_of(prog_id, ids);
	bool own = false;

	for (__u32 i = 0; i < count; i++)
		for (int map = 0; map < FWD_MAP_MAX; map++)
			own |= maps->id[map] && maps->id[map] == ids[i];
	return own;
}

static bool map_is_called(__u32 id, const char *name)
{
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);
	bool same;

	if (fd < 0)
		return false;
	same = !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, name);
	close(fd);
	return same;
}

bool maps_program_is_fwdctl(__u32 prog_id)
{
	static const enum fwd_map always[] = {FWD_MAP_CONNS, FWD_MAP_SLOTS, FWD_MAP_RULES, FWD_MAP_CONFIG};
	const size_t wanted = sizeof(always) / sizeof(always[0]);
	__u32 ids[PROGRAM_MAPS_MAX], count = map_ids_of(prog_id, ids);
	size_t found = 0;

	for (size_t map = 0; map < wanted; map++)
		for (__u32 i = 0; i < count; i++)
			if (map_is_called(ids[i], map_name(always[map]))) {
				found++;
				break;
			}
	return found == wanted;
}

char *maps_program_name(__u32 prog_id, char name[FWD_PROGRAM_NAME])
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size))
		*info.name = '\0';
	if (fd >= 0)
		close(fd);
	snprintf(name, FWD_PROGRAM_NAME, "%s", *info.name ? info.name : fd >= 0 ? "without a name" : "of unknown name");
	return name;
}

__u32 map_room(const struct fwd_maps *maps, enum fwd_map map)
{
	return map_info(maps, map).max_entries;
}

/* The kernel sets BPF_F_RDONLY_PROG itself (kernel/bpf/devmap.c, dev_map_init_map()). */
bool map_layout_matches(const struct fwd_maps *maps, enum fwd_map map, char *text, size_t size)
{
	const struct bpf_map_info is = map_info(maps, map);
	bool fixed = map_table[map].size == FWD_SIZE_FIXED || map_table[map].size == FWD_SIZE_TABLE;

	if (is.type != map_table[map].type)
		snprintf(text, size, "type %u instead of %u", is.type, map_table[map].type);
	else if (is.key_size != map_table[map].key_size)
		snprintf(text, size, "keys of %u bytes instead of %u", is.key_size, map_table[map].key_size);
	else if (is.value_size != map_table[map].value_size)
		snprintf(text, size, "values of %u bytes instead of %u", is.value_size, map_table[map].value_size);
	else if (fixed && is.max_entries != map_table[map].entries)
		snprintf(text, size, "%u entries instead of %u", is.max_entries, map_table[map].entries);
	else if ((is.map_flags & ~BPF_F_RDONLY_PROG) != map_table[map].flags)
		snprintf(text, size, "flags %#x instead of %#x", is.map_flags, map_table[map].flags);
	else
		return true;
	return false;
}

/* Of one map: "memlock" in its fdinfo (kernel/bpf/syscall.c, bpf_map_show_fdinfo()). */
static __u64 memory_of(int fd)
{
	__u64 bytes = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(file);
	return bytes;
}

__u64 maps_memory(const struct fwd_maps *maps)
{
	__u64 bytes = 0;

	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (maps->fd[i] >= 0)
			bytes += memory_of(maps->fd[i]);
	return bytes;
}

/* libbpf 1.x returns negative errnos from all bpf_*() functions. */
int map_read(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *value)
{
	return bpf_map_lookup_elem(maps->fd[map], key, value);
}

int map_write(const struct fwd_maps *maps, enum fwd_map map, const void *key, const void *value)
{
	return bpf_map_update_elem(maps->fd[map], key, value, BPF_ANY);
}

int map_delete(const struct fwd_maps *maps, enum fwd_map map, const void *key)
{
	return bpf_map_delete_elem(maps->fd[map], key);
}

int map_next(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *next)
{
	return bpf_map_get_next_key(maps->fd[map], key, next);
}

int map_touch(const struct fwd_maps *maps, enum fwd_map map)
{
	const struct bpf_map_info info = map_info(maps, map);
	const __u32 page = sysconf(_SC_PAGESIZE);
	const __u32 step = info.value_size && info.value_size < page ? page / info.value_size : 1;
	void *zeros = calloc(1, info.value_size ?: 1);
	int ret = zeros ? 0 : -ENOMEM;

	for (__u32 i = 0; !ret && i < info.max_entries; i += step)
		ret = map_write(maps, map, &i, zeros);
	free(zeros);
	return ret;
}

int map_read_one(const struct fwd_maps *maps, enum fwd_map map, void *value)
{
	__u32 zero = 0;

	return map_read(maps, map, &zero, value);
}

int map_write_one(const struct fwd_maps *maps, enum fwd_map map, const void *value)
{
	__u32 zero = 0;

	return map_write(maps, map, &zero, value);
}

void *map_view(const struct fwd_maps *maps, enum fwd_map map, size_t size, bool writable)
{
	int access = PROT_READ | (writable ? PROT_WRITE : 0);
	void *view = mmap(NULL, size, access, MAP_SHARED, maps->fd[map], 0);

	return view == MAP_FAILED ? NULL : view;
}

void map_view_end(void *view, size_t size)
{
	munmap(view, size);
}

/* One per-CPU value for each of *cpus possible CPUs, zeroed, in *values. Returns 0 or a negative errno: libbpf reads
 * their number from a file. */
static int percpu_alloc(size_t words, int *cpus, __u64 **values)
{
	*cpus = libbpf_num_possible_cpus();
	*values = *cpus < 0 ? NULL : calloc(*cpus, words * sizeof(__u64));
	if (*cpus < 0)
		return *cpus;
	return *values ? 0 : -ENOMEM;
}

int map_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, __u64 *sum)
{
	__u64 *values;
	int cpus, ret = percpu_alloc(words, &cpus, &values);

	memset(sum, 0, words * sizeof(*sum));
	if (!ret)
		ret = map_read(maps, map, &index, values);
	for (size_t i = 0; !ret && i < words * cpus; i++)
		sum[i % words] += values[i];
	free(values);
	return ret;
}

int map_set_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, const __u64 *sum)
{
	__u64 *values;
	int cpus, ret = percpu_alloc(words, &cpus, &values);

	if (!ret && sum)
		memcpy(values, sum, words * sizeof(*sum));
	if (!ret)
		ret = map_write(maps, map, &index, values);
	free(values);
	return ret;
}

int pin_open(const char *path)
{
	return bpf_obj_get(path);
}
