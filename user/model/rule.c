/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "base/word.h"
#include "model/endpoint_hint.h"
#include "model/rule.h"

static const char *const proto_names[] = {"tcp", "udp"};
static const __u8 proto_numbers[] = {IPPROTO_TCP, IPPROTO_UDP};

enum fwd_exit proto_parse(const char *option, const char *text, __u8 *proto, struct fwd_report *report)
{
	int found = word_find(text, proto_names, 2);

	if (found < 0 && strcasestr(text, "tcp") && strcasestr(text, "udp"))
		return report_usage(report, ABOUT(.option = option, .object = text, .fix = "one for tcp, one for udp"),
				    "is two protocols: give two commands");
	if (found < 0)
		return report_unknown(report, ABOUT(.option = option, .object = text), "protocol", proto_names, 2);
	*proto = proto_numbers[found];
	return FWD_DONE;
}

const char *proto_name(__u8 proto)
{
	return proto_names[proto == IPPROTO_UDP];
}

enum fwd_exit listen_parse(const char *text, struct fwd_endpoint *listen, struct fwd_report *report)
{
	const char *why = endpoint_parse(text, listen);

	if (!why && !listen->low)
		why = listen->family == FWD_FAMILY_IPV6 ? "LISTEN needs a port, and brackets before it: [ADDR]:PORT"
							: "LISTEN needs a port: ADDR:PORT";
	if (why)
		return endpoint_refuse(NULL, text, ENDPOINT_LISTEN, why, report);
	if (listen->family && !addr_is_unspecified(&listen->addr))
		why = addr_why_not_unicast(&listen->addr);
	return why ? report_usage(report, ABOUT(.object = text), "%s", why) : FWD_DONE;
}

/* Checks TARGET against the LISTEN that is already in *rule, and fills target, target_low, family. */
static enum fwd_exit target_parse(const char *text, struct fwd_rule *rule, struct fwd_report *report)
{
	const struct fwd_about *about = ABOUT(.object = text);
	unsigned int count = rule->listen_high - rule->listen_low + 1;
	struct fwd_endpoint target;
	const char *why;

	why = endpoint_parse(text, &target);
	if (why)
		return endpoint_refuse(NULL, text, ENDPOINT_TARGET, why, report);
	why = target.family ? addr_why_not_unicast(&target.addr) : "TARGET needs an address: ADDR:PORT";
	if (why)
		return report_usage(report, about, "%s", why);
	if (!target.low) {
		target.low = rule->listen_low;
		target.high = rule->listen_high;
	}
	if (target.high - target.low + 1U != count)
		return report_usage(report, about, "LISTEN has %u port%s, TARGET has %u: give as many, or none", count,
				    count == 1 ? "" : "s", target.high - target.low + 1U);
	if (rule->family && rule->family != target.family)
		return report_usage(report, about,
				    "LISTEN is IPv%u and TARGET is IPv%u: fwdctl does not translate between them",
				    rule->family, target.family);
	rule->family = target.family;
	rule->target = target.addr;
	rule->target_low = target.low;
	return FWD_DONE;
}

static enum fwd_exit pool_add(struct fwd_rule *rule, const char *text, struct fwd_report *report)
{
	struct fwd_addr addr;
	const char *why;

	if (!strcmp(text, "auto") || !strcmp(text, "none"))
		return report_usage(report, ABOUT(.option = "--snat", .object = text), "stands alone, not in a list");
	why = addr_parse(text, &addr);
	if (why)
		return endpoint_refuse("--snat", text, ENDPOINT_NO_PORT, why, report);
	why = addr_why_not_unicast(&addr);
	if (!why && addr_family(&addr) != rule->family)
		why = "not of the same family as TARGET";
	if (!why && addr_equal(&addr, &rule->target))
		why = "is the address of TARGET, which would not reply to itself";
	if (!why && rule->snat_count == FWD_SNAT_POOL_MAX)
		why = "expected at most 16 addresses";
	for (int i = 0; !why && i < rule->snat_count; i++)
		if (addr_equal(&rule->pool[i], &addr))
			why = "given twice";
	if (why)
		return report_usage(report, ABOUT(.option = "--snat", .object = text), "%s", why);
	rule->pool[rule->snat_count++] = addr;
	return FWD_DONE;
}

