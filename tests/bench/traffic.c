// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * traffic: opens connections through a gateway, sends packets of them, and prints the gateway's CPU time for each: the
 * run time of the NAPI thread that receives them (/proc/PID/schedstat), so that generator and sink do not count.
 *
 *   client g0 ──▸ eth0 gateway eth1 ──▸ h0 home         or, with --tun,  gateway wg0 ──▸ (a file)
 *
 * The generator runs on the client for requests ("in") and on home for replies ("back"). The sink on the device of the
 * other host checks each byte of each packet. Each result is a JSON line.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include "bench.h"
#include "flow.h"
#include "traffic.skel.h"

/* A packet that has not arrived after this time is lost. Long enough for a machine that runs other processes, too. */
#define PATIENCE_US 200000
/* Packets that are to be refused never arrive. They are sent 192 at a time, at about the rate of others: with fewer,
 * the search for a port that fwdctl does once in 4 ms would dominate the result. Packets that find a slower gateway's
 * ring full are neither received nor counted. */
#define REFUSED_US 100
/* veth's ring holds 256 frames, the TUN's queue 500. */
#define WINDOW 192
/* Connections opened at a time, fewer than fwdctl's half-open ring holds. */
#define OPEN_AT_ONCE 8192
#define SIZES_MAX    16
/* Interval at which the TUN is read and arrivals are checked. */
#define REST_US 100

enum {
	CLIENT,
	GATEWAY,
	HOME,
	HOSTS
};

struct device {
	int ifindex;
	__u8 mac[6];
};

static struct {
	int netns[HOSTS];
	struct device client, home, inner, outer; /* the gateway's: inner towards home */
	const char *gateway, *inner_name;
	int tcp, tun, plain, redirect, refused, known; /* as getopt_long() has flags */
	__u8 proto;
	struct flow_view outside, inside;
	__u32 services;
	__u32 sizes[SIZES_MAX];
	__u32 n_sizes;
	__u64 packets;
	int tun_fd, gateway_cpu;
	int thread_in, thread_back; /* of the gateway's devices: their CPU time is the result */
	struct traffic *bpf;
} t = {.services = 1, .packets = 200000, .tun_fd = -1};

/* ---- hosts and devices --------------------------------------------------------------------- */

static void host_enter(int host)
{
	if (setns(t.netns[host], CLONE_NEWNET))
		die("setns: %m");
}

static int host_open(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %m (a network namespace, see ip-netns(8))", path);
	return fd;
}

static struct device device_of(int host, const char *name)
{
	struct ifreq ifr = {};
	struct device device = {};
	int fd;

	host_enter(host);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	device.ifindex = if_nametoindex(name);
	if (!device.ifindex || ioctl(fd, SIOCGIFHWADDR, &ifr))
		die("%s: %m", name);
	memcpy(device.mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
	return device;
}

/* With IFF_NAPI the TUN has a NAPI instance, which can have a thread. */
static int tun_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_NAPI};
	char command[256];
	int fd;

	host_enter(GATEWAY);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		die("/dev/net/tun: %m");
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("%s: %m (a TUN that keeps its packets for NAPI)", name);
	/* In its namespace, because this process's /sys shows the devices of another one. */
	snprintf(command, sizeof(command), "ip netns exec %s sh -c 'echo 1 >/sys/class/net/%s/threaded'", t.gateway,
		 name);
	if (system(command))
		die("%s: no NAPI thread", name);
	return fd;
}

