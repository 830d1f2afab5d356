# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Invalid input: exit status 2 for an invalid command line, 1 for a command that failed; one line that names the object
# and the reason; no change of state. And help, version, manual.

test_bad_arguments() {
	topology
	fwd map add tcp $GATEWAY:8000 $HOME_WG:8000
	local before
	before=$(on gateway "$FWDCTL" map list --json)

	# Usage: 2.
	rejects 2 'usage|frobnicate' fwd frobnicate
	rejects 2 'usage|map' fwd map
	rejects 2 'usage|frobnicate' fwd map frobnicate
	rejects 2 'usage|attach|DEV' fwd attach
	rejects 2 'usage|map add' fwd map add tcp
	rejects 2 'usage|map add' fwd map add tcp $GATEWAY:8001
	rejects 2 'usage|map del' fwd map del tcp
	rejects 2 'frobnicate' fwd map list --frobnicate
	rejects 2 'frobnicate' fwd map add tcp $GATEWAY:8001 $HOME_WG:8001 --frobnicate

	# Values: 2, and the word that is wrong. $1: the word that the message must name.
	bad() {
		local status=0 message word=$1
		shift
		message=$(fwd "$@" 2>&1 >/dev/null) || status=$?
		message=$(sed '/^+ /d' <<<"$message")
		printf '%s -> %s: %s\n' "$*" $status "$message"
		[ $status = 2 ] || fail "$*: exit status $status"
		grep -q '^fwdctl: ' <<<"$message" || fail "$*: \"$message\""
		grep -qF -- "$word" <<<"$message" || fail "$*: \"$message\" does not name $word"
	}
	bad "a port is 1 to 65535" map add tcp $GATEWAY:8001 $HOME_WG:80000
	bad "10.172.16.2:80000" map add tcp $GATEWAY:8001 $HOME_WG:80000
	bad "$GATEWAY:0" map add tcp $GATEWAY:0 $HOME_WG:80
	bad "$GATEWAY:" map add tcp $GATEWAY: $HOME_WG:80
	bad "$GATEWAY:-1" map add tcp $GATEWAY:-1 $HOME_WG:80
	bad "$GATEWAY:80x" map add tcp $GATEWAY:80x $HOME_WG:80
	bad "93.184.216.340:80" map add tcp 93.184.216.340:80 $HOME_WG:80
	bad "93.184.216:80" map add tcp 93.184.216:80 $HOME_WG:80
	bad "10.172.16.2.3:80" map add tcp $GATEWAY:80 10.172.16.2.3:80
	bad "example.org:80" map add tcp $GATEWAY:80 example.org:80
	bad "2001:db8::g" map add tcp "[2001:db8::g]:80" "[$HOME_WG6]:80"
	bad "5010-5000" map add tcp $GATEWAY:5010-5000 $HOME_WG:5000-5010
	bad "7000-7005" map add tcp $GATEWAY:5000-5010 $HOME_WG:7000-7005
	bad "65530" map add tcp $GATEWAY:5000-5010 $HOME_WG:65530-65540
	bad "frob" map add frob $GATEWAY:8001 $HOME_WG:8001
	bad "$HOME_WG6" map add tcp $GATEWAY:8001 "[$HOME_WG6]:8001"
	bad "10.0.0.300" map add tcp $GATEWAY:8001 $HOME_WG:8001 --snat 10.0.0.300
	bad "$GATEWAY_WG6" map add tcp $GATEWAY:8001 $HOME_WG:8001 --snat $GATEWAY_WG6
	bad "--snat" map add tcp $GATEWAY:8001 $HOME_WG:8001 --snat
	bad "0.0.0.0" map add tcp $GATEWAY:8001 0.0.0.0:8001
	bad "127.0.0.1" map add tcp $GATEWAY:8001 127.0.0.1:8001
	bad "224.0.0.1" map add tcp $GATEWAY:8001 224.0.0.1:8001
	bad "-5" attach eth0 --connections -5
	bad "many" attach eth0 --connections many
	bad "--half-open" attach eth0 --half-open 0
	bad "warp" attach eth0 --mode warp
	bad ":99999" map add tcp :99999 $HOME_WG:80
	bad ":99999" map del tcp :99999
	bad "a b" map add tcp $GATEWAY:8001 $HOME_WG:8001 --name "a b"
	bad "87" map add tcp $GATEWAY:8001 $HOME_WG:8001 --mss 87
	bad "10.0.0.0/33" conn list --client 10.0.0.0/33
	bad "icmp" conn count --proto icmp
	bad "OPEN" conn flush --state OPEN
	bad "$HOME_WG:x" conn list --target $HOME_WG:x

	is "$(on gateway "$FWDCTL" map list --json)" "$before" "the maps after bad arguments"
	json '.devices == []' stats
}

