# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A gateway with several uplinks: replies leave by the device that the requests arrived by.

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

# replies_by DEV OTHER ADDR:PORT...: all replies to the client arrive by DEV of the internet's router and none by OTHER,
# for longer than a route is cached.
replies_by() {
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
	[ "$(count "by-$dev" '.sport == 8000')" -ge 200 ] || fail "the replies do not arrive by $dev"
	is "$(count "past-$dev" '.sport == 8000')" 0 "replies that arrive by $other instead of $dev"
}

# Each address has a routing table of its own, as usual. iptables needs more: it routes replies before it restores the
# public address.
test_policy_routing() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 table 200
	on gateway ip -6 route add default via 2001:db8:192::1 dev eth2 table 200
	on gateway ip rule add from $SECOND table 200
	on gateway ip -6 rule add from $SECOND6 table 200
	replies_by g2 g0 $SECOND:8000 "[$SECOND6]:8000"
	replies_by g0 g2 $MAP4 "$MAP6"
	forward_untouched
}

# Only a second default route with a worse metric. IPv4 only: IPv6 considers only routes with the best metric, whatever
# the device (net/ipv6/route.c, find_rr_leaf), and needs a rule, as above.
test_second_default_route() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 metric 2000
	replies_by g2 g0 $SECOND:8000
	replies_by g0 g2 $MAP4
	forward_untouched
}

# One address on both: the device of the request counts, not the address.
test_one_address() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables needs marks for this"
	topology
	second_uplink
	on gateway ip route add default via 192.0.2.1 dev eth2 metric 2000
	on internet ip route add $GATEWAY via $SECOND dev g2
	replies_by g2 g0 $MAP4
	on internet ip route del $GATEWAY via $SECOND dev g2
	replies_by g0 g2 $MAP4
	forward_untouched
}

# The device of the requests has no route to the client any more: the replies leave by the other uplink.
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
	gets_replies tcp 4
	gets_replies tcp6 4
	gets_replies udp 4
	stop tcp
	stop tcp6
	stop udp
	forward_untouched
}