/* The device's counter of received packets. */
static __u64 device_received(const char *name)
{
	unsigned long long packets = 0;
	char line[512], found[32];
	FILE *f;

	host_enter(GATEWAY);
	f = fopen("/proc/thread-self/net/dev", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %31[^:]: %*u %llu", found, &packets) == 2 && !strcmp(found, name))
			break;
	if (f)
		fclose(f);
	return packets;
}

/* ---- NAPI threads -------------------------------------------------------------------------- */

/* Start time in the kernel's ticks; 0: its name does not begin with this. */
static unsigned long long started_at(const char *pid, const char *name)
{
	unsigned long long ticks = 0;
	char path[300], stat[1024] = "", *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = 0;
	fclose(f);
	at = strchr(stat, '(');
	if (!at || strncmp(at + 1, name, strlen(name)))
		return 0;
	at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%llu", &ticks) == 1 ? ticks : 0;
}

static void cpu_pin(int pid, int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(pid, sizeof(cpus), &cpus);
}

/* Of this thread. */
static void sched_place(int cpu, int policy)
{
	struct sched_param param = {.sched_priority = policy == SCHED_FIFO};

	cpu_pin(0, cpu);
	if (sched_setscheduler(0, policy, &param))
		die("sched_setscheduler: %m");
}

/* The TUN's thread: the youngest of that name, because it has just been opened. It gets a CPU and a real-time
 * priority. */
static int tun_thread(const char *device)
{
	unsigned long long started, youngest = 0;
	struct dirent *entry;
	char name[32];
	int pid = 0;
	DIR *proc = opendir("/proc");

	snprintf(name, sizeof(name), "napi/%s-", device);
	while (proc && (entry = readdir(proc))) {
		started = started_at(entry->d_name, name);
		if (started && started >= youngest) {
			youngest = started;
			pid = atoi(entry->d_name);
		}
	}
	closedir(proc);
	if (!pid)
		die("%s has no NAPI thread: /sys/class/net/%s/threaded needs kernel 5.12", device, device);
	cpu_pin(pid, t.gateway_cpu);
	setpriority(PRIO_PROCESS, pid, -15);
	return pid;
}

static __u64 cpu_ns(int thread)
{
	unsigned long long ns = 0;
	char schedstat[32];
	FILE *f;

	snprintf(schedstat, sizeof(schedstat), "/proc/%d/schedstat", thread);
	f = fopen(schedstat, "r");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		die("%s: %m", schedstat);
	fclose(f);
	return ns;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* Packets by outcome, CPU time and wall-clock time. */
struct result {
	__u64 sent, received, right, wrong, cpu_ns, wall_ns;
};

static volatile struct flow_sent *sent(void)
{
	return &t.bpf->bss->sent;
}

static __u64 done(void)
{
	volatile struct flow_arrived *arrived = &t.bpf->bss->arrived;

	return arrived->right + arrived->wrong;
}

/* Each loss costs a timeout, so their number is limited. */
static bool too_many_lost(const struct flow_order *order)
{
	return order->patience_us == PATIENCE_US && sent()->lost > order->count / 20 + WINDOW;
}

/* Runs of the generator for the remaining packets: most runs find the window closed. Each call costs 20 ms for the
 * kernel's page pool, a run that sends nothing 40 ns. */
static __u32 turns_for(__u64 packets)
{
	return 20000 + (packets < 30000 ? packets : 30000) * 32;
}

static void send_by_program(const struct flow_order *order)
{
	static __u8 frame[FLOW_FRAME_LEN];

	while (sent()->packets < order->count && !too_many_lost(order)) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .repeat = turns_for(order->count - sent()->packets));

		if (bpf_prog_test_run_opts(bpf_program__fd(t.bpf->progs.generate), &opts))
			die("BPF_PROG_RUN with live frames (kernel 5.18): %m");
	}
}

/* Until all packets have arrived, or none arrives any more. */
static void wait_for_rest(void)
{
	__u64 before = done(), patience = t.bpf->bss->order.patience_us * 1000ULL;
	__u64 until = now_ns() + patience;

	while (done() + sent()->lost < sent()->packets && now_ns() < until) {
		usleep(REST_US);
		if (done() != before) {
			before = done();
			until = now_ns() + patience;
		}
	}
}

/* Packets from the tunnel are written to the TUN, as a user-space WireGuard does. */
static void burst_to_tun(const struct flow_order *order)
{
	volatile struct flow_sent *s = sent();
	__u8 ip[FLOW_IP_LEN];

	for (__u32 i = 0; i < order->window && s->packets < order->count; i++) {
		flow_make(ip, &order->kind, order->first + s->at);
		s->at = (s->at + order->step) % order->flows;
		if (write(t.tun_fd, ip, sizeof(ip)) < 0)
			die("write to the TUN: %m");
		s->packets++;
	}
}

/*
 * Each packet wakes the TUN's thread, which would process it and sleep, so that wakeups would dominate the result. So
 * packets are written on the same CPU with a higher priority: the thread runs when the writer sleeps, with all packets
 * queued.
 */
