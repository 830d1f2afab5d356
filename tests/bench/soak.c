// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * soak: keeps a CPU busy until SIGINT, then prints how many ns were taken from it by interrupts and
 * softirqs. These have no run time of their own in /proc (it takes CONFIG_IRQ_TIME_ACCOUNTING), but
 * who looks at the clock all the time sees gaps. Gaps in which another process ran are known, and
 * don't count.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Reading the clock takes some 30 ns; no softirq is as short as this. */
#define GAP_NS 400

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int main(void)
{
	uint64_t start, ran, last, now, gaps = 0, elsewhere;

	signal(SIGINT, interrupt);
	ran = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	start = last = clock_ns(CLOCK_MONOTONIC);
	while (!interrupted) {
		now = clock_ns(CLOCK_MONOTONIC);
		if (now - last > GAP_NS)
			gaps += now - last;
		last = now;
	}
	elsewhere = (last - start) - (clock_ns(CLOCK_THREAD_CPUTIME_ID) - ran);
	printf("%lu\n", gaps > elsewhere ? gaps - elsewhere : 0);
	return 0;
}
