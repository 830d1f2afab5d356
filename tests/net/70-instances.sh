# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# attach, detach, purge, several instances, and fwdctl killed at any moment.

# attached DEV...: the programs that are attached by TCX and as tc filters.
attached() {
	on gateway "$PYTHON" "$NET/attached.py" "$@"
	local dev hook
	for dev; do
		for hook in ingress egress; do
			on gateway tc -j filter show dev "$dev" $hook 2>/dev/null |
				jq -r --arg where "$dev $hook" '.[] | select(.kind == "bpf" and .options.id) | "\($where) \(.options.id)"'
		done
	done
}

# Everything of fwdctl on the gateway: programs, qdiscs, pins.
installed() {
	attached eth0 wg0
	on gateway tc qdisc show dev eth0 clsact
	on gateway tc qdisc show dev wg0 clsact
	[ ! -d "$FWDCTL_PIN_DIR" ] || find "$FWDCTL_PIN_DIR"
}

# The ids of the BPF maps and programs of this instance, pinned and attached.
own_ids() {
	local pin
	find "$FWDCTL_PIN_DIR" -type f | while read -r pin; do
		bpftool -j map show pinned "$pin" 2>/dev/null | jq -r '"map \(.id)"' ||
			bpftool -j prog show pinned "$pin" 2>/dev/null | jq -r '"prog \(.id)"' || true
	done | grep -E '^(map|prog) [0-9]+$' | sort -u
	attached eth0 wg0 | awk '{ print "prog", $3 }'
}

id_gone() {
	! bpftool "$1" show id "$2" >/dev/null 2>&1
}

all_gone() {
	local what id
	while read -r what id; do
		topo_wait 5 id_gone "$what" "$id" ||
			fail "still there: $(bpftool "$what" show id "$id" | head -n 1)"
	done
}

leaves_nothing() {
	topology
	maps_and_services
	peer client who $MAP4
	start_peer holds client many $MAP4 --count 50 --timeout 20
	finish holds
	[ -n "$(installed)" ] || fail "nothing is installed before purge"
	own_ids >"$TOPO_DIR/ids"
	[ "$(grep -c map "$TOPO_DIR/ids")" -ge 5 ] || fail "only these objects were found: $(cat "$TOPO_DIR/ids")"
	fwd purge
	is "$(installed)" "" "what purge left"
	all_gone <"$TOPO_DIR/ids"
	! on client "$PYTHON" "$NET/peer.py" who $MAP4 --timeout 0.5 2>/dev/null || fail "still forwarded after purge"
	# A second purge is no error, and attach works again.
	fwd purge
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	peer client who $MAP4
	json 'length == 1' map list
}

test_purge_leaves_nothing() {
	leaves_nothing
}

test_purge_leaves_nothing_clsact() {
	export FWDCTL_NO_TCX=1
	leaves_nothing
}

# A clsact qdisc and a filter of another owner stay.
test_purge_keeps_foreign_filters() {
	export FWDCTL_NO_TCX=1
	topology
	on gateway tc qdisc add dev eth0 clsact
	on gateway tc filter add dev eth0 ingress pref 7 protocol ip u32 match ip protocol 132 0xff classid 1:1 ||
		skip "no u32 filter in this kernel"
	local before
	before=$(on gateway tc filter show dev eth0 ingress)
	maps_and_services
	peer client who "$MAP6"
	fwd purge
	is "$(on gateway tc filter show dev eth0 ingress)" "$before" "the other filter"
	[ -n "$before" ] || fail "there was no other filter"
}

test_detach_one() {
	topology lan
	maps_and_services
	attach eth1
	fwd map add tcp $GATEWAY:8001 $LAN:8000
	serve lan lan --tcp $LAN:8000
	peer client who $GATEWAY:8001
	pulse stays client $MAP4 --proto udp --interval 0.002
	fwd detach eth1
	gets_replies stays
	stop stays
	grep -q ' 0 lost' "$TOPO_DIR/stays.log" || fail "detaching eth1 lost packets between eth0 and wg0"
	is "$(attached eth1)" "" "programs left on eth1"
	[ -n "$(attached eth0 wg0)" ] || fail "nothing is attached to eth0 and wg0 either"
	json '[.devices[].name] | sort == ["eth0", "wg0"]' stats
	json 'length == 5' map list
}

# All devices detached: maps and settings stay, no packet is forwarded; after attach, open connections continue. The one
# here is silent meanwhile, because the gateway's stack would reset it.
test_detach_all() {
	topology
	maps_and_services
	pulse stays client $MAP4 --timeout 20
	kill -STOP "${PID[stays]}"
	sleep 0.5
	fwd detach
	peer client silent $MAP4 --timeout 0.5
	peer client silent $MAP4 --proto udp --timeout 0.5
	json '.devices == []' stats
	json 'length == 4' map list
	is "$(attached eth0 wg0)" "" "programs left on the devices"
	attach eth0 wg0
	kill -CONT "${PID[stays]}"
	gets_replies stays 5
	stop stays
	forward_untouched
}

