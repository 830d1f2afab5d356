// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * soak: keeps a CPU busy until SIGINT, then prints how many ns were taken from it by interrupts and
 * softirqs. These have no run time of their own in /proc (it takes CONFIG_IRQ_TIME_ACCOUNTING), but
 * who looks at the clock all the time sees gaps. Gaps in which another process ran are known, and
 * don't count.
 */
#include <signal.h>
#include "bench.h"

/* Reading the clock takes some 30 ns; no softirq is as short as this. */
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
