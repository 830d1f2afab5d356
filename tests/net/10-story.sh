# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The README's example: two commands, and the server at home answers the client's curl.

story() {
	mkdir -p "$TOPO_DIR/www"
	echo hello >"$TOPO_DIR/www/index.html"
	start http home "$PYTHON" -u -m http.server -b $HOME_WG -d "$TOPO_DIR/www" 8000
	topo_wait 5 logged http Serving || fail "http.server does not start"
	! on client curl -sI -m 1 $GATEWAY:8000 || fail "curl gets an answer before fwdctl runs"

	attach eth0 wg0
	fwd map add tcp $GATEWAY:8000 $HOME_WG:8000

	capture client_out client eth0 tcp port 8000
	capture eth0 gateway eth0 tcp port 8000
	capture wg0 gateway wg0 tcp port 8000
	CAPTURE_DIRECTION=in capture home home wg0 tcp port 8000
	is "$(on client curl -sI -m 5 -o /dev/null -w '%{http_code}' $GATEWAY:8000)" 200 "curl -I's status"
	is "$(on client curl -s -m 5 $GATEWAY:8000/)" hello "what curl got"
	capture_end client_out eth0 wg0 home

	# The SYNs at three points: same port, sequence number and timestamps, new addresses, TTL decremented by each
	# hop. fwdctl lowers the MSS to 1380, which fits the tunnel, and changes nothing else.
	local lowered='.options |= sub("^020405b4"; "02040564")'
	[ -z "${FWDCTL_STANDIN:-}" ] || lowered=.
	local syn='.flags == "S"' same='[.sport, .dport, .seq, .tsval, .options, .len, .id]'
	is "$(count home "$syn")" 2 "SYNs at home"
	is "$(packets home "$syn" | jq -c "$same")" "$(packets client_out "$syn" | jq -c "$lowered | $same")" \
		"home's SYN"
	is "$(packets wg0 "$syn" | jq -c '[.src, .dst, .ttl]' | sort -u)" \
		"[\"$GATEWAY_WG\",\"$HOME_WG\",62]" "the SYN on wg0"
	is "$(packets eth0 "$syn" | jq -c '[.src, .dst, .ttl]' | sort -u)" \
		"[\"$CLIENT\",\"$GATEWAY\",63]" "the SYN on eth0"
	# The source of the replies is the address that the client connected to.
	is "$(packets client_out '.flags == "SA"' | jq -c '[.src, .sport, .dst, .ttl]' | sort -u)" \
		"[\"$GATEWAY\",8000,\"$CLIENT\",62]" "the reply to the SYN"
	is "$(count home ".src != \"$GATEWAY_WG\"")" 0 "packets at home from other sources"
	checksums home
	forward_untouched
}

test_story() {
	topology
	story
	[ -z "${FWDCTL_STANDIN:-}" ] || return 0
	json 'length == 1 and (.[0] | .proto == "tcp" and .listen == "'$MAP4'" and .target == "'$HOME_WG:8000'"
		and .packets_in > 8 and .packets_out > 6 and .bytes_in > 400 and .bytes_out > 400)' map list
	json 'length == 2 and all(.proto == "tcp" and (.client | startswith("'$CLIENT':")) and .listen == "'$MAP4'"
		and (.source | startswith("'$GATEWAY_WG':")) and .target == "'$HOME_WG:8000'"
		and .state == "TIME_WAIT" and .expires_s <= 120 and .expires_s > 100 and .idle_s < 10
		and .packets_in >= 4 and .packets_out >= 3)' conn list
	json '.connections.active == 2 and .connections.created == 2 and .connections.failed == 0
		and ([.devices[] | select(.mode == "tc" or .mode == "'"${FWDCTL_MODE:-tc}"'") | .name] | sort) == ["eth0", "wg0"]
		and all(.devices[]; .packets > 0) and (.drops | add // 0) == 0' stats
}

# As on kernels before 6.6: clsact and cls_bpf.
test_story_clsact() {
	export FWDCTL_NO_TCX=1
	topology
	story
	[ -n "${FWDCTL_STANDIN:-}" ] || on gateway tc filter show dev eth0 ingress | grep bpf >&2 ||
		fail "no tc filter on eth0"
	serve service home --tcp $HOME_WG:8001
	fwd map add tcp $GATEWAY:8001 $HOME_WG:8001
	peer client put $GATEWAY:8001
	peer client get $GATEWAY:8001
}

# `map add` before `attach`: the order does not matter.
test_map_before_attach() {
	topology
	fwd map add tcp $GATEWAY:8000 $HOME_WG:8000
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000"
	attach eth0 wg0
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	forward_untouched
}

# No fwdctl process is needed: none runs when the first packet arrives.
test_no_process() {
	topology
	maps_and_services
	local process
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/exe")" != "$FWDCTL" ] ||
			[ "$(readlink "$process/ns/net")" != "$(on gateway readlink /proc/self/ns/net)" ] ||
			fail "fwdctl still runs: $(tr '\0' ' ' <"$process/cmdline")"
	done
	peer client who $MAP4
}