test_conflicts() {
	topology
	fwd map add tcp $GATEWAY:8000 $HOME_WG:8000
	fwd map add tcp $GATEWAY:5000-5009 $HOME_WG:5000-5009
	fwd map add tcp :9000 $HOME_WG:9000
	local before
	before=$(on gateway "$FWDCTL" map list --json)
	rejects 1 "8000\": is mapped to $HOME_WG:8000 already, with the same options$" \
		fwd map add tcp $GATEWAY:8000 $HOME_WG:8000
	rejects 1 "is mapped to $HOME_WG:8000 already: fwdctl map del tcp $GATEWAY:8000$" \
		fwd map add tcp $GATEWAY:8000 $HOME_WG:8000 --snat none
	rejects 1 "8000" fwd map add tcp $GATEWAY:8000 $HOME_WG:8001
	rejects 1 "5000-5009" fwd map add tcp $GATEWAY:5009 $HOME_WG:80
	rejects 1 "5000-5009" fwd map add tcp $GATEWAY:5009-5020 $HOME_WG:5009-5020
	rejects 1 "5000-5009" fwd map add tcp $GATEWAY:4990-5000 $HOME_WG:4990-5000
	rejects 1 "5000-5009" fwd map add tcp $GATEWAY:4990-5020 $HOME_WG:4990-5020
	rejects 1 "9000" fwd map add tcp :9000 $HOME_WG:9001
	rejects 1 "8001" fwd map del tcp $GATEWAY:8001
	rejects 1 "8000" fwd map del udp $GATEWAY:8000
	rejects 1 "5000" fwd map del tcp $GATEWAY:5000
	is "$(on gateway "$FWDCTL" map list --json)" "$before" "the maps"
	# No conflicts: another protocol, another address, an adjacent port.
	fwd map add udp $GATEWAY:8000 $HOME_WG:8000
	fwd map add tcp 93.184.216.35:8000 $HOME_WG:8000
	fwd map add tcp $GATEWAY:5010 $HOME_WG:5010
	fwd map del tcp $GATEWAY:5000-5009
	fwd map add tcp $GATEWAY:5000 $HOME_WG:5000
}

