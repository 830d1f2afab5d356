# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Paths with different MTUs: MSS, "too big" errors, fragmentation.

tunnel_mtu() {
	on gateway ip link set wg0 mtu "$1"
	on home ip link set wg0 mtu "$1"
}

both_maps() {
	attach eth0 wg0
	fwd map add "$1" $MAP4 $HOME_WG:8000
	fwd map add "$1" "$MAP6" "[$HOME_WG6]:8000"
}

# The MSS in SYN and SYN-ACK is lowered to what fits the tunnel.
test_mss() {
	topology offload=off
	on gateway ip link set wg0 mtu 1280
	both_maps tcp
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	capture home home wg0 'tcp port 8000 or (ip6 and tcp)'
	capture client client eth0 'tcp port 8000 or (ip6 and tcp)'
	peer client put $MAP4 --size $((1 << 20))
	peer client get "$MAP6" --size $((1 << 20))
	capture_end home client
	is "$(packets home '.flags == "S" and .version == 4' | jq .mss)" 1240 "the MSS that home is offered"
	is "$(packets home '.flags == "S" and .version == 6' | jq .mss)" 1220 "the MSS that home is offered"
	is "$(packets client '.flags == "SA" and .version == 4' | jq .mss)" 1240 "the MSS that the client is offered"
	is "$(packets client '.flags == "SA" and .version == 6' | jq .mss)" 1220 "the MSS that the client is offered"
	checksums home client
	json '.drops.too_big == 0' stats
}

# The MSS of a map, and --mss off.
test_mss_by_map() {
	local at
	topology offload=off
	attach eth0 wg0
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	fwd map add tcp $MAP4 $HOME_WG:8000 --mss 1000
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000" --mss 1000
	fwd map add tcp $GATEWAY:8001 $HOME_WG:8000 --mss off
	fwd map add tcp "[$GATEWAY6]:8001" "[$HOME_WG6]:8000" --mss=off
	fwd map add tcp $GATEWAY:8002 $HOME_WG:8000 --mss auto
	json '[.[].mss] == [1000, 1000, "off", "off", "auto"]' map list
	capture home home wg0 'tcp port 8000 or (ip6 and tcp)'
	capture client client eth0 'tcp or (ip6 and tcp)'
	for at in $MAP4 "$MAP6" $GATEWAY:8001 "[$GATEWAY6]:8001"; do
		peer client put "$at" --size $((1 << 20))
	done
	capture_end home client
	is "$(packets home '.flags == "S"' | jq .mss | xargs)" "1000 1000 1460 1440" "the MSS that home is offered"
	is "$(packets client '.flags == "SA"' | jq .mss | xargs)" "1000 1000 1380 1360" \
		"the MSS that the client is offered"
	is "$(count home '.payload > 1000 and .src == "'$GATEWAY_WG'" and .sport == '"$(packets home '.flags == "S"' |
		jq .sport | sed -n 1p)")" 0 "segments of more than 1000 bytes"
	checksums home client
	fwd map add udp $MAP4 $HOME_WG:8000 --mss auto
	rejects 2 '--mss.*TCP' fwd map add udp $GATEWAY:8003 $HOME_WG:8000 --mss off
	rejects 2 '--mss.*"70000"' fwd map add tcp $GATEWAY:8003 $HOME_WG:8000 --mss 70000
	rejects 2 '--mss.*"none"' fwd map add tcp $GATEWAY:8003 $HOME_WG:8000 --mss none
}

# The visitor's datagrams are too large for the tunnel and have DF: the gateway sends an ICMP error from the address
# that the visitor sent to.
too_big_for_the_tunnel() {
	topology offload="$1"
	on gateway ip link set wg0 mtu 1280
	both_maps udp
	serve service home --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	capture errors client eth0 'icmp or icmp6'
	is "$(peer client big $MAP4 --size 1400)" "mtu 1280" "the path MTU of the visitor"
	is "$(peer client big "$MAP6" --size 1400)" "mtu 1280" "the path MTU of the visitor"
	capture_end errors
	[ "$(count errors ".src == \"$GATEWAY\" and .mtu == 1280 and .quote.dst == \"$GATEWAY\"")" -ge 1 ]
	[ "$(count errors ".src == \"$GATEWAY6\" and .mtu == 1280 and .quote.dst == \"$GATEWAY6\"")" -ge 1 ]
	[ "$1" = on ] || checksums errors
	json '.drops.too_big >= 2' stats
	# Datagrams that fit are forwarded.
	peer client udp-burst $MAP4 --size 1200 --count 3
	peer client udp-burst "$MAP6" --size 1200 --count 3
}

test_too_big_for_the_tunnel() {
	too_big_for_the_tunnel off
}

test_too_big_for_the_tunnel_offloads_on() {
	too_big_for_the_tunnel on
}

