# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Notes of `map add` about maps that may not work, or do more than was meant, and source addresses that it refuses.

# notes WORD...: a map that must be added; prints the notes on standard error.
notes() {
	local message
	message=$(fwd map add "$@" 2>&1 >/dev/null) || fail "map add $*: exit status $?: $message"
	sed '/^+ /d' <<<"$message"
}

# says WORDS WORD...: one note, which matches WORDS.
says() {
	local words=$1 got
	shift
	got=$(notes "$@")
	printf '%s -> %s\n' "$*" "$got"
	[ "$(grep -c . <<<"$got")" = 1 ] || fail "map add $*: not one note, but \"$got\""
	grep -q '^fwdctl: map add: \(line [0-9]*: \)*note: ' <<<"$got" || fail "map add $*: no note: \"$got\""
	grep -Eq -- "$words" <<<"$got" || fail "map add $*: \"$got\" does not match \"$words\""
}

# quiet WORD...: no note. On a line of its own, because `fail` in a command substitution ends only that.
quiet() {
	local got
	got=$(notes "$@")
	is "$got" "" "the notes of map add $*"
}

# With everything as in the README there is nothing to note.
test_none() {
	topology
	fwd attach eth0 wg0
	quiet tcp $MAP4 $HOME_WG:8000
	quiet tcp :443 $HOME_WG
	quiet udp :27015-27030 $HOME_WG:27015-27030 --name game
	quiet udp "$MAP6" "[$HOME_WG6]:8000" --snat none
	quiet tcp "$MAP6" "[$HOME_WG6]:8000" --snat $GATEWAY_WG6
}

test_listen() {
	topology
	fwd attach eth0 wg0
	says '"93.184.216.35:80": is no address of this host: .*ip -br addr. shows, or :80$' \
		tcp 93.184.216.35:80 $HOME_WG
	says '"\[2001:db8:93::35\]:80-81": is no address of this host: .* or :80-81$' \
		udp "[2001:db8:93::35]:80-81" $HOME_WG6
	quiet tcp 0.0.0.0:81 $HOME_WG
	quiet tcp "[::]:81" $HOME_WG6
	# An address of another device, and one that only a route makes local (AnyIP).
	quiet tcp $GATEWAY_WG:82 $HOME_WG
	on gateway ip route add local 198.51.100.0/24 dev lo
	on gateway ip route add local 2001:db8:99::/64 dev lo
	quiet tcp 198.51.100.9:82 $HOME_WG
	quiet tcp "[2001:db8:99::9]:82" $HOME_WG6
	# Once for each address.
	is "$(seq 1000 1099 | sed "s/.*/tcp 93.184.216.36:& $HOME_WG/" | notes - | wc -l)" 1 "notes about one address"
}

test_routes() {
	topology lan
	says 'note: no device is attached: fwdctl attach UPLINK wg0$' tcp :80 $HOME_WG
	fwd map del tcp :80
	is "$(notes - <<<"tcp :80 $HOME_WG"$'\n'"tcp :79 $LAN" | grep -c .)" 1 "notes without any device"
	fwd map del tcp :79
	fwd attach eth0
	says '"10.172.16.2:81": packets to it leave by wg0, which is not attached: fwdctl attach wg0$' tcp :81 $HOME_WG
	says '"\[fd10:172:16::2\]:81": packets to it leave by wg0, which' tcp :81 $HOME_WG6
	says 'leave by eth1, which is not attached: fwdctl attach eth1$' tcp :82 $LAN
	fwd detach eth0
	fwd attach wg0
	says '"10.172.16.2:79": packets to it leave by wg0, and no other device is attached: attach the device by which' \
		tcp :79 $HOME_WG
	fwd attach eth0
	quiet tcp :83 $HOME_WG
	quiet tcp :83 $HOME_WG6
	says 'leave by eth1' tcp :84 $LAN6
	says '"10.172.17.2:85": only the default route leads to it, by eth0: if it is behind a tunnel' tcp :85 10.172.17.2
	says '"\[fd10:9::2\]:85": only the default route leads to it, by eth0' tcp :85 fd10:9::2
	# The two halves of a default route.
	on gateway ip route add 0.0.0.0/1 dev wg0
	says 'only the default route leads to it, by wg0' tcp :86 10.172.17.2
	on gateway ip route del 0.0.0.0/1
	on gateway ip route del default
	says '"10.172.17.2:87": no route to it now: bring the tunnel up, then fwdctl attach again$' tcp :87 10.172.17.2
	says '"10.172.17.2:88": no route to it now: bring the tunnel up' tcp :88 10.172.17.2 --snat none
	local kind
	for kind in unreachable prohibit blackhole; do
		on gateway ip route add $kind 10.172.18.0/24
		says '"10.172.18.2:88": no route to it now' udp :88 10.172.18.2 --snat $GATEWAY_WG
		fwd map del udp :88
		on gateway ip route del $kind 10.172.18.0/24
	done
	on gateway ip -6 route del default
	says '"\[fd10:9::2\]:88": no route to it now' udp :88 fd10:9::2 --snat none
	# Many maps to a few targets: one note each. With the number of a line.
	fwd detach wg0
	is "$(seq 1000 1099 | sed "s/.*/udp :& $HOME_WG/" | notes -)" \
		"fwdctl: map add: line 1: note: \"$HOME_WG:1000\": packets to it leave by wg0, which is not attached: fwdctl attach wg0"
}