# attach repeatedly, during transfers of 8 MiB in each direction and with counted datagrams: no packet is lost.
test_attach_again() {
	topology
	maps_and_services
	pulse datagrams client $MAP4 --proto udp --interval 0.002
	local i before
	before=$(attached eth0 wg0 | awk '{ print $1, $2 }')
	for i in {1..4}; do
		on gateway "$FWDCTL" attach eth0 wg0
	done
	gets_replies datagrams
	stop datagrams
	grep -q ' 0 lost' "$TOPO_DIR/datagrams.log" || fail "attach lost packets"
	start_peer put client put $MAP4 --timeout 30 --size $((8 << 20))
	start_peer get client get $MAP4 --timeout 30 --size $((8 << 20))
	for i in {1..4}; do
		on gateway "$FWDCTL" attach eth0 wg0
	done
	finish put
	finish get
	json '.devices | length == 2' stats
	json 'length == 4' map list
	is "$(attached eth0 wg0 | awk '{ print $1, $2 }')" "$before" "the programs on the devices"
}

# Two instances on one host, in two network namespaces, with the same addresses and maps, are independent.
test_two_instances() {
	topology
	maps_and_services
	pulse first client $MAP4 --proto udp --interval 0.005
	# The second one is a run of its own: prefix, bpffs, topology.
	TOPO_PREFIX=${TOPO_PREFIX}b TOPO_DIR='' "$NET/run" "$NET/70-instances.sh" second_instance >"$TOPO_DIR/second.log" 2>&1 ||
		fail "the second instance: $(cat "$TOPO_DIR/second.log")"
	gets_replies first
	stop first
	grep -q ' 0 lost' "$TOPO_DIR/first.log" || fail "the first instance lost packets while the second came and went"
	json 'length == 4' map list
	json '[.devices[].name] | sort == ["eth0", "wg0"]' stats
}

# The second instance of test_two_instances.
test_second_instance() {
	topology
	json 'length == 0' map list
	maps_and_services
	json 'length == 4' map list
	peer client put $MAP4 --size $((4 << 20))
	json '.connections.created == 1' stats
	fwd purge
}

# Two pin directories in one namespace are independent, too.
test_pin_dir_option() {
	topology
	local other=$TOPO_DIR/bpf/other
	fwd map add tcp $MAP4 $HOME_WG:8000
	on gateway "$FWDCTL" --pin-dir "$other" map add tcp $GATEWAY:8001 $HOME_WG:8001 ||
		on gateway "$FWDCTL" map add tcp $GATEWAY:8001 $HOME_WG:8001 --pin-dir "$other"
	json 'length == 1 and .[0].listen == "'$MAP4'"' map list
	is "$(FWDCTL_PIN_DIR=$other on gateway "$FWDCTL" map list --json | jq -c '[.[].listen]')" \
		"[\"$GATEWAY:8001\"]" "the other instance's maps"
	FWDCTL_PIN_DIR=$other on gateway "$FWDCTL" purge
	json 'length == 1' map list
}

# kill -9 at any moment of attach or map add; afterwards purge and attach work, and leave nothing behind.
test_killed() {
	topology
	serve service home --tcp $HOME_WG:8000
	local i delay pid command
	for i in {1..12}; do
		printf -v delay '0.%03d' $((RANDOM % 60))
		[ $((i % 3)) != 0 ] || printf -v delay '0.%03d' $((RANDOM % 400))
		command=(attach eth0 wg0)
		[ $((i % 2)) = 0 ] || command=(map add tcp "$MAP4" "$HOME_WG:8000")
		nsenter --net="/run/netns/$TOPO_PREFIX-gateway" "$FWDCTL" "${command[@]}" >/dev/null 2>&1 &
		pid=$!
		sleep "$delay"
		kill -KILL $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		if [ $((i % 4)) = 0 ]; then
			fwd purge || fail "purge after a kill"
			is "$(installed)" "" "what purge left after a kill"
		else
			# Continue from the partial state.
			attach eth0 wg0 || fail "attach after a kill ($delay s into ${command[*]})"
			fwd map list >/dev/null || fail "map list after a kill"
			on gateway "$FWDCTL" map add tcp $MAP4 $HOME_WG:8000 2>/dev/null ||
				json 'length == 1' map list >/dev/null
			peer client who $MAP4 >/dev/null || fail "not forwarded after a kill ($delay s into ${command[*]})"
		fi
	done
	fwd purge
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	peer client who $MAP4
}

# Concurrent commands: each one completes.
test_concurrent_commands() {
	topology
	local port pids=() pid failed=0
	attach eth0 wg0
	for port in {9000..9019}; do
		on gateway "$FWDCTL" map add tcp $GATEWAY:$port $HOME_WG:8000 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=$((failed + 1))
	done
	is $failed 0 "failed commands"
	json 'length == 20' map list
	serve service home --tcp $HOME_WG:8000
	for port in {9000..9019}; do
		peer client who $GATEWAY:$port >/dev/null
	done
}

# Two instances on one device would allocate the same source ports: the second is refused, and leaves nothing behind.
test_one_device_one_instance() {
	topology
	attach eth0 wg0
	rejects 1 'another instance' fwd --pin-dir "$TOPO_DIR/bpf/other" attach eth0
	rejects 1 'another instance' fwd --pin-dir "$TOPO_DIR/bpf/other" attach wg0
	json '.devices | length == 2 and all(.attached)' stats
	fwd detach eth0
	fwd --pin-dir "$TOPO_DIR/bpf/other" attach eth0
	rejects 1 'another instance' fwd attach eth0
	fwd --pin-dir "$TOPO_DIR/bpf/other" purge
	attach eth0
}