static enum fwd_exit snat_parse(const char *text, struct fwd_rule *rule, struct fwd_report *report)
{
	char copy[FWD_SNAT_TEXT + 64];
	char *rest = copy, *word;
	enum fwd_exit ret = FWD_DONE;

	if (!text || !strcmp(text, "auto")) {
		rule->snat = FWD_SNAT_AUTO;
		return FWD_DONE;
	}
	if (!strcmp(text, "none")) {
		rule->snat = FWD_SNAT_NONE;
		return FWD_DONE;
	}
	rule->snat = FWD_SNAT_LIST;
	if (strlen(text) >= sizeof(copy))
		return report_usage(report, ABOUT(.option = "--snat"), "the list is too long: at most 16 addresses");
	strcpy(copy, text);
	while (!ret && (word = strsep(&rest, ",")))
		ret = pool_add(rule, word, report);
	return ret;
}

static enum fwd_exit name_parse(const char *text, struct fwd_rule *rule, struct fwd_report *report)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";

	if (!text)
		return FWD_DONE;
	if (!*text || strlen(text) >= FWD_NAME_LEN || text[strspn(text, letters)])
		return report_usage(report, ABOUT(.option = "--name", .object = text),
				    "a name is 1 to %d letters, digits, \".\", \"_\" or \"-\"", FWD_NAME_LEN - 1);
	strcpy(rule->name, text);
	return FWD_DONE;
}

static enum fwd_exit mss_parse(const char *text, struct fwd_rule *rule, struct fwd_report *report)
{
	const struct fwd_about *about = ABOUT(.option = "--mss", .object = text);
	unsigned long value;

	if (!text || !strcmp(text, "auto"))
		return FWD_DONE;
	if (rule->proto != IPPROTO_TCP)
		return report_usage(report, about, "only TCP has segments: leave the option out for %s",
				    proto_name(rule->proto));
	if (!strcmp(text, "off")) {
		rule->mss = FWD_MSS_OFF;
		return FWD_DONE;
	}
	if (!number_parse(text, FWD_MSS_MIN, FWD_MSS_MAX, &value))
		return report_usage(report, about, "expected auto, off, or a number of bytes from %d to %d",
				    FWD_MSS_MIN, FWD_MSS_MAX);
	rule->mss = value;
	return FWD_DONE;
}

static enum fwd_exit ends_parse(const struct fwd_rule_words *words, struct fwd_rule *rule, struct fwd_report *report)
{
	struct fwd_endpoint listen;
	enum fwd_exit ret = listen_parse(words->listen, &listen, report);

	if (ret)
		return ret;
	rule->family = listen.family;
	rule->listen_low = listen.low;
	rule->listen_high = listen.high;
	ret = target_parse(words->target, rule, report);
	if (ret)
		return ret;
	rule->any_listen = !listen.family || addr_is_unspecified(&listen.addr);
	rule->listen = rule->any_listen ? addr_unspecified(rule->family) : listen.addr;
	if (!rule->any_listen && addr_equal(&rule->listen, &rule->target))
		return report_usage(report, ABOUT(.object = words->target),
				    "TARGET is the address of LISTEN: a map leads to another host");
	return FWD_DONE;
}

enum fwd_exit rule_parse(const struct fwd_rule_words *words, struct fwd_rule *rule, struct fwd_report *report)
{
	enum fwd_exit ret;

	*rule = (struct fwd_rule){.state = FWD_RULE_ACTIVE};
	ret = proto_parse(NULL, words->proto, &rule->proto, report);
	if (!ret)
		ret = ends_parse(words, rule, report);
	if (!ret)
		ret = snat_parse(words->snat, rule, report);
	if (!ret)
		ret = mss_parse(words->mss, rule, report);
	return ret ? ret : name_parse(words->name, rule, report);
}

