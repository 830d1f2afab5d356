/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * VLAN tags (IEEE 802.1Q 9.6).
 */
#ifndef FWD_BPF_BASE_VLAN_H
#define FWD_BPF_BASE_VLAN_H

#define VLAN_TAG_LEN 4      /* bytes */
#define VLAN_ID_MASK 0x0fff /* of the tag control information, in host order; the other bits are the priority */

/* The most tags that are removed: in the frame, and one more that the kernel may have moved to the skb's metadata. The
 * kernel has no limit. */
#define VLAN_TAGS_IN_FRAME 2
#define VLAN_TAGS_MAX      (VLAN_TAGS_IN_FRAME + 1)

#endif
