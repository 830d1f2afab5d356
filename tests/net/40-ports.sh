# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Source ports: the visitor's is kept where it is free, two connections never share one, and ports of the gateway's own
# sockets are not used.

# Two clients connect from the same port at the same time: home sees two ports, one of them the clients'.
two_clients() {
	local proto=$1 listen=$2 one=$3 other=$4
	pulse one client "$listen" --proto "$proto" --bind "$one"
	pulse other client2 "$listen" --proto "$proto" --bind "$other"
	local i
	for i in 1 2 3; do
		gets_replies one
		gets_replies other
	done
	stop one
	stop other
}

seen_twice() {
	local proto=$1 address=$2 ports
	ports=$(awk -v proto="$proto" -v address="$address" '$1 == proto && $2 == address { print $3 }' \
		"$TOPO_DIR/service.log" | sort -u)
	is "$(wc -l <<<"$ports")" 2 "the number of source ports that home saw ($ports)"
	grep -qx 4711 <<<"$ports" || fail "the visitor's port 4711 was not kept: $ports"
}

test_two_clients_tcp() {
	topology client2
	maps_and_services
	two_clients tcp $MAP4 $CLIENT:4711 $CLIENT2:4711
	seen_twice tcp $GATEWAY_WG
	two_clients tcp "$MAP6" "[$CLIENT6]:4711" "[$CLIENT2_6]:4711"
	seen_twice tcp $GATEWAY_WG6
	forward_untouched
}

test_two_clients_udp() {
	topology client2
	maps_and_services
	two_clients udp $MAP4 $CLIENT:4711 $CLIENT2:4711
	seen_twice udp $GATEWAY_WG
	two_clients udp "$MAP6" "[$CLIENT6]:4711" "[$CLIENT2_6]:4711"
	seen_twice udp $GATEWAY_WG6
	forward_untouched
}

# Two maps of one target, one visitor, one source port: two connections.
test_two_maps_one_target() {
	topology
	maps_and_services
	fwd map add tcp $GATEWAY:9000 $HOME_WG:8000
	pulse one client $MAP4 --bind $CLIENT:4711
	pulse other client $GATEWAY:9000 --bind $CLIENT:4711
	gets_replies one
	gets_replies other
	stop one
	stop other
	seen_twice tcp $GATEWAY_WG
}

test_thousand_at_once() {
	topology
	maps_and_services
	peer client many $MAP4 --count 1000 --timeout 20
	is "$(grep -c '^tcp ' "$TOPO_DIR/service.log")" 1000 "connections that home saw"
	is "$(grep '^tcp ' "$TOPO_DIR/service.log" | sort -u | wc -l)" 1000 "different sources that home saw"
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.connections.created == 1000 and .connections.failed == 0' stats
	forward_untouched
}

# A thousand from each of two clients, from the same ports.
test_thousand_from_two_clients() {
	topology client2
	maps_and_services
	local host
	for host in client client2; do
		on $host sysctl -qw net.ipv4.ip_local_port_range="20000 21023"
		start_peer many_$host $host many $MAP4 --count 1000 --timeout 30
	done
	finish many_client
	finish many_client2
	is "$(grep '^tcp ' "$TOPO_DIR/service.log" | sort -u | wc -l)" 2000 "different sources that home saw"
}

# A port reused right after RST, without loss or delay.
test_reuse_after_rst() {
	topology
	maps_and_services
	peer client rst $MAP4 --bind $CLIENT:4711 --count 50
	peer client rst "$MAP6" --bind "[$CLIENT6]:4711" --count 50
	is "$(awk '$1 == "tcp" && $3 != 4711' "$TOPO_DIR/service.log")" "" "connections from other ports"
	forward_untouched
}

# A port reused right after both FINs: the kernel at home accepts a new SYN in TIME_WAIT.
test_reuse_after_fin() {
	topology
	maps_and_services
	local i
	for i in {1..10}; do
		is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees, round $i"
	done
}

test_half_closed() {
	topology
	maps_and_services
	peer client half $MAP4 --size $((3 << 20))
	peer client half "$MAP6" --size $((3 << 20))
	forward_untouched
}

# The gateway's own connection to the target, from the port that a visitor has or will have. Both get their own replies
# (each sends its own name), whichever is first.
own_connection() {
	local proto=$1 first=$2 second=$3
	topology
	maps_and_services
	own() { pulse own gateway $HOME_WG:8000 --proto "$proto" --bind $GATEWAY_WG:4711; }
	visitor() { pulse visitor client $MAP4 --proto "$proto" --bind $CLIENT:4711; }
	$first
	$second
	local i
	for i in 1 2 3; do
		gets_replies own
		gets_replies visitor
	done
	is "$(awk -v proto="$proto" '$1 == proto { print $2, $3 }' "$TOPO_DIR/service.log" | sort -u | wc -l)" 2 \
		"the number of sources that home saw"
	stop own
	gets_replies visitor
	stop visitor
	forward_untouched
}

test_own_connection_first_tcp() {
	own_connection tcp own visitor
}

test_own_connection_first_udp() {
	own_connection udp own visitor
}

test_own_connection_second_tcp() {
	own_connection tcp visitor own
}

test_own_connection_second_udp() {
	own_connection udp visitor own
}

own_connection6() {
	local proto=$1 order=$2 i
	topology
	maps_and_services
	for i in $order; do
		case $i in
		own) pulse own gateway "[$HOME_WG6]:8000" --proto "$proto" --bind "[$GATEWAY_WG6]:4711" ;;
		visitor) pulse visitor client "$MAP6" --proto "$proto" --bind "[$CLIENT6]:4711" ;;
		esac
	done
	for i in 1 2 3; do
		gets_replies own
		gets_replies visitor
	done
	stop own
	stop visitor
}

test_own_connection_v6() {
	own_connection6 tcp "own visitor"
}

test_own_connection_second_v6() {
	own_connection6 udp "visitor own"
}

# The gateway's own connections to the target, while visitors connect and disconnect.
test_own_connections_many() {
	topology
	maps_and_services
	start_peer visitors client many $MAP4 --count 300 --timeout 20
	peer gateway many $HOME_WG:8000 --count 300 --timeout 20
	finish visitors
	peer gateway put $HOME_WG:8000 --size $((4 << 20))
}
