# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Ways of different widths.

tunnel_mtu() {
	on gateway ip link set wg0 mtu "$1"
	on home ip link set wg0 mtu "$1"
}

both_maps() {
	attach eth0 wg0
	fwd map add "$1" $MAP4 $HOME_WG:8000
	fwd map add "$1" "$MAP6" "[$HOME_WG6]:8000"
}

# Both ends are told, in SYN and SYN-ACK, to send segments that fit the tunnel.
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

# The visitor's datagrams are too large for the tunnel and must not be fragmented: the gateway says so, from
# the address that the visitor sent to.
test_too_big_for_the_tunnel() {
	local offload
	for offload in off on; do
		topology offload=$offload
		on gateway ip link set wg0 mtu 1280
		both_maps udp
		serve service home --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
		capture heard client eth0 'icmp or icmp6'
		is "$(peer client big $MAP4 --size 1400)" "mtu 1280" "what the visitor learns"
		is "$(peer client big "$MAP6" --size 1400)" "mtu 1280" "what the visitor learns"
		capture_end heard
		[ "$(count heard ".src == \"$GATEWAY\" and .mtu == 1280 and .quote.dst == \"$GATEWAY\"")" -ge 1 ]
		[ "$(count heard ".src == \"$GATEWAY6\" and .mtu == 1280 and .quote.dst == \"$GATEWAY6\"")" -ge 1 ]
		[ $offload = on ] || checksums heard
		json '.drops.too_big >= 2' stats
		# What fits goes through.
		peer client udp-burst $MAP4 --size 1200 --count 3
		peer client udp-burst "$MAP6" --size 1200 --count 3
		topo_down
	done
}

# Home's answers are too large for the way to the visitor: said by the gateway where its own device is the
# narrow one, by a router where that is.
test_too_big_for_the_visitor() {
	local narrow at
	for narrow in "gateway eth0" "internet c0"; do
		for at in $HOME_WG:8000 "[$HOME_WG6]:8000"; do
			topology offload=off
			# shellcheck disable=SC2086
			set -- $narrow
			on "$1" ip link set "$2" mtu 1300
			both_maps udp
			capture heard home wg0 'icmp or icmp6'
			start_peer service home answer-big "$at" --size 1380
			topo_wait 5 logged service '^ready'
			peer client shout "$([ "$at" = $HOME_WG:8000 ] && echo $MAP4 || echo "$MAP6")"
			is "$(finish service | tail -n 1)" "mtu 1300" "what home learns ($narrow)"
			capture_end heard
			checksums heard
			topo_down
		done
	done
}

# Bulk TCP over ways of any width, and a client behind a narrow link: nothing stalls.
test_bulk() {
	local mtu
	for mtu in 1420 1280 9000; do
		topology
		tunnel_mtu $mtu
		on internet ip link set c0 mtu 1400
		both_maps tcp
		serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
		peer client put $MAP4 --size $((8 << 20))
		peer client get $MAP4 --size $((8 << 20))
		peer client put "$MAP6" --size $((8 << 20))
		peer client get "$MAP6" --size $((8 << 20))
		topo_down
	done
}
