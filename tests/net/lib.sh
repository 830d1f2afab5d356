# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the files of tests/net are written with. tests/net/run sources it, then the file, then calls
# one test_* function of it. A test ends by `fail`, `skip`, any command that fails, or well.

NET=$ROOT/tests/net
FWDCTL=${FWDCTL:-$ROOT/build/fwdctl}
PYTHON=$(PATH=/usr/bin:$PATH command -v python3)
# shellcheck source=../../scripts/topology.sh
. "$ROOT/scripts/topology.sh"

declare -A PID

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# topology [OPTION...]: see scripts/topology.sh. Most tests begin with it.
topology() {
	TOPO_OPTIONS=$*
	topo_up || fail "the topology could not be made"
}

on() {
	topo_in "$@"
}

# fwdctl on the gateway.
fwd() {
	echo "+ fwdctl $*" >&2
	on gateway "$FWDCTL" "$@"
}

# json FILTER COMMAND...: what fwdctl says, through jq; fails where jq says false or null.
json() {
	local filter=$1 output
	shift
	output=$(fwd "$@" --json) || fail "fwdctl $* --json failed"
	jq -ce "$filter" <<<"$output" || {
		echo "$output"
		fail "fwdctl $* --json: not so: $filter"
	}
}

# ---- processes ----

# start NAME HOST CMD...: in the background.
start() {
	local name=$1 host=$2
	shift 2
	topo_spawn "$host" "$name" "$@"
	PID[$name]=$TOPO_PID
}

# finish NAME: waits for its own end; it must be a good one.
finish() {
	local status=0
	wait "${PID[$1]}" || status=$?
	tail -n 2 "$TOPO_DIR/$1.log"
	[ $status = 0 ] || fail "$1 failed ($status): $(tail -n 3 "$TOPO_DIR/$1.err")"
}

# stop NAME: tells it to end; it must not have failed before.
stop() {
	kill -TERM "${PID[$1]}" 2>/dev/null || true
	finish "$1"
}

logged() {
	grep -q "$2" "$TOPO_DIR/$1.log"
}

peer() {
	local host=$1
	shift
	on "$host" "$PYTHON" "$NET/peer.py" "$@"
}

start_peer() {
	local name=$1 host=$2
	shift 2
	start "$name" "$host" "$PYTHON" -u "$NET/peer.py" "$@"
}

# serve NAME HOST --tcp ADDR:PORT... --udp ADDR:PORT...: ready when this returns.
serve() {
	local name=$1 host=$2
	shift 2
	start_peer "$name" "$host" serve "$@"
	topo_wait 5 logged "$name" '^ready' || fail "$name: $(cat "$TOPO_DIR/$name.err")"
}

answers() {
	grep -c ' ms$' "$TOPO_DIR/$1.log" || true
}

more_answers() {
	[ "$(answers "$1")" -ge "$2" ]
}

# pulse NAME HOST ADDR:PORT OPTION...: runs, and has had answers, when this returns.
pulse() {
	local name=$1 host=$2
	shift 2
	start_peer "$name" "$host" pulse "$@" --tag "$name"
	topo_wait 5 more_answers "$name" 3 || fail "$name: no answers: $(cat "$TOPO_DIR/$name.err")"
}

# goes_on NAME [SECONDS]: it must get 10 more answers.
goes_on() {
	local goal=$(($(answers "$1") + 10))
	topo_wait "${2:-3}" more_answers "$1" $goal ||
		fail "$1 stands still at $(answers "$1") answers: $(cat "$TOPO_DIR/$1.err")"
}

# refuses_to_go_on NAME: and no answer any more, after what is under way has come.
stands_still() {
	sleep 0.2
	local before
	before=$(answers "$1")
	sleep 1
	[ "$(answers "$1")" = "$before" ] || fail "$1 still gets answers"
}

# ---- captures ----

# capture NAME HOST DEV FILTER...: runs when this returns; the packets go to NAME.pcap. The buffer is made
# of frames of the snapshot's length, so a small one holds many; pcap.py refuses packets that were cut.
capture() {
	local name=$1 host=$2 dev=$3
	shift 3
	start "$name" "$host" tcpdump -i "$dev" -Z root -nn -s 2048 -U -B 65536 --immediate-mode \
		${CAPTURE_DIRECTION:+-Q $CAPTURE_DIRECTION} -w "$TOPO_DIR/$name.pcap" "$@"
	topo_wait 5 grep -q 'listening on' "$TOPO_DIR/$name.err" ||
		fail "tcpdump: $(cat "$TOPO_DIR/$name.err")"
}