# Many maps in one command: all or none, and an error names the line.
test_lines() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no batches"
	topology
	local name before
	fwd map add - <<-END
		# a comment, and blank lines

		   # another
		tcp $GATEWAY:8000 $HOME_WG:8000 --name web
		udp	$GATEWAY:8000-8010   $HOME_WG --snat none --name=game
		tcp --mss 1300 :9000 $HOME_WG:9000
		tcp [$GATEWAY6]:8000 [$HOME_WG6]:8000
	END
	json 'length == 4 and ([.[].name] | sort == ["", "", "game", "web"])' map list
	printf 'tcp %s:7000 %s:7000' $GATEWAY $HOME_WG | fwd map add -
	json 'length == 5' map list
	fwd map add - </dev/null
	before=$(on gateway "$FWDCTL" map list --json)

	# wrong STATUS WORDS COMMAND LINES: behind two good lines.
	wrong() {
		local good=(7001 7002) status=$1
		shift
		[ "$2" = add ] || good=(8000 7000)
		printf 'tcp %s\n' "$GATEWAY:${good[0]}" "$GATEWAY:${good[1]}" |
			if [ "$2" = add ]; then sed "s/$/ $HOME_WG:80/"; else cat; fi >"$TOPO_DIR/lines"
		printf '%b' "$3" >>"$TOPO_DIR/lines"
		rejects "$status" "^fwdctl: map $2: line $1" fwd map "$2" - <"$TOPO_DIR/lines"
		is "$(on gateway "$FWDCTL" map list --json)" "$before" "the maps behind a wrong line"
	}
	# The text is wrong.
	wrong 2 "3: \"$HOME_WG:80000\": a port is 1 to 65535$" add "tcp $GATEWAY:7003 $HOME_WG:80000\n"
	wrong 2 "5: \"icmp\": unknown protocol; one of: tcp, udp$" add "\n#\nicmp $GATEWAY:7003 $HOME_WG:80\n"
	wrong 2 "3: contains a NUL byte$" add "tcp $GATEWAY:7003 $HOME_WG:80\\0 --snat none\n"
	wrong 2 "3: expected PROTO LISTEN TARGET$" add "tcp $GATEWAY:7003\n"
	wrong 2 "3: \"#\": unexpected argument$" add "tcp $GATEWAY:7003 $HOME_WG:80 # no comment here\n"
	wrong 2 "3: .*--frobnicate" add "tcp $GATEWAY:7003 $HOME_WG:80 --frobnicate\n"
	wrong 2 "3: .*--keep-connections" add "tcp $GATEWAY:7003 $HOME_WG:80 --keep-connections\n"
	wrong 2 "3: .*--pin-dir" add "tcp $GATEWAY:7003 $HOME_WG:80 --pin-dir /x\n"
	# Two lines exclude each other.
	wrong 2 "3: .*mapped to $HOME_WG:80 already: see line 1$" add "tcp $GATEWAY:7001 $HOME_WG:81\n"
	wrong 2 "4: .*overlaps .*see line 2$" add "udp $GATEWAY:7002 $HOME_WG:80\ntcp $GATEWAY:7002-7009 $HOME_WG\n"
	wrong 2 "3: .*overlaps .*see line 1$" add "tcp :7001 $HOME_WG:80\n"
	wrong 2 "4: .*\"new\".*already: see line 3" add "tcp $GATEWAY:7003 $HOME_WG:80 --name new\ntcp $GATEWAY:7004 $HOME_WG:80 --name new\n"
	wrong 2 "3: .*given twice" del "tcp $GATEWAY:8000\n"
	wrong 2 "3: expected PROTO LISTEN$" del "tcp\n"
	wrong 2 "3: .*--name" del "tcp :9000 --name web\n"
	# The host, or what is there, does not allow it: a wildcard, a range, a name.
	wrong 1 "3: .*address of this host" add "tcp $GATEWAY:7003 $GATEWAY_WG:80\n"
	wrong 1 "3: .*mapped to $HOME_WG:8000 already: fwdctl map del tcp $GATEWAY:8000$" add "tcp $GATEWAY:8000 $HOME_WG:80\n"
	wrong 1 "3: .*overlaps .*:9000" add "tcp $GATEWAY:8990-9010 $HOME_WG\n"
	wrong 1 "3: .*overlaps .*$GATEWAY:8000" add "tcp :8000 $HOME_WG\n"
	wrong 1 "3: .*\"web\".*already: fwdctl map del" add "tcp $GATEWAY:7003 $HOME_WG:80 --name web\n"
	wrong 1 "3: .*no such map" del "tcp $GATEWAY:7005\n"
	wrong 1 "3: .*overlaps the map" del "udp $GATEWAY:8000\n"

	rejects 2 '"tcp": unexpected argument: "-" reads the words from the lines' fwd map add - tcp $GATEWAY:7001 $HOME_WG:80
	rejects 2 '"tcp": unexpected argument: "-" reads the words from the lines' fwd map del - tcp
	rejects 2 '--snat does not go with "-"' fwd map add - --snat none
	rejects 1 'standard input' fwd map add - <"$TOPO_DIR"

	fwd map del - <<-END
		udp $GATEWAY:8000-8010
		tcp :9000 --keep-connections
	END
	json 'length == 3' map list
}

