# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A server on a LAN behind the gateway's eth1, by tc, native XDP and generic XDP. All other tests of this layer can be
# run with XDP, too: FWDCTL_MODE=xdp scripts/test net

lan_maps() {
	FWDCTL_MODE=$1
	attach eth0 eth1
	fwd map add tcp $MAP4 $LAN:8000
	fwd map add udp $MAP4 $LAN:8000
	fwd map add tcp "$MAP6" "[$LAN6]:8000"
	fwd map add udp "$MAP6" "[$LAN6]:8000"
	serve service lan --tcp $LAN:8000 "[$LAN6]:8000" --udp $LAN:8000 "[$LAN6]:8000"
}

# Packets that XDP has forwarded.
by_xdp() {
	on gateway "$FWDCTL" stats --json | jq '[.devices[].xdp_packets] | add'
}

both_ways() {
	peer client put $MAP4 --size 3000000
	peer client get $MAP4 --seed 2 --size 3000000
	peer client put "$MAP6" --seed 3 --size 3000000
	peer client get "$MAP6" --seed 4 --size 3000000
	peer client udp-burst $MAP4 --count 200 --size 1000
	peer client udp-burst "$MAP6" --count 200 --size 1000
	forward_untouched
}

# With CHECKSUM_PARTIAL packets, which XDP must pass to tc.
offloads_on() {
	topology lan
	lan_maps "$1"
	both_ways
}

test_offloads_on_xdp() {
	offloads_on xdp
}

test_offloads_on_generic() {
	offloads_on xdp-generic
}

# Each received packet is checked.
offloads_off() {
	local mode=$1
	topology lan offload=off
	lan_maps "$mode"
	CAPTURE_DIRECTION=in capture lan lan eth0 tcp or udp
	CAPTURE_DIRECTION=in capture client client eth0 tcp or udp
	both_ways
	capture_end lan client
	checksums lan client
	is "$(count lan ".src != \"10.99.0.1\" and .src != \"fd10:99::1\"")" 0 "packets at the server with wrong addresses"
	is "$(count client ".src != \"$GATEWAY\" and .src != \"$GATEWAY6\"")" 0 "packets at the client with wrong addresses"
	is "$(packets lan | jq .ttl | sort -u)" 62 "TTLs at the server"
	if [ "$mode" = tc ]; then
		is "$(by_xdp)" 0 "packets that XDP forwarded"
	else
		# All but the first packets of connections and one every 30 seconds, which use the kernel's neighbour
		# table.
		json '([.devices[].xdp_packets] | add) > 0.95 * ([.devices[].packets] | add)' stats
	fi
}

test_offloads_off_tc() {
	offloads_off tc
}

test_offloads_off_xdp() {
	offloads_off xdp
}

test_offloads_off_generic() {
	offloads_off xdp-generic
}

# Changes of mode while connections are open: no packet is lost, no connection ends.
test_mode_changes() {
	local mode
	topology lan offload=off
	lan_maps tc
	accept_from_xdp
	pulse tcp client $MAP4
	pulse udp client $MAP4 --proto udp
	pulse tcp6 client "$MAP6"
	for mode in xdp xdp-generic tc xdp-generic xdp xdp tc; do
		fwd attach eth0 eth1 --mode $mode
		json "all(.devices[]; .mode == \"$mode\" and .attached)" stats
		gets_replies tcp
		gets_replies udp
		gets_replies tcp6
	done
	# One device with XDP, the other without: all packets are forwarded by tc.
	fwd attach eth0 --mode xdp
	gets_replies tcp
	json '.devices | map({(.name): .mode}) | add == {eth0: "xdp", eth1: "tc"}' stats
	stop tcp
	stop udp
	stop tcp6
	json '.connections.created == 3' stats
}

# Packets that XDP passes to tc: those that need an ICMP error, fragments, packets larger than the MTU.
test_passed_to_tc() {
	topology lan offload=off
	lan_maps xdp
	on lan ip link set eth0 mtu 1300
	on gateway ip link set eth1 mtu 1300
	both_ways
	peer client fragments $MAP4 --bind $CLIENT:4711 --size 2600 --count 4 --order reverse
	peer client fragments "$MAP6" --bind "[$CLIENT6]:4711" --size 2600 --count 4 --order straight
	json '([.devices[].xdp_packets] | add) > 1000 and .drops.fragment_overlap == 0' stats
}

