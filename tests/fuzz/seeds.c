/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * seeds DIR: writes the initial corpus, DIR/TARGET/NAME: scripts for fuzz_pipeline, and all packets of
 * tests/prog/test_packets.c, whose tables are included.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "fwd/device.h"
#include "fwd/maps.h"
#include "packets.h"

static const char *directory;

static void seed_write(const char *target, const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, target);
	if (mkdir(path, 0755) && errno != EEXIST)
		packet_die("can't make", path);
	snprintf(path, sizeof(path), "%s/%s/%s", directory, target, name);
	file = fopen(path, "w");
	if (!file || fwrite(bytes, len, 1, file) != 1 || fclose(file))
		packet_die("can't write", path);
}

/* ---- scripts ------------------------------------------------------------------------------- */

static struct script {
	__u8 bytes[1 << 16];
	size_t size;
} script;

static void script_begin(struct script_setup setup)
{
	memcpy(script.bytes, &setup, sizeof(setup));
	script.size = sizeof(setup);
}

static void script_packet(__u8 kind, __u8 where, __u8 nth, struct packet p)
{
	script.size += step_put_packet(script.bytes + script.size,
				       (struct step){.kind = kind, .where = where, .nth = nth}, &p);
}

static void script_step(struct step step)
{
	script.size += step_put(script.bytes + script.size, step, "", 0);
}

static void script_end(const char *name)
{
	seed_write("fuzz_pipeline", name, script.bytes, script.size);
}

#define WIDE ((struct script_setup){.half_open = 7, .connections = 7, .mtu = 0x04})

static void script_handshake(const char *flow, __u8 nth)
{
	script_packet(STEP_SOUND, 0, 0, TCP(flow, SYN, .seq = 77, .mss = 1460));
	script_packet(STEP_REPLY, 0, nth, TCP(OF_FLOW, SYN | ACK, .seq = 9000, .ack = 78, .mss = 8960));
	script_packet(STEP_SAME, 0, nth, TCP(OF_FLOW, ACK, .seq = 78, .ack = 9001));
}

/* SYN, SYN-ACK and ACK are three flows of the script; the first is the connection's. */
static void script_tcp(const char *name, const char *flow)
{
	script_begin(WIDE);
	script_handshake(flow, 0);
	script_packet(STEP_REPLY, 0, 0, TCP(OF_FLOW, ACK, .seq = 9001, .ack = 78, .data = 100));
	script_step((struct step){STEP_ERROR, 0, 0, 0x0c, 28, 0});
	script_step((struct step){STEP_ERROR, 0, 1, 0x80, 0, 0});
	script_packet(STEP_SAME, 0, 0, TCP(OF_FLOW, FIN | ACK, .seq = 78, .ack = 9101));
	script_packet(STEP_REPLY, 0, 0, TCP(OF_FLOW, FIN | ACK, .seq = 9101, .ack = 79));
	script_packet(STEP_SAME, 0, 0, TCP(OF_FLOW, ACK, .seq = 79, .ack = 9102));
	script_packet(STEP_SAME, 0, 0, TCP(OF_FLOW, SYN, .seq = 7000));
	script_step((struct step){STEP_TIME, 0, 0, 8, 0, 0});
	script_end(name);
}

static void script_udp(const char *name, const char *flow)
{
	script_begin(WIDE);
	script_packet(STEP_SOUND, 0, 0, UDP(flow, .data = 30));
	script_packet(STEP_REPLY, 0, 0, UDP(OF_FLOW, .data = 30));
	script_packet(STEP_SAME, 0, 0, UDP(OF_FLOW, .data = 30));
	script_step((struct step){STEP_ERROR, 0, 0, 0x0c, 0, 0});
	script_step((struct step){STEP_ERROR, 0, 1, 0x8c, 28, 0});
	script_step((struct step){STEP_TIME, 0, 0, 6, 0, 0});
	script_step((struct step){STEP_TIME, 0, 0, 7, 0, 0});
	script_end(name);
}

static void script_too_big(void)
{
	script_begin(WIDE);
	for (int partial = 0; partial < 2; partial++) {
		__u8 where = partial ? WHERE_PARTIAL : 0;

		script_packet(STEP_SOUND, where, 0, UDP(IN "8000", .data = 1500));
		script_packet(STEP_SOUND, where, 0, TCP(IN6 "8000", SYN, .data = 1500));
		script_packet(STEP_SOUND, where, 0, UDP(IN "8000", .data = 1500, .fragment = 0x8000));
		script_packet(STEP_SOUND, where | WHERE_GSO, 0, TCP(IN "8000", SYN, .data = 1500));
	}
	script_end("too_big");
}

/* Three fragments of a datagram, in this order. */
static void script_fragments(const char *name, const char *order)
{
	const struct packet parts[3] = {UDP(IN "8000", .data = 64, .fragment = 0x2000),
					UDP(IN "8000", .data = 56, .fragment = 0x2009),
					UDP(IN "8000", .data = 40, .fragment = 0x0011)};

	script_begin(WIDE);
	for (; *order; order++)
		script_packet(STEP_SOUND, 0, 0, parts[*order - '0']);
	script_end(name);
}

