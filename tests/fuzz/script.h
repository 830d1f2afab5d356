/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What fuzz_pipeline reads: a setup, then steps, each with a length of its own, so that whatever bytes
 * come there is something to do. A step is a packet, or something that happens to the gateway.
 *
 * Bytes alone would hardly get beyond the first checksum, nor find the number of a connection's port. So a
 * step may ask for its packet to be made sound, or to be of a flow that an earlier one began.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <string.h>
#include <linux/types.h>

struct script_setup {
	__u8 half_open, connections; /* room for 1 + (this & 7) */
	__u8 flags;                  /* enum setup_flag */
	__u8 sockets;                /* the gateway has those on every port that this divides; 0: none */
	__u8 mtu;                    /* two bits for each device */
	__u8 ports;                  /* random numbers are cut to this many bits; 0: as they are */
	__u8 rules[2];               /* a bit for each map that is not there at the beginning */
};

enum setup_flag {
	SETUP_NO_NEIGHBOURS = 0x01,
	SETUP_NO_FORWARDING = 0x02,
	SETUP_TUNNEL_DOWN = 0x04,
	SETUP_XDP = 0x08, /* Ethernet devices have it */
};

enum step_kind {
	STEP_RAW,   /* the packet as it is */
	STEP_SOUND, /* with lengths and checksums as they should be */
	STEP_SAME,  /* sound, and of the flow `nth` */
	STEP_REPLY, /* sound, and an answer in the flow `nth` */
	STEP_ERROR, /* an ICMP error about what left last in the flow `nth`; data: changes in it */
	STEP_TIME,
	STEP_RULE,  /* to the map `nth` */
	STEP_WORLD, /* routes, devices, sockets, settings */
	STEP_MAX,
};

enum step_where {
	WHERE_DEVICE = 0x03, /* enum device of world.h */
	WHERE_EGRESS = 0x04,
	WHERE_FORWARDED = 0x08, /* at egress: of a packet that came in by another device */
	WHERE_PARTIAL = 0x10,   /* the NIC is to fill in the checksum */
	WHERE_GSO = 0x20,
	WHERE_NOT_OURS = 0x40, /* to another MAC address */
	WHERE_PADDING = 0x80,
};

struct step {
	__u8 kind;  /* enum step_kind, by its remainder */
	__u8 where; /* enum step_where */
	__u8 nth;
	__u8 arg;
	__u16 size; /* packets: this many bytes are put behind them; errors: of the quote */
	__u16 len;  /* of the data that follows: an IP packet */
};

#define SCRIPT_STEPS_MAX 48
#define STEP_DATA_MAX    2048

/* The step at *at, with *data behind it, and *at moved on; 0: that was all. */
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
