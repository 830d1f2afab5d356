/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The IPv4 header: options and checksum.
 */
#ifndef FWD_BPF_PKT_IPV4_H
#define FWD_BPF_PKT_IPV4_H

#include <linux/ip.h>
#include <stdbool.h>
#include "base/csum.h"

#define IPV4_DONT_FRAGMENT  0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK    0x1fff

#define IPV4_HEADER_MAX 60

struct ipv4_header {
	union {
		struct iphdr ip;
		__u8 byte[IPV4_HEADER_MAX];
		__be32 word[IPV4_HEADER_MAX / 4];
	};
};

enum ipv4_option {
	IPV4_OPTION_END = 0,
	IPV4_OPTION_NOP = 1,
	IPV4_OPTION_LSRR = 0x83, /* loose and strict source route */
	IPV4_OPTION_SSRR = 0x89,
};

/* The offset of the option behind the one at i; 0: that was the last one; negative: source route or malformed. Not
 * static, so that the verifier checks it once (see conntrack.h). */
__noinline int ipv4_next_option(const struct ipv4_header *ip, __u32 i)
{
	__u32 end;

	if (!ip || i >= IPV4_HEADER_MAX - 1)
		return 0;
	end = (ip->byte[0] & 15) * 4;
	if (i >= end)
		return 0;
	switch (ip->byte[i]) {
	case IPV4_OPTION_END:
		return 0;
	case IPV4_OPTION_NOP:
		return i + 1;
	case IPV4_OPTION_LSRR:
	case IPV4_OPTION_SSRR:
		return -1;
	default:
		return ip->byte[i + 1] < 2 || i + ip->byte[i + 1] > end ? -1 : (int)i + ip->byte[i + 1];
	}
}

/* False: a source route, which the stack has to refuse (RFC 7126 4.3), or options that contradict themselves. Other
 * options are forwarded unchanged. */
static __always_inline bool ipv4_options_are_supported(const struct ipv4_header *ip)
{
	int i = sizeof(struct iphdr), turn;

	for (turn = 0; turn < IPV4_HEADER_MAX - (int)sizeof(struct iphdr); turn++) {
		i = ipv4_next_option(ip, i);
		if (i <= 0)
			break;
	}
	return i >= 0;
}

/* The checksum of a header of that length; 0 if it includes a valid one. */
static __always_inline __u16 ipv4_csum(const struct ipv4_header *ip, __u32 header_len)
{
	__u64 sum = 0;
	int i;

#pragma unroll
	for (i = 0; i < IPV4_HEADER_MAX / 4; i++)
		if (i < (int)sizeof(struct iphdr) / 4 || i * 4 < (int)header_len)
			sum += ip->word[i];
	return csum_fold(csum_add(sum, sum >> 32));
}

/* The same for a header without options, in the packet. */
static __always_inline bool ipv4_csum_is_valid(const struct iphdr *ip)
{
	const __be32 *word = (const __be32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	return csum_fold(csum_add((__u32)sum, sum >> 32)) == 0;
}

#endif
