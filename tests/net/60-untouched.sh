# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Packets of no map and no connection stay unchanged.

# Transit traffic to the ports of maps, but to other hosts: compared on both sides of the gateway, only the TTL and the
# header checksum differ.
test_transit() {
	topology lan offload=off
	attach eth0 wg0 eth1
	fwd map add tcp $MAP4 $HOME_WG:8000
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000"
	on internet ip route add 10.99.0.0/24 via $GATEWAY
	on internet ip -6 route add fd10:99::/64 via $GATEWAY6
	on gateway iptables -P FORWARD ACCEPT
	on gateway ip6tables -P FORWARD ACCEPT
	serve lan lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000
	on client ping -c1 -W1 $LAN >/dev/null
	on client ping -c1 -W1 $LAN6 >/dev/null
	local filter="(tcp or udp) and not port $WG_PORT"
	CAPTURE_DIRECTION=out capture in_there internet g0 "$filter"
	CAPTURE_DIRECTION=in capture out_there lan eth0 "$filter"
	CAPTURE_DIRECTION=out capture in_back lan eth0 "$filter"
	CAPTURE_DIRECTION=in capture out_back internet g0 "$filter"
	is "$(peer client who $LAN:8000 --bind $CLIENT:4711)" "$CLIENT 4711" "the source that the other host sees"
	is "$(peer client who "[$LAN6]:8000" --bind "[$CLIENT6]:4711")" "$CLIENT6 4711"
	peer client put $LAN:8000 --size $((1 << 20))
	peer client get "[$LAN6]:8000" --size $((1 << 20))
	peer client udp-burst $LAN:8000 --size 700 --count 20
	# Fragments and a datagram without checksum.
	peer client udp-burst $LAN:8000 --size 4000 --count 3
	peer client udp-burst $LAN:8000 --size 100 --count 3 --no-check
	peer client refused $LAN:8123
	capture_end in_there out_there in_back out_back
	"$PYTHON" "$NET/pcap.py" routed "$TOPO_DIR/in_there.pcap" "$TOPO_DIR/out_there.pcap" || fail "transit was changed"
	"$PYTHON" "$NET/pcap.py" routed "$TOPO_DIR/in_back.pcap" "$TOPO_DIR/out_back.pcap" || fail "transit was changed"
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.connections.created == 0' stats
}

# The gateway's own services on other ports, and on ports that have a map for the other protocol; pings; closed ports.
test_own_services() {
	topology
	maps_and_services
	fwd map add udp $GATEWAY:22 $HOME_WG:8000
	serve ssh gateway --tcp $GATEWAY:22 "[$GATEWAY6]:22" --udp $GATEWAY:8001
	on gateway iptables -A INPUT -p udp --dport 8001 -j ACCEPT
	on gateway iptables -A INPUT -p icmp --icmp-type echo-request -j ACCEPT
	on gateway ip6tables -A INPUT -p icmpv6 --icmpv6-type echo-request -j ACCEPT
	CAPTURE_DIRECTION=out capture sent internet g0 tcp port 22
	CAPTURE_DIRECTION=in capture received gateway eth0 tcp port 22
	is "$(peer client who $GATEWAY:22 --bind $CLIENT:4711)" "$CLIENT 4711" "the source that the gateway sees"
	is "$(peer client who "[$GATEWAY6]:22" --bind "[$CLIENT6]:4711")" "$CLIENT6 4711" "the source that the gateway sees"
	peer client put $GATEWAY:22 --size $((1 << 20))
	capture_end sent received
	peer client get "[$GATEWAY6]:22" --size $((1 << 20))
	peer client udp-burst $GATEWAY:8001 --count 5 --size 100
	on client ping -c3 -i0.1 -W1 $GATEWAY
	on client ping -c3 -i0.1 -W1 $GATEWAY6
	on home ping -c3 -i0.1 -W1 $GATEWAY_WG
	# Dropped by the firewall.
	peer client silent $GATEWAY:8080 --timeout 0.5
	# Refused by the gateway's stack where the firewall accepts it.
	on gateway iptables -A INPUT -p tcp --dport 8080 -j ACCEPT
	on gateway iptables -A OUTPUT -p tcp --sport 8080 -j ACCEPT
	peer client refused $GATEWAY:8080
	[ -n "${FWDCTL_STANDIN:-}" ] || json '[.drops[]] | add // 0 | . == 0' stats
}

# A mapped port without a listener at home: the visitor gets home's RST.
test_closed_at_home() {
	topology
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000"
	peer client refused $MAP4
	peer client refused "$MAP6"
	peer client refused $MAP4
	forward_untouched
}

# WireGuard works, handshakes included, when maps cover all other ports.
test_wireguard() {
	topology
	attach eth0 wg0
	fwd map add udp $GATEWAY:1024-51912 $HOME_WG
	fwd map add udp $GATEWAY:51914-65535 $HOME_WG
	local before
	before=$(topo_wg gateway show latest-handshakes | awk '{ print $2 }')
	sleep 1
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" remove
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" endpoint $GATEWAY:$WG_PORT \
		persistent-keepalive 25 allowed-ips 10.172.16.0/24
	on home ping -c1 -W5 $GATEWAY_WG
	[ "$(topo_wg gateway show latest-handshakes | awk '{ print $2 }')" -gt "$before" ] || fail "no new handshake"
}

# With forwarding off, no packet is forwarded.
test_forwarding_off() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in is the kernel itself"
	topology
	maps_and_services
	on gateway sysctl -qw net.ipv4.ip_forward=0
	peer client silent $MAP4 --timeout 1
	on gateway sysctl -qw net.ipv4.ip_forward=1
	peer client who $MAP4
}

# A TTL that is used up: fwdctl sends "time exceeded", whatever the firewall.
test_ttl_one() {
	topology
	maps_and_services
	capture home home wg0 tcp
	capture client client eth0 icmp
	# One hop to the internet's router, the second is the gateway.
	on client "$PYTHON" - $GATEWAY 8000 <<-'END'
		import socket, sys
		sock = socket.socket()
		sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
		sock.settimeout(0.5)
		try:
		    sock.connect((sys.argv[1], int(sys.argv[2])))
		except OSError:
		    pass
	END
	capture_end home client
	is "$(count home)" 0 "packets at home"
	[ "$(count client ".src == \"$GATEWAY\" and .quote.dst == \"$GATEWAY\"")" -ge 1 ] ||
		fail "no ICMP error from the gateway"
	if [ -z "${FWDCTL_STANDIN:-}" ]; then
		json '.drops.ttl_exceeded > 0' stats
	fi
}
