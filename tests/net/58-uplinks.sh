# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A gateway with several uplinks: the answer leaves by the device that the request came in by.

SECOND=192.0.2.34
SECOND6=2001:db8:192::34

# second_uplink: eth2, with another public address. The default route is eth0's.
second_uplink() {
	topo_link gateway eth2 internet g2
	topo_address gateway eth2 $SECOND/24 $SECOND6/64
	topo_address internet g2 192.0.2.1/24 2001:db8:192::1/64
	attach eth0 eth2 wg0
	local proto
	for proto in tcp udp; do
		fwd map add $proto :8000 $HOME_WG:8000
		fwd map add $proto "[::]:8000" "[$HOME_WG6]:8000"
	done
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
}

# answered_by DEV OTHER ADDR:PORT...: all that the client is sent from there comes by DEV of the internet's, and
# nothing by OTHER; for longer than a way is remembered.
answered_by() {
	local dev=$1 other=$2 at
	shift 2
	CAPTURE_DIRECTION=in capture "by-$dev" internet "$dev"
	CAPTURE_DIRECTION=in capture "past-$dev" internet "$other"
	for at; do
		start_peer "tcp-$at" client pulse "$at" --count 70 --tag tcp
		# wireguard-go's queue is short, and a bulk transfer fills it.
		start_peer "udp-$at" client pulse "$at" --count 70 --tag udp --proto udp --lossy --timeout 0.3
		peer client put "$at" --size $((1 << 20))
		peer client get "$at" --size $((1 << 20))
		peer client udp-burst "$at" --count 10 --size 1000
	done
	for at; do
		finish "tcp-$at"
		finish "udp-$at"
	done
	capture_end "by-$dev" "past-$dev"
	[ "$(count "by-$dev" '.sport == 8000')" -ge 200 ] || fail "the answers do not come by $dev"
	is "$(count "past-$dev" '.sport == 8000')" 0 "answers that come by $other instead of $dev"
}

# Each address has a routing table of its own, as is usual.
# iptables needs more: it looks for the answer's way before it puts the public address into it.
test_policy_routing() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 table 200
	on gateway ip -6 route add default via 2001:db8:192::1 dev eth2 table 200
	on gateway ip rule add from $SECOND table 200
	on gateway ip -6 rule add from $SECOND6 table 200
	answered_by g2 g0 $SECOND:8000 "[$SECOND6]:8000"
	answered_by g0 g2 $MAP4 "$MAP6"
	forward_untouched
}

# There is nothing but a second default route, behind the first. (IPv6 looks no further than the best metric,
# whatever the device: net/ipv6/route.c, find_rr_leaf. There it takes a rule, as above.)
test_second_default_route() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 metric 2000
	answered_by g2 g0 $SECOND:8000
	answered_by g0 g2 $MAP4
	forward_untouched
}

# One address on both: where the request came in counts, not the address.
test_one_address() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 metric 2000
	on internet ip route add $GATEWAY via $SECOND dev g2
	answered_by g2 g0 $MAP4
	on internet ip route del $GATEWAY via $SECOND dev g2
	answered_by g0 g2 $MAP4
	forward_untouched
}

# The uplink that a connection came in by has no route to the client any more: its answers take the other one.
test_uplink_fails() {
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 metric 2000
	on gateway ip -6 route add default via 2001:db8:192::1 dev eth2 metric 2000
	pulse tcp client $SECOND:8000 --timeout 10
	pulse tcp6 client "[$SECOND6]:8000" --timeout 10
	pulse udp client $SECOND:8000 --proto udp --lossy --timeout 0.3
	on gateway ip route del default dev eth2
	on gateway ip -6 route del default dev eth2
	sleep 1.5
	goes_on tcp 4
	goes_on tcp6 4
	goes_on udp 4
	stop tcp
	stop tcp6
	stop udp
	forward_untouched
}
