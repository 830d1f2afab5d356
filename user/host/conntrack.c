/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host/conntrack.h"
#include "host/sysctl.h"

/* The file is the BTF of the kernel or of a module. Its strings are searched, which is much faster than to parse it. */
static bool btf_has_names(const char *path, const char *const *names)
{
	size_t size = 0, room = 1 << 20;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool has = text && fd >= 0;
	ssize_t got;

	while (has && (got = read(fd, text + size, room - size)) > 0) {
		size += got;
		if (size == room) {
			char *larger = realloc(text, room *= 2);

			has = larger;
			if (larger)
				text = larger;
		}
	}
	for (; has && *names; names++)
		has = memmem(text, size, *names, strlen(*names) + 1);
	if (fd >= 0)
		close(fd);
	free(text);
	return has;
}

/* Without its JIT the kernel refuses programs that call kfuncs. */
static bool jit_is_on(void)
{
	return sysctl_read("/proc/sys/net/core/bpf_jit_enable", 1);
}

bool conntrack_has_kfuncs(void)
{
	static const char *const kfuncs[] = {"bpf_skb_ct_lookup", "bpf_xdp_ct_lookup", "bpf_ct_release", NULL};

	return jit_is_on() && (btf_has_names("/sys/kernel/btf/vmlinux", kfuncs) ||
			       btf_has_names("/sys/kernel/btf/nf_conntrack", kfuncs));
}
