/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections of netfilter on the same host: masqueraded ones, and those of iptables' port forwards. conntrack(8) puts
 * them into the kernel's table, as netfilter itself would have.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <bpf/libbpf.h>
#include "fwd/maps.h"
#include "state/kfunc.h"
#include "tc.skel.h"
#include "xdp.skel.h"
#include "check.h"

#define CLIENT  "54.147.66.132:40000"
#define CLIENT6 "[2001:db8:54::132]:40000"
#define PUBLIC  "93.184.216.34:8000"
#define PUBLIC6 "[2001:db8:93::34]:8000"
#define IN      CLIENT " > " PUBLIC
#define OUT     "10.172.16.1:40000 > 10.172.16.2:8000"
#define IN6     CLIENT6 " > " PUBLIC6
#define OUT6    "[fd10:172:16::1]:40000 > [fd10:172:16::2]:8000"

static const struct rule rules[] = {
	{PROTO_TCP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_UDP, PUBLIC, "10.172.16.2:8000", "10.172.16.1"},
	{PROTO_TCP, PUBLIC6, "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, PUBLIC6, "[fd10:172:16::2]:8000", "fd10:172:16::1"},
	{PROTO_UDP, "93.184.216.34:8003", "10.172.16.2:9003", NULL},
	{PROTO_TCP, "93.184.216.34:8003", "10.172.16.2:9003", NULL},
};

static void start(void)
{
	gateway_start_with(rules, sizeof(rules) / sizeof(rules[0]));
}

/* ---- kernels without the kfuncs ---- */

static unsigned int kfunc_calls(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	unsigned int calls = 0;

	for (size_t i = 0; i < bpf_program__insn_cnt(program); i++)
		calls += insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL;
	return calls;
}

static unsigned int kfunc_calls_of_tc(void)
{
	struct fwd_tc *o = fwd_tc__open();
	unsigned int calls;

	cr_assert(o && !fwd_tc__load(o), "%s", strerror(errno));
	calls = kfunc_calls(o->progs.fwd_ingress) + kfunc_calls(o->progs.fwd_egress);
	fwd_tc__destroy(o);
	return calls;
}

static unsigned int kfunc_calls_of_xdp(void)
{
	struct fwd_xdp *o = fwd_xdp__open();
	unsigned int calls;

	cr_assert(o && !fwd_xdp__load(o), "%s", strerror(errno));
	calls = kfunc_calls(o->progs.fwd_xdp);
	fwd_xdp__destroy(o);
	return calls;
}

/* Kernel 5.15 would refuse calls that it does not know, although they are never reached. */
Test(kfuncs, removed)
{
	struct kfuncs kfuncs;

	cr_expect(kfunc_calls_of_tc() && kfunc_calls_of_xdp());
	cr_assert(!kfuncs_remove(&kfuncs));
	cr_expect(kfunc_calls_of_tc() == 0);
	cr_expect(kfunc_calls_of_xdp() == 0);
	kfuncs_restore(&kfuncs);
	cr_expect(kfunc_calls_of_tc());
}

/* ---- connections of netfilter ---- */

TestSuite(netfilter, .init = start, .fini = check_table_at_end, .timeout = 30);

__attribute__((format(printf, 1, 2))) static void conntrack(const char *format, ...)
{
	char command[1024];
	va_list args;
	int n = snprintf(command, sizeof(command), "conntrack -I -t 60 >/dev/null 2>&1 ");

	va_start(args, format);
	vsnprintf(command + n, sizeof(command) - n, format, args);
	va_end(args);
	cr_assert(system(command) == 0, "%s", command);
}

/* The two ends of "A:PORT > B:PORT". */
struct ends {
	char src[64], dst[64];
	int sport, dport;
};

static void end_text(const char *from, size_t len, char *addr, int *port)
{
	struct endpoint e = endpoint_parse(from, len);
	int at = 0;

	*port = e.port;
	while (from[at + (*from == '[')] && len && from[at + (*from == '[')] != (*from == '[' ? ']' : ':'))
		at++;
	snprintf(addr, 64, "%.*s", at, from + (*from == '['));
}

static struct ends ends_of(const char *flow)
{
	const char *arrow = strstr(flow, " > ");
	struct ends e;

	end_text(flow, arrow - flow, e.src, &e.sport);
	end_text(arrow + 3, strlen(arrow + 3), e.dst, &e.dport);
	return e;
}

/* A connection whose first packet was `original` and whose replies are `reply`. */
static void tracked(const char *original, const char *reply, __u8 proto, const char *more)
{
	struct ends o = ends_of(original), r = ends_of(reply);

	conntrack("-p %s --orig-src %s --orig-dst %s --sport %d --dport %d --reply-src %s --reply-dst %s "
		  "--reply-port-src %d --reply-port-dst %d %s %s",
		  proto == PROTO_UDP ? "udp" : "tcp", o.src, o.dst, o.sport, o.dport, r.src, r.dst, r.sport, r.dport,
		  proto == PROTO_UDP ? "" : "--state ESTABLISHED", more);
}

static int port_of_source(const char *flow)
{
	return ends_of(flow).sport;
}

static struct packet packet_of(__u8 proto, const char *flow, __u8 flags)
{
	return proto == PROTO_UDP ? UDP(flow, .data = 5) : TCP(flow, flags);
}

/* The peer's packet is a reply to a masqueraded one. */
static void check_reply(__u8 proto, const char *original, const char *masqueraded)
{
	struct packet p = packet_of(proto, reverse_of(masqueraded), SYN);

	tracked(original, reverse_of(masqueraded), proto, "");
	arrives("a reply to a masqueraded packet", ETH0, p, IS_PASSED("netfilter"));
	cr_expect(check_table() == 0);
}

Test(netfilter, replies_of_masqueraded_connections)
{
	check_reply(PROTO_UDP, "10.172.16.2:8000 > 8.8.8.8:53", PUBLIC " > 8.8.8.8:53");
	check_reply(PROTO_TCP, "10.172.16.2:8000 > 8.8.8.8:53", PUBLIC " > 8.8.8.8:53");
	check_reply(PROTO_UDP, "[fd10:172:16::2]:8000 > [2001:db8:8::8]:53", PUBLIC6 " > [2001:db8:8::8]:53");
	check_reply(PROTO_TCP, "[fd10:172:16::2]:8000 > [2001:db8:8::8]:53", PUBLIC6 " > [2001:db8:8::8]:53");
	/* --snat none, with another port at the target. */
	check_reply(PROTO_UDP, "10.172.16.2:8003 > 8.8.8.8:53", "93.184.216.34:8003 > 8.8.8.8:53");
}

/* Other peers of the same port are visitors. */
Test(netfilter, visitors_beside_masqueraded_connections)
{
	tracked("10.172.16.2:8000 > 8.8.8.8:53", "8.8.8.8:53 > " PUBLIC, PROTO_UDP, "");
	arrives("another port of the peer", ETH0, UDP("8.8.8.8:54 > " PUBLIC), LEAVES_BY(WG0, NULL));
	arrives("another peer", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	arrives("TCP", ETH0, TCP("8.8.8.8:53 > " PUBLIC, SYN), LEAVES_BY(WG0, NULL));
}

/* The stack has seen the visitor before, and refused it: no reply, no DNAT. */
Test(netfilter, a_visitor_that_the_stack_knows)
{
	tracked(IN, PUBLIC " > " CLIENT, PROTO_UDP, "");
	arrives("UDP", ETH0, UDP(IN), LEAVES_BY(WG0, OUT));
	tracked(IN, PUBLIC " > " CLIENT, PROTO_TCP, "");
	arrives("TCP", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, OUT));
}

/* A visitor whose UDP iptables forwards since before the map was added keeps that connection. A SYN is a new one. */
Test(netfilter, a_visitor_of_an_iptables_forward)
{
	/* conntrack(8) changes the reply tuple itself. */
	tracked(IN, PUBLIC " > " CLIENT, PROTO_UDP, "--dst-nat 10.172.16.2:8000 -u SEEN_REPLY");
	arrives("UDP", ETH0, UDP(IN), IS_PASSED("netfilter"));
	tracked(IN, PUBLIC " > " CLIENT, PROTO_TCP, "--dst-nat 10.172.16.2:8000 -u SEEN_REPLY");
	arrives("TCP, from another source port", ETH0, TCP(IN, SYN), LEAVES_BY(WG0, NULL));
}

/* The tuple of a connection that netfilter masquerades, or forwards, towards the target is not given to a visitor. */
static void check_claim(__u8 proto, const char *original, const char *in, const char *out)
{
	struct packet p = packet_of(proto, in, SYN);

	tracked(original, reverse_of(out), proto, "");
	cr_expect(port_of_source(flow_out(arrives("visitor", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0)) != 40000);
	cr_expect(check_table() == 1);
	table_flush();
}

Test(netfilter, ports_of_masqueraded_connections)
{
	check_claim(PROTO_UDP, "172.17.0.2:40000 > 10.172.16.2:8000", IN, OUT);
	check_claim(PROTO_TCP, "172.17.0.2:40000 > 10.172.16.2:8000", IN, OUT);
	check_claim(PROTO_UDP, "[fd17::2]:40000 > [fd10:172:16::2]:8000", IN6, OUT6);
	check_claim(PROTO_TCP, "[fd17::2]:40000 > [fd10:172:16::2]:8000", IN6, OUT6);
}

/* With --snat none: home itself has opened a connection to the visitor from the target's port. */
Test(netfilter, ports_with_snat_none)
{
	struct packet p = UDP(CLIENT " > 93.184.216.34:8003");

	tracked("10.172.16.2:9003 > " CLIENT, CLIENT " > 93.184.216.34:9003", PROTO_UDP, "");
	cr_expect(port_of_source(flow_out(arrives("visitor", ETH0, p, LEAVES_BY(WG0, NULL)), ETH0, WG0)) != 40000);
}

/* A connection that netfilter forwards after the visitor's, with the same tuple: it gets another port. */
static void check_forwarded(enum device dev, __u8 proto, const char *in, const char *out, const char *tuple)
{
	struct packet p = packet_of(proto, in, SYN);
	char moved[200];

	arrives("visitor", ETH0, p, LEAVES_BY(WG0, out));
	p.flow = tuple;
	strcpy(moved, flow_out(packet_at("forwarded", dev, EGRESS_FORWARDED, p, CONTINUES_AS(NULL)), dev, dev));
	cr_expect(port_of_source(moved) != port_of_source(tuple), "%s", moved);
	packet_at("forwarded, again", dev, EGRESS_FORWARDED, p, CONTINUES_AS(moved));
	p.flow = reverse_of(moved);
	p.flags = SYN | ACK;
	arrives("its reply", dev, p, CONTINUES_AS(reverse_of(tuple)));
	p.flow = reverse_of(out);
	arrives("reply to the visitor", WG0, p, LEAVES_BY(ETH0, reverse_of(in)));
	cr_expect(check_table() == 2);
	table_flush();
}

Test(netfilter, forwarded_after_a_visitor)
{
	check_forwarded(WG0, PROTO_UDP, IN, OUT, OUT);
	check_forwarded(WG0, PROTO_TCP, IN, OUT, OUT);
	check_forwarded(WG0, PROTO_UDP, IN6, OUT6, OUT6);
	check_forwarded(WG0, PROTO_TCP, IN6, OUT6, OUT6);
	/* Masqueraded to the port that the map listens on, towards a visitor. */
	check_forwarded(ETH0, PROTO_UDP, IN, OUT, reverse_of(IN));
	check_forwarded(ETH0, PROTO_TCP, IN, OUT, reverse_of(IN));
	check_forwarded(ETH0, PROTO_UDP, IN6, OUT6, reverse_of(IN6));
	check_forwarded(ETH0, PROTO_TCP, IN6, OUT6, reverse_of(IN6));
}
