# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# ICMP errors that the gateway sends, as a router would for the packet that it received.

# hops HOST OPTION... ADDR: the senders of the errors at TTL 1, 2 and 3, by traceroute.
hops() {
	local host=$1
	shift
	on "$host" traceroute -n -q 1 -N 1 -w 2 -m 3 "$@" >"$TOPO_DIR/traceroute.log"
	cat "$TOPO_DIR/traceroute.log" >&2
	awk '/^ *[0-9]/ { print $2 }' "$TOPO_DIR/traceroute.log" | xargs
}

# The router, the gateway, and home, whose address is translated to the gateway's.
test_traceroute() {
	local path="54.147.66.1 $GATEWAY $GATEWAY" path6="2001:db8:54::1 $GATEWAY6 $GATEWAY6"
	topology offload=off
	maps_and_services
	capture errors client eth0 icmp or icmp6 or tcp or udp
	is "$(hops client -U -p 8000 $GATEWAY)" "$path" "the path, by UDP"
	is "$(hops client -T -p 8000 $GATEWAY)" "$path" "the path, by TCP"
	is "$(hops client -6 -U -p 8000 $GATEWAY6)" "$path6" "the path, by UDP"
	is "$(hops client -6 -T -p 8000 $GATEWAY6)" "$path6" "the path, by TCP"
	capture_end errors
	checksums errors
	# Each quotes the packet that was sent.
	is "$(packets errors ".src == \"$GATEWAY\" and .type == 11 and .code == 0" |
		jq -r '"\(.quote.src) \(.quote.dst) \(.quote.dport)"' | sort | uniq -c | xargs)" \
		"2 $CLIENT $GATEWAY 8000" "what the gateway's errors quote"
	is "$(packets errors ".src == \"$GATEWAY6\" and .type == 3 and .code == 0" |
		jq -r '"\(.quote.src) \(.quote.dst) \(.quote.dport)"' | sort | uniq -c | xargs)" \
		"2 $CLIENT6 $GATEWAY6 8000" "what the gateway's errors quote"
	# Only the packets that reached home opened connections.
	is "$(grep -c '^udp ' "$TOPO_DIR/service.log")" 2 "UDP clients"
	forward_untouched
}

# Within a connection: both ends get an error when a TTL is used up at the gateway.
test_ttl_expires() {
	topology offload=off
	maps_and_services
	is "$(peer client hop $MAP4 --count 2)" "$GATEWAY 11 0" "the sender of the visitor's error"
	is "$(peer client hop "$MAP6" --count 2)" "$GATEWAY6 3 0" "the sender of the visitor's error"
	is "$(peer client hop $MAP4 --count 1)" "54.147.66.1 11 0" "the sender of the visitor's error"
	# A reply of home whose TTL is used up at the gateway: the error comes from the source address that home knows.
	reply_expires $MAP4 $HOME_WG:8001 $GATEWAY:8001 "$GATEWAY_WG 11 0"
	reply_expires "$MAP6" "[$HOME_WG6]:8001" "[$GATEWAY6]:8001" "$GATEWAY_WG6 3 0"
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.passes.no_connection == 0' stats
	forward_untouched
}

reply_expires() {
	fwd map add udp "$3" "$2"
	start_peer short home reply-hop "$2" --count 1
	topo_wait 5 logged short '^ready'
	peer client shout "$3"
	finish short
	is "$(tail -n 1 "$TOPO_DIR/short.log")" "$4" "the sender of home's error"
}