test_unknown_device() {
	topology
	attach eth0
	rejects 1 "nodev7" fwd attach nodev7
	# Atomic: wg0 must not be attached either.
	rejects 1 "nodev7" fwd attach wg0 nodev7
	json '[.devices[].name] == ["eth0"]' stats
	rejects 1 "nodev7" fwd detach nodev7
	rejects 1 "wg0" fwd detach eth0 wg0
	json '[.devices[].name] == ["eth0"]' stats
}

# A device named twice, also by an altname.
test_device_twice() {
	topology
	on gateway ip link property add dev eth0 altname wan0
	rejects 2 'eth0.*given twice' fwd attach wan0 eth0
	json '.devices == []' stats
	fwd attach wan0 wg0
	json '[.devices[].name] == ["eth0", "wg0"]' stats
	rejects 2 'eth0.*given twice' fwd detach eth0 eth0
	rejects 2 'eth0.*given twice' fwd detach wan0 eth0
	json '[.devices[] | select(.attached).name] == ["eth0", "wg0"]' stats
	fwd detach wan0
	json '[.devices[].name] == ["wg0"]' stats
}

# A renamed device is known by its new name; a device that has its old name now is another one.
test_device_renamed() {
	topology
	attach eth0 wg0
	on gateway ip link add veth7 type veth peer name veth8
	on gateway ip link set veth7 up
	fwd attach veth7
	on gateway ip link set veth7 down
	on gateway ip link set veth7 name veth9
	json '[.devices[] | select(.attached).name] == ["eth0", "wg0", "veth9"]' stats
	rejects 2 'veth9.*given twice' fwd detach veth7 veth9
	json '.devices | length == 3' stats
	on gateway ip link set veth8 name veth7
	rejects 1 '"veth7": is not attached' fwd detach veth7
	json '.devices | length == 3' stats
	fwd detach veth9
	json '[.devices[].name] == ["eth0", "wg0"]' stats
	# A device that was deleted is known by its last name only.
	fwd attach veth7
	on gateway ip link del veth9
	on gateway ip link add veth7 type veth peer name veth8
	fwd detach veth7
	json '[.devices[].name] == ["eth0", "wg0"]' stats
}

# A list that could not be read prints nothing, not an empty list.
test_no_list() {
	topology
	attach eth0
	is "$(fwd conn list --json 2>/dev/null)" "[]" "the list of connections"
	is "$(fwd conn list --json --map nope 2>/dev/null)" "" "the list of no map's connections"
	is "$(fwd conn list --map nope 2>/dev/null)" "" "the list of no map's connections"
	is "$(fwd conn list | awk '{ print $1 }')" PROTO "the list of no connections: the titles"
	rejects 1 'nope' fwd conn list --json --map nope
}

test_not_root() {
	topology
	command -v setpriv >/dev/null || skip "no setpriv here"
	# Readable for the user nobody.
	local tool=$TOPO_DIR/../fwdctl-$TOPO_PREFIX
	install -m 755 "$FWDCTL" "$tool"
	chmod 755 "${TOPO_DIR%/*}"
	nobody() {
		on gateway setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all "$tool" "$@"
	}
	rejects 1 'root|privilege|permi|CAP_' nobody attach eth0
	rejects 1 'root|privilege|permi|CAP_' nobody map add tcp $GATEWAY:8001 $HOME_WG:8001
	rejects 1 'root|privilege|permi|CAP_' nobody map list
	rejects 1 'root|privilege|permi|CAP_' nobody purge
	able() {
		on gateway setpriv --reuid="$1" --inh-caps=-all --bounding-set=-all,+bpf,+net_admin"$2" "$tool" "${@:3}"
	}
	rejects 1 'CAP_PERFMON' able 0 "" attach eth0
	able 0 ,+perfmon attach eth0
	json '[.devices[].name] == ["eth0"]' stats
	# Without CAP_SYS_ADMIN no program can be inspected, and fwdctl's own are no other tool's.
	local hook
	for hook in tcx clsact; do
		fwd detach
		[ $hook = tcx ] || export FWDCTL_NO_TCX=1
		is "$(able 0 ,+perfmon attach eth0 wg0 2>&1)" "" "the notes of attach by $hook"
		json ".devices | length == 2" stats
	done
	unset FWDCTL_NO_TCX
	fwd detach
	is "$(able 0 ,+perfmon attach eth0 wg0 2>&1)" "" "the notes of attach"
	is "$(able 0 ,+perfmon attach eth0 wg0 2>&1)" "" "the notes of attach again"
	# A user with all capabilities, but without access to the instance, gets no advice to purge it.
	local few=-all,+bpf,+net_admin,+perfmon
	chmod 755 "$TOPO_DIR" "$TOPO_DIR/bpf"
	rejects 1 'belongs to the user with the ID 0$' on gateway setpriv --reuid=65534 --regid=65534 --clear-groups \
		--inh-caps=$few --ambient-caps=$few --bounding-set=$few "$tool" map list
	nobody version
	nobody help >/dev/null
	rm -f "$tool"
}

