# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Connections that netfilter translates on the same host: masqueraded ones of WireGuard peers and of containers, and
# iptables' own port forwards. None of them notices fwdctl, nor fwdctl them.

# Both families on the gateway.
nat() {
	on gateway iptables -t nat "$@"
	on gateway ip6tables -t nat "$@"
}

# masquerade DEV: as wg-easy's and Docker's rules do.
masquerade() {
	nat -A POSTROUTING -o "$1" -j MASQUERADE
	on gateway iptables -P FORWARD ACCEPT
	on gateway ip6tables -P FORWARD ACCEPT
}

# passed_to_netfilter: packets were left to netfilter because its conntrack knows them.
passed_to_netfilter() {
	json '.passes.netfilter > 0' stats
}

# The phone's whole traffic goes through the gateway, and a map leads to it. Its own datagrams from the target's port
# are masqueraded to the port that the map listens on, and the peer's replies come back from the peer.
test_replies_to_the_target() {
	topology phone client2
	attach eth0 wg0
	masquerade eth0
	fwd map add udp $GATEWAY:6881 $PHONE_WG:6881
	fwd map add udp "[$GATEWAY6]:6881" "[$PHONE_WG6]:6881"
	serve peers client --udp $CLIENT:7000 "[$CLIENT6]:7000"
	pulse out phone $CLIENT:7000 --proto udp --bind $PHONE_WG:6881
	gets_replies out
	pulse out6 phone "[$CLIENT6]:7000" --proto udp --bind "[$PHONE_WG6]:6881"
	gets_replies out6
	is "$(cut -d' ' -f1-3 "$TOPO_DIR/peers.log" | sort -u | grep -c "udp .* 6881")" 2 "ports kept by netfilter"
	passed_to_netfilter
	stop out
	stop out6
	# Visitors still reach the map.
	serve service phone --udp $PHONE_WG:6881 "[$PHONE_WG6]:6881"
	pulse visitor client2 $GATEWAY:6881 --proto udp
	gets_replies visitor
	stop visitor
}

# The same with --snat none and another port at the target.
test_replies_with_snat_none() {
	topology phone
	attach eth0 wg0
	masquerade eth0
	fwd map add udp $GATEWAY:6881 $PHONE_WG:6882 --snat none
	fwd map add udp "[$GATEWAY6]:6881" "[$PHONE_WG6]:6882" --snat none
	serve peers client --udp $CLIENT:7000 "[$CLIENT6]:7000"
	pulse out phone $CLIENT:7000 --proto udp --bind $PHONE_WG:6881
	gets_replies out
	pulse out6 phone "[$CLIENT6]:7000" --proto udp --bind "[$PHONE_WG6]:6881"
	gets_replies out6
	stop out
	stop out6
}

# Masqueraded ports within the range of a map.
test_replies_within_a_range() {
	topology lan
	attach eth0 wg0
	masquerade eth0
	fwd map add udp $GATEWAY:49152-65535 $HOME_WG
	fwd map add udp "[$GATEWAY6]:49152-65535" "[$HOME_WG6]"
	serve resolver client --udp $CLIENT:53 "[$CLIENT6]:53"
	local i
	for i in {1..10}; do
		pulse "lookup$i" lan $CLIENT:53 --proto udp --bind "0.0.0.0:$((50000 + i))" --count 3
		finish "lookup$i"
		pulse "lookup6$i" lan "[$CLIENT6]:53" --proto udp --bind "[::]:$((50000 + i))" --count 3
		finish "lookup6$i"
	done
	passed_to_netfilter
}

# one_tuple PROTO FIRST: the container's connection and the visitor's have the same port, towards the same target.
# Whichever is first, both get their replies, and home sees two sources.
one_tuple() {
	local proto=$1 first=$2 container=$3 container_to=$4 visitor=$5 visitor_to=$6
	local -A start=(
		[container]="lan $container_to --bind $container"
		[visitor]="client $visitor_to --bind $visitor"
	)
	local second=visitor name
	[ "$first" = container ] || second=container
	for name in $first $second; do
		# shellcheck disable=SC2086
		pulse "$name" ${start[$name]} --proto "$proto"
	done
	for _ in 1 2 3; do
		gets_replies container
		gets_replies visitor
	done
	stop container
	stop visitor
}

