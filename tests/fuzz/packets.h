/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets (tests/prog/packet.h) as steps of a script, for seeds and for the mutator.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include "../prog/packet.h"
#include "script.h"

#define IN      "54.147.66.132:40000 > 93.184.216.34:"
#define IN6     "[2001:db8:54::132]:40000 > [2001:db8:93::34]:"
#define LOCAL   "10.172.16.1:40000 > 10.172.16.2:"
#define OF_FLOW "10.9.9.9:9 > 10.9.9.8:8" /* replaced by the addresses of the step's flow */

static const struct packet_step {
	__u8 kind, where;
	struct packet packet;
} packet_steps[] = {
	{STEP_SOUND, 0, TCP(IN "8000", SYN, .seq = 77, .mss = 1460)},
	{STEP_SOUND, 0, UDP(IN "8000", .data = 30)},
	{STEP_SOUND, 0, TCP(IN6 "8000", SYN, .mss = 1440, .mss_odd = true)},
	{STEP_SOUND, 0, UDP(IN6 "8000", .data = 7)},
	{STEP_SOUND, 0, TCP(IN "9000", SYN)},
	{STEP_SOUND, 0, UDP(IN6 "9000", .data = 9, .ext = "hd")},
	{STEP_SOUND, 0, TCP(IN "5003", SYN, .options = 8)},
	{STEP_SOUND, 0, UDP(IN "7001", .no_checksum = true)},
	{STEP_SOUND, 0, TCP(IN6 "7000", SYN)},
	{STEP_SOUND, 0, UDP(IN "7010", .data = 3)},
	{STEP_SOUND, 0, TCP(IN "8080", SYN, .mss = 1460)},
	{STEP_SOUND, 0, UDP(IN6 "8080", .data = 100)},
	{STEP_SOUND, 0, TCP(IN "8001", SYN)},
	{STEP_SOUND, 1, TCP("10.172.16.3:40000 > 93.184.216.34:8080", SYN)},
	{STEP_SAME, 0, TCP(OF_FLOW, ACK, .seq = 78, .ack = 9001)},
	{STEP_SAME, 0, TCP(OF_FLOW, ACK | FIN, .seq = 78, .ack = 9001)},
	{STEP_SAME, 0, TCP(OF_FLOW, RST, .seq = 78)},
	{STEP_SAME, 0, TCP(OF_FLOW, SYN, .seq = 500)},
	{STEP_SAME, 0, UDP(OF_FLOW, .data = 20)},
	{STEP_SAME, 0, UDP(OF_FLOW, .data = 64, .fragment = 0x2000)},
	{STEP_SAME, 0, UDP(OF_FLOW, .data = 56, .fragment = 0x2009)},
	{STEP_SAME, 0, UDP(OF_FLOW, .data = 50, .fragment = 0x0011)},
	{STEP_REPLY, 0, TCP(OF_FLOW, SYN | ACK, .seq = 9000, .ack = 78, .mss = 8960)},
	{STEP_REPLY, 0, TCP(OF_FLOW, ACK, .seq = 9001, .ack = 78, .data = 60)},
	{STEP_REPLY, 0, TCP(OF_FLOW, ACK | FIN, .seq = 9001, .ack = 79)},
	{STEP_REPLY, 0, TCP(OF_FLOW, RST | ACK, .seq = 9001, .ack = 78)},
	{STEP_REPLY, 0, UDP(OF_FLOW, .data = 20)},
	{STEP_SAME, 0, TCP(OF_FLOW, RST, .seq = 0x7fffffff)},
	{STEP_SAME, 0, TCP(OF_FLOW, SYN, .fragment = 0x2000, .cut = 20)},
	{STEP_SAME, 0, UDP("[fd09::9]:9 > [fd09::8]:8", .data = 64, .ext = "f")},
	{STEP_SAME, 0, UDP("[fd09::9]:9 > [fd09::8]:8", .data = 56, .ext = "f", .poke_at = 43, .poke = 0x49)},
	{STEP_SAME, 0, UDP("[fd09::9]:9 > [fd09::8]:8", .data = 50, .ext = "f", .poke_at = 43, .poke = 0x88)},
	{STEP_SOUND, 0, UDP(IN6 "8000", .data = 64, .ext = "f")},
	{STEP_SOUND, 0, UDP(IN6 "7010")},
	{STEP_SOUND, 0, TCP(IN "7013", SYN)},
	{STEP_SOUND, 1 | WHERE_EGRESS, TCP(LOCAL "8000", SYN)},
	{STEP_SOUND, 1 | WHERE_EGRESS, UDP(LOCAL "8000", .data = 4)},
};
#define PACKET_STEPS (sizeof(packet_steps) / sizeof(packet_steps[0]))

/* Writes a step; returns its size in bytes. */
static inline size_t step_put(__u8 *at, struct step step, const void *data, size_t len)
{
	step.len = len;
	memcpy(at, &step, sizeof(step));
	memcpy(at + sizeof(step), data, len);
	return sizeof(step) + len;
}

static inline size_t step_put_packet(__u8 *at, struct step step, const struct packet *p)
{
	struct frame f;

	packet_build(&f, p, NULL, NULL);
	return step_put(at, step, f.data, f.len < STEP_DATA_MAX ? f.len : STEP_DATA_MAX);
}

static inline size_t step_put_known(__u8 *at, size_t which)
{
	const struct packet_step *s = &packet_steps[which % PACKET_STEPS];

	return step_put_packet(at, (struct step){.kind = s->kind, .where = s->where}, &s->packet);
}

#endif
