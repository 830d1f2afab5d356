/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One map as text and as struct fwd_rule: parsing, checking, printing, and the port prefixes that
 * it is stored as. Nothing here looks at the host or at the pinned maps.
 */
#ifndef FWD_USER_MAP_RULE_H
#define FWD_USER_MAP_RULE_H

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

/* No range of ports takes more prefixes: 15 from each of its two ends. */
#define FWD_RULE_KEYS_MAX 30

/* What `--mss` takes: no host has to accept less than 88 (Linux' TCP_MIN_MSS), and the rest of an
 * IPv4 packet's 65,535 bytes is headers. */
#define FWD_MSS_MIN 88
#define FWD_MSS_MAX 65495

#define FWD_SNAT_TEXT (FWD_SNAT_POOL_MAX * FWD_ADDR_TEXT)
/* "tcp 1.2.3.4:80 -> 10.0.0.2:80" */
#define FWD_RULE_TEXT (2 * FWD_ENDPOINT_TEXT + 16)

/* "tcp" or "udp" to IPPROTO_*; 0 for anything else. */
__u8 proto_parse(const char *text);
const char *proto_name(__u8 proto);

/* LISTEN as `map add` and `map del` take it. Prints what is wrong. */
enum fwd_exit listen_parse(const char *text, struct fwd_endpoint *listen);

/* Fills *rule from words: state ACTIVE, gen 0, and with --snat auto no pool yet. Prints what is
 * wrong, and then returns FWD_NOT_DONE, or FWD_BAD_USAGE for an unknown PROTO. */
enum fwd_exit rule_parse(const struct fwd_rule_words *words, struct fwd_rule *rule);

/* Whether one packet could match both. States are not looked at. */
bool rule_overlap(const struct fwd_rule *a, const struct fwd_rule *b);

/* Whether the rule's LISTEN is exactly this one; an endpoint without a family, ":8000", is the
 * wildcard of either family. */
bool rule_listens_on(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen);

/* Whether `listen` lies within the rule's LISTEN, or the two share ports and address. */
bool rule_touches(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen);

/* The keys of `rule_index` that stand for the rule. Returns how many. */
size_t rule_keys(const struct fwd_rule *rule, struct fwd_rule_key keys[FWD_RULE_KEYS_MAX]);

/* The last port of TARGET, host order. */
__u16 rule_target_high(const struct fwd_rule *rule);

/* Return text, which has room for FWD_ENDPOINT_TEXT, FWD_SNAT_TEXT or FWD_RULE_TEXT bytes. */
char *rule_listen_text(const struct fwd_rule *rule, char *text);
char *rule_target_text(const struct fwd_rule *rule, char *text);
char *rule_snat_text(const struct fwd_rule *rule, char *text); /* "auto", "none", "A,B" */
char *rule_text(const struct fwd_rule *rule, char *text);

#endif
