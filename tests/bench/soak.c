// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * soak: keeps a CPU busy until SIGINT, then prints the time in ns that interrupts and softirqs took from it. /proc has
 * no run time of these (without CONFIG_IRQ_TIME_ACCOUNTING), but a process that reads the clock continuously sees gaps.
 * Gaps in which another process ran are known and subtracted.
 */
#include <signal.h>
#include "bench.h"

/* Reading the clock takes about 30 ns; softirqs take longer than this. */
#define GAP_NS 400

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

int main(void)
{
	uint64_t start, ran, last, now, gaps = 0, elsewhere;

	signal(SIGINT, interrupt);
	ran = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start = last = now_ns();
	while (!interrupted) {
		now = now_ns();
		if (now - last > GAP_NS)
			gaps += now - last;
		last = now;
	}
	elsewhere = (last - start) - (clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran);
	printf("%lu\n", gaps > elsewhere ? gaps - elsewhere : 0);
	return 0;
}
