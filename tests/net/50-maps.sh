# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Which packets a map matches, and the effect of adding and removing maps on connections.

# The capture has a packet: the header of an empty one has 24 bytes.
tried() {
	[ -n "${FWDCTL_STANDIN:-}" ] || [ "$(stat -c %s "$TOPO_DIR/client.pcap")" -gt 24 ]
}

# The removal of a map ends its connections in both directions, and no other map's.
removal() {
	local proto=$1
	topology
	maps_and_services
	fwd map add "$proto" $GATEWAY:9000 $HOME_WG:9000
	serve other home --tcp $HOME_WG:9000 --udp $HOME_WG:9000
	pulse ends client $MAP4 --proto "$proto" --lossy --timeout 0.3 --interval 0.01
	# Of another map: UDP, where each datagram must get its reply, and TCP.
	[ "$proto" = tcp ] || fwd map add tcp $GATEWAY:9000 $HOME_WG:9000
	[ "$proto" = udp ] || fwd map add udp $GATEWAY:9000 $HOME_WG:9000
	pulse stays client $GATEWAY:9000 --proto udp --interval 0.005
	pulse stays_tcp client $GATEWAY:9000 --proto tcp --interval 0.005
	gets_replies ends

	fwd map del "$proto" $MAP4
	[ -n "${FWDCTL_STANDIN:-}" ] || gets_no_replies ends
	gets_replies stays
	gets_replies stays_tcp
	# No packet of it is forwarded any more, although both sides still send.
	capture home home wg0 port 8000
	capture client client eth0 port 8000
	sleep 1
	# TCP doubles the time between retransmissions.
	topo_wait 10 tried || fail "the client sent no packet"
	capture_end home client
	if [ -z "${FWDCTL_STANDIN:-}" ]; then
		is "$(count home ".src == \"$GATEWAY_WG\"")" 0 "packets that reached home"
		is "$(count client ".src == \"$GATEWAY\"")" 0 "packets that reached the client"
	fi
	stop stays
	stop stays_tcp
	grep -q ' 0 lost' "$TOPO_DIR/stays.log" || fail "the other map lost packets"
	# The client's port is free for another map's connection.
	is "$(peer client who $GATEWAY:9000 --bind $CLIENT:4712)" "$GATEWAY_WG 4712"
	[ -n "${FWDCTL_STANDIN:-}" ] || json 'all(.listen != "'$MAP4'" or .proto != "'"$proto"'")' conn list
}

test_removal_tcp() {
	removal tcp
}

test_removal_udp() {
	removal udp
}

# The server sends: its packets must not be forwarded any more, either.
test_removal_while_home_sends() {
	topology
	maps_and_services
	fwd map add tcp $GATEWAY:9000 $HOME_WG:8000
	# The server generates 100 MiB before it sends, which takes two or three seconds.
	start_peer ends client get $MAP4 --size $((100 << 20)) --timeout 12
	# The transfer is in progress: 300 packets of up to 64 KiB.
	start flows client tcpdump -i eth0 -nn -c 300 --immediate-mode src port 8000
	finish flows >/dev/null
	start_peer stays client get $GATEWAY:9000 --size $((10 << 20)) --timeout 5
	fwd map del tcp $MAP4
	finish stays
	sleep 0.2
	capture client client eth0 src port 8000
	sleep 1
	capture_end client
	is "$(count client)" 0 "packets of the removed map that reached the client"
	! wait "${PID[ends]}" || fail "the download completed although its map was removed"
}

test_removal_keep_connections() {
	topology
	maps_and_services
	pulse kept client $MAP4
	pulse kept_udp client $MAP4 --proto udp
	fwd map del tcp $MAP4 --keep-connections
	fwd map del udp $MAP4 --keep-connections
	gets_replies kept
	gets_replies kept_udp
	# A draining map accepts no new connections.
	[ -n "${FWDCTL_STANDIN:-}" ] || json 'map(select(.state == "active")) | length == 2' map list
	# New connections get no reply.
	on client "$PYTHON" "$NET/peer.py" silent $MAP4 --timeout 1
	peer client silent $MAP4 --proto udp --timeout 1
	gets_replies kept
	stop kept
	stop kept_udp
}

