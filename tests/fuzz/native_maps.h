/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF maps in a process: hash, LRU hash, array and queue, for one CPU. Each element is allocated separately and freed
 * when it is deleted, so that the address sanitizer finds accesses behind a value and uses after deletion (in the
 * kernel that memory may belong to another element then).
 */
#ifndef NATIVE_MAPS_H
#define NATIVE_MAPS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <linux/types.h>

#define NATIVE_MAPS    32
#define NATIVE_BUCKETS 64

struct native_map_spec {
	__u32 type; /* enum bpf_map_type */
	__u32 max_entries;
	__u32 key_size; /* 0: a queue */
	__u32 value_size;
};

struct native_elem {
	struct native_elem *next;
	__u64 used;  /* LRU */
	void *value; /* both allocated separately */
	void *key;
};

struct native_map {
	const void *id;
	struct native_map_spec spec;
	__u32 count;
	struct native_elem *bucket[NATIVE_BUCKETS]; /* a queue: the first alone */
};

static struct native_map native_maps[NATIVE_MAPS];
static __u64 native_map_uses;

/* The BPF map that `id` stands for, created at its first use. */
static inline struct native_map *native_map_get(const void *id, const struct native_map_spec *spec)
{
	for (int i = 0; i < NATIVE_MAPS; i++) {
		struct native_map *map = &native_maps[i];

		if (!map->id) {
			map->id = id;
			map->spec = *spec;
		}
		if (map->id == id)
			return map;
	}
	fputs("native_maps.h: raise NATIVE_MAPS\n", stderr);
	abort();
}

static inline bool native_map_is_array(const struct native_map *map)
{
	return map->spec.type == BPF_MAP_TYPE_ARRAY || map->spec.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static inline struct native_elem **native_map_find(struct native_map *map, const void *key)
{
	const __u8 *byte = key;
	struct native_elem **at;
	__u32 hash = 2166136261U;

	for (__u32 i = 0; i < map->spec.key_size; i++)
		hash = (hash ^ byte[i]) * 16777619U; /* FNV-1a */
	for (at = &map->bucket[(hash ^ hash >> 16) % NATIVE_BUCKETS]; *at; at = &(*at)->next)
		if (!memcmp((*at)->key, key, map->spec.key_size))
			break;
	return at;
}

static inline void *native_copy(const void *from, size_t size)
{
	void *to = calloc(1, size);

	if (from)
		memcpy(to, from, size);
	return to;
}

static inline void native_map_remove(struct native_map *map, struct native_elem **at)
{
	struct native_elem *elem = *at;

	*at = elem->next;
	free(elem->key);
	free(elem->value);
	free(elem);
	map->count--;
}

static inline void *native_map_insert(struct native_map *map, struct native_elem **at, const void *key,
				      const void *value)
{
	struct native_elem *elem = calloc(1, sizeof(*elem));

	elem->key = native_copy(key, map->spec.key_size);
	elem->value = native_copy(value, map->spec.value_size);
	elem->used = native_map_uses++;
	elem->next = *at;
	*at = elem;
	map->count++;
	return elem->value;
}

/* All elements of an array exist and are zero: each is created at its first use. */
static inline void *native_map_lookup(struct native_map *map, const void *key)
{
	struct native_elem **at;

	if (native_map_is_array(map) && *(const __u32 *)key >= map->spec.max_entries)
		return NULL;
	at = native_map_find(map, key);
	if (!*at)
		return native_map_is_array(map) ? native_map_insert(map, at, key, NULL) : NULL;
	(*at)->used = native_map_uses++;
	return (*at)->value;
}

static inline void native_map_evict(struct native_map *map)
{
	struct native_elem **oldest = NULL;

	for (int i = 0; i < NATIVE_BUCKETS; i++)
		for (struct native_elem **at = &map->bucket[i]; *at; at = &(*at)->next)
			if (!oldest || (*at)->used < (*oldest)->used)
				oldest = at;
	native_map_remove(map, oldest);
}

static inline long native_map_update(struct native_map *map, const void *key, const void *value, __u64 flags)
{
	struct native_elem **at;

	if (native_map_is_array(map)) {
		void *there = native_map_lookup(map, key);

		if (there && flags != BPF_NOEXIST)
			memcpy(there, value, map->spec.value_size);
		return !there ? -E2BIG : flags == BPF_NOEXIST ? -EEXIST : 0;
	}
	at = native_map_find(map, key);
	if (*at) {
		if (flags == BPF_NOEXIST)
			return -EEXIST;
		memcpy((*at)->value, value, map->spec.value_size);
		return 0;
	}
	if (flags == BPF_EXIST)
		return -ENOENT;
	if (map->count >= map->spec.max_entries) {
		if (map->spec.type != BPF_MAP_TYPE_LRU_HASH)
			return -E2BIG;
		native_map_evict(map);
		at = native_map_find(map, key);
	}
	native_map_insert(map, at, key, value);
	return 0;
}

static inline long native_map_delete(struct native_map *map, const void *key)
{
	struct native_elem **at;

	if (native_map_is_array(map))
		return -EINVAL;
	at = native_map_find(map, key);
	if (!*at)
		return -ENOENT;
	native_map_remove(map, at);
	return 0;
}

static inline long native_map_push(struct native_map *map, const void *value, __u64 flags)
{
	struct native_elem **at = &map->bucket[0];

	if (map->count >= map->spec.max_entries)
		return -E2BIG;
	while (*at)
		at = &(*at)->next;
	native_map_insert(map, at, "", value);
	return 0;
}

static inline long native_map_pop(struct native_map *map, void *value)
{
	if (!map->bucket[0])
		return -ENOENT;
	memcpy(value, map->bucket[0]->value, map->spec.value_size);
	native_map_remove(map, &map->bucket[0]);
	return 0;
}

/* Empties all maps. */
static inline void native_maps_clear(void)
{
	for (struct native_map *map = native_maps; map < native_maps + NATIVE_MAPS; map++)
		for (int i = 0; map->count && i < NATIVE_BUCKETS; i++)
			while (map->bucket[i])
				native_map_remove(map, &map->bucket[i]);
}

#endif