# No host has the target's address: neighbour discovery fails, and the visitor gets the kernel's error.
test_no_neighbour() {
	topology lan offload=off
	let_lo_pass
	attach eth0 eth1
	fwd map add tcp $MAP4 10.99.0.77:8000
	fwd map add tcp "$MAP6" "[fd10:99::77]:8000"
	fwd map add udp $MAP4 10.99.0.77:8000
	capture errors client eth0 icmp or icmp6
	start_peer tcp client unreachable $MAP4
	start_peer udp client unreachable $MAP4 --proto udp
	start_peer tcp6 client unreachable "$MAP6"
	finish tcp
	finish udp
	finish tcp6
	capture_end errors
	checksums errors
	[ "$(count errors ".type == 3 and .code == 1 and .quote.dst == \"$GATEWAY\" and .quote.dport == 8000")" -ge 2 ] ||
		fail "no such error about IPv4: $(packets errors)"
	[ "$(count errors ".type == 1 and .code == 3 and .quote.dst == \"$GATEWAY6\" and .quote.dport == 8000")" -ge 1 ] ||
		fail "no such error about IPv6: $(packets errors)"
	forward_untouched
}

# The same with the firewall that this layer's gateway has: the kernel's own errors, which are sent by lo, are dropped.
test_no_neighbour_and_no_lo() {
	topology lan offload=off
	attach eth0 eth1
	fwd map add tcp $MAP4 10.99.0.77:8000
	fwd map add tcp "$MAP6" "[fd10:99::77]:8000"
	fwd map add udp :8001 10.99.0.77:8001
	capture errors client eth0 icmp or icmp6
	start_peer tcp client unreachable $MAP4
	start_peer tcp6 client unreachable "$MAP6"
	finish tcp
	finish tcp6
	# The kernel may get one datagram, to ask again.
	peer client shout $GATEWAY:8001
	peer client unreachable $GATEWAY:8001 --proto udp
	capture_end errors
	checksums errors
	[ "$(count errors ".type == 3 and .code == 1 and .src == \"$GATEWAY\" and .quote.dst == \"$GATEWAY\"")" -ge 2 ] ||
		fail "no such error about IPv4: $(packets errors)"
	[ "$(count errors ".type == 1 and .code == 3 and .src == \"$GATEWAY6\" and .quote.dst == \"$GATEWAY6\"")" -ge 1 ] ||
		fail "no such error about IPv6: $(packets errors)"
	json '.drops.no_neighbour >= 3' stats
	# The target comes up. The kernel asks again with one packet in two seconds, and then everything is as usual.
	topo_address lan eth0 10.99.0.77/24 fd10:99::77/64
	serve late lan --tcp 10.99.0.77:8000 "[fd10:99::77]:8000"
	on lan ip neigh flush all
	topo_wait 8 peer client who $MAP4 --timeout 1.5 || fail "the target is up, and not reached"
	topo_wait 8 peer client who "$MAP6" --timeout 1.5 || fail "the target is up, and not reached"
	forward_untouched
}

# An error of the gateway's stack about a translated packet is sent to that packet's source, which is the gateway
# itself. peer.py sends it here.
test_own_stack() {
	topology offload=off
	let_lo_pass
	maps_and_services
	capture errors client eth0 icmp or icmp6
	own_error $MAP4 $CLIENT:4711 $GATEWAY_WG:4711 $HOME_WG:8000
	own_error "$MAP6" "[$CLIENT6]:4711" "[$GATEWAY_WG6]:4711" "[$HOME_WG6]:8000"
	capture_end errors
	checksums errors
	is "$(packets errors '.type == 3 and .code == 1' | jq -r '"\(.src) \(.quote.src) \(.quote.sport) \(.quote.dst) \(.quote.dport)"')" \
		"$GATEWAY $CLIENT 4711 $GATEWAY 8000" "the visitor's error"
	is "$(packets errors '.type == 1 and .code == 3' | jq -r '"\(.src) \(.quote.src) \(.quote.sport) \(.quote.dst) \(.quote.dport)"')" \
		"$GATEWAY6 $CLIENT6 4711 $GATEWAY6 8000" "the visitor's error"
	forward_untouched
}

# own_error LISTEN CLIENT SOURCE TARGET: opens a connection of the client, and sends an error about its translated
# packet.
own_error() {
	peer client udp-burst "$1" --count 1 --size 100 --bind "$2"
	peer gateway icmp-unreachable "$4" --bind "$3" --size 100
	sleep 0.2
}