# Removed and added again: new connections work.
test_removal_and_add() {
	topology
	maps_and_services
	local i
	for i in {1..5}; do
		fwd map del tcp $MAP4
		peer client silent $MAP4 --timeout 0.5
		fwd map add tcp $MAP4 $HOME_WG:8000
		peer client who $MAP4
	done
	fwd map flush
	[ -n "${FWDCTL_STANDIN:-}" ] || json 'length == 0' map list
	peer client silent $MAP4 --timeout 0.5
	peer client silent "$MAP6" --timeout 0.5
}

# :PORT matches all addresses of the gateway, and no transit traffic.
test_wildcard() {
	topology lan
	attach eth0 wg0 eth1
	fwd map add tcp :8000 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	serve transit lan --tcp $LAN:8000 "[$LAN6]:8000"
	on gateway ip addr add 93.184.216.35/24 dev eth0
	peer client who $GATEWAY:8000 --bind $CLIENT:4711
	peer client who 93.184.216.35:8000 --bind $CLIENT:4712
	is "$(grep '^tcp ' "$TOPO_DIR/service.log" | sort)" "tcp $GATEWAY_WG 4711
tcp $GATEWAY_WG 4712" "the source that home sees"
	forward_untouched
	# To another host, same port, through the gateway: forwarded unchanged by the kernel, which FORWARD now allows.
	on internet ip route add 10.99.0.0/24 via $GATEWAY
	on gateway iptables -P FORWARD ACCEPT
	is "$(peer client who $LAN:8000 --bind $CLIENT:4713)" "$CLIENT 4713" "the source that the other host sees"
	is "$(grep -c '^tcp ' "$TOPO_DIR/transit.log")" 1 "connections at the other host"
	# From the gateway's own network to the wildcard, at the gateway's address there.
	is "$(peer lan who 10.99.0.1:8000 --bind $LAN:4714)" "$GATEWAY_WG 4714"
}

test_wildcard_v6_and_udp() {
	topology
	attach eth0 wg0
	fwd map add udp :8000 $HOME_WG:8000
	fwd map add tcp "[::]:8000" "[$HOME_WG6]:8000"
	serve service home --udp $HOME_WG:8000 --tcp "[$HOME_WG6]:8000"
	peer client udp-burst $GATEWAY:8000 --size 100 --count 5
	peer client who "[$GATEWAY6]:8000"
	forward_untouched
}

# A shifted range: 5003-5012 to 7000-7009; the ports beside it are not forwarded.
test_range() {
	topology
	attach eth0 wg0
	fwd map add tcp $GATEWAY:5003-5012 $HOME_WG:7000-7009
	fwd map add udp $GATEWAY:5003-5012 $HOME_WG:7000-7009
	local port services=()
	for port in {6999..7010}; do
		services+=("$HOME_WG:$port")
	done
	serve service home --tcp "${services[@]}" --udp "${services[@]}"
	capture home home wg0 tcp
	for port in {5003..5012}; do
		peer client who $GATEWAY:$port --bind $CLIENT:$((port + 1000))
		peer client udp-burst $GATEWAY:$port --size 10
	done
	capture_end home
	is "$(packets home '.flags == "S"' | jq -c '[.sport, .dport]' | sort | tr '\n' ' ')" \
		"$(for port in {5003..5012}; do echo "[$((port + 1000)),$((port + 1997))]"; done | sort | tr '\n' ' ')" \
		"the ports that home saw"
	peer client silent $GATEWAY:5002 --timeout 0.5
	peer client silent $GATEWAY:5013 --timeout 0.5
	[ -n "${FWDCTL_STANDIN:-}" ] || json 'all(.listen == "'$GATEWAY':5003-5012" and .target == "'$HOME_WG':7000-7009")' map list
}