test_no_bpffs() {
	topology
	mkdir "$TOPO_DIR/plain"
	FWDCTL_PIN_DIR=$TOPO_DIR/plain/fwdctl rejects 1 'bpffs|bpf file ?system|mount' fwd attach eth0
	FWDCTL_PIN_DIR=$TOPO_DIR/plain/fwdctl rejects 1 'bpffs|bpf file ?system|mount' fwd map add tcp $MAP4 $HOME_WG:8000
	FWDCTL_PIN_DIR=$TOPO_DIR/nowhere/fwdctl rejects 1 "$TOPO_DIR/nowhere" fwd attach eth0
	is "$(ls "$TOPO_DIR/plain")" "" "what was left in the plain directory"
	is "$(attached_any)" "" "programs on eth0"
}

attached_any() {
	on gateway "$PYTHON" "$NET/attached.py" eth0 wg0
}

# No instance yet: commands print an empty state, and those that remove something fail.
test_no_instance() {
	topology
	json '. == []' map list
	json '. == []' conn list
	json '.devices == [] and .connections.active == 0' stats
	fwd map list
	fwd conn list
	fwd stats
	fwd map flush
	fwd conn flush
	fwd detach
	fwd purge
	rejects 1 "8000" fwd map del tcp $MAP4
	[ -z "$(find "$FWDCTL_PIN_DIR" -type f 2>/dev/null)" ] || fail "a query created files: $(find "$FWDCTL_PIN_DIR")"
}

test_help_and_version() {
	topology
	fwd version | grep -qE '[0-9]' || fail "no version"
	local command
	for command in attach detach map conn stats purge version; do
		fwd help | grep -qw $command || fail "help does not name $command"
	done
	fwd help attach | grep -q connections || fail "help attach does not explain --connections"
	fwd help map | grep -q snat || fwd help map add | grep -q snat || fail "help map does not explain --snat"
	local status=0
	fwd >"$TOPO_DIR/out" 2>"$TOPO_DIR/usage" || status=$?
	is "$status" 2 "the exit status without a command"
	is "$(cat "$TOPO_DIR/out")" "" "standard output without a command"
	grep -q attach "$TOPO_DIR/usage" || fail "no usage without a command"
}

# closed COMMAND...: its exit status if the reader of its standard output is gone before it writes; what it says goes to
# $TOPO_DIR/closed.
closed() {
	# shellcheck disable=SC2016
	on gateway env --default-signal=PIPE sh -c 'sleep 0.2; exec "$@"' sh "$@" 2>"$TOPO_DIR/closed" | true
	echo "${PIPESTATUS[0]}"
}