sources_at_home() {
	is "$(grep "^$1 $2 " "$TOPO_DIR/service.log" | sort -u | wc -l)" "$3" "sources that home saw by $1"
}

same_tuples() {
	local proto=$1 first=$2
	topology lan
	maps_and_services
	masquerade wg0
	fwd map list >&2
	one_tuple "$proto" "$first" 10.99.0.2:4711 $HOME_WG:8000 $CLIENT:4711 $MAP4
	sources_at_home "$proto" $GATEWAY_WG 2
	one_tuple "$proto" "$first" "[$LAN6]:4711" "[$HOME_WG6]:8000" "[$CLIENT6]:4711" "$MAP6"
	sources_at_home "$proto" $GATEWAY_WG6 2
}

test_container_first_tcp() {
	same_tuples tcp container
}

test_container_first_udp() {
	same_tuples udp container
}

test_visitor_first_tcp() {
	same_tuples tcp visitor
}

test_visitor_first_udp() {
	same_tuples udp visitor
}

# A gateway whose ports move from iptables to fwdctl one at a time: 9000 is still iptables', with the same target.
beside_iptables() {
	local proto=$1 first=$2
	topology client2
	maps_and_services
	masquerade wg0
	on gateway iptables -t nat -A PREROUTING -p "$proto" -d $GATEWAY --dport 9000 -j DNAT --to-destination $HOME_WG:8000
	on gateway ip6tables -t nat -A PREROUTING -p "$proto" -d $GATEWAY6 --dport 9000 \
		-j DNAT --to-destination "[$HOME_WG6]:8000"
	local second=mapped name
	[ "$first" = forwarded ] || second=forwarded
	local -A start=(
		[forwarded]="client2 $GATEWAY:9000 --bind $CLIENT2:4711"
		[mapped]="client $MAP4 --bind $CLIENT:4711"
		[forwarded6]="client2 [$GATEWAY6]:9000 --bind [$CLIENT2_6]:4711"
		[mapped6]="client $MAP6 --bind [$CLIENT6]:4711"
	)
	for name in $first $second ${first}6 ${second}6; do
		# shellcheck disable=SC2086
		pulse $name ${start[$name]} --proto "$proto"
	done
	for name in $first $second ${first}6 ${second}6; do
		gets_replies $name
	done
	for name in $first $second ${first}6 ${second}6; do
		stop $name
	done
	sources_at_home "$proto" $GATEWAY_WG 2
	sources_at_home "$proto" $GATEWAY_WG6 2
}

test_iptables_first_tcp() {
	beside_iptables tcp forwarded
}

test_iptables_first_udp() {
	beside_iptables udp forwarded
}

test_map_first_tcp() {
	beside_iptables tcp mapped
}

test_map_first_udp() {
	beside_iptables udp mapped
}

# A visitor's UDP that iptables forwards goes on when its port moves to a map: its source port at home stays.
test_moving_from_iptables() {
	topology client2
	attach eth0 wg0
	masquerade wg0
	serve service home --udp $HOME_WG:8000 --tcp $HOME_WG:8000
	local proto
	for proto in tcp udp; do
		on gateway iptables -t nat -A PREROUTING -p $proto -d $GATEWAY --dport 8000 -j DNAT --to-destination $HOME_WG:8000
		pulse old_$proto client $MAP4 --proto $proto --bind $CLIENT:4711
	done
	for proto in tcp udp; do
		fwd map add $proto $MAP4 $HOME_WG:8000
		on gateway iptables -t nat -D PREROUTING -p $proto -d $GATEWAY --dport 8000 -j DNAT --to-destination $HOME_WG:8000
		gets_replies old_$proto
		pulse new_$proto client2 $MAP4 --proto $proto --bind $CLIENT2:4711
		gets_replies new_$proto
		gets_replies old_$proto
		sources_at_home $proto $GATEWAY_WG 2
	done
	json 'length == 2' conn list
	for proto in tcp udp; do
		stop old_$proto
		stop new_$proto
	done
}