static void send_by_tun(const struct flow_order *order)
{
	volatile struct flow_sent *s = sent();

	sched_place(t.gateway_cpu, SCHED_FIFO);
	while (s->packets < order->count && !too_many_lost(order)) {
		burst_to_tun(order);
		wait_for_rest();
		s->lost = s->packets - done();
	}
	sched_place(0, SCHED_OTHER);
}

/* Reads and checks the packets that went to the tunnel. */
static void tun_drain(void)
{
	volatile struct flow_arrived *arrived = &t.bpf->bss->arrived;
	struct flow_kind kind = t.bpf->bss->expected;
	__u8 ip[2048];

	for (ssize_t len; (len = read(t.tun_fd, ip, sizeof(ip))) > 0;) {
		enum flow_verdict verdict = len < FLOW_IP_LEN ? FLOW_FOREIGN : flow_check(ip, &kind);

		arrived->right += verdict == FLOW_RIGHT;
		arrived->wrong += verdict == FLOW_WRONG;
	}
}

/*
 * On the generator's CPU, with a higher priority. It polls, because packets would wake it at the gateway's expense.
 */
static void *tun_reader(void *unused)
{
	sched_place(0, SCHED_FIFO);
	for (;;) {
		tun_drain();
		usleep(REST_US);
	}
	return NULL;
}

static void order_fill(struct flow_order *order, bool in)
{
	const struct device *from = in ? &t.client : &t.home, *to = in ? &t.outer : &t.inner;

	order->kind.view = in ? t.outside : t.inside;
	order->kind.proto = t.proto;
	order->kind.services = t.services;
	order->kind.to_service = in;
	order->kind.ttl = FLOW_TTL;
	order->window = WINDOW;
	if (!order->patience_us)
		order->patience_us = PATIENCE_US;
	order->ifindex = from->ifindex;
	memcpy(order->ether, to->mac, 6);
	memcpy(order->ether + 6, from->mac, 6);
	order->ether[12] = 0x08;
}

static struct result run(struct flow_order *order, bool in)
{
	const char *device = in ? "eth0" : t.inner_name;
	int thread = in ? t.thread_in : t.thread_back;
	struct traffic__bss *bss = t.bpf->bss;
	struct result r;

	order_fill(order, in);
	bss->expected = order->kind;
	bss->expected.view = in ? t.inside : t.outside;
	bss->expected.ttl = t.redirect ? FLOW_TTL : FLOW_TTL - 1;
	bss->order = *order;
	memset(&bss->sent, 0, sizeof(bss->sent));
	memset(&bss->arrived, 0, sizeof(bss->arrived));
	bss->sent.since = now_ns();

	r.received = device_received(device);
	r.cpu_ns = cpu_ns(thread);
	r.wall_ns = now_ns();
	host_enter(in ? CLIENT : HOME);
	if (!in && t.tun)
		send_by_tun(order);
	else
		send_by_program(order);
	r.wall_ns = now_ns() - r.wall_ns;
	sent()->lost = 0; /* some may still arrive */
	wait_for_rest();
	usleep(1000); /* the thread's CPU time is updated when it sleeps */
	r.cpu_ns = cpu_ns(thread) - r.cpu_ns;
	r.received = device_received(device) - r.received;
	r.sent = bss->sent.packets;
	r.right = bss->arrived.right;
	r.wrong = bss->arrived.wrong;
	return r;
}

static void result_print(__u32 flows, const char *step, const char *direction, const struct result *r)
{
	printf("{\"flows\":%u,\"step\":\"%s\",\"direction\":\"%s\",\"sent\":%llu,\"received\":%llu,"
	       "\"right\":%llu,\"wrong\":%llu,\"cpu_ns\":%llu,\"wall_ns\":%llu}\n",
	       flows, step, direction, r->sent, r->received, r->right, r->wrong, r->cpu_ns, r->wall_ns);
	fflush(stdout);
}

/* ---- connections --------------------------------------------------------------------------- */