# A closed pipe ends a command silently, as it ends ip(8).
test_closed_pipe() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in prints nothing"
	topology
	attach eth0 wg0
	local command expected
	seq 10000 12999 | sed "s/.*/tcp $GATEWAY:& $HOME_WG:8000/" | on gateway "$FWDCTL" map add -
	expected=$(closed ip addr || true)
	is "$(cat "$TOPO_DIR/closed")" "" "the message of ip"
	[ "$expected" != 0 ] || fail "the pipe was not closed"
	for command in "map list" "map list --json" "conn list --json" "stats" "stats --json" "stats --watch" "get" "version" \
		"help" "conn flush"; do
		# shellcheck disable=SC2086
		is "$(closed "$FWDCTL" $command || true)" "$expected" "the exit status of $command"
		is "$(cat "$TOPO_DIR/closed")" "" "the message of $command"
	done
	# In the middle of a list, and after its end.
	is "$(on gateway "$FWDCTL" map list 2>"$TOPO_DIR/closed" | head -n 1 | awk '{ print $1 }' || true)" NAME "the first line"
	is "$(on gateway "$FWDCTL" map list 2>>"$TOPO_DIR/closed" | tail -n +3000 | wc -l)" 2 "the last lines"
	is "$(cat "$TOPO_DIR/closed")" "" "the message"
}

# A full disk is an error: exit status 1, and the reason.
test_full_disk() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in prints nothing"
	[ -e /dev/full ] || skip "no /dev/full here"
	topology
	attach eth0 wg0
	local command status
	seq 10000 12999 | sed "s/.*/tcp $GATEWAY:& $HOME_WG:8000/" | on gateway "$FWDCTL" map add -
	for command in "map list" "map list --json" "conn list --json" "stats" "stats --json" "stats --watch" "get" "version" \
		"help" "conn flush" "conn count"; do
		status=0
		# shellcheck disable=SC2086
		on gateway "$FWDCTL" $command >/dev/full 2>"$TOPO_DIR/full" || status=$?
		is "$status" 1 "the exit status of $command"
		grep -q '^fwdctl: .*standard output: No space left on device$' "$TOPO_DIR/full" || fail "$command: $(cat "$TOPO_DIR/full")"
		is "$(wc -l <"$TOPO_DIR/full")" 1 "lines of $command"
	done
}

# The short options, and what is suggested for a mistyped word.
test_conventions() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has a command line of its own"
	topology
	local version
	version=$(fwd version)
	is "$(fwd --version)" "$version" "--version"
	is "$(fwd -V)" "$version" "-V"
	is "$(fwd map list -V)" "$version" "-V behind a command"
	is "$(fwd -V -j)" "$(fwd version --json)" "-V -j"
	fwd version -j | jq -e --arg text "$version" '"fwdctl \(.version)" + (if .commit then " (\(.commit))" else "" end)
		== $text and (.version | test("^[0-9]+[.][0-9]+[.][0-9]+$")) and (.abi | type == "number")' ||
		fail "the version's JSON: $(fwd version -j)"
	is "$(fwd map list -j)" "[]" "-j"
	is "$(fwd -h)" "$(fwd help)" "-h"
	is "$(fwd map add -h)" "$(fwd help map add)" "map add -h"

	rejects 2 'unknown command "mpa": did you mean "map"[?]' fwd mpa add tcp $MAP4 $HOME_WG:80
	rejects 2 'unknown command "map lst": did you mean "map list"[?]' fwd map lst
	rejects 2 'unknown command "attahc": did you mean "attach"[?]' fwd help attahc
	rejects 2 'unknown command "frobnicate": fwdctl help' fwd frobnicate
	rejects 2 'map add: --rate is not in this version' fwd map add tcp $MAP4 $HOME_WG:80 --rate 5/s
	rejects 2 'unknown option "--ware"' fwd map add tcp $MAP4 $HOME_WG:80 --ware web
	rejects 2 'map del: "web": expected ADDR:PORT or :PORT$' fwd map del tcp web
	# Words of other tools.
	rejects 2 'unknown command "map show": did you mean "map list"[?]' fwd map show
	rejects 2 'unknown command "map rm": did you mean "map del"[?]' fwd map rm tcp $MAP4
	rejects 2 'unknown command "conn clear": did you mean "conn flush"[?]' fwd conn clear
	# Not the command that removes everything.
	rejects 2 'unknown command "map clear": fwdctl help' fwd map clear
	rejects 2 'unknown command "clear": fwdctl help' fwd clear
	rejects 2 'unknown command "flush": fwdctl help' fwd flush
	rejects 2 'unknown command "add": did you mean "map add"[?]' fwd add tcp $MAP4 $HOME_WG
	rejects 2 'unknown command "delete": did you mean "map del"[?]' fwd delete tcp $MAP4
	rejects 2 'unknown command "status": did you mean "stats"[?]' fwd status
	rejects 2 'unknown command "stop": did you mean "detach"[?]' fwd stop
	rejects 2 'unknown command "list": did you mean "map list"[?]' fwd list
	rejects 2 '"tcp,udp": is two protocols: give two commands' fwd map add tcp,udp $MAP4 $HOME_WG:80
	rejects 1 "\"$GATEWAY\": is an address of this host .eth0.*: are they swapped[?] LISTEN comes first, then TARGET$" \
		fwd map add tcp $HOME_WG:80 $MAP4
	rejects 2 'fwdctl: map list: unknown option "--jsno": did you mean "--json"[?]' fwd map list --jsno
	rejects 2 'unknown option "--conections=5": did you mean "--connections"[?]' fwd attach eth0 --conections=5
	rejects 2 '"tcp_establised": unknown setting: did you mean "tcp_established"[?]' fwd set tcp_establised 5
	rejects 2 '--state: "ESTABLISED": unknown state: did you mean "ESTABLISHED"[?]' fwd conn list --state ESTABLISED
	rejects 2 '"tcpp": unknown protocol: did you mean "tcp"[?]' fwd map add tcpp $MAP4 $HOME_WG:80
	rejects 2 '--mode: "xpd": unknown mode: did you mean "xdp"[?]' fwd attach eth0 --mode xpd
	json '.devices == []' stats
}

