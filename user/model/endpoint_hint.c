/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "model/endpoint_hint.h"

#define DIGITS     "0123456789"
#define MEANT_TEXT (3 * FWD_ENDPOINT_TEXT)

/* A text in two parts, each of which may be empty. */
struct parts {
	char addr[FWD_ENDPOINT_TEXT];
	char ports[FWD_ENDPOINT_TEXT]; /* what follows the address and a colon */
};

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool consists_of(const char *text, const char *letters)
{
	return *text && !text[strspn(text, letters)];
}

static bool is_endpoint(const char *text)
{
	struct fwd_endpoint endpoint;

	return !endpoint_parse(text, &endpoint);
}

static bool is_address(const char *text)
{
	struct fwd_addr addr;

	return !addr_parse(text, &addr);
}

/* The fix is to write `meant`, if that can be parsed. */
static bool suggest(struct endpoint_hint *hint, const char *why, const char *meant)
{
	hint->why = why;
	if (is_endpoint(meant))
		snprintf(hint->fix, sizeof(hint->fix), "write \"%s\"", meant);
	return true;
}

static bool suggest_ports(struct endpoint_hint *hint, enum endpoint_role role, const char *why, const char *ports)
{
	char meant[MEANT_TEXT];

	snprintf(meant, sizeof(meant), ":%s", ports);
	if (role == ENDPOINT_LISTEN)
		return suggest(hint, why, meant);
	hint->why = why;
	if (is_endpoint(meant))
		snprintf(hint->fix, sizeof(hint->fix), "write \"ADDR%s\" with the address of the target", meant);
	return true;
}

/* At the first colon that is in no brackets. False: the text is too long. */
static bool split(const char *text, struct parts *parts)
{
	const char *from = *text == '[' && strchr(text, ']') ? strchr(text, ']') : text;
	const char *colon = strchr(from, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);

	if (strlen(text) >= sizeof(parts->addr))
		return false;
	snprintf(parts->addr, sizeof(parts->addr), "%.*s", (int)length, text);
	snprintf(parts->ports, sizeof(parts->ports), "%s", colon ? colon + 1 : "");
	return true;
}

/* "http://10.0.0.2:8000/index.html" */
static bool hint_url(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	static const char *const defaults[][2] = {{"http://", ":80"}, {"https://", ":443"}};
	const char *host = strstr(text, "://"), *port = "";
	char meant[MEANT_TEXT];
	struct fwd_endpoint endpoint;
	int length;

	if (!host)
		return false;
	host += 3;
	length = strcspn(host, "/?#");
	snprintf(meant, sizeof(meant), "%.*s", length, host);
	for (size_t i = 0; i < 2; i++)
		if (starts_with(text, defaults[i][0]) && !endpoint_parse(meant, &endpoint) && !endpoint.low)
			port = defaults[i][1];
	snprintf(meant, sizeof(meant), "%.*s%s", length, host, port);
	return suggest(hint, "is a URL: expected an address and a port", meant);
}

/* "8000/tcp" as docker and nmap write it. */
static bool hint_protocol(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	const char *slash = strrchr(text, '/');
	char meant[MEANT_TEXT];

	if (!slash || (strcmp(slash, "/tcp") && strcmp(slash, "/udp")))
		return false;
	snprintf(meant, sizeof(meant), "%.*s", (int)(slash - text), text);
	if (consists_of(meant, DIGITS "-"))
		return suggest_ports(hint, role, "the protocol is an argument of its own", meant);
	return suggest(hint, "the protocol is an argument of its own", meant);
}

/* "10.0.0.0/8:80", "0.0.0.0/0:80" */
static bool hint_network(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	const char *slash = strchr(text, '/'), *colon = slash ? strchr(slash, ':') : NULL;

	hint->why = role == ENDPOINT_LISTEN ? "is a network: a map has one address, or every address of this host"
					    : "is a network: a map has one target";
	return slash && (!colon || suggest_ports(hint, role, hint->why, colon + 1));
}