# The record of a device that is gone does not count as an attached device.
test_gone_device() {
	topology
	fwd attach eth0 wg0
	on gateway ip link del eth0
	says 'packets to it leave by wg0, and no other device is attached' tcp :80 $HOME_WG
}

# One device may be all: the server is on the uplink's network.
test_one_device() {
	topology
	fwd attach eth0
	quiet tcp :80 93.184.216.1
	quiet tcp :80 2001:db8:93::1
}

# Several next hops: the first.
test_multipath() {
	topology lan
	fwd attach eth0 wg0
	on gateway ip route add 10.50.0.0/24 nexthop dev wg0 nexthop via $LAN
	on gateway ip route add 10.51.0.0/24 nexthop via $LAN nexthop dev wg0
	quiet tcp :80 10.50.0.2
	says 'leave by eth1, which is not attached' tcp :81 10.51.0.2
}

# A listening TCP socket loses the port to a map; the note says which, and it is true.
test_tcp_sockets() {
	topology
	fwd attach eth0 wg0
	on gateway ip addr add 93.184.216.35/24 dev eth0
	on gateway iptables -A INPUT -p tcp --dport 8000 -j ACCEPT
	serve web gateway --tcp 0.0.0.0:8000 "[::]:8000" 93.184.216.35:8100 127.0.0.1:8200 "[::1]:8200"
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	local owner="python3[.0-9]* \(pid ${PID[web]}\) listens on port"
	says "\"$MAP4\": $owner 8000 here: visitors will reach $HOME_WG instead: fwdctl map del tcp $MAP4 undoes it\$" \
		tcp $MAP4 $HOME_WG
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	is "$(grep -c '^tcp ' "$TOPO_DIR/web.log" || true)" 0 "connections at the gateway's own server"
	says "$owner 8000 here: visitors will reach $HOME_WG6 instead" tcp "[::]:8000" $HOME_WG6
	peer client who "$MAP6"
	fwd map del tcp $MAP4
	is "$(peer client who $MAP4 --bind $CLIENT:4712)" "$CLIENT 4712" "the source without the map"

	# Another address, another port, loopback: not in the way.
	quiet tcp $GATEWAY:8100 $HOME_WG
	says "$owner 8100 here" tcp 93.184.216.35:8100 $HOME_WG
	quiet tcp :8200 $HOME_WG
	quiet tcp "[::]:8200" $HOME_WG6
	quiet udp :8000 $HOME_WG
	# Ranges: all of the ports.
	fwd map flush
	says "\":1-65535\": sockets of this host use 2 of these ports: 8000 \(python3[.0-9]*, pid ${PID[web]}\), 8100 .*: visitors will reach $HOME_WG instead" \
		tcp :1-65535 $HOME_WG
	kill "${PID[web]}"
	topo_wait 5 on gateway sh -c '! ss -Hltn | grep -q :8000' || fail "the server did not end"
	fwd map flush
	quiet tcp :1-65535 $HOME_WG
}

# Without its process, in another PID namespace: no guess which it is.
test_hidden_process() {
	topology
	fwd attach eth0 wg0
	serve web gateway --tcp 0.0.0.0:8000 --udp $GATEWAY:5400
	hidden "a socket listens on port 8000 here (its process is not visible to fwdctl): visitors" tcp $MAP4
	hidden "a socket receives on port 5400 here (WireGuard's or another of the kernel, or its process is not visible" \
		udp $GATEWAY:5400
}

# hidden WORDS PROTO LISTEN
hidden() {
	local got
	got=$(on gateway unshare --pid --fork --mount-proc "$FWDCTL" map add "$2" "$3" $HOME_WG 2>&1 >/dev/null)
	echo "$got"
	grep -Fq -- "$1" <<<"$got" || fail "not the note: $got"
}