/* A visitor's connection, and then the gateway's own from the same port to the same target. */
static void script_local(void)
{
	script_begin(WIDE);
	script_handshake(IN "8000", 0);
	script_packet(STEP_SOUND, 1 /* wg0 */ | WHERE_EGRESS, 0, TCP(LOCAL "8000", SYN));
	for (__u8 nth = 3; nth < 5; nth++)
		script_packet(STEP_REPLY, 0, nth, TCP(OF_FLOW, SYN | ACK, .seq = 9, .ack = 1));
	script_packet(STEP_SOUND, 1 /* wg0 */ | WHERE_EGRESS, 0, TCP(LOCAL "8000", ACK, .ack = 10));
	script_step((struct step){STEP_RULE, 0, 0, 2, 0, 0});
	script_packet(STEP_SOUND, 1 /* wg0 */ | WHERE_EGRESS, 0, TCP(LOCAL "8000", ACK, .ack = 10));
	script_end("local");
}

static void script_many(const char *name, struct script_setup setup, bool confirmed)
{
	static const char *const flows[] = {IN "8000", IN6 "8000", IN "5000", IN "9000",
					    IN "8080", IN "8001",  IN "5001", IN "5002"};

	script_begin(setup);
	for (__u8 i = 0; i < 8; i++) {
		if (confirmed && i < 2)
			script_handshake(flows[i], 3 * i);
		else
			script_packet(STEP_SOUND, 0, 0, TCP(flows[i], SYN));
	}
	script_end(name);
}

/* Two connections are confirmed, with room for one; that one ends, and the ring reaches the other. */
static void script_no_slot(void)
{
	script_begin((struct script_setup){.half_open = 1});
	script_packet(STEP_SOUND, 0, 0, TCP(IN "8000", SYN));
	script_packet(STEP_SOUND, 0, 0, TCP(IN "8080", SYN));
	for (__u8 nth = 0; nth < 2; nth++)
		script_packet(STEP_REPLY, 0, nth, TCP(OF_FLOW, SYN | ACK, .seq = 9000));
	for (__u8 nth = 0; nth < 2; nth++)
		script_packet(STEP_SAME, 0, nth, TCP(OF_FLOW, ACK, .ack = 9001));
	script_step((struct step){STEP_WORLD, 0, 0, 5, 0, 0});
	for (int i = 0; i < 3; i++)
		script_packet(STEP_SOUND, 0, 0, TCP(IN "9000", SYN));
	script_packet(STEP_SAME, 0, 1, TCP(OF_FLOW, RST, .seq = 0x7fffffff));
	script_end("no_slot");
}

static void scripts(void)
{
	script_tcp("tcp", IN "8000");
	script_tcp("tcp6", IN6 "8000");
	script_tcp("tcp_lan", IN "8080");
	script_tcp("tcp_wildcard", IN "9000");
	script_udp("udp", IN "8000");
	script_udp("udp6", IN6 "8080");
	script_udp("udp_pool", IN "7010");
	script_udp("udp_range", IN "7001");
	script_too_big();
	script_fragments("fragments_in_order", "012");
	script_fragments("fragments_backwards", "210");
	script_fragments("fragments_twice", "0112");
	script_local();
	script_no_slot();
	script_many("ring_turns", (struct script_setup){.half_open = 1}, false);
	script_many("full", (struct script_setup){.half_open = 2, .connections = 1}, true);
	script_many("no_port", (struct script_setup){.half_open = 7, .ports = 8}, false);
	script_many("sockets", (struct script_setup){.half_open = 7, .sockets = 2}, false);
}

/* ---- ICMP errors --------------------------------------------------------------------------- */