# too_big_for_the_visitor HOST ADDR ADDR6: the replies of the server on HOST are too large for the path to the visitor.
too_big_for_the_visitor() {
	local host=$1 at
	attach eth0 eth1 wg0
	fwd map add udp $MAP4 "$2:8000"
	fwd map add udp "$MAP6" "[$3]:8000"
	capture errors "$host" "$([ "$host" = lan ] && echo eth0 || echo wg0)" 'icmp or icmp6'
	for at in "$2:8000" "[$3]:8000"; do
		start_peer service "$host" reply-big "$at" --size 1340
		topo_wait 5 logged service '^ready'
		peer client shout "$([ "$at" = "$2:8000" ] && echo $MAP4 || echo "$MAP6")"
		finish service
		is "$(tail -n 1 "$TOPO_DIR/service.log")" "mtu 1300" "the path MTU of the server"
	done
	capture_end errors
}

# The gateway sends the error ...
test_too_big_for_the_visitor() {
	topology lan offload=off
	on gateway ip link set eth0 mtu 1300
	too_big_for_the_visitor lan $LAN $LAN6
	json '.drops.too_big >= 2' stats
}

# ... or a router behind it, whose error is translated.
test_too_big_in_the_path() {
	topology lan offload=off
	on internet ip route replace $CLIENT dev c0 mtu lock 1300
	on internet ip -6 route replace $CLIENT6 dev c0 mtu lock 1300
	too_big_for_the_visitor home $HOME_WG $HOME_WG6
	json '.drops.too_big == 0' stats
}

# A path MTU that the gateway's own stack has learnt, possibly from a forged error, does not count.
test_forged_path_mtu() {
	topology lan offload=off
	both_maps udp
	serve service home --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	on gateway ping -c1 -W1 $HOME_WG >/dev/null
	on gateway ip route replace $HOME_WG dev wg0 mtu 600
	peer client udp-burst $MAP4 --size 1200 --count 3
	is "$(peer client big $MAP4 --size 1400 | tail -n 1)" "mtu 1420" "the path MTU of the visitor"
}

# Bulk TCP through tunnels of any MTU, and through a smaller link that only routers know: no stall.
bulk() {
	topology
	tunnel_mtu "$1"
	on internet ip route replace $CLIENT dev c0 mtu 1400
	on internet ip -6 route replace $CLIENT6 dev c0 mtu 1400
	on internet ip route replace $GATEWAY dev g0 mtu 1400
	on internet ip -6 route replace $GATEWAY6 dev g0 mtu 1400
	both_maps tcp
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	peer client put $MAP4 --size $((3 << 20))
	peer client get $MAP4 --size $((3 << 20))
	peer client put "$MAP6" --size $((3 << 20))
	peer client get "$MAP6" --size $((3 << 20))
}

test_bulk_1420() {
	bulk 1420
}

test_bulk_1280() {
	bulk 1280
}

test_bulk_9000() {
	bulk 9000
}

# both_ways_fragmented HOST DEV ADDR MTU SIZE...: datagrams without DF arrive in both directions, and no packet that the
# server receives is larger than MTU.
both_ways_fragmented() {
	local host=$1 dev=$2 address=$3 mtu=$4 size
	shift 4
	on client sysctl -qw net.ipv4.ip_no_pmtu_disc=1
	on "$host" sysctl -qw net.ipv4.ip_no_pmtu_disc=1
	fwd map add udp $MAP4 "$address:8000"
	serve service "$host" --udp "$address:8000"
	CAPTURE_DIRECTION=in capture there "$host" "$dev" ip
	CAPTURE_DIRECTION=in capture back client eth0 ip
	for size; do
		peer client udp-burst $MAP4 --size "$size" --count 5
	done
	capture_end there back
	checksums there back
	[ "$(count there .fragment)" -ge 10 ] || fail "no fragments"
	is "$(count there ".len > $mtu")" 0 "packets of more than $mtu bytes"
	is "$(count back '.len > 1500')" 0 "packets of more than 1500 bytes"
	json '.drops.too_big == 0 and .drops.rewrite_failed == 0' stats
	forward_untouched
}

test_fragmented_for_ethernet() {
	topology lan offload=off
	attach eth0 eth1 wg0
	on gateway ip link set eth1 mtu 1280
	on lan ip link set eth0 mtu 1280
	both_ways_fragmented lan eth0 $LAN 1280 1253 1300 1472 4000 20000
	# Fragments that arrive before the first are fragmented further, too.
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 2600 --part 1400 --count 4 --order reverse
}

test_fragmented_for_the_tunnel() {
	topology offload=off
	tunnel_mtu 1280
	attach eth0 wg0
	both_ways_fragmented home wg0 $HOME_WG 1280 1300 1472 4000
}

# From a tunnel with a large MTU.
test_fragmented_for_the_visitor() {
	topology offload=off
	tunnel_mtu 9000
	attach eth0 wg0
	both_ways_fragmented home wg0 $HOME_WG 9000 1400 8000 8900 20000
}

# CHECKSUM_PARTIAL packets can't be fragmented: the sender gets an ICMP error, although it did not set DF.
test_fragmentation_offloads_on() {
	topology lan
	attach eth0 eth1 wg0
	on gateway ip link set eth1 mtu 1280
	on lan ip link set eth0 mtu 1280
	on client sysctl -qw net.ipv4.ip_no_pmtu_disc=1
	fwd map add udp $MAP4 $LAN:8000
	serve service lan --udp $LAN:8000
	peer client udp-burst $MAP4 --size 1400 --count 5 --lossy
	peer client udp-burst $MAP4 --size 4000 --count 5
}