# Names are kept, listed, and checked.
test_names() {
	topology
	fwd map add tcp $GATEWAY:8000 $HOME_WG:8000 --name web
	json '.[0].name == "web"' map list
	local long
	long=$(printf 'x%.0s' {1..200})
	rejects 2 'name' fwd map add tcp $GATEWAY:8001 $HOME_WG:8001 --name "$long"
	json 'length == 1' map list
}

# The usage of the commands in the manual: "map del PROTO LISTEN [--keep-connections]".
manual_usage() {
	sed -n '/^\.Sh COMMANDS/,/^\.Sh OPTIONS/p' "$ROOT/docs/fwdctl.8" | awk '
		/^\.It Xo Ic/ { sub(/^\.It Xo Ic /, ""); sub(/ Ar /, " "); usage = $0; next }
		/^\.Op Fl -/ { sub(/^\.Op Fl -/, "--"); sub(/ Ar /, " "); usage = usage " [" $0 "]"; next }
		/^\.Xc/ { print usage; usage = "" }
		usage && !/^\.Op/ { print "strange: " $0 }' | sort
}

# manual_items SECTION MACRO: the items of a section's list, without the macro that they begin with.
manual_items() {
	sed -n "/^\.Sh $1/,/^\.Sh/ { s/^\.It $2//p }" "$ROOT/docs/fwdctl.8"
}

# The tables of commands and options, the output of help, and the manual agree.
test_manual() {
	topology
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no manual"
	local commands command family
	commands=$(sed -n 's/^[[:space:]]*{"\([a-z ]*\)",.*/\1/p' "$ROOT/user/cli/commands.c" | sort)
	[ "$(wc -l <<<"$commands")" -ge 15 ] || fail "no table of commands in user/cli/commands.c"
	while read -r command; do
		# shellcheck disable=SC2086
		fwd help $command | tee "$TOPO_DIR/help" |
			sed -n 's/^\(usage:\|      \) fwdctl //p' >>"$TOPO_DIR/usages"
		sed -n 's/^  \(--[a-z-]*\) *\([^ ]*\)  .*/\1 \2/p' "$TOPO_DIR/help" >>"$TOPO_DIR/options"
		fwd help | grep -q "^  $command " || fail "fwdctl help does not name $command"
		family=${command% *}
		[ "$family" = "$command" ] || fwd help "$family" | grep -q "^  $command " || fail "help $family"
	done <<<"$commands"
	diff <(sort "$TOPO_DIR/usages") <(manual_usage) || fail "help (<) and the manual (>) differ in the commands"
	diff <(sort -u "$TOPO_DIR/options" | sed 's/ $//') <(manual_items OPTIONS "Fl -" |
		sed 's/^/--/; s/ Ar / /' | sort) || fail "help (<) and the manual (>) differ in the options"
	diff <(sed -n 's/^\tX([A-Z_]*, "\(--[a-z-]*\)", .*/\1/p' "$ROOT/user/cli/command.h" | sort) \
		<(sort -u "$TOPO_DIR/options" | sed 's/ .*//') || fail "the table of options (<) and help (>) differ"
	diff <(fwd get) <(manual_items SETTINGS "Ic " | sed 's/ Ta / /') ||
		fail "get (<) and the manual (>) differ in the settings"
}

