/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "state/devices.h"
#include "cli/command.h"
#include "state/instance.h"
#include "attach/xdp.h"

/* Works on whatever is there: a half-made instance, one of another version, one whose devices are
 * gone. So it goes by names and trusts no contents. */

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length > end_length && !strcmp(name + length - end_length, end);
}

/* A name that this version gives, "_new" being that of a pin on its way. */
static bool is_named(const char *name, const char *known)
{
	size_t length = strlen(known);

	return !strncmp(name, known, length) && (!name[length] || !strcmp(name + length, "_new"));
}

static bool is_map(const char *name)
{
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (is_named(name, map_name(i)))
			return true;
	return false;
}

static bool is_meta(const char *name)
{
	return is_named(name, map_name(FWD_MAP_META));
}

static bool is_program(const char *name)
{
	return is_named(name, "fwd_control");
}

static bool is_ingress(const char *name)
{
	return ends_with(name, "_ingress");
}

static bool is_egress(const char *name)
{
	return ends_with(name, "_egress");
}

static bool is_any(const char *name)
{
	return true;
}

/* Removes the pins in DIR/SUB whose name is ours. Returns what must be told as failure. */
static enum fwd_exit remove_pins(const struct instance *in, const char *sub, bool (*is_ours)(const char *name))
{
	char path[PATH_MAX];
	DIR *dir = opendir(instance_path(in, FWD_DIR_SELF, sub, path));
	enum fwd_exit ret = FWD_DONE;
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? FWD_DONE : fwd_err("can't read %s: %m", path);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !is_ours(entry->d_name))
			continue;
		if (unlink(instance_path(in, sub, entry->d_name, path)) && errno != EISDIR)
			ret = fwd_err("can't remove %s: %m", path);
	}
	closedir(dir);
	return ret;
}

/* Leaves a directory in which somebody else put something, and says so. */
static enum fwd_exit remove_dir(const struct instance *in, const char *sub)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", in->dir, *sub ? "/" : "", sub);
	if (!rmdir(path) || errno == ENOENT)
		return FWD_DONE;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return fwd_err("can't remove %s: %m", path);
	fwd_note("%s stays: it holds something that fwdctl did not make", path);
	return FWD_DONE;
}

/* Opens what maps there are, by which our filters are known. True if this version made them. */
static bool look(struct instance *in)
{
	char path[PATH_MAX];

	for (int i = 0; i < FWD_MAP_MAX; i++)
		in->maps.fd[i] = pin_open(instance_path(in, FWD_DIR_MAPS, map_name(i), path));
	return in->maps.fd[FWD_MAP_META] < 0 ||
	       (map_value_size(&in->maps, FWD_MAP_META) == sizeof(in->meta) &&
		!map_read_one(&in->maps, FWD_MAP_META, &in->meta) && in->meta.abi == FWD_ABI_VERSION);
}

/* Pinned links end from anywhere, but a filter or an XDP program can only be taken off in its own namespace. */
static enum fwd_exit check_filters(struct instance *in)
{
	struct device_list list;
	bool foreign;

	in->exists = true;
	if (devices_read(in, &list))
		return FWD_NOT_DONE;
	for (size_t i = 0; i < list.count; i++)
		if (list.device[i].entry.hook == FWD_HOOK_CLSACT || list.device[i].entry.mode != FWD_MODE_TC)
			return devices_check_netns(in, &list, &foreign);
	return FWD_DONE;
}

static enum fwd_exit purge(struct instance *in)
{
	/* Another version's maps may have names that we don't know. */
	bool known = look(in);
	enum fwd_exit ret = FWD_DONE;
	int filters;

	if (known && in->maps.fd[FWD_MAP_META] >= 0 && in->maps.fd[FWD_MAP_DEVICES] >= 0 && check_filters(in))
		return FWD_NOT_DONE;
	filters = devices_sweep_clsact(in) + xdp_sweep(in);
	if (filters)
		fwd_say("%d filters and XDP programs removed", filters);
	/* Answers still find their way out while visitors' packets already don't come in. */
	ret |= remove_pins(in, FWD_DIR_LINKS, is_ingress);
	ret |= remove_pins(in, FWD_DIR_LINKS, is_egress);
	ret |= remove_pins(in, FWD_DIR_PROGS, known ? is_program : is_any);
	/* Without it the other maps are leftover, should this be cut short. */
	ret |= remove_pins(in, FWD_DIR_MAPS, is_meta);
	ret |= remove_pins(in, FWD_DIR_MAPS, known ? is_map : is_any);
	instance_dirty_clear(in);
	ret |= remove_dir(in, FWD_DIR_LINKS);
	ret |= remove_dir(in, FWD_DIR_PROGS);
	ret |= remove_dir(in, FWD_DIR_MAPS);
	ret |= remove_dir(in, FWD_DIR_SELF);
	return ret;
}

enum fwd_exit cmd_purge(const struct args *args)
{
	enum fwd_exit ret = FWD_NOT_DONE;
	struct instance in;

	if (instance_open_blind(&in, args->pin_dir))
		goto out;
	ret = in.lock_fd < 0 ? FWD_DONE : purge(&in);
out:
	instance_close(&in);
	return ret;
}