# Sockets that are bound to a device.
test_bound_sockets() {
	topology lan
	fwd attach eth0 wg0
	local name
	for name in eth0 eth1; do
		# shellcheck disable=SC2016
		start bound-$name gateway "$PYTHON" -uc 'import signal, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
s.bind(("0.0.0.0", int(sys.argv[2])))
s.listen()
print("ready")
signal.pause()' $name $((8000 + ${name#eth}))
		topo_wait 5 logged bound-$name '^ready' || fail "no socket of $name"
	done
	says "listens on port 8000 of eth0 here: visitors will reach $HOME_WG instead" tcp :8000 $HOME_WG
	# eth1 is not attached: no packet is for both.
	quiet tcp :8001 $HOME_WG
	fwd map flush
	says "use 1 of these ports: 8000 of eth0 .python3" tcp :8000-8001 $HOME_WG
}

# UDP: bound to any address, to the very address, connected, without a process (WireGuard in the kernel).
test_udp_sockets() {
	topology
	fwd attach eth0 wg0
	local server="python3[.0-9]* \(pid [0-9]*\) receives on port"
	on gateway iptables -A INPUT -p udp -j ACCEPT
	serve any gateway --udp 0.0.0.0:5300 "[::]:5310"
	serve one gateway --udp $GATEWAY:5400 "[$GATEWAY6]:5400"
	# shellcheck disable=SC2016
	start connected gateway "$PYTHON" -uc 'import signal, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5500))
s.connect((sys.argv[2], 9))
print("ready")
signal.pause()' $GATEWAY $CLIENT
	topo_wait 5 logged connected '^ready' || fail "no connected socket"
	serve service home --udp $HOME_WG:5300 $HOME_WG:5400

	# A specific LISTEN beats a socket that is bound to any address. Of both families, if it receives both.
	says "$server 5300 here: visitors will reach $HOME_WG instead: fwdctl map del udp $GATEWAY:5300 undoes it" \
		udp $GATEWAY:5300 $HOME_WG
	says "$server 5310 here: visitors will reach $HOME_WG instead" udp $GATEWAY:5310 $HOME_WG
	says "$server 5310 here: visitors will reach $HOME_WG6 instead" udp "[$GATEWAY6]:5310" $HOME_WG6
	quiet udp "[$GATEWAY6]:5300" $HOME_WG6
	fwd map flush
	# It keeps its packets from a range, and from a map of any address.
	says "use 1 of these ports: 5300 .*: visitors will not reach $HOME_WG there: give LISTEN one" \
		udp $GATEWAY:5300-5301 $HOME_WG
	fwd map flush
	says "$server 5300 here: visitors will not reach $HOME_WG there: give LISTEN one address and one port, or stop that service" \
		udp :5300 $HOME_WG
	peer client udp-burst $GATEWAY:5300 --count 3 --size 10
	is "$(grep -c '^udp ' "$TOPO_DIR/any.log")" 1 "visitors of the gateway's own server"
	# One of the very address keeps them from any map.
	says "$server 5400 here: visitors will not reach $HOME_WG there: map another port, or stop that service" \
		udp $GATEWAY:5400 $HOME_WG
	peer client udp-burst $GATEWAY:5400 --count 3 --size 10
	is "$(grep -c '^udp ' "$TOPO_DIR/one.log")" 1 "visitors of the gateway's own server"
	fwd map del udp $GATEWAY:5400
	says "$server 5400 here: visitors will not reach" udp :5400 $HOME_WG
	says "$server 5400 here: visitors will not reach $HOME_WG6 there" udp "[$GATEWAY6]:5400" $HOME_WG6
	is "$(grep -c '^udp ' "$TOPO_DIR/service.log" || true)" 0 "visitors of home"
	# A connected one keeps those of its peer.
	says "$server 5500 here: packets of its peer will not reach $HOME_WG\$" udp :5500 $HOME_WG
	fwd map flush
	# In a range: the services.
	on gateway "$FWDCTL" map add udp :5000-6000 $HOME_WG 2>&1 | tee "$TOPO_DIR/range"
	grep -Eq 'use 3 of these ports: 5300 \(python3[^)]*\), 5310 .*, 5400 .*: visitors will not reach' "$TOPO_DIR/range" ||
		fail "the range"
	fwd map flush
	# WireGuard's port.
	says "on port $WG_PORT here.*: visitors will not reach $HOME_WG there" udp :$WG_PORT $HOME_WG
}

