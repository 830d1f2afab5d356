# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# 8 MiB each way arrive as they were sent; with every offload on, and with every one off, where each
# packet on the far side is looked at: all checksums recomputed, one hop less, addresses as promised.

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

looked_at() {
	local version=$1 listen=$2 gateway_wg=$3 home_wg=$4 client=$5 gateway=$6 filter
	topology offload=off
	# TCP's options are among what must stay as it was.
	maps_and_services --mss off
	# What each far side receives; what the gateway got of it on the way in.
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
	# Packet for packet, by sequence number, acknowledgement and length: a hop less, the same options.
	# Retransmissions apart, each one that came in must be there, changed in nothing else.
	filter='[.sport, .seq, .ack, .flags, .payload, .options, .len, .id]'
	diff <(packets gateway_in | jq -c ".ttl -= 1 | [.ttl] + $filter" | sort -u) \
		<(packets home | jq -c "[.ttl] + $filter" | sort -u) >"$TOPO_DIR/diff" || {
		head "$TOPO_DIR/diff"
		# A packet that WireGuard's queue dropped came in and never arrived: that may be. What
		# arrived and never came in may not.
		! grep -q '^>' "$TOPO_DIR/diff" || fail "IPv$version packets at home that nobody sent so"
	}
}

test_v4_offloads_off() {
	looked_at 4 $MAP4 $GATEWAY_WG $HOME_WG $CLIENT $GATEWAY
}

test_v6_offloads_off() {
	looked_at 6 "$MAP6" $GATEWAY_WG6 $HOME_WG6 $CLIENT6 $GATEWAY6
}

# Ethernet to Ethernet, a server behind eth1; both families, both ways.
test_ethernet_target() {
	topology lan
	attach eth0 eth1
	fwd map add tcp $GATEWAY:8001 $LAN:8000
	fwd map add tcp "[$GATEWAY6]:8001" "[$LAN6]:8000"
	serve lan lan --tcp $LAN:8000 "[$LAN6]:8000"
	transfer $GATEWAY:8001
	transfer "[$GATEWAY6]:8001"
}

# Four transfers at once, both ways, both families.
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
