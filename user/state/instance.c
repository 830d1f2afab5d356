/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "state/instance.h"
#include "state/loader.h"
#include "model/settings.h"

#define BPFFS    "/sys/fs/bpf"
#define DIR_MODE 0700

char *instance_path(const struct instance *in, const char *sub, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s%s%s/%s", in->dir, *sub ? "/" : "", sub, name);
	return path;
}

void instance_this_netns(__u64 *dev, __u64 *ino)
{
	struct stat st = {};

	stat("/proc/self/ns/net", &st);
	*dev = st.st_dev;
	*ino = st.st_ino;
}

static enum fwd_exit check_privileges(bool make)
{
	/* Without CAP_PERFMON the verifier refuses programs such as these (include/linux/bpf.h, bpf_allow_ptr_leaks()). */
	__u64 needed = 1ULL << CAP_BPF | 1ULL << CAP_NET_ADMIN | (make ? 1ULL << CAP_PERFMON : 0);
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	__u64 have;

	syscall(SYS_capget, &head, data);
	have = data[0].effective | (__u64)data[1].effective << 32;
	if (have & (1ULL << CAP_SYS_ADMIN))
		return FWD_DONE;
	if ((have & needed) == needed)
		return FWD_DONE;
	return fwd_err("must be root (or have CAP_BPF, CAP_NET_ADMIN and, to attach, CAP_PERFMON)");
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
	/* A name with a ")" in it ends the search, at worst. */
	if (fscanf(file, "%*d (%*[^)]%*[)] %*c %d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent;
}

/* `ip netns exec` gives its command a mount namespace of its own, with a fresh /sys: then some
 * process that we descend from is in another one. */
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

/* Sets *missing instead of failing where nobody has mounted /sys/fs/bpf yet and we only look. */
static enum fwd_exit check_bpffs(struct instance *in, bool make, bool *missing)
{
	char copy[PATH_MAX], *parent;
	struct stat st;

	*missing = false;
	if (strlen(in->dir) > PATH_MAX - 128)
		return fwd_err("--pin-dir: too long a path");
	strcpy(copy, in->dir);
	parent = dirname(copy);
	if (is_bpffs(parent))
		return FWD_DONE;
	if (strcmp(parent, BPFFS)) {
		if (stat(parent, &st))
			return fwd_err("--pin-dir \"%s\": %s: %m", in->dir, parent);
		return fwd_err("--pin-dir \"%s\": %s is not in a bpffs: mount -t bpf bpf %s", in->dir, parent, parent);
	}
	if (mounts_are_private())
		return fwd_err("no bpffs at " BPFFS " in this mount namespace, as under ip netns exec, "
			       "and one mounted here would go away with it: use nsenter "
			       "--net=/run/netns/NAME fwdctl ...");
	*missing = !make;
	if (make && mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return fwd_err("can't mount a bpffs at " BPFFS ": %m");
	return FWD_DONE;
}

/* Ctrl-C between two steps of a change would leave it half done for no gain: it takes milliseconds.
 */
static void signals_hold(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTSTP);
	sigprocmask(how, &set, NULL);
}

/* A purge may have removed the directory while we waited for its lock; then it is no lock. */
static bool lock_is_current(const struct instance *in)
{
	struct stat locked, named;

	return !fstat(in->lock_fd, &locked) && !stat(in->dir, &named) && locked.st_ino == named.st_ino &&
	       locked.st_dev == named.st_dev;
}

/* Prints why: err is an errno. Who may only not look into the instance isn't given the advice, but told whose it is. */
static enum fwd_exit cant_open(const struct instance *in, const char *path, int err, const char *advice)
{
	struct stat st;

	if (err != EACCES && err != EPERM)
		return fwd_err("can't open %s: %s%s", path, strerror(err), advice);
	if (!stat(in->dir, &st) && st.st_uid != geteuid())
		return fwd_err("can't open %s: %s: it belongs to the user with the ID %u", path, strerror(err),
			       st.st_uid);
	return fwd_err("can't open %s: %s", path, strerror(err));
}

static enum fwd_exit lock(struct instance *in, bool make)
{
	for (;;) {
		if (make && mkdir(in->dir, DIR_MODE) && errno != EEXIST) {
			if (errno == EPERM && strchr(strrchr(in->dir, '/') ?: in->dir, '.'))
				return fwd_err("--pin-dir \"%s\": a bpffs allows no \".\" in names", in->dir);
			return fwd_err("can't make %s: %m", in->dir);
		}
		in->lock_fd = open(in->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (in->lock_fd < 0 && errno == ENOENT && make)
			continue;
		if (in->lock_fd < 0)
			return errno == ENOENT ? FWD_DONE : cant_open(in, in->dir, errno, "");
		if (flock(in->lock_fd, LOCK_EX))
			return fwd_err("can't lock %s: %m", in->dir);
		signals_hold(SIG_BLOCK);
		if (lock_is_current(in))
			return FWD_DONE;
		signals_hold(SIG_UNBLOCK);
		close(in->lock_fd);
		in->lock_fd = -1;
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

static enum fwd_exit write_settings(struct instance *in)
{
	struct fwd_config config = settings_default();
	int ret = 0;

	/* Bytes of a fresh kernel's pool are not to be had for a while; but then this waits. */
	if (getrandom(config.secret, sizeof(config.secret), 0) != sizeof(config.secret))
		ret = -EIO;
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_CONFIG, &config);
	if (!ret)
		ret = map_write_one(&in->maps, FWD_MAP_META, &in->meta);
	return ret ? fwd_err("can't write the settings: %s", strerror(-ret)) : FWD_DONE;
}

static enum fwd_exit pin_maps(struct instance *in, bool table_only)
{
	for (int i = 0; i < FWD_MAP_MAX; i++) {
		int ret;

		if (table_only && !map_is_table(i))
			continue;
		ret = instance_pin(in, in->maps.fd[i], FWD_DIR_MAPS, map_name(i));
		if (ret)
			return fwd_err("can't pin %s/" FWD_DIR_MAPS "/%s: %s", in->dir, map_name(i), strerror(-ret));
	}
	return FWD_DONE;
}

/* Whatever is there without a `meta` was left by a process that was killed, and is replaced. */
static enum fwd_exit make(struct instance *in)
{
	static const char *const subs[] = {FWD_DIR_MAPS, FWD_DIR_PROGS, FWD_DIR_LINKS};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (mkdir(instance_path(in, FWD_DIR_SELF, subs[i], path), DIR_MODE) && errno != EEXIST)
			return fwd_err("can't make %s: %m", path);
	in->meta = (struct fwd_meta){
		.abi = FWD_ABI_VERSION,
		.connections = FWD_DEFAULT_CONNECTIONS,
		.half_open = FWD_DEFAULT_HALF_OPEN,
	};
	if (loader_make_maps(&in->maps, in->meta.connections, in->meta.half_open) || write_settings(in) ||
	    pin_maps(in, false))
		return FWD_NOT_DONE;
	instance_dirty_clear(in);
	in->exists = true;
	return FWD_DONE;
}

static enum fwd_exit check_abi(const struct instance *in)
{
	if (in->meta.abi == FWD_ABI_VERSION)
		return FWD_DONE;
	return fwd_err("%s was made by another version of fwdctl (its layout is %u, this one's is %u): "
		       "use that version, or fwdctl purge and start anew",
		       in->dir, in->meta.abi, FWD_ABI_VERSION);
}

static enum fwd_exit open_maps(struct instance *in)
{
	char path[PATH_MAX];

	/* From the last to the first, since the last says whether the others are any good. */
	for (int i = FWD_MAP_META; i >= 0; i--) {
		in->maps.fd[i] = pin_open(instance_path(in, FWD_DIR_MAPS, map_name(i), path));
		if (i == FWD_MAP_META && in->maps.fd[i] == -ENOENT)
			return FWD_DONE;
		if (in->maps.fd[i] < 0)
			return cant_open(in, path, -in->maps.fd[i], ": fwdctl purge and start anew");
		if (i == FWD_MAP_META &&
		    (map_value_size(&in->maps, i) != sizeof(in->meta) || map_read_one(&in->maps, i, &in->meta)))
			return fwd_err("can't read %s: fwdctl purge and start anew", path);
		if (i == FWD_MAP_META && check_abi(in))
			return FWD_NOT_DONE;
	}
	in->exists = true;
	return FWD_DONE;
}

static void init(struct instance *in, const char *dir)
{
	*in = (struct instance){.dir = dir, .lock_fd = -1};
	for (int i = 0; i < FWD_MAP_MAX; i++)
		in->maps.fd[i] = -1;
}

enum fwd_exit instance_open(struct instance *in, const char *dir, enum instance_use use)
{
	bool missing;

	init(in, dir);
	if (check_privileges(use == INSTANCE_MAKE) || check_bpffs(in, use == INSTANCE_MAKE, &missing))
		return FWD_NOT_DONE;
	if (missing)
		return FWD_DONE;
	if (use != INSTANCE_READ && lock(in, use == INSTANCE_MAKE))
		return FWD_NOT_DONE;
	if (use == INSTANCE_CHANGE && in->lock_fd < 0)
		return FWD_DONE;
	if (open_maps(in))
		return FWD_NOT_DONE;
	return use == INSTANCE_MAKE && !in->exists ? make(in) : FWD_DONE;
}

enum fwd_exit instance_open_blind(struct instance *in, const char *dir)
{
	bool missing;

	init(in, dir);
	if (check_privileges(false) || check_bpffs(in, false, &missing))
		return FWD_NOT_DONE;
	return missing ? FWD_DONE : lock(in, false);
}

void instance_close(struct instance *in)
{
	maps_close(&in->maps);
	if (in->lock_fd < 0)
		return;
	close(in->lock_fd);
	in->lock_fd = -1;
	signals_hold(SIG_UNBLOCK);
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

/* The new sizes are written before the new maps are pinned one by one: if that is cut short,
 * instance_sizes_match() tells, and the next attach makes the table anew. */
enum fwd_exit instance_resize(struct instance *in, __u32 connections, __u32 half_open)
{
	struct fwd_maps maps = in->maps;

	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (map_is_table(i))
			maps.fd[i] = -1;
	if (loader_make_maps(&maps, connections, half_open))
		return FWD_NOT_DONE;
	for (int i = 0; i < FWD_MAP_MAX; i++)
		if (map_is_table(i))
			close(in->maps.fd[i]);
	in->maps = maps;
	in->meta.connections = connections;
	in->meta.half_open = half_open;
	if (map_write_one(&in->maps, FWD_MAP_META, &in->meta))
		return fwd_err("can't write the table's new size");
	return pin_maps(in, true);
}

enum fwd_exit instance_dirty_set(const struct instance *in)
{
	char path[PATH_MAX];

	if (mkdir(instance_path(in, FWD_DIR_SELF, "dirty", path), DIR_MODE) && errno != EEXIST)
		return fwd_err("can't make %s: %m", path);
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
