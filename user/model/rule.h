/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A port map as text and as struct fwd_rule: parsing, checking, formatting, and the port prefixes that it is stored as.
 * Nothing here reads the host or the BPF maps.
 */
#ifndef FWD_USER_RULE_H
#define FWD_USER_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include "model/addr.h"
#include "base/err.h"
#include "fwd/rule.h"

/* The words of `map add`; snat, name and mss may be NULL. */
struct fwd_rule_words {
	const char *proto;
	const char *listen;
	const char *target;
	const char *snat;
	const char *name;
	const char *mss;
};

/* The most prefixes that a range of ports needs: 15 from each of its two ends. */
#define FWD_RULE_KEYS_MAX 30

/* The limits of --mss, in bytes: TCP_MIN_MSS of Linux (include/net/tcp.h), and an IPv4 packet of 65,535 bytes without
 * the two headers. */
#define FWD_MSS_MIN 88
#define FWD_MSS_MAX 65495

#define FWD_SNAT_TEXT (FWD_SNAT_POOL_MAX * FWD_ADDR_TEXT)
/* "tcp 1.2.3.4:80 -> 10.0.0.2:80" */
#define FWD_RULE_TEXT (2 * FWD_ENDPOINT_TEXT + 16)

/* "tcp" or "udp" to IPPROTO_*. `option`: the option that text is the value of, for the message; NULL: none. */
enum fwd_exit proto_parse(const char *option, const char *text, __u8 *proto, struct fwd_report *report);
const char *proto_name(__u8 proto);

/* LISTEN of `map add` and `map del`. Returns FWD_BAD_USAGE if the text is wrong. */
enum fwd_exit listen_parse(const char *text, struct fwd_endpoint *listen, struct fwd_report *report);

/* Fills *rule from words: state ACTIVE, gen 0, and with --snat auto or none no pool yet. Returns FWD_BAD_USAGE if a
 * word is wrong. */
enum fwd_exit rule_parse(const struct fwd_rule_words *words, struct fwd_rule *rule, struct fwd_report *report);

/* Whether one packet could match both. Ignores their states. */
bool rule_overlap(const struct fwd_rule *a, const struct fwd_rule *b);

/* Whether both are the same map with the same options. Ignores their states, and an address that `auto` chose. */
bool rule_same_words(const struct fwd_rule *a, const struct fwd_rule *b);

/* Whether the rule's LISTEN is exactly this one. An endpoint without a family, ":8000", equals the wildcard of either
 * family. */
bool rule_listens_on(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen);

/* Whether `listen` and the rule's LISTEN share a port and an address. */
bool rule_touches(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen);

/* The keys of the rule in `rule_index`. Returns their number. */
size_t rule_keys(const struct fwd_rule *rule, struct fwd_rule_key keys[FWD_RULE_KEYS_MAX]);

/* The last port of TARGET, host order. */
__u16 rule_target_high(const struct fwd_rule *rule);

/* Return text, which has room for FWD_ENDPOINT_TEXT, FWD_SNAT_TEXT or FWD_RULE_TEXT bytes. */
char *rule_listen_text(const struct fwd_rule *rule, char *text);
char *rule_target_text(const struct fwd_rule *rule, char *text);
char *rule_snat_text(const struct fwd_rule *rule, char *text); /* "auto", "none", "A,B" */
char *rule_text(const struct fwd_rule *rule, char *text);

#endif