# Ten thousand maps: the sockets, the routes and the addresses are read once.
test_many() {
	topology
	fwd attach eth0 wg0
	# Some 300 ms. A lookup for each map takes minutes.
	local start took i ports=()
	for i in {20000..20199}; do ports+=("0.0.0.0:$i"); done
	serve web gateway --tcp "${ports[@]}"
	for i in {0..249}; do
		echo "addr add 10.77.0.$i/32 dev eth0"
	done | topo_ip gateway
	# Of 250 addresses, 40 ports each; 1,000 have an address that is no one's.
	for i in {0..9999}; do
		echo "tcp 10.77.$((i % 10 == 0)).$((i / 40)):$((20000 + i % 40)) $HOME_WG:80"
	done | sort -u >"$TOPO_DIR/lines"
	start=${EPOCHREALTIME/[.,]/}
	notes - <"$TOPO_DIR/lines" >"$TOPO_DIR/notes"
	took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
	wc -l <"$TOPO_DIR/notes"
	echo "10000 maps took $took ms"
	is "$(grep -c 'listens on port' "$TOPO_DIR/notes")" 16 "notes about sockets"
	grep -q 'note: sockets of this host use the ports of 9984 more maps$' "$TOPO_DIR/notes" || fail "no sum"
	is "$(grep -c 'is no address of this host' "$TOPO_DIR/notes")" 250 "notes about addresses"
	json 'length == 10000' map list
	[ "$took" -lt 30000 ] || fail "10000 maps took $took ms"
}

# Source addresses from which no reply can return.
test_refused_sources() {
	topology
	local before address
	before=$(on gateway "$FWDCTL" map list --json)
	rejects 2 "--snat: \"$HOME_WG\": is the address of TARGET" fwd map add tcp :80 $HOME_WG --snat $HOME_WG
	rejects 2 "is the address of TARGET" fwd map add tcp :80 $HOME_WG6 --snat $GATEWAY_WG6,$HOME_WG6 --force
	rejects 2 "multicast" fwd map add tcp :80 $HOME_WG --snat 224.0.0.1 --force
	rejects 2 "broadcast" fwd map add tcp :80 $HOME_WG --snat 255.255.255.255 --force
	for address in 10.172.16.255 93.184.216.255 93.184.216.0; do
		rejects 1 "--snat: \"$address\": is the broadcast address of a network, or its first" \
			fwd map add tcp :80 $HOME_WG --snat $address --force
	done
	rejects 1 "--snat: \"10.172.16.9\": is no address of this host: .*: add it .* use --force" \
		fwd map add tcp :80 $HOME_WG --snat $GATEWAY_WG,10.172.16.9
	rejects 1 "\"fd10:172:16::9\": is no address of this host" fwd map add tcp :80 $HOME_WG6 --snat fd10:172:16::9
	rejects 1 "line 2: --snat: \"10.172.16.9\": is no address" fwd map add - <<-END
		tcp :80 $HOME_WG --snat $GATEWAY_WG
		tcp :81 $HOME_WG --snat 10.172.16.9
	END
	is "$(on gateway "$FWDCTL" map list --json)" "$before" "the maps after refused addresses"
	# Any of this host's; others by force.
	fwd map add tcp :80 $HOME_WG --snat $GATEWAY_WG,$GATEWAY
	fwd map add tcp :81 $HOME_WG --snat 10.172.16.9 --force
	fwd map add - <<<"tcp :82 $HOME_WG --force --snat 10.172.16.9"
	json 'length == 3 and .[1].source == ["10.172.16.9"]' map list
	rejects 2 "--force does not go with this command" fwd map list --force
	# Targets that are no host.
	for address in 10.172.16.255 93.184.216.0; do
		rejects 1 "\"$address\": is the broadcast address of a network, or its first" fwd map add tcp :90 $address
	done
	# A tunnel has no network's address: any of AllowedIPs may be a host's, as netfilter takes it.
	on gateway ip route add 10.172.18.0/24 dev wg0
	for address in 10.172.16.0 10.172.18.0; do
		fwd map add tcp :90 $address
		fwd map del tcp :90
	done
	rejects 1 "address of this host .wg0." fwd map add tcp :90 $GATEWAY_WG
}

test_udp_wins() {
	topology
	fwd attach eth0 wg0
	on gateway iptables -A INPUT -p udp -j ACCEPT
	serve any gateway --udp 0.0.0.0:5300 "[::]:5310"
	serve service home --udp $HOME_WG:5300 $HOME_WG:5310 "[$HOME_WG6]:5310"
	fwd map add udp $GATEWAY:5300 $HOME_WG
	fwd map add udp $GATEWAY:5310 $HOME_WG
	fwd map add udp "[$GATEWAY6]:5310" $HOME_WG6
	peer client udp-burst $GATEWAY:5300 --count 3 --size 10
	peer client udp-burst $GATEWAY:5310 --count 3 --size 10
	peer client udp-burst "[$GATEWAY6]:5310" --count 3 --size 10
	is "$(grep -c '^udp ' "$TOPO_DIR/any.log" || true)" 0 "visitors of the gateway's own server"
	is "$(grep -c '^udp ' "$TOPO_DIR/service.log" || true)" 3 "visitors of home"
	fwd map flush
	fwd map add udp $GATEWAY:5300-5310 $HOME_WG
	peer client udp-burst $GATEWAY:5300 --count 3 --size 10
	is "$(grep -c '^udp ' "$TOPO_DIR/any.log" || true)" 1 "visitors of the gateway's own server with a range"
}
