# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# attach and the host that it finds: programs and qdiscs of others, ports of a bridge, devices that are moved, state of
# another build, directories of other users, few open files.

# ---- state of another build ----

# pinned NAME: key and value size, entries of a pinned map.
pinned() {
	bpftool -j map show pinned "$FWDCTL_PIN_DIR/maps/$1" |
		jq -r '"\(.type) \(.bytes_key) \(.bytes_value) \(.max_entries) \(.flags)"'
}

# replace_pin NAME TYPE KEY VALUE ENTRIES FLAGS: another map in the place of a pinned one, until restore_pin.
replace_pin() {
	local maps=$FWDCTL_PIN_DIR/maps
	mv "$maps/$1" "$FWDCTL_PIN_DIR/kept"
	bpftool map create "$maps/$1" type "$2" key "$3" value "$4" entries "$5" name "$1" flags "$6"
}

restore_pin() {
	mv "$FWDCTL_PIN_DIR/kept" "$FWDCTL_PIN_DIR/maps/$1"
}

# Each map in turn has another layout, though the number of the layout in `meta` is the same.
test_layout_of_another_build() {
	topology
	local map type key value entries flags tried=0
	fwd map add tcp $MAP4 $HOME_WG:8000
	for map in "$FWDCTL_PIN_DIR"/maps/*; do
		map=${map##*/}
		[ "$map" != meta ] || continue
		read -r type key value entries flags < <(pinned "$map")
		# The kernel itself sets BPF_F_RDONLY_PROG, and refuses it from a user.
		[ "$type" != devmap_hash ] || flags=0
		# Two sizes of a value are possible there.
		[ "$type" = devmap_hash ] && value=8 || value=$((value + 8))
		# Few of those whose number is not fixed.
		[ "$entries" -le 65536 ] || entries=64
		replace_pin "$map" "$type" "$key" "$value" "$entries" "$flags"
		rejects 1 "another build of fwdctl.* $map has values of $value bytes instead of.*purge" fwd attach eth0 wg0
		restore_pin "$map"
		tried=$((tried + 1))
	done
	[ $tried -ge 18 ] || fail "only $tried maps were tried"
	json 'length == 1' map list
	# The number of elements: a reason that another build does not have. And a key.
	read -r type key value entries flags < <(pinned reasons)
	replace_pin reasons "$type" "$key" "$value" $((entries - 1)) "$flags"
	rejects 1 "reasons has $((entries - 1)) entries instead of $entries" fwd stats
	restore_pin reasons
	read -r type key value entries flags < <(pinned rule_index)
	replace_pin rule_index "$type" $((key + 4)) "$value" "$entries" "$flags"
	rejects 1 "rule_index has keys of $((key + 4)) bytes instead of $key" fwd map add tcp $GATEWAY:8001 $HOME_WG:8001
	rejects 1 "rule_index has keys of" fwd map list
	rm "$FWDCTL_PIN_DIR/kept"
	fwd purge
	[ ! -e "$FWDCTL_PIN_DIR" ] || fail "purge left $(find "$FWDCTL_PIN_DIR")"
}

