/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pinned maps, and the only caller of bpf_map_*(): nobody else knows that they are kernel
 * objects. Unless said otherwise functions return 0 or a negative errno and print nothing, since
 * only the caller knows what a missing entry means.
 */
#ifndef FWD_USER_BPFMAPS_H
#define FWD_USER_BPFMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include "fwd/maps.h"

/* The pinned maps of include/fwd/maps.h; META is the last one. */
#define FWD_PINNED_LOCAL(...)
#define FWD_PINNED_FIXED(...)     __VA_ARGS__
#define FWD_PINNED_TABLE(...)     __VA_ARGS__
#define FWD_PINNED_HALF_OPEN(...) __VA_ARGS__
#define FWD_PINNED_RECORDS(...)   __VA_ARGS__
#define FWD_PINNED_BUCKETS(...)   __VA_ARGS__

enum fwd_map {
#define X(symbol, name, type, key, value, entries, flags, scope, programs) FWD_PINNED_##scope(FWD_MAP_##symbol, )
	FWD_MAPS(X)
#undef X
	FWD_MAP_MAX,
};

/* The number of entries of a map. All but FIXED are the connection table, and are created anew together when its size
 * changes. */
enum fwd_map_size {
	FWD_SIZE_FIXED,     /* as the BPF object says */
	FWD_SIZE_TABLE,     /* the same, but a part of the connection table */
	FWD_SIZE_HALF_OPEN, /* one for each half-open connection */
	FWD_SIZE_RECORDS,   /* FWD_RECORDS() */
	FWD_SIZE_BUCKETS,   /* FWD_BUCKETS() */
};

struct fwd_maps {
	int fd[FWD_MAP_MAX]; /* -1: not open */
};

const char *map_name(enum fwd_map map);
bool map_is_table(enum fwd_map map);

/* Entries for a table of that many connections; 0: FIXED or TABLE, as the object says. */
__u32 map_entries(enum fwd_map map, __u32 connections, __u32 half_open);

/* max_entries of an open map, 0 on failure. */
__u32 map_room(const struct fwd_maps *maps, enum fwd_map map);

/* Bytes of a value of an open map, 0 on failure. */
__u32 map_value_size(const struct fwd_maps *maps, enum fwd_map map);

/* Bytes of kernel memory that all maps take; 0: the kernel doesn't say. */
__u64 maps_memory(const struct fwd_maps *maps);

/* The kernel's number of the map, 0 on failure. */
__u32 map_id(const struct fwd_maps *maps, enum fwd_map map);

int map_read(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *value);
int map_write(const struct fwd_maps *maps, enum fwd_map map, const void *key, const void *value);
int map_delete(const struct fwd_maps *maps, enum fwd_map map, const void *key);

/* The key after `key`, or the first for NULL; -ENOENT behind the last. */
int map_next(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *next);

/* Writes zeros to each page of an array that nobody uses yet. Where a virtual machine has no nested paging, the first touch of
 * a page costs some 20 us: better now than in the middle of a flood. */
int map_touch(const struct fwd_maps *maps, enum fwd_map map);

/* Element 0 of a map that has just one. */
int map_read_one(const struct fwd_maps *maps, enum fwd_map map, void *value);
int map_write_one(const struct fwd_maps *maps, enum fwd_map map, const void *value);

/* The first `size` bytes of an array as memory, if BPF_F_MMAPABLE is among its flags: what is written there is the
 * programs' at once. NULL, and errno, on failure. */
void *map_view(const struct fwd_maps *maps, enum fwd_map map, size_t size, bool writable);
void map_view_end(void *view, size_t size);

/* Per-CPU values that consist of `words` __u64 only: their sum over the CPUs; and make their sum
 * this, or 0 for NULL (no program may write to them meanwhile). */
int map_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, __u64 *sum);
int map_set_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, const __u64 *sum);

/* Opens the pin PATH. Returns a file descriptor or a negative errno. */
int pin_open(const char *path);
void maps_close(struct fwd_maps *maps);

#endif