# The mode that `auto` chooses, and the reason that `stats` prints.
test_auto_mode() {
	local tap
	topology lan
	for tap in tap0 tap1; do
		on gateway ip tuntap add dev $tap mode tap || skip "no TAP here"
		on gateway ip link set $tap up
	done
	fwd attach eth0 wg0 tap0
	json '.devices | map({(.name): .mode}) | add == {eth0: "tc", wg0: "tc", tap0: "tc"}' stats
	json '.devices | map({(.name): .mode_reason}) | add | (.eth0 | test("veth")) and (.wg0 | test("Ethernet")) and
		(.tap0 | test("attach two"))' stats
	fwd attach tap0 tap1
	json '.devices | map({(.name): .mode}) | add == {eth0: "tc", wg0: "tc", tap0: "xdp", tap1: "xdp"}' stats
	on gateway ip link show tap0 | grep -q xdp || fail "no XDP program at tap0"
	# A requested mode is kept when attach runs again; `--mode auto` chooses again.
	fwd attach eth0 --mode xdp-generic
	fwd attach eth0 wg0 tap0 tap1
	json '.devices | map({(.name): .mode}) | add == {eth0: "xdp-generic", wg0: "tc", tap0: "xdp", tap1: "xdp"}' stats
	fwd attach eth0 wg0 --mode auto
	json '.devices[] | select(.name == "eth0") | .mode == "tc"' stats
	on gateway ip link show eth0 | grep -q xdp && fail "XDP is still at eth0"
	# A program that is removed by other means shows up as not attached.
	on gateway ip link set tap1 xdp off
	json '.devices[] | select(.name == "tap1") | .attached == false' stats
	fwd detach
	on gateway ip link show tap0 | grep -q xdp && fail "XDP is still at tap0"
	rejects 2 'frob.*auto, tc' fwd attach eth0 --mode frob
	# XDP would bypass a qdisc that shapes.
	on gateway tc qdisc add dev tap1 root tbf rate 4mbit burst 10k latency 50ms || skip "no tbf here"
	fwd attach tap0 tap1
	json '.devices | map({(.name): .mode_reason}) | add | (.tap1 | test("qdisc")) and (.tap0 | test("attach two"))' stats
	on gateway ip link show tap0 | grep -q xdp && fail "XDP at tap0, without a second device to send to"
	true
}

# A veth whose peer does not accept frames from XDP: packets are forwarded by tc, and none is lost.
test_peer_without_xdp() {
	topology lan offload=off
	FWDCTL_MODE=
	attach eth0 eth1 --mode xdp 2>"$TOPO_DIR/said"
	grep -q '"eth1": packets that leave by it are forwarded by tc, .*GRO' "$TOPO_DIR/said" || fail "nothing is said: $(cat "$TOPO_DIR/said")"
	fwd map add tcp $MAP4 $LAN:8000
	serve service lan --tcp $LAN:8000
	peer client put $MAP4 --size 3000000
	is "$(by_xdp)" 0 "packets that XDP forwarded"
	accept_from_xdp
	fwd attach eth0 eth1
	peer client put $MAP4 --size 3000000
	json '([.devices[].xdp_packets] | add) > 1000' stats
}

# A device without XDP: `auto` uses tc, `xdp` fails.
test_mode_refused() {
	local name
	topology
	accept_from_xdp
	for name in dummy0 dummy1; do
		on gateway ip link add $name type dummy || on gateway ip link add $name type ifb ||
			skip "neither dummy nor ifb devices here"
		on gateway ip link set $name up
	done
	fwd attach dummy0 dummy1
	json 'all(.devices[]; .mode == "tc" and .attached and (.mode_reason | test("refused")))' stats
	fwd detach
	rejects 1 'dummy0.*xdp.*tc' fwd attach dummy0 --mode xdp --connections 1000 --half-open 1000
	json '.devices == []' stats
	json '.connections | .limit == 65536 and .half_open_limit == 16384' stats
	# Atomic: the first device is unchanged if the second fails.
	fwd attach eth0 dummy0 --mode xdp-generic
	on gateway ip -j link show eth0 | jq -c '.[0].xdp' >"$TOPO_DIR/before"
	fwd map add tcp $MAP4 $HOME_WG:8000
	on gateway ip addr add 10.172.16.9/32 dev wg0
	on gateway ip route replace $HOME_WG dev wg0 src 10.172.16.9
	rejects 1 'dummy0.*xdp.*tc' fwd attach eth0 dummy0 --mode xdp
	json ".[0].source == [\"$GATEWAY_WG\"]" map list
	on gateway ip -j link show eth0 | jq -c '.[0].xdp' | diff - "$TOPO_DIR/before" || fail "eth0 has changed"
	json 'all(.devices[]; .mode == "xdp-generic" and .attached)' stats
	fwd detach
	fwd attach dummy0 dummy1 --mode xdp-generic
	json 'all(.devices[]; .mode == "xdp-generic" and .attached)' stats
	fwd purge
	on gateway ip link show dummy0 | grep -q xdp && fail "purge left XDP at dummy0"
	true
}

# An XDP program of another owner stays attached.
test_foreign_program() {
	topology lan
	xdp_program gateway eth0
	on gateway ip -j link show eth0 | jq '.[0].xdp.prog.id' >"$TOPO_DIR/before"
	rejects 1 'eth0.*another XDP program' fwd attach eth0 eth1 --mode xdp
	json '.devices == []' stats
	fwd attach eth0 eth1
	json 'all(.devices[]; .mode == "tc")' stats
	# It replaces fwdctl's program later: fwdctl's is removed from all its state.
	fwd detach
	on gateway ip link set eth0 xdp off
	accept_from_xdp
	fwd attach eth0 eth1 --mode xdp
	xdp_program gateway eth0
	fwd attach eth0 eth1 --mode auto
	json 'all(.devices[]; .mode == "tc" and .attached)' stats
	is "$(on gateway bpftool map dump pinned "$FWDCTL_PIN_DIR/maps/xdp_devices" -j | jq length)" 0 "devices open to XDP"
	on gateway ip -j link show eth0 | jq '.[0].xdp.prog.id' >"$TOPO_DIR/before"
	fwd purge
	on gateway ip -j link show eth0 | jq '.[0].xdp.prog.id' | diff - "$TOPO_DIR/before" ||
		fail "the other program is gone"
}
