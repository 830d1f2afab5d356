/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The input of fuzz_pipeline: a setup, then steps of variable length, so that any bytes are a valid script. A step is a
 * packet, or an event on the gateway.
 *
 * Random bytes would hardly get past the first checksum, or hit the port of a connection. So a step may ask that its
 * packet is made sound, or that it belongs to a flow of an earlier step.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <string.h>
#include <linux/types.h>

struct script_setup {
	__u8 half_open, connections; /* room for 1 + (this & 7) */
	__u8 flags;                  /* enum setup_flag */
	__u8 sockets;                /* the gateway has sockets on all ports that this divides; 0: none */
	__u8 mtu;                    /* two bits for each device */
	__u8 ports;                  /* random numbers are reduced to this many bits (modulo 8); 0: 32 bits */
	__u8 rules[2];               /* a bit for each map that is absent at the beginning */
};

enum setup_flag {
	SETUP_NO_NEIGHBOURS = 0x01,
	SETUP_NO_FORWARDING = 0x02,
	SETUP_TUNNEL_DOWN = 0x04,
	SETUP_XDP = 0x08, /* Ethernet devices have it */
};

enum step_kind {
	STEP_RAW,   /* the packet unchanged */
	STEP_SOUND, /* with right lengths and checksums */
	STEP_SAME,  /* sound, and of the flow `nth` */
	STEP_REPLY, /* sound, and a reply in the flow `nth` */
	STEP_ERROR, /* an ICMP error about the last packet of the flow `nth`; data: changes in it */
	STEP_TIME,
	STEP_RULE,  /* adds or removes the map `nth` */
	STEP_WORLD, /* routes, devices, sockets, settings */
	STEP_MAX,
};

enum step_where {
	WHERE_DEVICE = 0x03, /* enum device of world.h */
	WHERE_EGRESS = 0x04,
	WHERE_FORWARDED = 0x08, /* at egress: received by another device */
	WHERE_PARTIAL = 0x10,   /* CHECKSUM_PARTIAL */
	WHERE_GSO = 0x20,
	WHERE_NOT_OURS = 0x40, /* to another MAC address */
	WHERE_PADDING = 0x80,
};

struct step {
	__u8 kind;  /* enum step_kind, by its remainder */
	__u8 where; /* enum step_where */
	__u8 nth;
	__u8 arg;
	__u16 size; /* packets: bytes appended; errors: length of the quote */
	__u16 len;  /* of the data that follow: an IP packet */
};

#define SCRIPT_STEPS_MAX 48
#define STEP_DATA_MAX    2048

/* Reads the step at *at and its data, and advances *at. 0: end of the script. */
static inline int script_next(const __u8 *bytes, size_t size, size_t *at, struct step *step, const __u8 **data)
{
	if (size - *at < sizeof(*step))
		return 0;
	memcpy(step, bytes + *at, sizeof(*step));
	*at += sizeof(*step);
	*data = bytes + *at;
	if (step->len > size - *at)
		step->len = size - *at;
	if (step->len > STEP_DATA_MAX)
		step->len = STEP_DATA_MAX;
	*at += step->len;
	return 1;
}

#endif
