/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one exit: every packet gets one reason, and each reason that is not silent is counted once.
 */
#ifndef FWD_BPF_VERDICT_H
#define FWD_BPF_VERDICT_H

#include "fwd/device.h"
#include "fwd/reason.h"
#include "base/config.h"
#include "base/maps.h"

static __always_inline enum fwd_reason_class reason_class(enum fwd_reason reason)
{
	switch (reason) {
#define X(symbol, value, name, class, text) \
	case FWD_##symbol:                  \
		return FWD_CLASS_##class;
		FWD_REASONS(X)
#undef X
	default:
		return FWD_CLASS_SILENT;
	}
}

static __always_inline void count_device(const fwd_ctx *ctx, bool by_xdp)
{
	__u32 index = fwd_device_index;
	struct fwd_device_stats *stats = bpf_map_lookup_elem(&device_stats, &index);

	if (!stats)
		return;
	stats->packets += ctx_segments(ctx);
	stats->xdp_packets += by_xdp;
}

/* The return value of the hook. action: the one that forward() or icmp_error() chose; ctx_pass() if neither was
 * reached. */
static __always_inline int verdict(enum fwd_reason reason, int action)
{
	enum fwd_reason_class class = reason_class(reason);
	__u32 key = reason;
	__u64 *count;

	if (class == FWD_CLASS_SILENT)
		return action;
	count = bpf_map_lookup_elem(&reasons, &key);
	if (count)
		(*count)++;
	if (class == FWD_CLASS_ICMP_ERROR)
		return action;
	return class == FWD_CLASS_DROP ? ctx_drop() : ctx_pass();
}

#endif