# All keys of the JSON output, except the reasons, are in the manual.
test_manual_json() {
	topology
	maps_and_services
	peer client who $MAP4
	local command key keys
	for command in "map list" "conn list" "conn count" stats version; do
		# shellcheck disable=SC2086
		keys=$(fwd $command --json | jq -r 'del(.drops?, .passes?) | .. | objects | keys[]' | sort -u)
		[ -n "$keys" ] || fail "$command --json has no keys"
		for key in $keys; do
			sed -n "/^\.Sh JSON/,/^\.Sh/p" "$ROOT/docs/fwdctl.8" |
				sed -n "/^\.It Ic $command\$/,/^\.It/p" | grep -qw -- "$key" ||
				fail "the manual does not name \"$key\" of $command --json"
		done
	done
}

# All tests that the documents name exist: LAYER/FILE, or LAYER/FILE/TEST.
test_named_tests() {
	local layer file test source names
	# shellcheck disable=SC2016
	names=$({
		grep -ohE '`(host|prog|net)/[^`]*`' "$ROOT/docs/rfc.md" "$ROOT/docs/testing.md" | tr -d '`'
		sed -n 's/^| \([0-9][0-9]-[a-z]*\) |.*/net\/\1/p' "$ROOT/docs/testing.md"
		grep -o '`test_[a-z]*`' "$ROOT/docs/testing.md" | sed 's/`//g; s/^/prog\//'
	} | sort -u)
	[ "$(wc -l <<<"$names")" -ge 100 ] || fail "the documents name few tests: $names"
	while IFS=/ read -r layer file test; do
		source=$ROOT/tests/$layer/$file.c
		[ "$layer" != net ] || source=$NET/$file.sh
		[ -f "$source" ] || fail "$layer/$file is named, but isn't there"
		[ -z "$test" ] || grep -qE "^(Test\([a-z_]*, ${test}[,)]|test_${test}\(\) )" "$source" ||
			fail "$layer/$file/$test is named, but isn't there"
	done <<<"$names"
}

# The commands of docs/rfc.md that set the RFCs' timeouts.
test_rfc_timeouts() {
	topology
	fwdctl() {
		fwd "$@"
	}
	eval "$(sed -n '/^    for name in/,/done$/p' "$ROOT/docs/rfc.md")"
	json 'del(.flood) | all(.[]; . >= 300)' get
}

# `make install`, and the SPDX line in each file of the repository.
test_installed() {
	local name
	make -s -C "$ROOT" install PREFIX=/usr DESTDIR="$TOPO_DIR/root" >&2
	[ -x "$TOPO_DIR/root/usr/sbin/fwdctl" ] || fail "no fwdctl"
	[ -f "$TOPO_DIR/root/usr/share/man/man8/fwdctl.8" ] || fail "no manual"
	"$TOPO_DIR/root/usr/sbin/fwdctl" version
	git -C "$ROOT" -c safe.directory=* ls-files >"$TOPO_DIR/files" || skip "not a git checkout"
	while read -r name; do
		# The inputs of the fuzz targets are binary.
		case $name in tests/fuzz/regressions/*) continue ;; esac
		grep -q "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause" "$ROOT/$name" ||
			fail "$name has no SPDX line"
	done <"$TOPO_DIR/files"
}
