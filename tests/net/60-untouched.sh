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

# wireguard_end: deletes the gateway's wg0, as `wg-quick down` does. wireguard-go ends with its device.
wireguard_end() {
	on gateway ip link del wg0
	topo_wait 5 wireguard_is_gone || fail "wg0 still exists"
}

wireguard_is_gone() {
	! on gateway ip link show wg0
}

# wireguard_begin: creates it anew, with its address. The gateway does not know home's endpoint: home has to begin.
wireguard_begin() {
	topo_wireguard gateway
	topo_wg gateway set listen-port $WG_PORT private-key "$TOPO_DIR/gateway.key" \
		peer "$(cat "$TOPO_DIR/home.pub")" allowed-ips $HOME_WG/32,$HOME_WG6/128
	topo_address gateway wg0 $GATEWAY_WG/24 $GATEWAY_WG6/64
	on gateway ip link set wg0 mtu 1420 up
}

# WireGuard restarts while a range covers its port. Home's handshakes open a connection meanwhile; when the socket is
# back, they reach it, although they never pause for as long as that connection lives.
test_wireguard_restarts() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables keeps the connection"
	topology
	attach eth0 wg0
	# A source address that stays, and a target that is not behind the tunnel, so that the range is used meanwhile.
	fwd map add udp $GATEWAY:51000-52000 93.184.216.1 --snat $GATEWAY
	on home ping -c1 -W5 $GATEWAY_WG
	wireguard_end
	# Home has something to send, and sends a handshake every five seconds.
	start home-sends home ping -i 0.2 $GATEWAY_WG
	topo_wait 30 range_is_used || fail "no handshake of home arrived while WireGuard was down"
	wireguard_begin
	fwd attach eth0 wg0
	topo_wait 30 on gateway ping -c1 -W1 $HOME_WG || fail "the tunnel does not come back"
	kill "${PID[home-sends]}"
	json "map(select(.listen | endswith(\":$WG_PORT\"))) | length == 0" conn list
}

range_is_used() {
	[ "$(fwd conn count)" -ge 1 ]
}

# The tunnel is deleted, and the default route leads to its target: no packet leaves in clear.
test_tunnel_is_deleted() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "iptables sends them in clear"
	topology
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat $GATEWAY
	fwd map add udp $MAP4 $HOME_WG:8000 --snat none
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000" --snat $GATEWAY6
	# As home would have it for addresses from outside.
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" allowed-ips 0.0.0.0/0,::/0
	unanswered
	[ "$(fwd conn count)" -ge 2 ] || fail "not all maps have had a route"
	wireguard_end
	CAPTURE_DIRECTION=out capture clear gateway eth0 "dst host $HOME_WG or dst host $HOME_WG6"
	unanswered
	capture_end clear
	is "$(count clear)" 0 "packets that left in clear"
	json '.passes.tunnel_gone >= 1' stats
}

# One packet or more through each map, of a known connection and of a new one; no reply is expected.
unanswered() {
	local port
	for port in 4711 $((RANDOM % 10000 + 20000)); do
		peer client who $MAP4 --bind $CLIENT:$port --timeout 1.2 || true
		peer client udp-burst $MAP4 --count 1 --size 100 --bind $CLIENT:$port --timeout 0.2 || true
		peer client udp-burst "$MAP6" --count 1 --size 100 --bind "[$CLIENT6]:$port" --timeout 0.2 || true
	done
}

# A packet with home's address as source, received by eth0, reaches neither a visitor nor home.
forged_are_dropped() {
	peer client udp-burst $MAP4 --count 1 --size 100 --bind $CLIENT:4711
	capture visitor client eth0 udp port 4711
	capture home home wg0 udp
	# The router on eth0's network forges both.
	on internet "$PYTHON" - "$GATEWAY" "$GATEWAY_WG" "$HOME_WG" <<-'END'
		import socket, struct, sys
		public, own, home = map(socket.inet_aton, sys.argv[1:])
		sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
		def send(src, dst, sport, dport):
		    udp = struct.pack("!HHHH", sport, dport, 12, 0) + b"evil"
		    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 7, 0, 9, 17, 0, src, dst)
		    sock.sendto(ip + udp, (sys.argv[1], 0))
		for n in range(5):
		    send(home, own, 8000, 4711)
		    send(socket.inet_aton("10.172.16.3"), public, 5000 + n, 8000)
	END
	sleep 0.3
	capture_end visitor home
	is "$(count visitor '.sport == 8000 and .dst == "'$CLIENT'" and .payload == 4')" 0 "forged replies"
	is "$(count home '.dport == 8000 and .sport >= 5000 and .sport < 5005')" 0 "packets of a spoofed peer at home"
	[ -n "${FWDCTL_STANDIN:-}" ] || json '.drops.rp_filter >= 5' stats
	peer client who $MAP4
}