# TARGET without a port: the same port.
test_same_port_target() {
	topology
	attach eth0 wg0
	fwd map add tcp $GATEWAY:8000-8001 $HOME_WG
	serve service home --tcp $HOME_WG:8000 $HOME_WG:8001
	peer client who $GATEWAY:8000
	peer client who $GATEWAY:8001
}

# Many maps, added one by one: each forwards to its target, and removing one does not affect the others.
test_many_maps() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "slow with the stand-in"
	topology
	attach eth0 wg0
	local port
	for port in {20000..20059}; do
		on gateway "$FWDCTL" map add tcp $GATEWAY:$port $HOME_WG:$((port % 3 + 8000)) --name "map$port"
	done
	json 'length == 60 and (map(.name) | unique | length) == 60' map list
	serve service home --tcp $HOME_WG:8000 $HOME_WG:8001 $HOME_WG:8002
	pulse stays client $GATEWAY:20030
	for port in {20000..20059..2}; do
		[ $port = 20030 ] || on gateway "$FWDCTL" map del tcp $GATEWAY:$port
	done
	gets_replies stays
	stop stays
	peer client who $GATEWAY:20059
	peer client silent $GATEWAY:20058 --timeout 0.5
}

# lines LOW HIGH: maps of these ports as `map add -` reads them; lines_del: as `map del -` reads them.
lines() {
	seq "$1" "$2" | sed "s/.*/tcp $GATEWAY:& $HOME_WG:8000/"
}

lines_del() {
	lines "$@" | cut -d' ' -f1,2
}

milliseconds() {
	local start=${EPOCHREALTIME/[.,]/}
	"$@" >/dev/null
	echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
}

one_by_one() {
	local port
	for port in {9001..9050}; do
		on gateway "$FWDCTL" map add tcp $GATEWAY:$port $HOME_WG:8000
	done
}

# Thousands of maps in one command take less time than fifty commands, without effect on another map's traffic.
test_batch() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	attach eth0 wg0
	fwd map add udp $MAP4 $HOME_WG:8000
	serve service home --udp $HOME_WG:8000 --tcp $HOME_WG:8000
	pulse stays client $MAP4 --proto udp --interval 0.005
	local many single
	single=$(milliseconds one_by_one)
	lines 10000 14999 >"$TOPO_DIR/lines"
	many=$(milliseconds fwd map add - <"$TOPO_DIR/lines")
	echo "50 commands took $single ms, 5000 maps in one $many ms"
	[ "$many" -lt "$single" ] || fail "5000 maps took $many ms, 50 commands $single ms"
	json 'length == 5051' map list
	peer client who $GATEWAY:10000
	peer client who $GATEWAY:14999
	many=$(milliseconds fwd map del - < <(lines_del 10000 14998))
	[ "$many" -lt "$single" ] || fail "5000 maps took $many ms to remove, 50 commands $single ms"
	json 'length == 52' map list
	peer client who $GATEWAY:14999
	peer client silent $GATEWAY:10000 --timeout 0.5
	gets_replies stays
	stop stays
	grep -q ' 0 lost' "$TOPO_DIR/stays.log" || fail "the other map lost packets"
}

# one_of NUMBER...: the number of maps that `map list` prints must be one of these.
one_of() {
	local count number
	count=$(on gateway "$FWDCTL" map list --json | jq length)
	for number; do
		[ "$count" != "$number" ] || return 0
	done
	fail "there are $count maps, none of $*"
}