/* ":80,443" and "80,443"; a list of addresses is none of ports. */
static bool hint_list(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	const char *comma = strchr(text, ','), *ports = strrchr(text, ':');
	const char *each = ports ? ports + 1 : text;
	int prefix = ports ? ports - text : 0;
	size_t used = 0;

	if (!comma)
		return false;
	hint->why = "one map has one address, and one port or one range";
	if (!consists_of(each, DIGITS ",-") || (ports && comma < ports) || (role == ENDPOINT_TARGET && !prefix))
		return true;
	used = snprintf(hint->fix, sizeof(hint->fix), "add a map for each:");
	while (*each && used < sizeof(hint->fix) - FWD_ENDPOINT_TEXT - 8) {
		int length = strcspn(each, ",");

		used += snprintf(hint->fix + used, sizeof(hint->fix) - used, " \"%.*s:%.*s\"", prefix, text, length,
				 each);
		each += length + !!each[length];
	}
	return true;
}

/* "8001", "8001-8010" */
static bool hint_port_alone(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	if (!consists_of(text, DIGITS "-"))
		return false;
	return suggest_ports(
		hint, role,
		role == ENDPOINT_LISTEN ? "a colon is missing before the port" : "is a port without an address", text);
}

/* "*:80" as ss and Apache write it; "any:80" */
static bool hint_any(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	static const char *const any[] = {"*", "[*]", "any", "all", "0"};
	struct parts parts;

	if (!split(text, &parts))
		return false;
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
		if (!strcmp(parts.addr, any[i]) && *parts.ports)
			return suggest_ports(hint, role,
					     role == ENDPOINT_LISTEN ? "every address of this host is no address"
								     : "is no address",
					     parts.ports);
	return false;
}

/* "10.0.0.1:80:8080": a range as iptables writes it, or docker's ADDR:HOSTPORT:CONTAINERPORT. `range`: the first. */
static bool hint_two_ports(const struct parts *parts, const char *range, struct endpoint_hint *hint)
{
	const char *high = strchr(parts->ports, ':') + 1;
	char listen[MEANT_TEXT];
	size_t used = 0;

	snprintf(listen, sizeof(listen), "%s:%.*s", parts->addr, (int)strcspn(parts->ports, ":"), parts->ports);
	hint->why = "is two ports: a range is written LOW-HIGH, and LISTEN and TARGET are two arguments";
	if (!is_endpoint(listen))
		return true;
	if (is_endpoint(range))
		used = snprintf(hint->fix, sizeof(hint->fix), "write \"%s\" for the range, or ", range);
	snprintf(hint->fix + used, sizeof(hint->fix) - used,
		 "%s\"%s ADDR:%s\" with the address of the target for docker's form", used ? "" : "write ", listen,
		 high);
	return true;
}

/* ":7000:7010" and ":7000..7010"; and docker's "8080:80", with LISTEN and TARGET in one. */
static bool hint_range(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	char meant[MEANT_TEXT];
	struct parts parts;
	size_t low, gap;

	if (!split(text, &parts))
		return false;
	if (consists_of(parts.addr, DIGITS) && consists_of(parts.ports, DIGITS)) {
		hint->why = "is two ports: LISTEN and TARGET are two arguments";
		snprintf(hint->fix, sizeof(hint->fix), "write \":%s ADDR:%s\" with the address of the target",
			 parts.addr, parts.ports);
		return true;
	}
	low = strspn(parts.ports, DIGITS);
	gap = strspn(parts.ports + low, ":.");
	if (!low || !gap || !consists_of(parts.ports + low + gap, DIGITS))
		return false;
	snprintf(meant, sizeof(meant), "%s:%.*s-%s", parts.addr, (int)low, parts.ports, parts.ports + low + gap);
	if (role == ENDPOINT_LISTEN && *parts.addr && gap == 1 && parts.ports[low] == ':')
		return hint_two_ports(&parts, meant, hint);
	return suggest(hint, "a range of ports is written LOW-HIGH", meant);
}

/* "[10.0.0.2]:80" */
static bool hint_brackets(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	char meant[MEANT_TEXT];
	struct parts parts;
	size_t length;

	if (!split(text, &parts) || parts.addr[0] != '[')
		return false;
	length = strcspn(parts.addr + 1, "]");
	parts.addr[1 + length] = '\0';
	if (strchr(parts.addr + 1, ':') || !is_address(parts.addr + 1))
		return false;
	snprintf(meant, sizeof(meant), "%s%s%s", parts.addr + 1, *parts.ports ? ":" : "", parts.ports);
	return suggest(hint, "brackets are for IPv6 addresses only", meant);
}

