/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* LISTEN and TARGET as other tools write them: each mistake gets its own message, and what to write instead. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "message.h"
#include "model/conn.h"
#include "model/endpoint_hint.h"
#include "model/rule.h"

Test(endpoint_hint, listen)
{
	static const char *const table[][2] = {
		{"8001", "\"8001\": a colon is missing before the port: write \":8001\""},
		{"8001-8010", "\"8001-8010\": a colon is missing before the port: write \":8001-8010\""},
		{"99999", "\"99999\": a colon is missing before the port"},
		{":80,443",
		 "\":80,443\": one map has one address, and one port or one range: add a map for each: \":80\" "
		 "\":443\""},
		{"80,443",
		 "\"80,443\": one map has one address, and one port or one range: add a map for each: \":80\" "
		 "\":443\""},
		{"1.2.3.4:80,443-445",
		 "\"1.2.3.4:80,443-445\": one map has one address, and one port or one range: add a "
		 "map for each: \"1.2.3.4:80\" \"1.2.3.4:443-445\""},
		{"1.2.3.4,1.2.3.5:80", "\"1.2.3.4,1.2.3.5:80\": one map has one address, and one port or one range"},
		{":7000:7010", "\":7000:7010\": a range of ports is written LOW-HIGH: write \":7000-7010\""},
		{":7000..7010", "\":7000..7010\": a range of ports is written LOW-HIGH: write \":7000-7010\""},
		/* A range of iptables, or docker's address and two ports. */
		{"1.2.3.4:80:8080",
		 "\"1.2.3.4:80:8080\": is two ports: a range is written LOW-HIGH, and LISTEN and TARGET are two "
		 "arguments: write \"1.2.3.4:80-8080\" for the range, or \"1.2.3.4:80 ADDR:8080\" with the address of "
		 "the target for docker's form"},
		{"[2001:db8::1]:70:80",
		 "\"[2001:db8::1]:70:80\": is two ports: a range is written LOW-HIGH, and LISTEN and TARGET are two "
		 "arguments: write \"[2001:db8::1]:70-80\" for the range, or \"[2001:db8::1]:70 ADDR:80\" with the "
		 "address of the target for docker's form"},
		{"127.0.0.1:8080:80",
		 "\"127.0.0.1:8080:80\": is two ports: a range is written LOW-HIGH, and LISTEN and TARGET are two "
		 "arguments: write \"127.0.0.1:8080 ADDR:80\" with the address of the target for docker's form"},
		{"1.2.3.4:7000..7010",
		 "\"1.2.3.4:7000..7010\": a range of ports is written LOW-HIGH: write \"1.2.3.4:7000-7010\""},
		{":7010:7000", "\":7010:7000\": a range of ports is written LOW-HIGH"},
		{"8080:80",
		 "\"8080:80\": is two ports: LISTEN and TARGET are two arguments: write \":8080 ADDR:80\" with "
		 "the address of the target"},
		{"*:80", "\"*:80\": every address of this host is no address: write \":80\""},
		{"any:80", "\"any:80\": every address of this host is no address: write \":80\""},
		{"[*]:80-90", "\"[*]:80-90\": every address of this host is no address: write \":80-90\""},
		{"0/0:80",
		 "\"0/0:80\": is a network: a map has one address, or every address of this host: write \":80\""},
		{"1.2.3.0/24", "\"1.2.3.0/24\": is a network: a map has one address, or every address of this host"},
		{"eth0:80",
		 "\"eth0:80\": is a device, not an address: ip -br addr show eth0 shows its addresses; \":80\" is "
		 "every address of this host"},
		{"eth0.100:80",
		 "\"eth0.100:80\": is a device, not an address: ip -br addr show eth0.100 shows its addresses; "
		 "\":80\" is every address of this host"},
		{"wg0", "\"wg0\": is a device, not an address: ip -br addr show wg0 shows its addresses"},
		{"example.org:80", "\"example.org:80\": names are not looked up: expected an IP address: getent ahosts "
				   "example.org shows its addresses"},
		{"localhost:80", "\"localhost:80\": names are not looked up: expected an IP address: getent ahosts "
				 "localhost shows its addresses"},
		{"web", "\"web\": expected ADDR:PORT or :PORT"},
		{"http://1.2.3.4:8000/x", "\"http://1.2.3.4:8000/x\": is a URL: expected an address and a port: write "
					  "\"1.2.3.4:8000\""},
		{"http://1.2.3.4",
		 "\"http://1.2.3.4\": is a URL: expected an address and a port: write \"1.2.3.4:80\""},
		{"https://[2001:db8::1]/?q", "\"https://[2001:db8::1]/?q\": is a URL: expected an address and a port: "
					     "write \"[2001:db8::1]:443\""},
		{"http://example.org", "\"http://example.org\": is a URL: expected an address and a port"},
		{"http://", "\"http://\": is a URL: expected an address and a port"},
		{"://", "\"://\": is a URL: expected an address and a port"},
		{"8000/tcp", "\"8000/tcp\": the protocol is an argument of its own: write \":8000\""},
		{":8000/udp", "\":8000/udp\": the protocol is an argument of its own: write \":8000\""},
		{"[1.2.3.4]:80", "\"[1.2.3.4]:80\": brackets are for IPv6 addresses only: write \"1.2.3.4:80\""},
		{"2001:db8::1:8000", "\"2001:db8::1:8000\": an IPv6 address needs brackets before a port: write "
				     "\"[2001:db8::1]:8000\""},
		{"fe80::1%eth0", "\"fe80::1%eth0\": has a zone, as only link-local addresses do, which are not routed"},
		/* No known mistake: the reason of the parser. */
		{"1.2.3.4", "\"1.2.3.4\": LISTEN needs a port: ADDR:PORT"},
		{"1.2.3.4:", "\"1.2.3.4:\": a port is missing"},
		{"1.2.3:80", "\"1.2.3:80\": not an IP address"},
		{":http", "\":http\": a port is a number from 1 to 65535"},
		{"2001:db8::g", "\"2001:db8::g\": not an IPv6 address"},
		{"2001:db8::fffe", "\"2001:db8::fffe\": LISTEN needs a port, and brackets before it: [ADDR]:PORT"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fwd_rule_words words = {"tcp", table[i][0], "10.0.0.2", NULL, NULL, NULL};

		check_message(&words, table[i][1]);
	}
}

Test(endpoint_hint, target)
{
	static const char *const table[][2] = {
		{"8001", "\"8001\": is a port without an address: write \"ADDR:8001\" with the address of the target"},
		{"*:80", "\"*:80\": is no address: write \"ADDR:80\" with the address of the target"},
		{":80", "\":80\": TARGET needs an address: ADDR:PORT"},
		{"80,443", "\"80,443\": one map has one address, and one port or one range"},
		{"10.0.0.2:80,443",
		 "\"10.0.0.2:80,443\": one map has one address, and one port or one range: add a map for "
		 "each: \"10.0.0.2:80\" \"10.0.0.2:443\""},
		{"10.0.0.0/24:80", "\"10.0.0.0/24:80\": is a network: a map has one target: write \"ADDR:80\" with the "
				   "address of the target"},
		{"wg0:80", "\"wg0:80\": is a device, not an address: ip -br addr show wg0 shows its addresses"},
		{"nas.local:80", "\"nas.local:80\": names are not looked up: expected an IP address: getent ahosts "
				 "nas.local shows its addresses"},
		{"http://10.0.0.2/",
		 "\"http://10.0.0.2/\": is a URL: expected an address and a port: write \"10.0.0.2:80\""},
		{"10.0.0.2:70:80",
		 "\"10.0.0.2:70:80\": a range of ports is written LOW-HIGH: write \"10.0.0.2:70-80\""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fwd_rule_words words = {"tcp", ":80", table[i][0], NULL, NULL, NULL};

		check_message(&words, table[i][1]);
	}
}

Test(endpoint_hint, snat)
{
	static const char *const table[][2] = {
		{"wg0", "--snat: \"wg0\": is a device, not an address: ip -br addr show wg0 shows its addresses"},
		{"10.0.0.1/24",
		 "--snat: \"10.0.0.1/24\": expected an address without a prefix length: write \"10.0.0.1\""},
		{"10.0.0.1:80",
		 "--snat: \"10.0.0.1:80\": expected an address without a port or brackets: write \"10.0.0.1\""},
		{"[fd00::1]",
		 "--snat: \"[fd00::1]\": expected an address without a port or brackets: write \"fd00::1\""},
		{"10.0.0.1,none", "--snat: \"none\": stands alone, not in a list"},
		{"8001", "--snat: \"8001\": not an IP address"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fwd_rule_words words = {"tcp", ":80", "10.0.0.2", table[i][0], NULL, NULL};

		check_message(&words, table[i][1]);
	}
}

static void check_filter(struct conn_filter_words words, const char *message)
{
	struct fwd_error_list errors = error_list_init();
	struct conn_filter filter;
	char text[FWD_MESSAGE_TEXT];

	cr_assert_eq(conn_filter_parse(&words, &filter, &errors.report), FWD_BAD_USAGE);
	cr_assert_str_eq(error_format(&errors.error[0], text, sizeof(text)), message);
	error_list_free(&errors);
}

/* The filters of `conn list` use the same words. */
Test(endpoint_hint, filter)
{
	check_filter((struct conn_filter_words){.listen = "8001"},
		     "--listen: \"8001\": a colon is missing before the port: write \":8001\"");
	check_filter((struct conn_filter_words){.target = "home:80"},
		     "--target: \"home:80\": names are not looked up: expected an IP address: getent ahosts home shows "
		     "its addresses");
	check_filter((struct conn_filter_words){.client = "example.org"},
		     "--client: \"example.org\": names are not looked up: expected an IP address: getent ahosts "
		     "example.org shows its addresses");
	check_filter((struct conn_filter_words){.source = "10.0.0.1:80"},
		     "--source: \"10.0.0.1:80\": expected an address without a port or brackets: write \"10.0.0.1\"");
	check_filter((struct conn_filter_words){.client = "10.0.0.0/33"},
		     "--client: \"10.0.0.0/33\": a prefix length of IPv4 is 0 to 32");
}

/* The text that is to be written instead is right, whatever was written. */
Test(endpoint_hint, random_texts)
{
	static const char letters[] = "0123456789abe.:[]-%*,/:h";

	int suggested = 0;

	srand(1);
	for (int round = 0; round < 500000; round++) {
		char text[80], meant[FWD_FIX_TEXT];
		size_t length = rand() % (round % 16 ? 16 : sizeof(text));
		struct fwd_endpoint endpoint;
		struct endpoint_hint hint;

		for (size_t i = 0; i < length; i++)
			text[i] = letters[rand() % (sizeof(letters) - 1)];
		text[length] = '\0';
		if (!endpoint_parse(text, &endpoint) || !endpoint_hint(text, rand() % 3, &hint))
			continue;
		cr_assert_not_null(hint.why);
		if (sscanf(hint.fix, "write \"%[^\"]\"", meant) != 1 || !strncmp(meant, "ADDR:", 5) ||
		    strchr(meant, ' '))
			continue;
		cr_assert_null(endpoint_parse(meant, &endpoint), "\"%s\": %s", text, hint.fix);
		suggested++;
	}
	cr_assert_gt(suggested, 1000);
}