# `attach -v` and `stats` name the version whose programs are attached.
test_version_attached() {
	topology
	local version message
	version=$(fwd version)
	version=${version#fwdctl }
	[ -n "$version" ] || fail "no version"
	message=$(fwd -v attach eth0 wg0 2>&1)
	[ "$(grep -cF "fwdctl $version" <<<"$message")" = 2 ] || fail "attach -v: $message"
	json ".devices | length == 2 and all(.version == \"$version\")" stats
	[ "$(fwd stats | grep -cF "fwdctl $version")" = 2 ] || fail "stats: $(fwd stats)"
	message=$(fwd -v attach eth0 2>&1)
	grep -qF "fwdctl $version in place of $version" <<<"$message" || fail "attach -v: $message"
}

# ---- open files ----

# few_files HARD COMMAND...: with so few open files it works or says so.
few_files() {
	local status=0 message limit=$1
	shift
	message=$(on gateway bash -c "ulimit -n $limit"'; exec "$@"' _ "$FWDCTL" "$@" 2>&1) || status=$?
	if [ $status = 0 ]; then
		[ "$*" != "map list" ] || grep -q "$MAP4" <<<"$message" || fail "map list with $limit open files: $message"
		return
	fi
	[ $status = 1 ] || fail "$* with $limit open files: exit status $status: $message"
	grep -q '^fwdctl: .*open files.*ulimit -n' <<<"$message" || fail "$* with $limit open files: $message"
	! grep -q 'purge\|no such device' <<<"$message" || fail "$* with $limit open files: $message"
	return 1
}

test_few_open_files() {
	topology
	local n failed=0 worked=0
	# Before there is an instance, and with one.
	for n in 5 20 60; do
		if few_files $n attach eth0 wg0; then worked=$((worked + 1)); else failed=$((failed + 1)); fi
	done
	fwd map add tcp $MAP4 $HOME_WG:8000
	for n in 5 14 20 23 24 26 60 120 300; do
		if few_files $n attach eth0 wg0; then worked=$((worked + 1)); else failed=$((failed + 1)); fi
		json '.devices | length == 0 or length == 2' stats >/dev/null
		few_files $n map list || true
		few_files $n stats || true
		few_files $n map add tcp $GATEWAY:$((9000 + n)) $HOME_WG:9000 || true
	done
	if [ $failed -lt 8 ] || [ $worked -lt 1 ]; then fail "$failed failed, $worked worked"; fi
	# A network namespace that cannot be determined is not another one, whose devices would be detached.
	fwd attach eth0 wg0
	for n in {20..45}; do
		few_files "$n" attach eth0 wg0 || true
		json '.devices | length == 2 and all(.attached)' stats >/dev/null
	done
	fwd detach
	# The soft limit alone is no limit.
	on gateway bash -c 'ulimit -Sn 16; exec "$@"' _ "$FWDCTL" attach eth0 wg0
	json '.devices | length == 2 and all(.attached)' stats
}

# ---- programs and qdiscs of others ----

# foreign_program DEV NAME RETURN: a TCX program of another tool at ingress, in the background.
foreign_program() {
	start "$2" gateway "$PYTHON" -u "$NET/tcx.py" "$1" ingress "$2" "$3"
	topo_wait 5 logged "$2" '^attached' || skip "no TCX: $(cat "$TOPO_DIR/$2.err")"
}

# The client's packets reach eth0, whatever becomes of them.
knock() {
	on client ping -c 3 -i 0.2 -W 0.3 $GATEWAY >/dev/null || true
}

# taken_first WORDS: attach notes what gets packets first, and stats shows that fwdctl sees none.
taken_first() {
	local message
	message=$(fwd attach eth0 wg0 2>&1)
	grep -Eq "note: \"eth0\": $1" <<<"$message" || fail "attach: $message"
	! grep -q '"wg0"' <<<"$message" || fail "attach: $message"
	knock
	json '.devices[] | select(.name == "eth0") | .attached and .packets == 0 and .received > 0' stats
	fwd stats | grep -q 'received by the device meanwhile: another program takes them first' || fail "$(fwd stats)"
}

test_program_before() {
	topology
	foreign_program eth0 accepts 0
	taken_first 'the program accepts \(id [0-9]+\) runs before fwdctl'
	stop accepts
	knock
	json '.devices[] | select(.name == "eth0") | .packets > 0' stats
	! fwd stats | grep -q 'received by the device' || fail "$(fwd stats)"
	# One that runs after fwdctl is nothing to note.
	foreign_program eth0 drops 2
	! fwd attach eth0 2>&1 | grep note || fail "a note about a later program"
	fwd detach
	taken_first 'the program drops'
}

test_filter_before() {
	export FWDCTL_NO_TCX=1
	topology
	on gateway tc qdisc add dev eth0 clsact
	on gateway tc filter add dev eth0 ingress pref 7 bpf da bytecode '1,6 0 0 0,' ||
		skip "no such filter in this kernel"
	taken_first 'a filter of priority 7 runs before fwdctl'
}

test_xdp_program_before() {
	topology
	xdp_program gateway eth0
	local message
	message=$(fwd attach eth0 wg0 --mode tc 2>&1)
	grep -Eq 'note: "eth0": the XDP program fwd_xdp \(id [0-9]+\) of another tool' <<<"$message" || fail "$message"
	! grep -q '"wg0"' <<<"$message" || fail "$message"
}

# A program that is only called like fwdctl's is not another instance.
test_program_of_the_same_name() {
	topology
	foreign_program eth0 fwd_ingress -1
	foreign_program lo fwd_ingress_too -1
	fwd attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	peer client who $MAP4
	[ -n "$(on gateway "$PYTHON" "$NET/attached.py" lo | sed 1d)" ] || fail "lo is not attached"
}

# An ingress qdisc has the place of clsact, and would take the egress filter as one for ingress.
test_ingress_qdisc() {
	export FWDCTL_NO_TCX=1
	topology
	on gateway tc qdisc add dev eth0 ingress
	rejects 1 '"eth0": has an ingress qdisc.*save its filters .tc filter show dev eth0 ingress.*then tc qdisc del dev eth0 ingress$' \
		fwd attach eth0 wg0
	json '.devices == []' stats
	on gateway tc qdisc del dev eth0 ingress
	fwd attach eth0 wg0
	on gateway tc filter show dev eth0 egress | grep -q fwd_egress || fail "no program at egress"
}

# By TCX it does no harm.
test_ingress_qdisc_tcx() {
	topology
	on gateway tc qdisc add dev eth0 ingress
	maps_and_services
	peer client who $MAP4
}

# ---- devices that are none of their own ----

test_port_of_a_bridge() {
	topology
	on gateway ip link add br0 type bridge
	on gateway ip link add port0 type veth peer name port1
	on gateway ip link set port0 master br0
	rejects 1 '"port0": is a port of the bridge br0.*fwdctl attach br0' fwd attach eth0 port0
	json '.devices == []' stats
	fwd attach eth0 br0
	json '[.devices[].name] | sort == ["br0", "eth0"]' stats
}

test_alias() {
	topology
	on gateway ip addr add 93.184.216.35/24 dev eth0 label eth0:7
	rejects 1 '"eth0:7": is an alias.*of eth0.*fwdctl attach eth0' fwd attach eth0:7
	rejects 1 '"eth0:7": is an alias' fwd attach wg0 eth0:7
	json '.devices == []' stats
	fwd attach eth0 wg0
	rejects 1 '"eth0:7": is not attached' fwd detach eth0:7
	json '.devices | length == 2' stats
	rejects 1 '"eth8:7": no such device' fwd attach eth8:7
	rejects 1 '"nodev0": no such device' fwd attach nodev0
}

# /proc/sys has the present name only.
test_alternative_name() {
	topology
	on gateway ip link property add dev eth0 altname uplink0
	on gateway sysctl -qw net.ipv4.conf.eth0.forwarding=0
	fwd attach uplink0 wg0 2>&1 | tee "$TOPO_DIR/notes"
	grep -q 'note: "uplink0": IPv4 forwarding is off.*sysctl -w net/ipv4/conf/eth0/forwarding=1$' "$TOPO_DIR/notes" ||
		fail "no note"
	json '[.devices[].name] | sort == ["eth0", "wg0"]' stats
}

# A kernel whose BTF has no functions of connection tracking, as before 5.18: their names are changed.
test_no_conntrack() {
	topology
	local message file
	message=$(fwd -v attach eth0 wg0 2>&1)
	if grep 'connections that netfilter translates' <<<"$message"; then
		skip "no kfuncs of connection tracking in this kernel"
	fi
	for file in vmlinux nf_conntrack; do
		[ ! -e /sys/kernel/btf/$file ] ||
			sed 's/bpf_skb_ct_lookup/bpf_skb_ct_nolook/g' /sys/kernel/btf/$file >"$TOPO_DIR/$file"
	done
	without() {
		# shellcheck disable=SC2016
		on gateway unshare -m bash -c 'for file in vmlinux nf_conntrack; do
			[ ! -e "$1/$file" ] || mount --bind "$1/$file" /sys/kernel/btf/$file
		done
		exec "${@:2}"' _ "$TOPO_DIR" "$FWDCTL" "$@"
	}
	message=$(without -v attach eth0 wg0 2>&1)
	grep -q 'connections that netfilter translates on this host are not seen: kernel 5.18' <<<"$message" ||
		fail "attach -v: $message"
	is "$(without attach eth0 wg0 2>&1)" "" "the notes of attach"
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	peer client who $MAP4
}

# ---- devices that are moved, and indexes that are used again ----

# elsewhere COMMAND...: in a namespace of its own.
elsewhere() {
	nsenter --net="/run/netns/$TOPO_PREFIX-elsewhere" "$@"
}

# eth1 of the gateway, attached, is moved to another namespace, with its address and a route to home.
move_eth1() {
	ip netns add "$TOPO_PREFIX-elsewhere"
	elsewhere sysctl -qw net.ipv4.ip_forward=1
	on gateway ip link set eth1 netns "$TOPO_PREFIX-elsewhere"
	elsewhere ip addr add 10.99.0.1/24 dev eth1
	elsewhere ip link set eth1 up
	elsewhere ip route add $HOME_WG/32 via $LAN
}

# The maps of any address do not go along with a device, nor do its connections.
test_device_moved() {
	topology lan
	maps_and_services
	attach eth1
	fwd map add tcp :8001 $HOME_WG:8001 --snat none
	fwd map add udp :8001 $HOME_WG:8001 --snat none
	pulse stays client $MAP4 --proto udp --interval 0.01
	move_eth1
	local before
	before=$(fwd stats --json | jq -c '[.connections.created, .passes, .drops]')
	# Refused by the stack there, at once.
	local message
	message=$(on lan timeout 3 bash -c "</dev/tcp/10.99.0.1/8001" 2>&1) && fail "something listens there"
	grep -q refused <<<"$message" || fail "no reply of the other namespace: $message"
	! peer lan udp-burst 10.99.0.1:8001 --size 10 --timeout 0.5 || fail "a reply"
	is "$(fwd stats --json | jq -c '[.connections.created, .passes, .drops]')" "$before" "connections and packets"
	json '.devices[] | select(.name == "eth1") | .attached == false' stats
	json '[.devices[] | select(.attached) | .name] | sort == ["eth0", "wg0"]' stats
	fwd stats | grep -q 'eth1.*NOT ATTACHED' || fail "$(fwd stats)"
	# The next attach takes the programs off it.
	fwd attach eth0 wg0
	is "$(elsewhere "$PYTHON" "$NET/attached.py" eth1)" "" "programs on eth1"
	json '[.devices[].name] | sort == ["eth0", "wg0"]' stats
	gets_replies stays
	stop stays
	grep -q ' 0 lost' "$TOPO_DIR/stays.log" || fail "a device that went took packets along"
}

test_detach_moved() {
	topology lan
	attach eth0 wg0 eth1
	move_eth1
	fwd detach eth1
	is "$(elsewhere "$PYTHON" "$NET/attached.py" eth1)" "" "programs on eth1"
	json '[.devices[].name] | sort == ["eth0", "wg0"]' stats
}

# Another device gets the index of one that was attached: packets do not leave by it, and it has a name of its own.
test_index_used_again() {
	topology lan
	attach eth0 eth1
	fwd map add tcp $GATEWAY:8001 $LAN:8000 --snat 10.99.0.1
	serve lan lan --tcp $LAN:8000
	peer client who $GATEWAY:8001
	local index
	index=$(on gateway ip -j link show eth1 | jq -r '.[0].ifindex')
	move_eth1
	on gateway ip link add eth2 index "$index" type veth peer name eth9 netns "$TOPO_PREFIX-lan"
	on gateway ip addr add 10.99.0.1/24 dev eth2
	on gateway ip link set eth2 up
	on lan ip addr flush dev eth0
	on lan ip addr add $LAN/24 dev eth9
	on lan ip link set eth9 up
	on lan ip route add default via 10.99.0.1
	peer client silent $GATEWAY:8001 --timeout 1
	json '.passes.not_attached > 0' stats
	json '[.devices[] | select(.attached | not) | .name] == ["eth1"]' stats
	attach eth2
	json '[.devices[].name] | sort == ["eth0", "eth2"]' stats
	json '.devices | all(.attached)' stats
	peer client who $GATEWAY:8001
}

# The cookie of a namespace is never used again, its inode is.
test_namespace_by_cookie() {
	topology
	attach eth0 wg0
	local cookie
	cookie=$(on gateway "$PYTHON" -c 'import socket; s = socket.socket()
print(int.from_bytes(s.getsockopt(socket.SOL_SOCKET, 71, 8), "little"))')
	bpftool -j map dump pinned "$FWDCTL_PIN_DIR/maps/meta" |
		jq -e --argjson cookie "$cookie" '.. | objects | select(.netns_cookie? == $cookie)' >/dev/null ||
		fail "not $cookie: $(bpftool -j map dump pinned "$FWDCTL_PIN_DIR/maps/meta")"
	# The same namespace with another cookie would be one that has its inode by now.
	"$PYTHON" - "$FWDCTL_PIN_DIR/maps/meta" "$cookie" <<-'END'
		import json, subprocess, sys
		path, cookie = sys.argv[1], int(sys.argv[2])
		dump = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", path]))
		value = bytes(int(byte, 16) for byte in dump[0]["value"])
		old, new = (number.to_bytes(8, sys.byteorder) for number in (cookie, cookie + 1))
		assert value.count(old) == 1
		value = value.replace(old, new)
		subprocess.check_call(["bpftool", "map", "update", "pinned", path, "key", "0", "0", "0", "0",
		                       "value"] + [str(byte) for byte in value])
	END
	local command
	for command in "attach eth0 wg0" "detach" "map add tcp :80 $HOME_WG"; do
		# shellcheck disable=SC2086
		rejects 1 'is attached in another network namespace' fwd $command
	done
	json '.devices | length == 2 and all(.attached)' stats
}

# The host checks of a map are about the instance's namespace, so another one is refused before them, and whatever the
# source addresses are.
test_map_add_elsewhere() {
	topology
	ip netns add "$TOPO_PREFIX-elsewhere"
	attach eth0 wg0
	rejects 1 'map add: "(eth0|wg0)": is attached in another network namespace' \
		elsewhere "$FWDCTL" map add tcp :80 $HOME_WG --snat $GATEWAY_WG
	rejects 1 'map add: "(eth0|wg0)": is attached in another network namespace' \
		elsewhere "$FWDCTL" map add tcp :80 $HOME_WG --snat $GATEWAY_WG --force
	rejects 1 'map add: "(eth0|wg0)": is attached in another network namespace' \
		elsewhere "$FWDCTL" map add - <<<"tcp :80 $HOME_WG --snat none"
	json '. == []' map list
}

# ---- pins ----

test_directory_of_another_user() {
	topology
	mkdir "$FWDCTL_PIN_DIR"
	chown 65534 "$FWDCTL_PIN_DIR"
	local command
	for command in "attach eth0 wg0" "map list" "stats" "map add tcp $MAP4 $HOME_WG:8000" "purge"; do
		# shellcheck disable=SC2086
		rejects 1 'belongs to the user with the ID 65534.*-o mode=0700' fwd $command
	done
	is "$(find "$FWDCTL_PIN_DIR" -mindepth 1)" "" "what is in the directory"
	chown 0 "$FWDCTL_PIN_DIR"
	chmod 777 "$FWDCTL_PIN_DIR"
	rejects 1 "may be written to by other users \(mode 0777\): chmod go-w $FWDCTL_PIN_DIR$" fwd attach eth0 wg0
	chmod 700 "$FWDCTL_PIN_DIR"
	fwd attach eth0 wg0
	mkdir "$TOPO_DIR/plain"
	rejects 1 "mount -t bpf -o mode=0700 bpf $TOPO_DIR/plain" fwd --pin-dir "$TOPO_DIR/plain/fwdctl" map list
	# A mount at / or at a directory in use would hide what is there.
	rejects 1 'use --pin-dir /sys/fs/bpf/NAME' fwd --pin-dir /fwdctl map list
	rejects 1 'use --pin-dir /sys/fs/bpf/NAME' fwd --pin-dir "$TOPO_DIR/fwdctl" map list
}

# ---- a change that is decided is done ----

# The settings cannot be written: nothing is attached.
test_attach_is_all_or_nothing() {
	topology
	fwd map add tcp $MAP4 $HOME_WG:8000
	bpftool map freeze pinned "$FWDCTL_PIN_DIR/maps/config"
	rejects 1 "can't write the settings" fwd attach eth0 wg0
	json '.devices == []' stats
	is "$(on gateway "$PYTHON" "$NET/attached.py" eth0 wg0)" "" "programs"
}

# The second device is refused: the record of the first is as before, although its link has changed meanwhile.
test_roll_back_record() {
	export FWDCTL_NO_TCX=1
	topology lan
	on gateway sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
	fwd attach eth0 wg0
	local before
	before=$(bpftool -j map dump pinned "$FWDCTL_PIN_DIR/maps/devices" | jq -cS)
	on gateway sysctl -qw net.ipv4.conf.eth0.rp_filter=2
	on gateway tc qdisc add dev eth1 ingress
	rejects 1 '"eth1": has an ingress qdisc' fwd attach eth0 wg0 eth1
	is "$(bpftool -j map dump pinned "$FWDCTL_PIN_DIR/maps/devices" | jq -cS)" "$before" "the records"
	json '.devices | length == 2 and all(.attached)' stats
}

# The map `ports` cannot be written: a removal, which is decided before that, is done; an addition is not.
test_removal_is_done() {
	topology
	maps_and_services
	pulse ends client $MAP4 --proto udp
	bpftool map freeze pinned "$FWDCTL_PIN_DIR/maps/ports"
	local message
	message=$(fwd map del udp $MAP4 2>&1) || fail "map del fails: $message"
	grep -q 'note: the maps are removed; some of their entries remain.*BPF map ports' <<<"$message" || fail "$message"
	gets_no_replies ends
	json 'length == 3' map list
	peer client who $MAP4
	rejects 1 'BPF map ports' fwd map add tcp $GATEWAY:8001 $HOME_WG:8001
	json 'length == 3' map list
	peer client who $MAP4
}
