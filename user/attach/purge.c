/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "attach/device.h"
#include "attach/purge.h"
#include "attach/xdp.h"

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length > end_length && !strcmp(name + length - end_length, end);
}

/* A name that this version uses; "_new" is the suffix of a pin that is about to replace another. */
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

/* Removes the pins of DIR/SUB that is_own() accepts. */
static enum fwd_exit remove_pins(const struct instance *in, const char *sub, bool (*is_own)(const char *name),
				 struct fwd_report *report)
{
	char path[PATH_MAX];
	DIR *dir = opendir(instance_path(in, FWD_DIR_SELF, sub, path));
	enum fwd_exit ret = FWD_DONE;
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? FWD_DONE : report_error(report, NULL, "can't read %s: %m", path);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !is_own(entry->d_name))
			continue;
		if (unlink(instance_path(in, sub, entry->d_name, path)) && errno != EISDIR)
			ret = report_error(report, NULL, "can't remove %s: %m", path);
	}
	closedir(dir);
	return ret;
}

/* Notes a directory that stays because it contains something else. */
static enum fwd_exit remove_dir(const struct instance *in, const char *sub, struct fwd_report *report)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s%s", in->dir, *sub ? "/" : "", sub);
	if (!rmdir(path) || errno == ENOENT)
		return FWD_DONE;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return report_error(report, NULL, "can't remove %s: %m", path);
	report_note(report, NULL, "%s stays, because it contains something that fwdctl did not create", path);
	return FWD_DONE;
}

/* TCX links can be detached from any network namespace, but filters and XDP programs only from their own. */
static enum fwd_exit check_netns(const struct instance *in, struct fwd_report *report)
{
	struct device_list list;
	bool foreign;

	devices_read(in, &list);
	for (size_t i = 0; i < list.count; i++)
		if (list.device[i].entry.hook == FWD_HOOK_CLSACT || list.device[i].entry.mode != FWD_MODE_TC)
			return devices_check_netns(in, &list, &foreign, report);
	return FWD_DONE;
}

static enum fwd_exit purge(struct instance *in, struct fwd_report *report)
{
	/* Names of another version's maps are not known. */
	bool known = instance_open_known_maps(in);
	enum fwd_exit ret = FWD_DONE;
	int detached;

	in->exists = known && in->maps.fd[FWD_MAP_META] >= 0 && in->maps.fd[FWD_MAP_DEVICES] >= 0;
	if (check_netns(in, report))
		return FWD_NOT_DONE;
	detached = devices_detach_clsact(in) + xdp_detach_everywhere(in);
	if (detached)
		report_progress(report, NULL, "%d filters and XDP programs detached", detached);
	/* Ingress first: packets of clients are not translated any more while replies still are. */
	ret |= remove_pins(in, FWD_DIR_LINKS, is_ingress, report);
	ret |= remove_pins(in, FWD_DIR_LINKS, is_egress, report);
	ret |= remove_pins(in, FWD_DIR_PROGS, known ? is_program : is_any, report);
	/* Without `meta` the other maps count as leftover, should this be interrupted. */
	ret |= remove_pins(in, FWD_DIR_MAPS, is_meta, report);
	ret |= remove_pins(in, FWD_DIR_MAPS, known ? is_map : is_any, report);
	instance_dirty_clear(in);
	ret |= remove_dir(in, FWD_DIR_LINKS, report);
	ret |= remove_dir(in, FWD_DIR_PROGS, report);
	ret |= remove_dir(in, FWD_DIR_MAPS, report);
	ret |= remove_dir(in, FWD_DIR_SELF, report);
	return ret;
}

enum fwd_exit purge_instance(const char *pin_dir, struct fwd_report *report)
{
	struct instance in;
	enum fwd_exit ret = instance_open_blind(&in, pin_dir, report);

	if (!ret && in.lock_fd >= 0)
		ret = purge(&in, report);
	instance_close(&in);
	return ret;
}