static void result_add(struct result *sum, const struct result *r)
{
	sum->sent += r->sent;
	sum->received += r->received;
	sum->right += r->right;
	sum->wrong += r->wrong;
	sum->cpu_ns += r->cpu_ns;
	sum->wall_ns += r->wall_ns;
}

static const struct handshake {
	const char *step;
	bool in;
	__u8 tcp_flags;
	__u32 seq, ack;
} handshake[] = {
	{"open", true, FLOW_SYN, 1000, 0},
	{"reply", false, FLOW_SYN | FLOW_ACK, 5000, 1001},
	{"confirm", true, FLOW_ACK, 1001, 5001},
};

#define STEPS (sizeof(handshake) / sizeof(handshake[0]))

static void connections_open(__u32 from, __u32 to)
{
	struct result sums[STEPS] = {};

	for (__u32 first = from; first < to; first += OPEN_AT_ONCE)
		for (size_t i = 0; i < STEPS; i++) {
			const struct handshake *h = &handshake[i];
			__u32 flows = to - first < OPEN_AT_ONCE ? to - first : OPEN_AT_ONCE;
			struct flow_order order = {.kind = {.tcp_flags = h->tcp_flags, .seq = h->seq, .ack = h->ack},
						   .first = first,
						   .flows = flows,
						   .step = 1,
						   .count = flows};
			struct result r = run(&order, h->in);

			result_add(&sums[i], &r);
		}
	for (size_t i = 0; i < STEPS; i++)
		result_print(to, handshake[i].step, handshake[i].in ? "in" : "back", &sums[i]);
}

/* A stride that visits all flows, and is large enough that successive ones are not adjacent in memory. */
static __u32 stride(__u32 flows)
{
	for (__u32 step = flows * 0.618;; step++) {
		__u32 a = flows, b = step;

		while (b) {
			__u32 rest = a % b;

			a = b;
			b = rest;
		}
		if (a == 1)
			return step;
	}
}

static void packets_send(__u32 flows, bool in)
{
	struct flow_order order = {
		.kind = {.tcp_flags = FLOW_PSH | FLOW_ACK, .seq = in ? 1001 : 5001, .ack = in ? 5001 : 1001},
		.flows = flows,
		.step = stride(flows),
		.count = t.packets > flows ? t.packets : flows};
	struct result r = run(&order, in);

	result_print(flows, "established", in ? "in" : "back", &r);
}

/* The ports of all flows again, from another visitor. */
static void refused_send(__u32 flows)
{
	struct flow_order order = {.kind = {.tcp_flags = FLOW_SYN, .seq = 1000},
				   .flows = flows,
				   .step = stride(flows),
				   .count = t.packets,
				   .patience_us = REFUSED_US};
	struct result r;

	t.outside.client = address("198.51.100.77");
	r = run(&order, true);
	result_print(flows, "refused", "in", &r);
}

/* ---- starting ------------------------------------------------------------------------------ */

static void xdp_attach(struct bpf_program *program, int host, int ifindex)
{
	struct bpf_link *link;

	host_enter(host);
	link = bpf_program__attach_xdp(program, ifindex);
	if (!link)
		die("XDP program \"%s\": %m", bpf_program__name(program));
}

static void detour_set(struct flow_detour *detour, const struct device *out, const struct device *to)
{
	detour->ifindex = out->ifindex;
	memcpy(detour->ether, to->mac, 6);
	memcpy(detour->ether + 6, out->mac, 6);
}

static void world_find(void)
{
	t.gateway_cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	t.inner_name = t.tun ? "wg0" : "eth1";
	if (t.tun)
		t.tun_fd = tun_open("wg0");
	t.outer = device_of(GATEWAY, "eth0");
	t.inner = device_of(GATEWAY, t.inner_name);
	t.client = device_of(CLIENT, "g0");
	if (t.tun)
		t.thread_back = tun_thread("wg0");
	else
		t.home = device_of(HOME, "h0");
}

