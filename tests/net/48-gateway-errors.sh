# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# ICMP errors that begin at the gateway: as if it had forwarded the packet as it came.

# hops HOST OPTION... ADDR: who answers at TTL 1, 2 and 3, as traceroute says.
hops() {
	local host=$1
	shift
	on "$host" traceroute -n -q 1 -N 1 -w 2 -m 3 "$@" >"$TOPO_DIR/traceroute.log"
	cat "$TOPO_DIR/traceroute.log" >&2
	awk '/^ *[0-9]/ { print $2 }' "$TOPO_DIR/traceroute.log" | xargs
}

# The router, the gateway, and home, which goes by the gateway's name.
test_traceroute() {
	local way="54.147.66.1 $GATEWAY $GATEWAY" way6="2001:db8:54::1 $GATEWAY6 $GATEWAY6"
	topology offload=off
	maps_and_services
	capture heard client eth0 icmp or icmp6 or tcp or udp
	is "$(hops client -U -p 8000 $GATEWAY)" "$way" "the way, by UDP"
	is "$(hops client -T -p 8000 $GATEWAY)" "$way" "the way, by TCP"
	is "$(hops client -6 -U -p 8000 $GATEWAY6)" "$way6" "the way, by UDP"
	is "$(hops client -6 -T -p 8000 $GATEWAY6)" "$way6" "the way, by TCP"
	capture_end heard
	checksums heard
	# Each is about the packet as it was sent.
	is "$(packets heard ".src == \"$GATEWAY\" and .type == 11 and .code == 0" |
		jq -r '"\(.quote.src) \(.quote.dst) \(.quote.dport)"' | sort | uniq -c | xargs)" \
		"2 $CLIENT $GATEWAY 8000" "what the gateway's errors quote"
	is "$(packets heard ".src == \"$GATEWAY6\" and .type == 3 and .code == 0" |
		jq -r '"\(.quote.src) \(.quote.dst) \(.quote.dport)"' | sort | uniq -c | xargs)" \
		"2 $CLIENT6 $GATEWAY6 8000" "what the gateway's errors quote"
	# One connection each, that of the packet which went through. UDP is the service's to tell.
	is "$(grep -c '^udp ' "$TOPO_DIR/service.log")" 2 "UDP callers"
	forward_untouched
}

# Within a connection: a TTL that ends at the gateway is told to both ends.
test_ttl_expires() {
	topology offload=off
	maps_and_services
	is "$(peer client hop $MAP4 --count 2)" "$GATEWAY 11 0" "who answers the visitor"
	is "$(peer client hop "$MAP6" --count 2)" "$GATEWAY6 3 0" "who answers the visitor"
	is "$(peer client hop $MAP4 --count 1)" "54.147.66.1 11 0" "who answers the visitor"
	# An answer of home's, with a TTL that ends at the gateway: the source that home knows says so.
	answer_ends_here $MAP4 $HOME_WG:8001 $GATEWAY:8001 "$GATEWAY_WG 11 0"
	answer_ends_here "$MAP6" "[$HOME_WG6]:8001" "[$GATEWAY6]:8001" "$GATEWAY_WG6 3 0"
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.passes.no_connection == 0' stats
	forward_untouched
}

answer_ends_here() {
	fwd map add udp "$3" "$2"
	start_peer short home answer-hop "$2" --count 1
	topo_wait 5 logged short '^ready'
	peer client shout "$3"
	finish short
	is "$(tail -n 1 "$TOPO_DIR/short.log")" "$4" "who answers home"
}

# Nobody has the target's address: after some asking the kernel says so, and the visitor learns it.
test_no_neighbour() {
	topology lan offload=off
	let_lo_pass
	attach eth0 eth1
	fwd map add tcp $MAP4 10.99.0.77:8000
	fwd map add tcp "$MAP6" "[fd10:99::77]:8000"
	fwd map add udp $MAP4 10.99.0.77:8000
	capture heard client eth0 icmp or icmp6
	start_peer tcp client unreachable $MAP4
	start_peer udp client unreachable $MAP4 --proto udp
	start_peer tcp6 client unreachable "$MAP6"
	finish tcp
	finish udp
	finish tcp6
	capture_end heard
	checksums heard
	[ "$(count heard ".type == 3 and .code == 1 and .quote.dst == \"$GATEWAY\" and .quote.dport == 8000")" -ge 2 ] ||
		fail "no such error about IPv4: $(packets heard)"
	[ "$(count heard ".type == 1 and .code == 3 and .quote.dst == \"$GATEWAY6\" and .quote.dport == 8000")" -ge 1 ] ||
		fail "no such error about IPv6: $(packets heard)"
	forward_untouched
}

# An error that the gateway's stack makes about a translated packet is sent to that packet's source, which is the
# gateway. By hand here, as the kernel would write it.
test_own_stack() {
	topology offload=off
	let_lo_pass
	maps_and_services
	capture heard client eth0 icmp or icmp6
	own_error $MAP4 $CLIENT:4711 $GATEWAY_WG:4711 $HOME_WG:8000
	own_error "$MAP6" "[$CLIENT6]:4711" "[$GATEWAY_WG6]:4711" "[$HOME_WG6]:8000"
	capture_end heard
	checksums heard
	is "$(packets heard '.type == 3 and .code == 1' | jq -r '"\(.src) \(.quote.src) \(.quote.sport) \(.quote.dst) \(.quote.dport)"')" \
		"$GATEWAY $CLIENT 4711 $GATEWAY 8000" "what the visitor hears"
	is "$(packets heard '.type == 1 and .code == 3' | jq -r '"\(.src) \(.quote.src) \(.quote.sport) \(.quote.dst) \(.quote.dport)"')" \
		"$GATEWAY6 $CLIENT6 4711 $GATEWAY6 8000" "what the visitor hears"
	forward_untouched
}

# own_error LISTEN CLIENT SOURCE TARGET: the client has a connection; the error is about the packet that home would get.
own_error() {
	peer client udp-burst "$1" --count 1 --size 100 --bind "$2"
	peer gateway icmp-unreachable "$4" --bind "$3" --size 100
	sleep 0.2
}