capture_end() {
	local name
	for name; do
		sleep 0.1
		kill -INT "${PID[$name]}"
		wait "${PID[$name]}" || fail "tcpdump $name: $(cat "$TOPO_DIR/$name.err")"
		! grep -q '^[1-9][0-9]* packets dropped by kernel' "$TOPO_DIR/$name.err" ||
			fail "the capture $name is not whole"
	done
}

# packets NAME [FILTER]: a JSON line for each packet; FILTER is a jq condition.
packets() {
	"$PYTHON" "$NET/pcap.py" list "$TOPO_DIR/$1.pcap" | jq -c "select(${2:-true})"
}

count() {
	packets "$@" | wc -l
}

# checksums NAME...: every one of every packet must be right.
checksums() {
	local name
	for name; do
		"$PYTHON" "$NET/pcap.py" checksums "$TOPO_DIR/$name.pcap" || fail "wrong checksums in $name"
	done
}

# ---- what must hold ----

is() {
	[ "$1" = "$2" ] || fail "${3:-value} is \"$1\", not \"$2\""
}

# rejects STATUS WORDS COMMAND...: COMMAND exits with STATUS and says WORDS (a regular expression) in
# one line on standard error that begins with "fwdctl:".
rejects() {
	local status=$1 words=$2 got=0 message
	shift 2
	message=$("$@" 2>&1 >/dev/null) || got=$?
	message=$(sed '/^+ /d' <<<"$message")
	printf '%s -> %s: %s\n' "$*" "$got" "$message"
	[ "$got" = "$status" ] || fail "$*: exit status $got, not $status: $message"
	grep -Eqi -- "$words" <<<"$message" || fail "$*: \"$message\" does not say \"$words\""
	grep -q '^fwdctl: ' <<<"$message" || fail "$*: \"$message\" does not begin with fwdctl:"
	[ "$status" = 2 ] || [ "$(wc -l <<<"$message")" = 1 ] || fail "$*: more than one line: $message"
}

# The packets that the gateway's FORWARD chain has seen, by policy and rules, IPv4 and IPv6.
forward_count() {
	local tables total=0
	for tables in iptables ip6tables; do
		total=$((total + $(on gateway $tables -L FORWARD -vxn |
			awk '/policy/ { gsub(/[^0-9 ]/, ""); n += $1 } /^ *[0-9]/ { n += $1 } END { print n + 0 }')))
	done
	echo $total
}

forward_untouched() {
	[ -z "${FWDCTL_STANDIN:-}" ] || return 0
	is "$(forward_count)" 0 "packets that the gateway's FORWARD chain saw"
	is "$(on gateway iptables -S FORWARD)" "-P FORWARD DROP" "the FORWARD chain"
}

retransmitted() {
	on "$1" nstat -asz TcpRetransSegs | awk '/TcpRetrans/ { print $2 }'
}

# What a host says to itself goes by lo, which every firewall lets pass.
let_lo_pass() {
	local tables
	for tables in iptables ip6tables; do
		on gateway $tables -A INPUT -i lo -j ACCEPT
		on gateway $tables -A OUTPUT -o lo -j ACCEPT
	done
}

# attach DEV...; by FWDCTL_MODE=xdp or xdp-generic, which the whole of tests/net can be run with, at XDP, too.
attach() {
	[ "${FWDCTL_MODE:-}" != xdp ] || take_from_xdp
	fwd attach "$@" ${FWDCTL_MODE:+--mode "$FWDCTL_MODE"}
}

# A veth takes frames from XDP only while it has an XDP program (or GRO, which would put together what the tests
# want to see). Ours passes everything where there are no connections.
take_from_xdp() {
	xdp_program internet g0
	! topo_option lan || xdp_program lan eth0
}

# xdp_program HOST DEV: one that is nothing of the gateway's.
xdp_program() {
	on "$1" ip -force link set "$2" xdpdrv object "$ROOT/build/xdp.bpf.o" section xdp
}

# maps_and_services [OPTION...]: what most tests need: everything attached, port 8000 and its own service.
# The options are those of the TCP maps.
MAP4=$GATEWAY:8000
MAP6=[$GATEWAY6]:8000
maps_and_services() {
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 "$@"
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000" "$@"
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000"
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
}