static void programs_start(void)
{
	pthread_t reader;

	t.bpf = traffic__open_and_load();
	if (!t.bpf)
		die("the generator could not be loaded: %m");
	xdp_attach(t.bpf->progs.sink, CLIENT, t.client.ifindex);
	if (!t.tun)
		xdp_attach(t.bpf->progs.sink, HOME, t.home.ifindex);
	else if (pthread_create(&reader, NULL, tun_reader, NULL))
		die("pthread_create failed");
	if (t.redirect) {
		detour_set(&t.bpf->bss->detour_in, &t.inner, &t.home);
		detour_set(&t.bpf->bss->detour_back, &t.outer, &t.client);
		xdp_attach(t.bpf->progs.redirect_in, GATEWAY, t.outer.ifindex);
		xdp_attach(t.bpf->progs.redirect_back, GATEWAY, t.inner.ifindex);
	}
	sched_place(0, SCHED_OTHER);
}

static void sizes_parse(char *text)
{
	for (char *part; (part = strsep(&text, ","));) {
		__u32 size = atoi(part);

		if (!size || t.n_sizes == SIZES_MAX || (t.n_sizes && size <= t.sizes[t.n_sizes - 1]))
			die("--flows: ascending numbers, %d at most", SIZES_MAX);
		t.sizes[t.n_sizes++] = size;
	}
}

static void argument(int option)
{
	switch (option) {
	case 'c':
		t.netns[CLIENT] = host_open(optarg);
		break;
	case 'g':
		t.netns[GATEWAY] = host_open(t.gateway = optarg);
		break;
	case 'h':
		t.netns[HOME] = host_open(optarg);
		break;
	case 'l':
		t.outside.service = address(optarg);
		break;
	case 's':
		t.inside.client = address(optarg);
		break;
	case 't':
		t.inside.service = address(optarg);
		break;
	case 'n':
		t.services = atoi(optarg);
		break;
	case 'f':
		sizes_parse(optarg);
		break;
	case 'p':
		t.packets = atoll(optarg);
		break;
	case 'e':
		if (sscanf(optarg, "%d,%d", &t.thread_in, &t.thread_back) != 2)
			die("--threads: eth0's, eth1's");
		break;
	case '?':
		exit(2);
	}
}

static void arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{"client", 1, 0, 'c'}, /* names of network namespaces */
		{"gateway", 1, 0, 'g'},
		{"home", 1, 0, 'h'},
		{"threads", 1, 0, 'e'}, /* IDs of the NAPI threads of the gateway's eth0 and eth1 */
		{"listen", 1, 0, 'l'},  /* addresses: of the map, */
		{"source", 1, 0, 's'},  /* the source that home sees, */
		{"target", 1, 0, 't'},  /* and of home */
		{"services", 1, 0, 'n'},
		{"flows", 1, 0, 'f'},   /* numbers of flows, ascending */
		{"packets", 1, 0, 'p'}, /* for each result, at least */
		{"tcp", 0, &t.tcp, 1},
		{"tun", 0, &t.tun, 1},
		{"plain", 0, &t.plain, 1},       /* no translation is expected */
		{"redirect", 0, &t.redirect, 1}, /* xdp-redirect: frames are forwarded unchanged */
		{"refused", 0, &t.refused, 1},   /* another visitor connects when all ports are taken */
		{"known", 0, &t.known, 1},       /* the connections exist already */
		{},
	};

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
		argument(option);
	if (!t.gateway || !t.netns[CLIENT] || !t.netns[HOME] || !t.thread_in || !t.inside.service || !t.n_sizes)
		die("missing option: --client, --gateway, --home, --threads, --target and --flows are required");
	if (t.sizes[t.n_sizes - 1] > t.services * FLOW_PORTS)
		die("%u flows need more than %u --services", t.sizes[t.n_sizes - 1], t.services);
	t.plain |= t.redirect;
	t.proto = t.tcp ? FLOW_TCP : FLOW_UDP;
	/* Without NAT both sides see the same addresses. */
	if (t.plain)
		t.outside = t.inside = (struct flow_view){.service = t.inside.service};
}

int main(int argc, char **argv)
{
	__u32 opened = 0;

	arguments(argc, argv);
	world_find();
	programs_start();
	for (__u32 i = 0; i < t.n_sizes; i++) {
		if (!t.plain && !t.known)
			connections_open(opened, t.sizes[i]);
		opened = t.sizes[i];
		packets_send(opened, true);
		if (t.refused)
			refused_send(opened);
		else if (!t.known)
			packets_send(opened, false);
	}
	return 0;
}