static void errors(void)
{
	static const struct error rows[] = {
		{"10.172.16.2:0 > 10.172.16.1:0", 3, 3,
		 .quoted = UDP("10.172.16.1:40001 > 10.172.16.2:80", .data = 20)},
		{"10.172.16.9:0 > 10.172.16.1:0", 3, 4, 1420,
		 .quoted = TCP("10.172.16.1:40001 > 10.172.16.2:80", ACK, .options = 8, .data = 20)},
		{"[fd10:172:16::2]:0 > [fd10:172:16::1]:0", 2, 0, 1280,
		 .quoted = TCP("[fd10:172:16::1]:40001 > [fd10:172:16::2]:80", ACK, .ext = "h")},
		{"[fd10:172:16::9]:0 > [fd10:172:16::1]:0", 1, 4,
		 .quoted = UDP("[fd10:172:16::1]:40001 > [fd10:172:16::2]:80", .data = 9)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[16];
		struct frame f;

		error_build(&f, &rows[i], NULL, NULL);
		memmove(f.data + 1, f.data, f.len);
		f.data[0] = i;
		snprintf(name, sizeof(name), "error%zu", i);
		seed_write("fuzz_quote", name, f.data, f.len + 1);
		seed_write("fuzz_parse", name, f.data, f.len + 1);
	}
}

/* ---- words --------------------------------------------------------------------------------- */

/* Each word is terminated by a newline. */
static void words(void)
{
	static const char *const rules[] = {
		"tcp\n93.184.216.34:8000\n10.172.16.2:8000\n10.172.16.1,10.172.16.11\nweb\n1000",
		"udp\n:27015-27030\n[fd10:172:16::2]:27015-27030\nauto\ngame-1\nauto",
		"tcp\n[2001:db8::1]:443\nfd10:172:16::2\nnone\n\noff",
		"tcp\n0.0.0.0:1-65535\n10.0.0.1",
	};
	static const char *const lines[] = {
		"map\nadd\ntcp\n:8000\n10.172.16.2\n--snat\nnone\n--name=web\n--mss\n1000",
		"map\ndel\nudp\n:27015-27030\n--keep-connections",
		"attach\neth0\nwg0\n--connections\n1000\n--half-open=64\n--mode\ntc",
		"conn\nlist\n--proto\ntcp\n--client\n10.0.0.0/8\n--state\nESTABLISHED\n--json",
		"conn\nflush\n--listen\n1.2.3.4:80\n--target\n[fd00::1]:80\n--source\n::1\n--map\nweb",
		"set\ntcp_established\n3600",
		"set\nudp\ndefault",
		"get\nudp_stream\n--json",
		"stats\n--watch",
		"help\nmap\nadd",
		"version\n--json",
		"detach\n--\n-x",
		"purge\n-v\n--pin-dir\n/sys/fs/bpf/other",
		"map\nadd\n--help",
	};
	char name[16];

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		snprintf(name, sizeof(name), "rule%zu", i);
		seed_write("fuzz_rule", name, rules[i], strlen(rules[i]));
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(name, sizeof(name), "line%zu", i);
		seed_write("fuzz_cli", name, lines[i], strlen(lines[i]));
	}
}

/* ---- the tables of tests/prog -------------------------------------------------------------- */

/*
 * The parts of gateway.h and check.h, which run the programs, that test_packets.c needs: arrives() writes each packet
 * as a seed and expects nothing.
 */
#define GATEWAY_H
#define CHECK_H
#undef IN
#undef IN6
#undef LOCAL

#define Test(suite, name, ...)                                                        \
	static void table_##name(void);                                               \
	__attribute__((constructor)) static void table_add_##name(void)               \
	{                                                                             \
		tables[table_count++] = (struct table){"table_" #name, table_##name}; \
	}                                                                             \
	static void table_##name(void)
#define TestSuite(...)          struct seeds_no_suite
#define cr_expect(...)          ((void)0)
#define cr_assert(...)          ((void)0)
#define LEAVES_BY(...)          ((struct fate){})
#define IS_PASSED(...)          ((struct fate){})
#define IS_DROPPED(...)         ((struct fate){})
#define GETS_ICMP_ERROR(...)    ((struct fate){})
#define IS_UNTOUCHED            ((struct fate){})
#define reverse_of(flow)        "10.172.16.2:8000 > 10.172.16.1:40000"
#define counters_read()         ((struct fwd_counters){})
#define rule_stats_read(index)  ((struct fwd_rule_stats){})
#define gateway_start_with(...) ((void)rules)
#define rule_delete(...)        ((void)0)
#define table_flush()           ((void)0)
#define check_table()           ((void)0)
#define ip_batch(...)           ((void)0)
#define write_file(...)         ((void)0)
#define forwarding_set(...)     ((void)0)
#define run(...)                ((void)0)
#define run_frame(...)          ((void)r)

enum device {
	ETH0,
	WG0,
	ETH1,
	DEVICES
};
enum {
	FATE_LEAVES = 1
};
struct fate {
	int type;
	const char *flow;
};
struct rule {
	__u8 proto;
	const char *listen, *target, *source;
	__u16 last;
	int state;
};
struct result {
	struct frame in, out;
};
struct entry {
	struct fwd_flow flow;
};
static const struct {
	int link;
	__u8 mac[6], peer[6];
} devices[DEVICES] = {{.link = FWD_LINK_ETHERNET}, {.link = FWD_LINK_IP}, {.link = FWD_LINK_ETHERNET}};

static struct table {
	const char *name;
	void (*write)(void);
} tables[64];
static size_t table_count, table_packets;
static const char *table_name;

static void arrives(const char *what, enum device in, struct packet p, struct fate fate)
{
	struct frame f;
	char name[64];

	script_packet(STEP_RAW, in, 0, p);
	packet_build(&f, &p, NULL, NULL);
	memmove(f.data + 1, f.data, f.len);
	f.data[0] = 0;
	snprintf(name, sizeof(name), "%s%zu", table_name, table_packets++);
	seed_write("fuzz_parse", name, f.data, f.len + 1);
}

#include "../prog/test_packets.c"

static void tables_write(void)
{
	for (struct table *t = tables; t < tables + table_count; t++) {
		script_begin(WIDE);
		table_name = t->name;
		table_packets = 0;
		t->write();
		if (table_packets)
			script_end(t->name);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: seeds DIR\n", stderr);
		return 2;
	}
	directory = argv[1];
	if (mkdir(directory, 0755) && errno != EEXIST)
		packet_die("can't make", directory);
	scripts();
	errors();
	words();
	tables_write();
	return 0;
}
