/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The words of `map add` and `set`: the text of a parsed rule is parsed to the same rule. */
#include <netinet/in.h>
#include "base/err.h"
#include "fail.h"
#include "model/rule.h"
#include "model/settings.h"
#include "words.h"

/* Messages are formatted but not shown, so that the sanitizers check the formatting. */
static void format_message(struct fwd_report *report, const struct fwd_error *error)
{
	char text[FWD_MESSAGE_TEXT];

	if (error->severity != FWD_ERROR || error->status != FWD_BAD_USAGE)
		fail("a wrong word has the exit status %d", error->status);
	if (!*error_format(error, text, sizeof(text)))
		fail("an error without a message");
}

static struct fwd_report report = {.emit = format_message};

/* The keys are the ports from first to last, each once. */
static void judge_keys(const struct fwd_rule *rule)
{
	struct fwd_rule_key keys[FWD_RULE_KEYS_MAX];
	size_t count = rule_keys(rule, keys);
	unsigned int next = rule->listen_low;

	if (count > FWD_RULE_KEYS_MAX)
		fail("%zu keys", count);
	for (size_t i = 0; i < count; i++) {
		if (keys[i].port != next || keys[i].plen > 16 || next % (1U << (16 - keys[i].plen)))
			fail("key %zu begins at %u/%u, not at %u", i, keys[i].port, keys[i].plen, next);
		next += 1U << (16 - keys[i].plen);
	}
	if (next != rule->listen_high + 1U)
		fail("the keys end at %u, not at %u", next, rule->listen_high);
}

static const char *mss_text(const struct fwd_rule *rule, char *text, size_t size)
{
	if (rule->mss == FWD_MSS_AUTO)
		return NULL;
	snprintf(text, size, "%u", rule->mss);
	return rule->mss == FWD_MSS_OFF ? "off" : text;
}

static void judge_rule(const struct fwd_rule *rule)
{
	char listen[FWD_ENDPOINT_TEXT], target[FWD_ENDPOINT_TEXT], snat[FWD_SNAT_TEXT], mss[16], text[FWD_RULE_TEXT];
	const struct fwd_rule_words words = {
		.proto = proto_name(rule->proto),
		.listen = rule_listen_text(rule, listen),
		.target = rule_target_text(rule, target),
		.snat = rule_snat_text(rule, snat),
		.name = *rule->name ? rule->name : NULL,
		.mss = mss_text(rule, mss, sizeof(mss)),
	};
	struct fwd_endpoint endpoint;
	struct fwd_rule again;

	if (rule_parse(&words, &again, &report))
		fail("the printed text is refused: %s", rule_text(rule, text));
	if (memcmp(rule, &again, sizeof(again)))
		fail("the printed text is parsed to another rule: %s", rule_text(rule, text));
	if (listen_parse(listen, &endpoint, &report) || !rule_listens_on(rule, rule->proto, &endpoint) ||
	    !rule_touches(rule, rule->proto, &endpoint) || !rule_overlap(rule, &again))
		fail("a map isn't found by its LISTEN: %s", rule_text(rule, text));
	judge_keys(rule);
}

static void judge_addr(const char *text)
{
	struct fwd_addr addr, again;
	char printed[FWD_ADDR_TEXT];
	struct fwd_cidr cidr;

	if (!addr_parse(text, &addr) && (addr_parse(addr_format(&addr, printed), &again) || !addr_equal(&addr, &again)))
		fail("an address: %s", printed);
	if (!cidr_parse(text, &cidr) && !cidr_contains(&cidr, &cidr.addr))
		fail("a network without its own address: %s", text);
}

static void judge_setting(const char *name, const char *text)
{
	enum fwd_timeout setting;
	__u32 seconds;

	if (setting_parse(name, &setting, &report) || setting_parse_value(setting, text, &seconds, &report))
		return;
	if (strcmp(setting_name(setting), name) || !seconds || seconds > FWD_TIMEOUT_MAX_SEC ||
	    setting_seconds(FWD_TICKS(seconds)) != seconds)
		fail("%s: %u seconds", name, seconds);
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t size)
{
	struct fwd_rule_words words;
	struct fwd_rule rule;
	struct words w;

	words_read(&w, bytes, size);
	for (int i = 0; i < w.count; i++)
		judge_addr(w.word[i]);
	if (w.count >= 2)
		judge_setting(w.word[0], w.word[1]);
	if (w.count >= 3) {
		words = (struct fwd_rule_words){.proto = w.word[0],
						.listen = w.word[1],
						.target = w.word[2],
						.snat = w.count > 3 ? w.word[3] : NULL,
						.name = w.count > 4 ? w.word[4] : NULL,
						.mss = w.count > 5 ? w.word[5] : NULL};
		if (!rule_parse(&words, &rule, &report))
			judge_rule(&rule);
	}
	words_free(&w);
	return 0;
}
