/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <stdio.h>
#include "host/sysctl.h"

int sysctl_read(const char *path, int unknown)
{
	FILE *file = fopen(path, "re");
	int value = unknown;

	if (!file)
		return unknown;
	if (fscanf(file, "%d", &value) != 1)
		value = unknown;
	fclose(file);
	return value;
}
