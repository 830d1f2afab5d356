/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pinned BPF maps of include/fwd/maps.h, and the only caller of bpf_map_*(). Unless stated otherwise functions
 * return 0 or a negative errno and report nothing, because only the caller knows what a missing entry means.
 */
#ifndef FWD_USER_BPFMAPS_H
#define FWD_USER_BPFMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include "fwd/maps.h"

/* All maps but the LOCAL ones; META is the last. */
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

/* The parameter that sets a map's number of entries. The maps of the connection table, all but FIXED, are created again
 * together when its size changes. */
enum fwd_map_size {
	FWD_SIZE_FIXED,     /* as the BPF object says */
	FWD_SIZE_TABLE,     /* the same, but a part of the connection table */
	FWD_SIZE_HALF_OPEN, /* one for each half-open connection */
	FWD_SIZE_RECORDS,   /* FWD_RECORDS() */
	FWD_SIZE_BUCKETS,   /* FWD_BUCKETS() */
};

struct fwd_maps {
	int fd[FWD_MAP_MAX];   /* negative: not open */
	__u32 id[FWD_MAP_MAX]; /* the kernel's id of the open map, by which maps_own_program() knows it; 0: not open */
};

/* None open. */
struct fwd_maps maps_init(void);

/* Takes over the file descriptor, or the negative errno that stands for it, and reads the map's id. */
void maps_set(struct fwd_maps *maps, enum fwd_map map, int fd);

/* Closes all. */
void maps_close(struct fwd_maps *maps);

/* Whether a program, by its kernel id, uses one of these maps. Anybody may attach a program of any name: this is how an
 * instance recognizes its own. */
bool maps_own_program(const struct fwd_maps *maps, __u32 prog_id);

/* Whether a program is one of fwdctl, of whatever instance: it uses maps of those names. Its own name would not do,
 * because other tools may call theirs fwd_ingress. */
bool maps_program_is_fwdctl(__u32 prog_id);

/* The name of a program, for messages. Without CAP_SYS_ADMIN it is not known. Returns name. */
#define FWD_PROGRAM_NAME 16
char *maps_program_name(__u32 prog_id, char name[FWD_PROGRAM_NAME]);

const char *map_name(enum fwd_map map);
bool map_is_table(enum fwd_map map);

/* Entries for a table of these sizes; 0: FIXED or TABLE, as the BPF object says. */
__u32 map_entries(enum fwd_map map, __u32 connections, __u32 half_open);

/* max_entries of an open map, 0 on failure. */
__u32 map_room(const struct fwd_maps *maps, enum fwd_map map);

/* Whether an open map has the type, the sizes, the flags and, unless it is sized by --connections or --half-open, the
 * number of entries that this version gives it. text[size]: the difference, "values of 24 bytes instead of 32". */
bool map_layout_matches(const struct fwd_maps *maps, enum fwd_map map, char *text, size_t size);

/* Bytes of kernel memory of all open maps; 0: the kernel does not report it. */
__u64 maps_memory(const struct fwd_maps *maps);

int map_read(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *value);
int map_write(const struct fwd_maps *maps, enum fwd_map map, const void *key, const void *value);
int map_delete(const struct fwd_maps *maps, enum fwd_map map, const void *key);

/* The key after `key`, or the first for NULL; -ENOENT after the last. */
int map_next(const struct fwd_maps *maps, enum fwd_map map, const void *key, void *next);

/* Writes zeros to each page of an array that is not in use yet. In a virtual machine without nested paging the first
 * access to a page costs some 20 us: better now than during a flood. */
int map_touch(const struct fwd_maps *maps, enum fwd_map map);

/* Element 0, of a map that has one element. */
int map_read_one(const struct fwd_maps *maps, enum fwd_map map, void *value);
int map_write_one(const struct fwd_maps *maps, enum fwd_map map, const void *value);

/* The first `size` bytes of an array with BPF_F_MMAPABLE as memory: the programs see at once what is written there.
 * NULL, and errno, on failure. */
void *map_view(const struct fwd_maps *maps, enum fwd_map map, size_t size, bool writable);
void map_view_end(void *view, size_t size);

/* Per-CPU values that consist of `words` __u64: map_sum() adds them up over the CPUs; map_set_sum() makes `sum` their
 * sum, or zeros for NULL, while no program may write to them. */
int map_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, __u64 *sum);
int map_set_sum(const struct fwd_maps *maps, enum fwd_map map, __u32 index, size_t words, const __u64 *sum);

/* Opens the pin `path`. Returns a file descriptor or a negative errno. */
int pin_open(const char *path);

#endif