bool rule_overlap(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return a->proto == b->proto && a->family == b->family && a->listen_low <= b->listen_high &&
	       b->listen_low <= a->listen_high &&
	       (a->any_listen || b->any_listen || addr_equal(&a->listen, &b->listen));
}

bool rule_same_words(const struct fwd_rule *a, const struct fwd_rule *b)
{
	bool same_pool = a->snat != FWD_SNAT_LIST || (a->snat_count == b->snat_count &&
						      !memcmp(a->pool, b->pool, a->snat_count * sizeof(*a->pool)));

	return a->proto == b->proto && a->family == b->family && a->listen_low == b->listen_low &&
	       a->listen_high == b->listen_high && addr_equal(&a->listen, &b->listen) &&
	       addr_equal(&a->target, &b->target) && a->target_low == b->target_low && a->snat == b->snat &&
	       same_pool && a->mss == b->mss && !strcmp(a->name, b->name);
}

/* The wildcard "0.0.0.0:8000" names its family, ":8000" is either. */
static bool same_address(const struct fwd_rule *rule, const struct fwd_endpoint *listen)
{
	if (!listen->family)
		return rule->any_listen;
	return addr_equal(&rule->listen, &listen->addr);
}

bool rule_listens_on(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen)
{
	return rule->proto == proto && rule->listen_low == listen->low && rule->listen_high == listen->high &&
	       same_address(rule, listen);
}

bool rule_touches(const struct fwd_rule *rule, __u8 proto, const struct fwd_endpoint *listen)
{
	bool any = !listen->family || addr_is_unspecified(&listen->addr);

	return rule->proto == proto && (!listen->family || listen->family == rule->family) &&
	       rule->listen_low <= listen->high && listen->low <= rule->listen_high &&
	       (any || rule->any_listen || addr_equal(&rule->listen, &listen->addr));
}

/* As a routing table covers a range of addresses: always the largest aligned block that still fits. */
size_t rule_keys(const struct fwd_rule *rule, struct fwd_rule_key keys[FWD_RULE_KEYS_MAX])
{
	unsigned int next = rule->listen_low, end = rule->listen_high + 1U;
	size_t count = 0;

	while (next < end) {
		unsigned int plen = 16, size = 1;

		while (plen && !(next & size) && next + 2 * size <= end) {
			size *= 2;
			plen--;
		}
		keys[count++] = (struct fwd_rule_key){
			.addr = rule->listen,
			.port = next,
			.proto = rule->proto,
			.plen = plen,
		};
		next += size;
	}
	return count;
}

__u16 rule_target_high(const struct fwd_rule *rule)
{
	return rule->target_low + (rule->listen_high - rule->listen_low);
}

char *rule_listen_text(const struct fwd_rule *rule, char *text)
{
	return endpoint_format(rule->any_listen ? NULL : &rule->listen, rule->listen_low, rule->listen_high, text);
}

char *rule_target_text(const struct fwd_rule *rule, char *text)
{
	return endpoint_format(&rule->target, rule->target_low, rule_target_high(rule), text);
}

char *rule_snat_text(const struct fwd_rule *rule, char *text)
{
	char *at = text;

	if (rule->snat != FWD_SNAT_LIST)
		return strcpy(text, rule->snat == FWD_SNAT_AUTO ? "auto" : "none");
	*at = '\0';
	for (int i = 0; i < rule->snat_count; i++) {
		if (i)
			*at++ = ',';
		at += strlen(addr_format(&rule->pool[i], at));
	}
	return text;
}

char *rule_text(const struct fwd_rule *rule, char *text)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT];

	snprintf(text, FWD_RULE_TEXT, "%s %s -> %s", proto_name(rule->proto), rule_listen_text(rule, listen),
		 rule_target_text(rule, target));
	return text;
}
