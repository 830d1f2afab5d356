/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "state/bpf_log.h"
#include "state/instance.h"
#include "state/loader.h"
#include "model/settings.h"

#define BPFFS    "/sys/fs/bpf"
#define DIR_MODE 0700

#define PURGE_FIX   "fwdctl purge and start again"
#define VERSION_FIX "use that version, or fwdctl purge and start again"

char *instance_path(const struct instance *in, const char *sub, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s%s%s/%s", in->dir, *sub ? "/" : "", sub, name);
	return path;
}

/* The cookie of the current network namespace, which the kernel never gives to another one until it is booted again.
 * Inode numbers of /proc/self/ns/net are used again at once. 0: not known. */
static __u64 this_netns(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (sock < 0)
		return 0;
	if (getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
		cookie = 0;
	close(sock);
	return cookie;
}

static enum fwd_exit check_privileges(bool create, struct fwd_report *report)
{
	/* Without CAP_PERFMON the verifier refuses these programs (include/linux/bpf.h, bpf_allow_ptr_leaks()). */
	__u64 needed = 1ULL << CAP_BPF | 1ULL << CAP_NET_ADMIN | (create ? 1ULL << CAP_PERFMON : 0);
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	__u64 have;

	syscall(SYS_capget, &head, data);
	have = data[0].effective | (__u64)data[1].effective << 32;
	if (have & (1ULL << CAP_SYS_ADMIN))
		return FWD_DONE;
	if ((have & needed) == needed)
		return FWD_DONE;
	return report_error(report, NULL, "must be root (or have CAP_BPF, CAP_NET_ADMIN and, to attach, CAP_PERFMON)");
}

static pid_t parent_of(pid_t pid)
{
	char path[64];
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* A process name that contains ")" ends the search. */
	if (fscanf(file, "%*d (%*[^)]%*[)] %*c %d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent;
}

/* `ip netns exec` runs its command in a new mount namespace with a new /sys. An ancestor of this process is in another
 * mount namespace then. */
static bool mounts_are_private(void)
{
	struct stat own, other;
	char path[64];

	if (stat("/proc/self/ns/mnt", &own))
		return false;
	for (pid_t pid = getppid(); pid > 0; pid = parent_of(pid)) {
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		if (!stat(path, &other) && (own.st_dev != other.st_dev || own.st_ino != other.st_ino))
			return true;
	}
	return false;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = dir;

	while (empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

/* A mount hides what is in the directory, so it is recommended for an empty one only. */
static enum fwd_exit no_bpffs(const char *pin_dir, const char *parent, struct fwd_report *report)
{
	char fix[FWD_FIX_TEXT];

	if (is_empty(parent))
		snprintf(fix, sizeof(fix), "mount -t bpf -o mode=0700 bpf %s", parent);
	else
		snprintf(fix, sizeof(fix), "use --pin-dir " BPFFS "/NAME");
	return report_error(report, ABOUT(.option = "--pin-dir", .object = pin_dir, .fix = fix), "%s is not in a bpffs",
			    parent);
}

/* *missing: there is no bpffs at /sys/fs/bpf, and none is to be mounted. */
static enum fwd_exit check_bpffs(struct instance *in, bool create, bool *missing, struct fwd_report *report)
{
	const struct fwd_about *dir = ABOUT(.option = "--pin-dir", .object = in->dir);
	char copy[PATH_MAX], *parent;
	struct stat st;

	*missing = false;
	if (strlen(in->dir) > PATH_MAX - 128)
		return report_usage(report, ABOUT(.option = "--pin-dir"), "the path is too long");
	strcpy(copy, in->dir);
	parent = dirname(copy);
	if (is_bpffs(parent))
		return FWD_DONE;
	if (strcmp(parent, BPFFS)) {
		if (stat(parent, &st))
			return report_error(report, dir, "%s: %m", parent);
		return no_bpffs(in->dir, parent, report);
	}
	if (mounts_are_private())
		return report_error(report, ABOUT(.fix = "nsenter --net=/run/netns/NAME fwdctl ..."),
				    "no bpffs at " BPFFS
				    " in this mount namespace, as under ip netns exec; one mounted here "
				    "would disappear with it");
	*missing = !create;
	if (create && mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return report_error(report, NULL, "can't mount a bpffs at " BPFFS ": %m");
	return FWD_DONE;
}

static enum fwd_exit check_host(struct instance *in, bool create, bool *missing, struct fwd_report *report)
{
	enum fwd_exit ret = check_privileges(create, report);

	return ret ? ret : check_bpffs(in, create, missing, report);
}

/* A signal between two steps of a change would only leave it incomplete, and a change takes milliseconds. */
static void signals_block(struct instance *in)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, &in->signals);
}

static void unlock(struct instance *in)
{
	close(in->lock_fd);
	in->lock_fd = -1;
	sigprocmask(SIG_SETMASK, &in->signals, NULL);
}

/* False: a purge removed the directory while this process waited for its lock, which means nothing now. */
static bool lock_is_current(const struct instance *in)
{
	struct stat locked, named;

	return !fstat(in->lock_fd, &locked) && !stat(in->dir, &named) && locked.st_ino == named.st_ino &&
	       locked.st_dev == named.st_dev;
}

/* `error`: an errno. A pin that is missing is the only error that purge helps against. A user without access is told
 * the owner. */
static enum fwd_exit cant_open(const struct instance *in, const char *path, int error, struct fwd_report *report)
{
	const char *fix = error == ENOENT ? PURGE_FIX : errno_fix(error);
	struct stat st;

	if ((error == EACCES || error == EPERM) && !stat(in->dir, &st) && st.st_uid != geteuid())
		return report_error(report, NULL, "can't open %s: %s: it belongs to the user with the ID %u", path,
				    strerror(error), st.st_uid);
	return report_error(report, ABOUT(.fix = fix), "can't open %s: %s", path, strerror(error));
}

/* Any user can make directories in a bpffs that was mounted without mode=0700, and could replace the pins in them. The
 * superuser's directories are trusted. */
static enum fwd_exit check_owner(const struct instance *in, const struct stat *st, struct fwd_report *report)
{
	char fix[FWD_FIX_TEXT];

	if (st->st_uid != geteuid() && st->st_uid)
		return report_error(report,
				    ABOUT(.option = "--pin-dir", .object = in->dir,
					  .fix = "remove it, and mount the bpffs with -o mode=0700"),
				    "belongs to the user with the ID %u, who can replace what is in it", st->st_uid);
	snprintf(fix, sizeof(fix), "chmod go-w %s", in->dir);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return report_error(report, ABOUT(.option = "--pin-dir", .object = in->dir, .fix = fix),
				    "may be written to by other users (mode %04o)", st->st_mode & 07777);
	return FWD_DONE;
}

/* For a reader, which does not open the directory itself. */
static enum fwd_exit check_dir(const struct instance *in, struct fwd_report *report)
{
	struct stat st;

	return stat(in->dir, &st) ? FWD_DONE : check_owner(in, &st, report);
}

static enum fwd_exit create_dir(const struct instance *in, struct fwd_report *report)
{
	if (!mkdir(in->dir, DIR_MODE) || errno == EEXIST)
		return FWD_DONE;
	if (errno == EPERM && strchr(strrchr(in->dir, '/') ?: in->dir, '.'))
		return report_error(report, ABOUT(.option = "--pin-dir", .object = in->dir),
				    "a bpffs allows no \".\" in names");
	return report_error(report, NULL, "can't make %s: %m", in->dir);
}

/* Opens DIR and checks whom it belongs to. Leaves lock_fd negative, and returns FWD_DONE, if there is none. */
static enum fwd_exit open_dir(struct instance *in, struct fwd_report *report)
{
	struct stat st;

	in->lock_fd = open(in->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in->lock_fd < 0)
		return errno == ENOENT ? FWD_DONE : cant_open(in, in->dir, errno, report);
	if (!fstat(in->lock_fd, &st) && !check_owner(in, &st, report))
		return FWD_DONE;
	close(in->lock_fd);
	in->lock_fd = -1;
	return FWD_NOT_DONE;
}

static enum fwd_exit lock(struct instance *in, bool create, struct fwd_report *report)
{
	for (;;) {
		if (create && create_dir(in, report))
			return FWD_NOT_DONE;
		if (open_dir(in, report))
			return FWD_NOT_DONE;
		if (in->lock_fd < 0 && create)
			continue;
		if (in->lock_fd < 0)
			return FWD_DONE;
		if (flock(in->lock_fd, LOCK_EX)) {
			report_error(report, NULL, "can't lock %s: %m", in->dir);
			close(in->lock_fd);
			in->lock_fd = -1;
			return FWD_NOT_DONE;
		}
		signals_block(in);
		if (lock_is_current(in))
			return FWD_DONE;
		unlock(in);
	}
}

int instance_pin(const struct instance *in, int fd, const char *sub, const char *name)
{
	char path[PATH_MAX], fresh[PATH_MAX], fresh_name[64];
	int ret;

	snprintf(fresh_name, sizeof(fresh_name), "%s_new", name);
	instance_path(in, sub, name, path);
	instance_path(in, sub, fresh_name, fresh);
	unlink(fresh);
	ret = bpf_obj_pin(fd, fresh);
	if (!ret && rename(fresh, path))
		ret = -errno;
	if (ret)
		unlink(fresh);
	return ret;
}

static enum fwd_exit write_defaults(struct instance *in, struct fwd_report *report)
{
	struct fwd_config config = settings_default();
	int ret = 0;

	/* Blocks until the kernel's random number generator is initialized. */
	if (getrandom(config.secret, sizeof(config.secret), 0) != sizeof(config.secret))
		ret = -EIO;
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_CONFIG, &config);
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_META, &in->meta);
	return ret ? report_error(report, NULL, "can't write the settings: %s", strerror(-ret)) : FWD_DONE;
}

static enum fwd_exit pin_maps(struct instance *in, bool table_only, struct fwd_report *report)
{
	for (int i = 0; i < FWD_MAP_MAX; i++) {
		int ret;

		if (table_only && !map_is_table(i))
			continue;
		ret = instance_pin(in, in->maps.fd[i], FWD_DIR_MAPS, map_name(i));
		if (ret)
			return report_error(report, NULL, "can't pin %s/" FWD_DIR_MAPS "/%s: %s", in->dir, map_name(i),
					    strerror(-ret));
	}
	return FWD_DONE;
}

/* Without `meta` anything in the directory was left by a process that was killed, and is replaced. */
static enum fwd_exit create(struct instance *in, struct fwd_report *report)
{
	static const char *const subs[] = {FWD_DIR_MAPS, FWD_DIR_PROGS, FWD_DIR_LINKS};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (mkdir(instance_path(in, FWD_DIR_SELF, subs[i], path), DIR_MODE) && errno != EEXIST)
			return report_error(report, NULL, "can't make %s: %m", path);
	in->meta = (struct fwd_meta){
		.abi = FWD_ABI_VERSION,
		.connections = FWD_DEFAULT_CONNECTIONS,
		.half_open = FWD_DEFAULT_HALF_OPEN,
	};
	if (loader_create_maps(&in->maps, in->meta.connections, in->meta.half_open, report) ||
	    write_defaults(in, report) || pin_maps(in, false, report))
		return FWD_NOT_DONE;
	instance_dirty_clear(in);
	in->exists = true;
	return FWD_DONE;
}

static void open_map(struct instance *in, enum fwd_map map, char *path)
{
	maps_set(&in->maps, map, pin_open(instance_path(in, FWD_DIR_MAPS, map_name(map), path)));
}

static bool read_meta(struct instance *in)
{
	char difference[FWD_REASON_TEXT];

	return map_layout_matches(&in->maps, FWD_MAP_META, difference, sizeof(difference)) &&
	       !map_read_one(&in->maps, FWD_MAP_META, &in->meta);
}

/* Leaves in->exists false if there is no `meta`. */
static enum fwd_exit open_meta(struct instance *in, struct fwd_report *report)
{
	char path[PATH_MAX];

	open_map(in, FWD_MAP_META, path);
	if (in->maps.fd[FWD_MAP_META] == -ENOENT)
		return FWD_DONE;
	if (in->maps.fd[FWD_MAP_META] < 0)
		return cant_open(in, path, -in->maps.fd[FWD_MAP_META], report);
	if (!read_meta(in))
		return report_error(report, ABOUT(.fix = PURGE_FIX), "can't read %s", path);
	if (in->meta.abi != FWD_ABI_VERSION)
		return report_error(report, ABOUT(.fix = VERSION_FIX),
				    "%s was created by another version of fwdctl (its layout is %u, this one's is %u)",
				    in->dir, in->meta.abi, FWD_ABI_VERSION);
	in->exists = true;
	return FWD_DONE;
}

/* Builds of one version may differ in their layout: not every change of it has raised the number while the version
 * was not released yet. */
static enum fwd_exit check_layout(const struct instance *in, enum fwd_map map, struct fwd_report *report)
{
	char difference[FWD_REASON_TEXT];

	if (map_layout_matches(&in->maps, map, difference, sizeof(difference)))
		return FWD_DONE;
	return report_error(report, ABOUT(.fix = VERSION_FIX),
			    "%s was created by another build of fwdctl: its BPF map %s has %s", in->dir, map_name(map),
			    difference);
}

static enum fwd_exit open_map_checked(struct instance *in, enum fwd_map map, struct fwd_report *report)
{
	char path[PATH_MAX];

	open_map(in, map, path);
	return in->maps.fd[map] < 0 ? cant_open(in, path, -in->maps.fd[map], report) : check_layout(in, map, report);
}

static enum fwd_exit open_maps(struct instance *in, struct fwd_report *report)
{
	if (open_meta(in, report))
		return FWD_NOT_DONE;
	for (int i = 0; in->exists && i < FWD_MAP_META; i++) {
		if (!open_map_checked(in, i, report))
			continue;
		in->exists = false;
		return FWD_NOT_DONE;
	}
	return FWD_DONE;
}

bool instance_open_known_maps(struct instance *in)
{
	char path[PATH_MAX], difference[FWD_REASON_TEXT];
	bool known = true;

	for (int i = 0; i < FWD_MAP_MAX; i++) {
		open_map(in, i, path);
		if (in->maps.fd[i] >= 0)
			known &= map_layout_matches(&in->maps, i, difference, sizeof(difference));
	}
	return known && (in->maps.fd[FWD_MAP_META] < 0 || (read_meta(in) && in->meta.abi == FWD_ABI_VERSION));
}

static void init(struct instance *in, const char *dir)
{
	bpf_log_start();
	*in = (struct instance){.dir = dir, .lock_fd = -1, .maps = maps_init()};
}

enum fwd_exit instance_open(struct instance *in, const char *dir, enum instance_use use, struct fwd_report *report)
{
	bool create_it = use == INSTANCE_CREATE, missing = false;
	enum fwd_exit ret;

	init(in, dir);
	ret = check_host(in, create_it, &missing, report);
	if (ret || missing)
		return ret;
	if (use == INSTANCE_READ ? check_dir(in, report) : lock(in, create_it, report))
		return FWD_NOT_DONE;
	if (use == INSTANCE_CHANGE && in->lock_fd < 0)
		return FWD_DONE;
	if (open_maps(in, report))
		return FWD_NOT_DONE;
	return create_it && !in->exists ? create(in, report) : FWD_DONE;
}

enum fwd_exit instance_open_blind(struct instance *in, const char *dir, struct fwd_report *report)
{
	bool missing = false;
	enum fwd_exit ret;

	init(in, dir);
	ret = check_host(in, false, &missing, report);
	return ret || missing ? ret : lock(in, false, report);
}

void instance_close(struct instance *in)
{
	maps_close(&in->maps);
	if (in->lock_fd >= 0)
		unlock(in);
}

bool instance_sizes_match(const struct instance *in)
{
	for (int i = 0; i < FWD_MAP_MAX; i++) {
		__u32 entries = map_entries(i, in->meta.connections, in->meta.half_open);

		if (entries && map_room(&in->maps, i) != entries)
			return false;
	}
	return true;
}

/* The new sizes are written before the new maps are pinned one by one. If that is interrupted, instance_sizes_match()
 * returns false, and the next attach creates the table again. */
enum fwd_exit instance_resize(struct instance *in, __u32 connections, __u32 half_open, struct fwd_report *report)
{
	struct fwd_maps maps = in->maps;

	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (map_is_table(i))
			maps_set(&maps, i, -1);
	if (loader_create_maps(&maps, connections, half_open, report))
		return FWD_NOT_DONE;
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (map_is_table(i))
			close(in->maps.fd[i]);
	in->maps = maps;
	in->meta.connections = connections;
	in->meta.half_open = half_open;
	if (map_write_one(&in->maps, FWD_MAP_META, &in->meta))
		return report_error(report, NULL, "can't write the new size of the connection table");
	return pin_maps(in, true, report);
}

enum fwd_exit instance_claim_netns(struct instance *in, struct fwd_report *report)
{
	int ret;

	in->meta.netns_cookie = this_netns() ?: in->meta.netns_cookie;
	ret = map_write_one(&in->maps, FWD_MAP_META, &in->meta);
	return ret ? report_error(report, NULL, "can't record the network namespace: %s", strerror(-ret)) : FWD_DONE;
}

bool instance_is_foreign(const struct instance *in)
{
	const __u64 here = this_netns();

	return in->exists && in->meta.netns_cookie && here && in->meta.netns_cookie != here;
}

enum fwd_exit instance_dirty_set(const struct instance *in, struct fwd_report *report)
{
	char path[PATH_MAX];

	if (mkdir(instance_path(in, FWD_DIR_SELF, "dirty", path), DIR_MODE) && errno != EEXIST)
		return report_error(report, NULL, "can't make %s: %m", path);
	return FWD_DONE;
}

void instance_dirty_clear(const struct instance *in)
{
	char path[PATH_MAX];

	rmdir(instance_path(in, FWD_DIR_SELF, "dirty", path));
}

bool instance_dirty(const struct instance *in)
{
	char path[PATH_MAX];

	return !access(instance_path(in, FWD_DIR_SELF, "dirty", path), F_OK);
}
