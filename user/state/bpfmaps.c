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

static const struct {
	const char *name;
	enum fwd_map_size size;
} map_table[] = {
#define X(symbol, name, type, key, value, entries, flags, scope, programs) \
	FWD_PINNED_##scope({#name, FWD_SIZE_##scope}, )
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

bool maps_own_program(const struct fwd_maps *maps, __u32 prog_id)
{
	__u32 ids[64] = {}, size = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (__u64)(unsigned long)ids};
	int fd = bpf_prog_get_fd_by_id(prog_id);
	bool own = false;

	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		info.nr_map_ids = 0;
	close(fd);
	for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++)
		for (int map = 0; map < FWD_MAP_MAX; map++)
			own |= maps->id[map] && maps->id[map] == ids[i];
	return own;
}

__u32 map_room(const struct fwd_maps *maps, enum fwd_map map)
{
	return map_info(maps, map).max_entries;
}

__u32 map_value_size(const struct fwd_maps *maps, enum fwd_map map)
{
	return map_info(maps, map).value_size;
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

/* One per-CPU value for each possible CPU, zeroed. */
static __u64 *percpu_alloc(size_t words, int *cpus)
{
	*cpus = libbpf_num_possible_cpus();
	return *cpus < 0 ? NULL : calloc(*cpus, words * sizeof(__u64));
}

int map_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, __u64 *sum)
{
	int cpus, ret = -ENOMEM;
	__u64 *values = percpu_alloc(words, &cpus);

	memset(sum, 0, words * sizeof(*sum));
	if (!values)
		return ret;
	ret = map_read(maps, map, &index, values);
	for (size_t i = 0; !ret && i < words * cpus; i++)
		sum[i % words] += values[i];
	free(values);
	return ret;
}

int map_set_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, const __u64 *sum)
{
	int cpus, ret = -ENOMEM;
	__u64 *values = percpu_alloc(words, &cpus);

	if (values && sum)
		memcpy(values, sum, words * sizeof(*sum));
	if (values)
		ret = map_write(maps, map, &index, values);
	free(values);
	return ret;
}

int pin_open(const char *path)
{
	return bpf_obj_get(path);
}