# As most distributions set it, or stricter.
test_rp_filter() {
	topology
	on gateway sysctl -qw net.ipv4.conf.all.rp_filter=1
	maps_and_services
	forged_are_dropped
}

# Of one device only, which is attached by its alternative name.
test_rp_filter_of_one_device() {
	topology
	on gateway sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=1
	on gateway ip link property add dev eth0 altname uplink0
	maps_and_services
	fwd detach
	fwd attach uplink0 wg0
	forged_are_dropped
}

# An IPsec policy demands that packets to home are encrypted or blocked: a map cannot be added, and one that exists
# forwards nothing, as with iptables. Policies that let packets pass, or are about others, have no effect.
test_ipsec_policy() {
	topology
	if [ -n "${FWDCTL_STANDIN:-}" ]; then
		maps_and_services
		on gateway ip xfrm policy add dir out dst $HOME_WG action block
		peer client silent $MAP4 --timeout 1
		return
	fi
	attach eth0 wg0
	on gateway ip xfrm policy add dir out dst 10.172.16.0/24 tmpl src $GATEWAY dst 203.0.113.7 proto esp mode tunnel
	on gateway ip xfrm policy add dir out dst $HOME_WG6 proto tcp dport 8000 action block
	rejects 1 'IPsec policy' fwd map add tcp $MAP4 $HOME_WG:8000
	rejects 1 'IPsec policy' fwd map add tcp "[$GATEWAY6]:7990-8010" "[$HOME_WG6]"
	json 'length == 0' map list
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000"
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8001"
	on gateway ip xfrm policy add dir out dst $HOME_WG priority 0 action allow index 9
	on gateway ip xfrm policy update dir out dst 10.172.16.0/24 priority 10 \
		tmpl src $GATEWAY dst 203.0.113.7 proto esp mode tunnel
	maps_and_services_tcp
	peer client who $MAP4
	# One port, or one source port, in clear: the others are not.
	on gateway ip xfrm policy update dir out dst $HOME_WG proto tcp dport 7022 priority 0 action allow index 17
	on gateway ip xfrm policy update dir out dst $HOME_WG proto tcp sport 7022 priority 0 action allow index 25
	on gateway ip xfrm policy delete dir out dst $HOME_WG
	rejects 1 'IPsec policy' fwd map add tcp $GATEWAY:7000-7100 $HOME_WG
	fwd map add tcp $GATEWAY:7022 $HOME_WG:7022
	on gateway ip xfrm policy flush
	on gateway ip xfrm policy add dir out dst $HOME_WG action block
	fwd attach eth0 wg0 2>"$TOPO_DIR/note"
	is "$(grep -c "$HOME_WG:.*IPsec.*netfilter's DNAT" "$TOPO_DIR/note")" 1 "notes about the target's policy"
	peer client who $MAP4 --timeout 1 && fail "a visitor is served"
	json '.passes.ipsec >= 1' stats
	# The map is bound to its tunnel as before.
	on gateway ip xfrm policy flush
	fwd attach eth0 wg0
	on gateway ip link set wg0 down
	peer client who $MAP4 --timeout 1 && fail "a visitor is served without a tunnel"
	json '.drops.tunnel_gone + .passes.tunnel_gone >= 1' stats
	on gateway ip link set wg0 up
	on gateway ip xfrm policy add dir out dst $HOME_WG action block
	fwd attach eth0 wg0
	on gateway ip xfrm policy flush
	fwd attach eth0 wg0
	peer client who $MAP4
}

maps_and_services_tcp() {
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
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
