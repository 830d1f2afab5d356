# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Transfers of 8 MiB in each direction arrive unchanged, with all offloads on and with all off. With offloads off, each
# received packet is checked: checksums, TTL, addresses.

transfer() {
	local listen=$1
	peer client put "$listen" --size $((8 << 20))
	peer client get "$listen" --seed 2 --size $((8 << 20))
	forward_untouched
}

test_v4_offloads_on() {
	topology
	maps_and_services
	transfer $MAP4
}

test_v6_offloads_on() {
	topology
	maps_and_services
	transfer "$MAP6"
}

packet_by_packet() {
	local version=$1 listen=$2 gateway_wg=$3 home_wg=$4 client=$5 gateway=$6 filter
	topology offload=off
	# TCP options must stay unchanged, too.
	maps_and_services --mss off
	# The packets that home and the client receive, and those that the gateway received from the client.
	CAPTURE_DIRECTION=in capture home home wg0 tcp
	CAPTURE_DIRECTION=in capture client client eth0 tcp
	CAPTURE_DIRECTION=in capture gateway_in gateway eth0 tcp port 8000
	transfer "$listen"
	capture_end home client gateway_in
	checksums home client
	is "$(count home ".src != \"$gateway_wg\" or .dst != \"$home_wg\" or .dport != 8000")" 0 \
		"packets at home with wrong addresses"
	is "$(count client ".src != \"$gateway\" or .dst != \"$client\" or .sport != 8000")" 0 \
		"packets at the client with wrong addresses"
	# Each received packet equals one that the gateway received, with the TTL decremented; duplicates aside.
	filter='[.sport, .seq, .ack, .flags, .payload, .options, .len, .id]'
	diff <(packets gateway_in | jq -c ".ttl -= 1 | [.ttl] + $filter" | sort -u) \
		<(packets home | jq -c "[.ttl] + $filter" | sort -u) >"$TOPO_DIR/diff" || {
		head "$TOPO_DIR/diff"
		# WireGuard's queue may drop packets; but no packet may arrive that the gateway did not receive.
		! grep -q '^>' "$TOPO_DIR/diff" || fail "IPv$version packets at home that the client did not send"
	}
}

test_v4_offloads_off() {
	packet_by_packet 4 $MAP4 $GATEWAY_WG $HOME_WG $CLIENT $GATEWAY
}

test_v6_offloads_off() {
	packet_by_packet 6 "$MAP6" $GATEWAY_WG6 $HOME_WG6 $CLIENT6 $GATEWAY6
}

# Ethernet to Ethernet: a server behind eth1, both families, both directions.
test_ethernet_target() {
	topology lan
	attach eth0 eth1
	fwd map add tcp $GATEWAY:8001 $LAN:8000
	fwd map add tcp "[$GATEWAY6]:8001" "[$LAN6]:8000"
	serve lan lan --tcp $LAN:8000 "[$LAN6]:8000"
	transfer $GATEWAY:8001
	transfer "[$GATEWAY6]:8001"
}

# Four transfers at once, both directions, both families.
test_four_at_once() {
	topology
	maps_and_services
	start_peer a client put $MAP4 --timeout 30
	start_peer b client get $MAP4 --seed 2 --timeout 30
	start_peer c client put "$MAP6" --timeout 30
	start_peer d client get "$MAP6" --seed 3 --timeout 30
	finish a
	finish b
	finish c
	finish d
}
