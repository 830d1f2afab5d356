# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Fragmented datagrams.

both_families() {
	peer client "$1" $MAP4 "${@:2}"
	peer client "$1" "$MAP6" "${@:2}"
}

# Fragmented by the kernels: the client's for its device, home's for the tunnel.
test_both_ways() {
	topology offload=off
	maps_and_services
	CAPTURE_DIRECTION=in capture home home wg0 udp or ip proto 17 or ip6 proto 44
	CAPTURE_DIRECTION=in capture client client eth0 udp or ip proto 17 or ip6 proto 44
	local size
	for size in 1600 4000 20000; do
		both_families udp-burst --size $size --count 5
	done
	capture_end home client
	checksums home client
	[ "$(count home '.fragment')" -gt 50 ] || fail "home got no fragments"
	[ "$(count client '.fragment')" -gt 50 ] || fail "the client got no fragments"
	# The first IPv6 fragment is too big for the tunnel; the client gets an ICMP error.
	json '.drops.too_big <= 1 and .drops.fragment_overlap == 0 and .passes.fragment_early <= 1' stats
	forward_untouched
}

# in_order ORDER [OPTION...]: fragmented by peer.py, sent in that order.
in_order() {
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 2600 --count 4 --order "$@"
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4711" --size 2600 --count 4 --order "$@"
}

test_any_order() {
	topology offload=off
	maps_and_services
	in_order straight
	in_order reverse
	in_order first-last
	# Small fragments, and as many as there are.
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 2600 --part 104 --count 4 --order first-last
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 60000 --part 1400 --count 4 --order first-last
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4711" --size 60000 --part 1368 --count 4 --order reverse
	# Last, because copies are kept of those that arrive when their datagram is complete.
	in_order doubled
	json '.passes.fragment_early > 20 and .passes.fragment_overflow == 0 and .drops.fragment_overlap > 0' stats
}

# More fragments before the first than are kept: that datagram is lost and counted, the next one is not.
test_overflow() {
	topology offload=off
	maps_and_services
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 2600 --part 16 --order first-last --lossy --timeout 0.5
	json '.passes.fragment_overflow > 10' stats
	in_order first-last
}

test_overlap() {
	topology offload=off
	maps_and_services
	capture home home wg0 ip proto 17 or ip6 proto 44
	in_order overlap --lossy --timeout 0.3
	json '.drops.fragment_overlap >= 8' stats
	capture_end home
	# The last fragment must not arrive, so that home can't reassemble the datagram.
	is "$(count home '.fragment and .len < 900')" 0 "last fragments that reached home"
	in_order straight
}

# A fragment header of a whole packet (RFC 6946) changes nothing. A second fragment header is refused: by home, were it
# reached without a gateway, and here by the gateway's stack.
test_two_fragment_headers() {
	topology offload=off
	maps_and_services
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4711" --size 900 --count 2 --headers whole
	# netfilter removes the first one.
	[ -n "${FWDCTL_STANDIN:-}" ] || two_fragment_headers --headers whole,whole
	two_fragment_headers --headers whole,real
	two_fragment_headers --headers real,whole
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.passes.extension_header == 5' stats
}

two_fragment_headers() {
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4711" --size 1400 --lossy --timeout 0.5 "$@"
}

# Fragments without a first one open no connection, and no copy of them is sent.
test_without_first() {
	topology offload=off
	maps_and_services
	capture home home wg0 ip proto 17 or ip6 proto 44
	in_order alone --lossy --timeout 0.3
	capture_end home
	is "$(count home)" 0 "packets that reached home"
	json '.connections.created == 0' stats
}

# Large datagrams through a tunnel with a small MTU. IPv6 routers do not fragment: the client gets an ICMP error and
# sends smaller fragments.
test_narrow_tunnel() {
	topology offload=off
	on gateway ip link set wg0 mtu 1280
	on home ip link set wg0 mtu 1280
	maps_and_services
	both_families udp-burst --size 4000 --count 5
}
