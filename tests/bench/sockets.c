// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sockets: TCP and UDP sockets as ends for the benchmark.
 *
 *   sockets serve ADDR LOW HIGH             replies to each request on these ports by TCP, on LOW also by UDP
 *   sockets connect ADDR LOW HIGH COUNT     COUNT times: connect, request, reply, close
 *   sockets ask tcp|udp ADDR PORT SECONDS   requests on one connection, one at a time
 *
 * `connect` has 64 connections at a time; SIGINT ends `ask`.
 *
 * A request and a reply are 64 bytes each. The result is one JSON object.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bench.h"

#define MESSAGE     64
#define EVENTS      64
#define AT_ONCE     64
#define TIMEOUT_MS  2000
#define SAMPLES_MAX 4000000

static struct sockaddr_in address_of(const char *addr, int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address(addr))};
}

static void watch(int epoll, int fd, uint32_t events, int number)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)number << 32 | fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll: %m");
}

/* ---- serve --------------------------------------------------------------------------------- */

enum {
	LISTENING,
	CONNECTED,
	DATAGRAMS
};

static void server_open(int epoll, const char *addr, int port, int type)
{
	struct sockaddr_in sin = address_of(addr, port);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&sin, sizeof(sin)) || (type == SOCK_STREAM && listen(fd, 4096)))
		die("%s:%d: %m", addr, port);
	watch(epoll, fd, EPOLLIN, type == SOCK_STREAM ? LISTENING : DATAGRAMS);
}

static void serve_one(int epoll, int kind, int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char bytes[MESSAGE];
	ssize_t n;

	if (kind == LISTENING) {
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

		if (client < 0)
			return;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(epoll, client, EPOLLIN, CONNECTED);
		return;
	}
	n = recvfrom(fd, bytes, sizeof(bytes), 0, (void *)&from, &len);
	if (kind == DATAGRAMS && n > 0)
		sendto(fd, bytes, n, 0, (void *)&from, len);
	else if (n > 0)
		send(fd, bytes, n, MSG_NOSIGNAL);
	else if (kind == CONNECTED && (n == 0 || errno != EAGAIN))
		close(fd);
}

static void __attribute__((noreturn)) serve(const char *addr, int low, int high)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS];

	for (int port = low; port <= high; port++)
		server_open(epoll, addr, port, SOCK_STREAM);
	server_open(epoll, addr, low, SOCK_DGRAM);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			serve_one(epoll, events[i].data.u64 >> 32, (uint32_t)events[i].data.u64);
	}
}

/* ---- connect ------------------------------------------------------------------------------- */

static struct {
	int epoll, low, high, under_way;
	const char *addr;
	uint64_t count, started, good, failed;
} c;

static void connect_next(void)
{
	/* All ports in turn, with large distances. */
	uint64_t ports = c.high - c.low + 1, port = c.low + c.started * 7919 % ports;
	struct sockaddr_in sin = address_of(c.addr, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c.started++;
	if (connect(fd, (void *)&sin, sizeof(sin)) && errno != EINPROGRESS) {
		c.failed++;
		close(fd);
		return;
	}
	watch(c.epoll, fd, EPOLLOUT, 0);
	c.under_way++;
}

static void connection_end(int fd, bool good)
{
	close(fd);
	c.under_way--;
	c.good += good;
	c.failed += !good;
}

static void connection_event(int fd, uint32_t what)
{
	char bytes[MESSAGE] = {};

	if (what & (EPOLLERR | EPOLLHUP)) {
		connection_end(fd, false);
	} else if (what & EPOLLOUT) {
		struct epoll_event in = {.events = EPOLLIN, .data.u64 = fd};

		if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == MESSAGE)
			epoll_ctl(c.epoll, EPOLL_CTL_MOD, fd, &in);
		else
			connection_end(fd, false);
	} else {
		connection_end(fd, recv(fd, bytes, sizeof(bytes), 0) == MESSAGE);
	}
}

static int connect_many(const char *addr, int low, int high, uint64_t count)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();

	c.addr = addr;
	c.low = low;
	c.high = high;
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	while (c.good + c.failed < count) {
		int n;

		while (c.under_way < AT_ONCE && c.started < count)
			connect_next();
		if (!c.under_way)
			continue;
		n = epoll_wait(c.epoll, events, EVENTS, TIMEOUT_MS);
		if (n <= 0)
			break; /* the others have failed */
		for (int i = 0; i < n; i++)
			connection_event((uint32_t)events[i].data.u64, events[i].events);
	}
	printf("{\"connections\":%lu,\"failed\":%lu,\"seconds\":%.4f}\n", c.good, count - c.good,
	       (now_ns() - start) / 1e9);
	return c.good == 0;
}

/* ---- ask ----------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile(const uint32_t *sorted, size_t n, double share)
{
	size_t at = n * share;

	return sorted[at < n ? at : n - 1] / 1000.0;
}

/* One request. False: no reply within the timeout. */
static bool ask_once(int fd)
{
	struct pollfd replied = {.fd = fd, .events = POLLIN};
	char bytes[MESSAGE] = {};

	return send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == MESSAGE && poll(&replied, 1, TIMEOUT_MS) == 1 &&
	       recv(fd, bytes, sizeof(bytes), 0) > 0;
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

static int asking_socket(bool udp, const char *addr, int port)
{
	struct sockaddr_in sin = address_of(addr, port);
	int fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0), one = 1;

	if (!udp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (void *)&sin, sizeof(sin)))
		die("%s:%d: %m", addr, port);
	signal(SIGINT, interrupt);
	return fd;
}

static int ask(bool udp, const char *addr, int port, double seconds)
{
	static uint32_t samples[SAMPLES_MAX];
	int fd = asking_socket(udp, addr, port);
	uint64_t until = now_ns() + seconds * 1e9, begin, took, longest = 0;
	size_t n = 0, lost = 0;

	while ((begin = now_ns()) < until && !interrupted) {
		lost += !ask_once(fd);
		took = now_ns() - begin;
		longest = took > longest ? took : longest;
		samples[n++ % SAMPLES_MAX] = took; /* the oldest are overwritten */
	}
	if (n == lost)
		die("%s:%d: no replies", addr, port);
	n = n < SAMPLES_MAX ? n : SAMPLES_MAX;
	qsort(samples, n, sizeof(*samples), compare);
	printf("{\"lost\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}\n", lost,
	       percentile(samples, n, 0.5), percentile(samples, n, 0.99), percentile(samples, n, 0.999),
	       longest / 1000.0);
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 5 && !strcmp(argv[1], "serve"))
		serve(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (argc == 6 && !strcmp(argv[1], "connect"))
		return connect_many(argv[2], atoi(argv[3]), atoi(argv[4]), atoll(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "ask"))
		return ask(!strcmp(argv[2], "udp"), argv[3], atoi(argv[4]), atof(argv[5]));
	fputs("usage: sockets serve ADDR LOW HIGH\n"
	      "       sockets connect ADDR LOW HIGH COUNT\n"
	      "       sockets ask tcp|udp ADDR PORT SECONDS\n",
	      stderr);
	return 2;
}
