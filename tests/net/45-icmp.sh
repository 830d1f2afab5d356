# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# ICMP errors about mapped connections, in both directions, with the quoted packet translated back.

errors="icmp or icmp6"
is_error='.quote and (.quote.sport == 8000 or .quote.dport == 8000)'

# error CAPTURE CONDITION: there must be such an error, and all checksums right, those in quotes included.
error() {
	[ "$(count "$1" "$is_error and ($2)")" -ge 1 ] ||
		fail "no such error in $1: $2; but: $(packets "$1" "$is_error")"
	checksums "$1"
}

# Home sends "port unreachable"; the visitor receives it, about the packet that it sent.
test_port_unreachable_at_home() {
	topology offload=off
	attach eth0 wg0
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000"
	capture errors client eth0 "$errors"
	peer client refused $MAP4 --proto udp --bind $CLIENT:4711
	peer client refused "$MAP6" --proto udp --bind "[$CLIENT6]:4711"
	capture_end errors
	error errors ".src == \"$GATEWAY\" and .type == 3 and .code == 3 and
		.quote.src == \"$CLIENT\" and .quote.sport == 4711 and .quote.dst == \"$GATEWAY\""
	error errors ".src == \"$GATEWAY6\" and .type == 1 and .code == 4 and
		.quote.src == \"$CLIENT6\" and .quote.sport == 4711 and .quote.dst == \"$GATEWAY6\""
	forward_untouched
}

# The visitor has closed its socket when the reply arrives, and sends "port unreachable"; home receives it, about the
# reply that it sent.
test_port_unreachable_at_client() {
	topology offload=off
	attach eth0 wg0
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000"
	capture errors home wg0 "$errors"
	start_peer service home reply-short $HOME_WG:8000 --count 64
	start_peer service6 home reply-short "[$HOME_WG6]:8000" --count 64
	topo_wait 5 logged service '^ready'
	topo_wait 5 logged service6 '^ready'
	peer client shout $MAP4 --bind $CLIENT:4711
	peer client shout "$MAP6" --bind "[$CLIENT6]:4711"
	finish service
	finish service6
	sleep 0.3
	capture_end errors
	error errors ".src == \"$GATEWAY_WG\" and .dst == \"$HOME_WG\" and .type == 3 and
		.quote.src == \"$HOME_WG\" and .quote.dst == \"$GATEWAY_WG\" and .quote.dport == 4711"
	error errors ".src == \"$GATEWAY_WG6\" and .dst == \"$HOME_WG6\" and .type == 1 and
		.quote.src == \"$HOME_WG6\" and .quote.dst == \"$GATEWAY_WG6\" and .quote.dport == 4711"
}

# A router between gateway and visitor drops a reply whose TTL is used up.
test_time_exceeded_in_the_path() {
	local at
	topology offload=off
	attach eth0 wg0
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000"
	for at in $HOME_WG:8000 "[$HOME_WG6]:8000"; do
		start_peer service home reply-short "$at" --count 2
		topo_wait 5 logged service '^ready'
		capture errors home wg0 "$errors"
		peer client shout "$([ "$at" = $HOME_WG:8000 ] && echo $MAP4 || echo "$MAP6")"
		finish service
		sleep 0.3
		capture_end errors
		error errors '.type == 11 or .type == 3'
	done
}

# Pings are answered by the gateway, and reach no target.
test_echo_and_unrelated_errors() {
	topology offload=off
	maps_and_services
	on gateway iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT
	on client ping -c2 -i0.1 -W1 $GATEWAY
	is "$(count_icmp_reached_home)" 0 "ICMP packets that reached home"
}

count_icmp_reached_home() {
	capture stray home wg0 icmp
	on client ping -c2 -i0.1 -W1 $GATEWAY >&2
	capture_end stray >&2
	count stray
}
