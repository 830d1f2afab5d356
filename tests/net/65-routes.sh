# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Replies follow the kernel's routes and neighbours, and changes of these within about a second.

# The router towards the client gets another MAC address and announces it, as on a failover.
test_neighbour_changes() {
	topology
	maps_and_services
	pulse tcp client $MAP4 --timeout 10
	pulse udp client $MAP4 --proto udp --lossy --timeout 0.3
	pulse tcp6 client "$MAP6" --timeout 10
	on internet sysctl -qw net.ipv4.conf.g0.arp_notify=1 net.ipv6.conf.g0.ndisc_notify=1
	local i
	for i in 1 2; do
		on internet ip link set g0 down
		on internet ip link set g0 address 02:00:00:00:0$i:01
		on internet ip link set g0 up
		on internet ip addr replace 2001:db8:93::1/64 dev g0 nodad
		gets_replies udp 4
		gets_replies tcp 4
		gets_replies tcp6 8
	done
	stop tcp
	stop udp
	stop tcp6
	forward_untouched
}

# The gateway's neighbour table is flushed: it resolves the neighbours again.
test_neighbour_flushed() {
	topology
	maps_and_services
	pulse tcp client $MAP4 --timeout 10
	pulse udp client $MAP4 --proto udp --lossy --timeout 0.3
	pulse tcp6 client "$MAP6" --timeout 10
	local i
	for i in 1 2 3; do
		on gateway ip neigh flush all
		on gateway ip -6 neigh flush all
		gets_replies udp 3
		gets_replies tcp 3
		gets_replies tcp6 3
	done
	stop tcp
	stop udp
	stop tcp6
	forward_untouched
}

# No neighbour is known at the first connection.
test_neighbour_unknown() {
	topology lan
	attach eth0 eth1 wg0
	fwd map add tcp $GATEWAY:8001 $LAN:8000
	fwd map add tcp "[$GATEWAY6]:8001" "[$LAN6]:8000"
	serve lan lan --tcp $LAN:8000 "[$LAN6]:8000"
	on gateway ip neigh flush all
	on gateway ip -6 neigh flush all
	peer client who $GATEWAY:8001
	peer client who "[$GATEWAY6]:8001"
	forward_untouched
}

# The next hop is replaced by another on the same network. Both are in one namespace here, and have different MAC
# addresses.
test_route_changes() {
	topology
	maps_and_services
	on internet sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	on internet ip link add link g0 name g1 address 02:00:00:00:00:99 type macvlan mode bridge ||
		skip "no macvlan here"
	on internet ip link set g1 up
	on internet ip addr add 93.184.216.2/24 dev g1 noprefixroute
	on internet ip -6 addr add 2001:db8:93::2/64 dev g1 nodad noprefixroute
	on gateway ping -c1 -W1 93.184.216.2 >/dev/null 2>&1 || true
	pulse tcp client $MAP4 --timeout 10
	pulse udp client $MAP4 --proto udp --timeout 2
	on gateway ip route replace default via 93.184.216.2
	gets_replies tcp
	gets_replies udp
	sleep 1.5
	CAPTURE_DIRECTION=out capture replies gateway eth0 src port 8000 and dst $CLIENT
	gets_replies tcp
	gets_replies udp
	capture_end replies
	is "$(packets replies | jq -r .dmac | sort -u)" 02:00:00:00:00:99 "the destination MAC addresses of replies"
	stop tcp
	stop udp
	grep -q ' 0 lost' "$TOPO_DIR/udp.log" || fail "UDP lost packets when the route changed"
	forward_untouched
}

# The route to the client moves to another device: the replies leave by it.
test_route_to_other_device() {
	topology
	topo_link gateway eth2 internet g2
	topo_address gateway eth2 198.18.0.1/24 2001:db8:18::1/64
	topo_address internet g2 198.18.0.254/24 2001:db8:18::254/64
	on gateway ping -c1 -W1 198.18.0.254 >/dev/null 2>&1 || true
	maps_and_services
	attach eth2
	pulse tcp client $MAP4 --timeout 10
	pulse udp client $MAP4 --proto udp --timeout 2
	# eth0 has no route to the client any more, but one to home's router; the requests still arrive by eth0.
	on gateway ip route add 203.0.113.0/24 via 93.184.216.1
	on gateway ip route replace default via 198.18.0.254
	gets_replies tcp
	gets_replies udp
	sleep 1.5
	CAPTURE_DIRECTION=in capture replies internet g2 src port 8000
	gets_replies tcp
	gets_replies udp
	capture_end replies
	[ "$(count replies)" -ge 20 ] || fail "the replies do not leave by the new device"
	stop tcp
	stop udp
	forward_untouched
}

# The target is on the network of the uplink: packets arrive and leave by one device.
test_target_on_eth0() {
	topology
	on internet ip addr add 93.184.216.99/24 dev g0
	attach eth0
	fwd map add tcp $GATEWAY:8002 93.184.216.99:8000
	serve near internet --tcp 93.184.216.99:8000
	is "$(peer client who $GATEWAY:8002 --bind $CLIENT:4711)" "$GATEWAY 4711" "the source that the target sees"
	forward_untouched
}
