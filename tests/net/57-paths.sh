# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Other paths than from the internet by Ethernet: through the tunnel, from the LAN, from the gateway itself, by a
# VLAN, and by a link without Ethernet header.

# reaches HOST ADDR:PORT...: transfers by TCP and UDP in both directions, from HOST.
BULK=$((2 << 20))
reaches() {
	local host=$1 at
	shift
	for at; do
		peer "$host" put "$at" --size $BULK
		peer "$host" get "$at" --size $BULK
		peer "$host" udp-burst "$at" --count 20 --size 1000
	done
}

# seen PROTO: the source addresses that the service saw.
seen() {
	awk -v proto="$1" '$1 == proto { print $2 }' "$TOPO_DIR/service.log" | sort -u | xargs
}

# four_maps LISTEN LISTEN6 TARGET TARGET6 [OPTION...]
four_maps() {
	local proto listen=$1 listen6=$2 target=$3 target6=$4
	shift 4
	for proto in tcp udp; do
		fwd map add $proto "$listen" "$target" "$@"
		fwd map add $proto "$listen6" "$target6" "$@"
	done
}

# ---- hairpin: received and sent by the same device ----

# A WireGuard peer reaches the service at the public address, through the tunnel.
test_hairpin_peer() {
	topology phone offload=off
	maps_and_services
	capture in phone wg0 tcp or udp or ip6
	capture out home wg0 tcp or udp or ip6
	is "$(peer phone who $MAP4 --bind $PHONE_WG:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer phone who "$MAP6" --bind "[$PHONE_WG6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches phone $MAP4 "$MAP6"
	capture_end in out
	checksums in out
	is "$(seen udp)" "$GATEWAY_WG $GATEWAY_WG6" "the source that home sees"
	is "$(packets out '.dport == 8000' | jq -r .src | sort -u | xargs)" "$GATEWAY_WG $GATEWAY_WG6" "sources at home"
	is "$(packets out '.dport == 8000' | jq .ttl | sort -u)" 63 "TTLs at home"
	forward_untouched
}

# Home has a route to the other peer: no SNAT needed.
test_hairpin_peer_snat_none() {
	topology phone
	attach eth0 wg0
	four_maps $MAP4 "$MAP6" $HOME_WG:8000 "[$HOME_WG6]:8000" --snat none
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	reaches phone $MAP4 "$MAP6"
	is "$(seen tcp)" "$PHONE_WG $PHONE_WG6" "the source that home sees"
	is "$(seen udp)" "$PHONE_WG $PHONE_WG6" "the source that home sees"
	forward_untouched
}

# The server reaches itself at the public address, which is not the tunnel's endpoint: that one is outside of the
# tunnel.
test_hairpin_server() {
	local public=93.184.216.35 public6=2001:db8:93::35
	topology offload=off
	topo_address gateway eth0 $public/32 $public6/128
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" \
		allowed-ips 10.172.16.0/24,fd10:172:16::/64,$public/32,$public6/128
	on home ip route add $public dev wg0
	on home ip -6 route add $public6 dev wg0
	attach eth0 wg0
	four_maps $public:8000 "[$public6]:8000" $HOME_WG:8000 "[$HOME_WG6]:8000"
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	capture both home wg0 tcp or udp or ip6
	is "$(peer home who $public:8000 --bind $HOME_WG:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer home who "[$public6]:8000" --bind "[$HOME_WG6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches home $public:8000 "[$public6]:8000"
	capture_end both
	checksums both
	is "$(seen udp)" "$GATEWAY_WG $GATEWAY_WG6" "the source that home sees"
	forward_untouched
}

# In the LAN, by Ethernet: the server itself, and another host.
test_hairpin_lan() {
	local pc=10.99.0.3 pc6=fd10:99::3
	topology lan offload=off
	# Another host on the same link.
	topo_host pc
	on lan ip link add link eth0 name pc0 type macvlan mode bridge || skip "no macvlan here"
	on lan ip link set pc0 netns "$TOPO_PREFIX-pc"
	topo_offload pc pc0 off
	on pc ip link set pc0 up
	topo_address pc pc0 $pc/24 $pc6/64
	topo_default_route pc 10.99.0.1 fd10:99::1
	attach eth0 eth1
	four_maps $MAP4 "$MAP6" $LAN:8000 "[$LAN6]:8000"
	serve service lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000 "[$LAN6]:8000"
	capture cable gateway eth1 tcp or udp or ip6
	is "$(peer pc who $MAP4 --bind $pc:4711)" "10.99.0.1 4711" "the source that the server sees"
	is "$(peer lan who "$MAP6" --bind "[$LAN6]:4712")" "fd10:99::1 4712" "the source that the server sees"
	reaches pc $MAP4 "$MAP6"
	reaches lan $MAP4 "$MAP6"
	capture_end cable
	checksums cable
	is "$(seen tcp)" "10.99.0.1 fd10:99::1" "the source that the server sees"
	is "$(seen udp)" "10.99.0.1 fd10:99::1" "the source that the server sees"
	forward_untouched
}

# ---- the gateway's own processes ----

# Local processes reach the service at the gateway's public address.
test_own_process() {
	topology
	let_lo_pass
	maps_and_services
	is "$(peer gateway who $MAP4 --bind $GATEWAY:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer gateway who "$MAP6" --bind "[$GATEWAY6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches gateway $MAP4 "$MAP6"
	is "$(seen tcp)" "$GATEWAY_WG $GATEWAY_WG6" "the source that home sees"
	is "$(seen udp)" "$GATEWAY_WG $GATEWAY_WG6" "the source that home sees"
	# Visitors still do.
	reaches client $MAP4 "$MAP6"
	forward_untouched
}

# The same, with a service in the LAN, and checksums of each segment.
test_own_process_to_lan() {
	topology lan offload=off
	let_lo_pass
	attach eth0 eth1
	four_maps $MAP4 "$MAP6" $LAN:8000 "[$LAN6]:8000"
	serve service lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000 "[$LAN6]:8000"
	capture cable lan eth0 tcp or udp or ip6
	reaches gateway $MAP4 "$MAP6"
	capture_end cable
	checksums cable
	is "$(seen tcp)" "10.99.0.1 fd10:99::1" "the source that the server sees"
	is "$(seen udp)" "10.99.0.1 fd10:99::1" "the source that the server sees"
	forward_untouched
}

# Local processes get ICMP errors as visitors do: no listener at home, a datagram too large for the tunnel.
test_own_process_errors() {
	topology
	let_lo_pass
	attach eth0 wg0
	four_maps $MAP4 "$MAP6" $HOME_WG:8000 "[$HOME_WG6]:8000"
	capture received home wg0 tcp or udp or ip6
	peer gateway refused $MAP4
	peer gateway refused "$MAP6"
	peer gateway refused $MAP4 --proto udp
	peer gateway refused "$MAP6" --proto udp
	capture_end received
	is "$(packets received '.dport == 8000' | jq -r '"\(.version) \(.proto)"' | sort -u | xargs)" "4 17 4 6 6 17 6 6" \
		"the packets that home received"
	# The kernel keeps no path MTU to a local address, so the MTU is not checked.
	peer gateway big $MAP4 --size 1430
	peer gateway big "$MAP6" --size 1430
	forward_untouched
}

# Other traffic on lo stays local: loopback addresses, which `:8000` does not match, and other ports.
test_own_services() {
	topology
	let_lo_pass
	attach eth0 wg0
	four_maps :8000 "[::]:8000" $HOME_WG:8000 "[$HOME_WG6]:8000"
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	local own=(127.0.0.1:8000 "[::1]:8000" "$GATEWAY:9000" "[$GATEWAY6]:9000" "$GATEWAY_WG:9000")
	serve own gateway --tcp "${own[@]}" --udp "${own[@]}"
	reaches gateway "${own[@]}"
	is "$(seen tcp)$(seen udp)" "" "the source that home sees"
	# A map of any address matches each of the gateway's.
	reaches gateway $GATEWAY:8000 $GATEWAY_WG:8000 "[$GATEWAY6]:8000"
	is "$(seen tcp)" "$GATEWAY_WG $GATEWAY_WG6" "the source that home sees"
	forward_untouched
}

# ---- links ----

# vlan HOST DEV ID: creates DEV.ID, with the kernel's module if there is one, else with links.py.
vlan() {
	local name=vlan-$1-$2
	if ! on "$1" ip link add link "$2" name "$2.$3" type vlan id "$3" 2>/dev/null; then
		start "$name" "$1" "$PYTHON" -u "$NET/links.py" vlan "$2" "$3"
		topo_wait 5 logged "$name" '^ready' || fail "no VLAN: $(cat "$TOPO_DIR/$name.err")"
	fi
	on "$1" ip link set "$2.$3" up
}

# uplink_by DEV ROUTERS_DEV: the gateway and its router use these devices instead of eth0 and g0; so does WireGuard.
uplink_by() {
	on gateway ip addr flush dev eth0
	on internet ip addr flush dev g0
	topo_address gateway "$1" $GATEWAY/24 $GATEWAY6/64
	topo_address internet "$2" 93.184.216.1/24 2001:db8:93::1/64
	on gateway ip route replace default via 93.184.216.1 dev "$1"
	on gateway ip -6 route replace default via 2001:db8:93::1 dev "$1"
	topo_wait 10 on home ping -c1 -W1 $GATEWAY_WG || fail "no tunnel by $1"
}

# The uplink is a VLAN. The device below it is attached too, and passes tagged frames unchanged.
test_vlan_uplink() {
	topology offload=off
	vlan gateway eth0 7
	vlan internet g0 7
	uplink_by eth0.7 g0.7
	maps_and_services
	attach eth0 eth0.7
	capture wire internet g0
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches client $MAP4 "$MAP6"
	capture_end wire
	checksums wire
	is "$(packets wire '.dport == 8000 or .sport == 8000' | jq .vlan | sort -u)" 7 "the tags on the wire"
	counted_once
	forward_untouched
}

# No frame is processed both with its tag and without: the map's counters equal the datagrams that were sent.
counted_once() {
	[ -n "${FWDCTL_STANDIN:-}" ] ||
		json '[.[] | select(.proto == "udp")] | length == 2 and all(.packets_in == 20 and .packets_out == 20)' map list
}

# priority_tags HOST DEV TAGS: creates DEV.0, whose frames leave with so many tags of VLAN ID 0, and arrive without. The
# host's own stack does not take the latter.
priority_tags() {
	local tables
	for tables in iptables ip6tables; do
		on "$1" $tables -t raw -A PREROUTING -i "$2" -j DROP
	done
	start "tags-$2" "$1" "$PYTHON" -u "$NET/links.py" priority "$2" "$3"
	topo_wait 5 logged "tags-$2" '^ready' || fail "no tags: $(cat "$TOPO_DIR/tags-$2.err")"
	on "$1" ip link set "$2.0" up
}

# Frames with tags of VLAN ID 0 belong to the untagged device: to the kernel, and so to fwdctl.
priority_tagged_uplink() {
	topology offload=off
	priority_tags internet g0 "$1"
	uplink_by eth0 g0.0
	maps_and_services
	capture home home wg0 tcp or udp or ip6
	capture client client eth0 tcp or udp or icmp or ip6
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches client $MAP4 "$MAP6"
	# Fragments, and an error of the gateway.
	peer client fragments $MAP4 --bind $CLIENT:4712 --size 2600 --count 2 --order first-last
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4712" --size 2600 --count 2 --order first-last
	is "$(peer client hop $MAP4 --count 2)" "$GATEWAY 11 0" "the sender of the visitor's error"
	is "$(peer client hop "$MAP6" --count 2)" "$GATEWAY6 3 0" "the sender of the visitor's error"
	capture_end home client
	checksums home client
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.passes.no_connection == 0 and .drops.rewrite_failed == 0' stats
	forward_untouched
}

test_priority_tags() {
	priority_tagged_uplink 1
}

test_two_priority_tags() {
	priority_tagged_uplink 2
}

# To a server in the LAN, by XDP: the tag is in the frame there. (A veth drops full frames with two tags.)
test_priority_tags_xdp() {
	topology lan offload=off
	priority_tags internet g0 1
	on gateway ip addr flush dev eth0
	on internet ip addr flush dev g0
	topo_address gateway eth0 $GATEWAY/24 $GATEWAY6/64
	topo_address internet g0.0 93.184.216.1/24 2001:db8:93::1/64
	on gateway ip route replace default via 93.184.216.1 dev eth0
	on gateway ip -6 route replace default via 2001:db8:93::1 dev eth0
	FWDCTL_MODE=xdp
	attach eth0 eth1
	four_maps $MAP4 "$MAP6" $LAN:8000 "[$LAN6]:8000"
	serve service lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000 "[$LAN6]:8000"
	capture cable lan eth0 tcp or udp or ip6 or vlan
	reaches client $MAP4 "$MAP6"
	capture_end cable
	checksums cable
	is "$(count cable .vlan)" 0 "frames that left with a tag"
	json '([.devices[] | select(.name == "eth0")] | .[0].xdp_packets > 0.9 * .[0].packets)' stats
	forward_untouched
}

# The service is in a VLAN of the LAN.
test_vlan_lan() {
	topology lan offload=off
	on gateway ip addr flush dev eth1
	on lan ip addr flush dev eth0
	vlan gateway eth1 9
	vlan lan eth0 9
	topo_address gateway eth1.9 10.99.0.1/24 fd10:99::1/64
	topo_address lan eth0.9 $LAN/24 $LAN6/64
	attach eth0 eth1 eth1.9
	four_maps $MAP4 "$MAP6" $LAN:8000 "[$LAN6]:8000"
	serve service lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000 "[$LAN6]:8000"
	capture wire lan eth0
	reaches client $MAP4 "$MAP6"
	capture_end wire
	checksums wire
	is "$(packets wire '.dport == 8000 or .sport == 8000' | jq .vlan | sort -u)" 9 "the tags on the wire"
	counted_once
	is "$(seen tcp)" "10.99.0.1 fd10:99::1" "the source that the server sees"
	forward_untouched
}

# ppp: the gateway's uplink is ppp0, as with PPPoE: no Ethernet header, no neighbours, MTU 1492.
ppp() {
	start ppp internet "$PYTHON" -u "$NET/links.py" ppp \
		"/run/netns/$TOPO_PREFIX-gateway" ppp0 "/run/netns/$TOPO_PREFIX-internet" ppp0
	topo_wait 5 logged ppp '^ready' || fail "no link: $(cat "$TOPO_DIR/ppp.err")"
	on gateway ip link set ppp0 mtu 1492 up
	on internet ip link set ppp0 mtu 1492 up
	uplink_by ppp0 ppp0
	on gateway ip route replace default dev ppp0
	on gateway ip -6 route replace default dev ppp0
}

test_l3_uplink() {
	topology offload=off
	ppp
	maps_and_services
	attach ppp0
	capture home home wg0 tcp or udp or ip6
	capture client client eth0 tcp or udp or ip6
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$GATEWAY_WG6 4711" "the source that home sees"
	reaches client $MAP4 "$MAP6"
	capture_end home client
	checksums home client
	is "$(packets home '.dport == 8000' | jq .ttl | sort -u)" 62 "TTLs at home"
	forward_untouched
}

# The smaller MTU of the two links determines the MSS and what is too big.
test_l3_uplink_mtu() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in doesn't clamp the MSS"
	topology offload=off
	ppp
	maps_and_services
	attach ppp0
	l3_mss 1420
	on gateway ip link set wg0 mtu 9000
	on home ip link set wg0 mtu 9000
	l3_mss 1492
	json '.drops.too_big == 0' stats
	l3_too_big_for_the_visitor $GATEWAY:8001 $HOME_WG:8001
	l3_too_big_for_the_visitor "[$GATEWAY6]:8001" "[$HOME_WG6]:8001"
	# Last, because a client that has learnt the path MTU offers a smaller MSS.
	on gateway ip link set wg0 mtu 1420
	is "$(peer client big $MAP4 --size 1430 | tail -n 1)" "mtu 1420" "the path MTU of the visitor"
	is "$(peer client big "$MAP6" --size 1430 | tail -n 1)" "mtu 1420" "the path MTU of the visitor"
	json '.drops.too_big >= 4' stats
	forward_untouched
}

# l3_mss MTU: both ends are offered the MSS that fits MTU.
l3_mss() {
	local at
	capture "home$1" home wg0 tcp or ip6
	capture "client$1" client eth0 tcp or ip6
	for at in $MAP4 "$MAP6"; do
		peer client put "$at" --size $((256 << 10))
		peer client get "$at" --size $((256 << 10))
	done
	capture_end "home$1" "client$1"
	is "$(packets "home$1" '.flags == "S"' | jq .mss | xargs)" \
		"$(($1 - 40)) $(($1 - 40)) $(($1 - 60)) $(($1 - 60))" "the MSS that home is offered"
	is "$(packets "client$1" '.flags == "SA"' | jq .mss | xargs)" \
		"$(($1 - 40)) $(($1 - 40)) $(($1 - 60)) $(($1 - 60))" "the MSS that the client is offered"
	checksums "home$1" "client$1"
}

# l3_too_big_for_the_visitor LISTEN TARGET: home gets an ICMP error about a reply that does not fit ppp0.
l3_too_big_for_the_visitor() {
	fwd map add udp "$1" "$2"
	start_peer big home reply-big "$2" --size 1480
	topo_wait 5 logged big '^ready'
	peer client shout "$1"
	finish big
	is "$(tail -n 1 "$TOPO_DIR/big.log")" "mtu 1492" "the path MTU of home"
}