/* "2001:db8::1:8000" is an IPv6 address, to the last digit. */
static bool hint_no_brackets(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	const char *colon = strrchr(text, ':');
	char meant[MEANT_TEXT];

	if (!is_address(text) || !colon || !consists_of(colon + 1, DIGITS))
		return false;
	snprintf(meant, sizeof(meant), "[%.*s]:%s", (int)(colon - text), text, colon + 1);
	return is_endpoint(meant) && suggest(hint, "an IPv6 address needs brackets before a port", meant);
}

/* "fe80::1%eth0" */
static bool hint_zone(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	hint->why = "has a zone, as only link-local addresses do, which are not routed";
	return strchr(text, '%') && strchr(text, ':');
}

/* "eth0", "wg0", "eth0.100": letters, and digits at the end. Host names that look so are rare. */
static bool is_like_device(const char *name)
{
	size_t length = strlen(name);
	const char *dot = strchr(name, '.');

	return isalpha((unsigned char)*name) && isdigit((unsigned char)name[length - 1]) &&
	       (!dot || consists_of(dot + 1, DIGITS));
}

/* "eth0:80", "example.org:80" */
static bool hint_name(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS "-_.";
	struct parts parts;

	if (!split(text, &parts) || !consists_of(parts.addr, letters) || consists_of(parts.addr, DIGITS ".") ||
	    strchr(parts.ports, ':'))
		return false;
	if (!is_like_device(parts.addr)) {
		hint->why = "names are not looked up: expected an IP address";
		snprintf(hint->fix, sizeof(hint->fix), "getent ahosts %s shows its addresses", parts.addr);
		return true;
	}
	hint->why = "is a device, not an address";
	if (role == ENDPOINT_LISTEN && *parts.ports)
		snprintf(hint->fix, sizeof(hint->fix),
			 "ip -br addr show %s shows its addresses; \":%s\" is every address of this host", parts.addr,
			 parts.ports);
	else
		snprintf(hint->fix, sizeof(hint->fix), "ip -br addr show %s shows its addresses", parts.addr);
	return true;
}

/* "10.0.0.2:80" and "10.0.0.2/24" where only an address belongs. */
static bool hint_no_port(const char *text, struct endpoint_hint *hint)
{
	char address[FWD_ADDR_TEXT];
	struct fwd_endpoint endpoint;
	struct fwd_cidr cidr;

	if (!endpoint_parse(text, &endpoint) && endpoint.family)
		return suggest(hint, "expected an address without a port or brackets",
			       addr_format(&endpoint.addr, address));
	return strchr(text, '/') && !cidr_parse(text, &cidr) &&
	       suggest(hint, "expected an address without a prefix length", addr_format(&cidr.addr, address));
}

/* A word that has neither an address nor a port: the name of a map, most likely. */
static bool hint_word(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	if (role != ENDPOINT_LISTEN || text[strcspn(text, ".:[]/")] || is_like_device(text))
		return false;
	hint->why = "expected ADDR:PORT or :PORT";
	return true;
}

bool endpoint_hint(const char *text, enum endpoint_role role, struct endpoint_hint *hint)
{
	/* In this order: a URL has a slash and a name, too. */
	static bool (*const hints[])(const char *, enum endpoint_role, struct endpoint_hint *) = {
		hint_url,   hint_protocol, hint_network,     hint_list, hint_port_alone, hint_any,
		hint_range, hint_brackets, hint_no_brackets, hint_zone, hint_word,       hint_name,
	};

	*hint = (struct endpoint_hint){};
	if (role == ENDPOINT_NO_PORT)
		return hint_no_port(text, hint) || hint_zone(text, role, hint) || hint_name(text, role, hint);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i](text, role, hint))
			return true;
	return false;
}

enum fwd_exit endpoint_refuse(const char *option, const char *text, enum endpoint_role role, const char *why,
			      struct fwd_report *report)
{
	struct endpoint_hint hint;

	if (endpoint_hint(text, role, &hint))
		why = hint.why;
	return report_usage(report, ABOUT(.option = option, .object = text, .fix = hint.fix), "%s", why);
}