# A reader sees all maps of a batch or none.
test_batch_with_readers() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	attach eth0 wg0
	lines 10000 12999 >"$TOPO_DIR/lines"
	cut -d' ' -f1,2 "$TOPO_DIR/lines" >"$TOPO_DIR/lines_del"
	# shellcheck disable=SC2016
	start changes gateway sh -ec 'for i in $(seq 12); do
		"$1" map add - <"$2"; "$1" map del - <"$2_del"; done' sh "$FWDCTL" "$TOPO_DIR/lines"
	while kill -0 "${PID[changes]}" 2>/dev/null; do
		one_of 0 3000
	done
	finish changes
	one_of 0
}

# kill -9 at any moment: all or none, for readers and for the next writer; maps that are listed work.
test_batch_killed() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	attach eth0 wg0
	serve service home --tcp $HOME_WG:8000
	lines 10000 11999 >"$TOPO_DIR/lines"
	cut -d' ' -f1,2 "$TOPO_DIR/lines" >"$TOPO_DIR/lines_del"
	local took i delay pid count what none=0
	took=$(milliseconds fwd map add - <"$TOPO_DIR/lines")
	count=2000
	for i in {1..10}; do
		what=add
		[ "$count" = 0 ] || what=del
		printf -v delay '%d.%03d' 0 $((RANDOM % (took + took / 4 + 2) % 1000))
		nsenter --net="/run/netns/$TOPO_PREFIX-gateway" "$FWDCTL" map $what - \
			<"$TOPO_DIR/lines$([ $what = add ] || echo _del)" >/dev/null 2>&1 &
		pid=$!
		sleep "$delay"
		kill -KILL $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		one_of 0 2000
		count=$(on gateway "$FWDCTL" map list --json | jq length)
		on gateway "$FWDCTL" map add tcp $GATEWAY:9000 $HOME_WG:8000
		one_of $((count + 1))
		peer client who $GATEWAY:9000 >/dev/null
		if [ "$count" = 0 ]; then
			none=$((none + 1))
			peer client silent $GATEWAY:$((10000 + RANDOM % 2000)) --timeout 0.2 >/dev/null
		else
			peer client who $GATEWAY:$((10000 + RANDOM % 2000)) >/dev/null
		fi
		on gateway "$FWDCTL" map del tcp $GATEWAY:9000
	done
	echo "$none of 10 times there were no maps"
}

# Two batches at once are serialized; of two that conflict one fails.
test_concurrent_batches() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	local first second failed=0
	lines 10000 11999 >"$TOPO_DIR/a"
	lines 12000 13999 >"$TOPO_DIR/b"
	on gateway "$FWDCTL" map add - <"$TOPO_DIR/a" &
	first=$!
	on gateway "$FWDCTL" map add - <"$TOPO_DIR/b" &
	second=$!
	wait $first || fail "the first failed"
	wait $second || fail "the second failed"
	one_of 4000
	fwd map flush
	lines 11999 13998 >"$TOPO_DIR/b"
	on gateway "$FWDCTL" map add - <"$TOPO_DIR/a" &
	first=$!
	on gateway "$FWDCTL" map add - <"$TOPO_DIR/b" &
	second=$!
	wait $first || failed=$((failed + 1))
	wait $second || failed=$((failed + 1))
	is $failed 1 "failed batches, of two that share a port"
	one_of 2000
}

# The maximum number of maps, and one more.
test_batch_full() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	fwd map add udp $GATEWAY:8000 $HOME_WG:8000
	lines 10000 26383 >"$TOPO_DIR/lines"
	rejects 1 'line 16384: .*16384' fwd map add - <"$TOPO_DIR/lines"
	one_of 1
	fwd map del udp $GATEWAY:8000
	fwd map add - <"$TOPO_DIR/lines"
	one_of 16384
	rejects 1 '16384' fwd map add tcp $GATEWAY:9000 $HOME_WG:8000
	{
		cat "$TOPO_DIR/lines"
		echo "tcp $GATEWAY:9000 $HOME_WG:8000"
	} >"$TOPO_DIR/more"
	fwd map flush
	rejects 2 'line 16385: .*16384' fwd map add - <"$TOPO_DIR/more"
	one_of 0
}
