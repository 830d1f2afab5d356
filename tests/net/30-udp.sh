# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# UDP: datagrams of all sizes, with and without offloads and checksums.

udp() {
	local listen=$1 client=$2 gateway=$3 gateway_wg=$4 home_wg=$5
	topology offload=off
	maps_and_services
	CAPTURE_DIRECTION=in capture home home wg0 udp port 8000
	CAPTURE_DIRECTION=in capture client client eth0 udp port 8000
	local size reply
	for size in 0 1 512 1340; do
		reply=$(peer client udp-burst "$listen" --size $size --count 50 --bind "$6:$((5000 + size))" --timeout 1)
		echo "$reply"
		is "${reply##*saw }" "$gateway_wg $((5000 + size))" "the source that home sees"
	done
	capture_end home client
	checksums home client
	is "$(count home ".src != \"$gateway_wg\" or .dst != \"$home_wg\" or .ttl != 62")" 0 "wrong packets at home"
	is "$(count client ".src != \"$gateway\" or .dst != \"$client\" or .ttl != 62")" 0 "wrong packets at the client"
	# Empty datagrams, too.
	[ "$(count home '.payload == 0')" -ge 50 ] || fail "empty datagrams did not arrive"
	forward_untouched
}

test_udp_v4() {
	udp $MAP4 $CLIENT $GATEWAY $GATEWAY_WG $HOME_WG $CLIENT
}

test_udp_v6() {
	udp "$MAP6" $CLIENT6 $GATEWAY6 $GATEWAY_WG6 $HOME_WG6 "[$CLIENT6]"
}

test_udp_offloads_on() {
	topology
	maps_and_services
	peer client udp-burst $MAP4 --size 1300 --count 500
	peer client udp-burst "$MAP6" --size 1300 --count 500
	forward_untouched
}

# UDP over IPv4 without a checksum leaves without a checksum.
test_udp_no_checksum() {
	topology offload=off
	maps_and_services
	CAPTURE_DIRECTION=in capture home home wg0 udp port 8000
	peer client udp-burst $MAP4 --size 100 --count 20 --no-check
	capture_end home
	checksums home
	is "$(count home '.checksum == 0')" 20 "datagrams at home without a checksum"
}

