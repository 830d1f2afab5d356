# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The functions that tests in tests/net use. tests/net/run sources this file and a test file, then calls one of its
# test_* functions. `fail`, and any command that fails, end a test; `skip` skips it.

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

# topology [OPTION...]: creates the hosts; see scripts/topology.sh.
topology() {
	TOPO_OPTIONS=$*
	topo_up || fail "the topology could not be created"
}

on() {
	topo_in "$@"
}

# fwdctl on the gateway.
fwd() {
	echo "+ fwdctl $*" >&2
	on gateway "$FWDCTL" "$@"
}

# json FILTER COMMAND...: the JSON output of a fwdctl command must satisfy a jq filter (neither false nor null).
json() {
	local filter=$1 output
	shift
	output=$(fwd "$@" --json) || fail "fwdctl $* --json failed"
	jq -ce "$filter" <<<"$output" || {
		echo "$output"
		fail "fwdctl $* --json: does not satisfy: $filter"
	}
}

# wg_quick HOST up|down CONFIG: as in topo_wireguard, without the kernel's module the tunnel is a wireguard-go whose pid
# is registered for topo_down.
wg_quick() {
	local host=$1
	shift
	cat >"$TOPO_DIR/userspace" <<-END
		#!/bin/bash
		wireguard-go -f "\$1" </dev/null >"$TOPO_DIR/wireguard-quick.log" 2>&1 &
		echo "\$! \$(awk '{ print \$22 }' /proc/\$!/stat)" >>"$TOPO_DIR/pids"
		until grep -q " 00010000 .*/\$1.sock" /proc/net/unix; do sleep 0.05; done
	END
	chmod 755 "$TOPO_DIR/userspace"
	WG_QUICK_USERSPACE_IMPLEMENTATION=$TOPO_DIR/userspace on "$host" timeout 20 wg-quick "$@"
}

# ---- processes ----

# start NAME HOST CMD...: runs a command in the background.
start() {
	local name=$1 host=$2
	shift 2
	topo_spawn "$host" "$name" "$@"
	PID[$name]=$TOPO_PID
}

# finish NAME: waits until it ends, with exit status 0.
finish() {
	local status=0
	wait "${PID[$1]}" || status=$?
	tail -n 2 "$TOPO_DIR/$1.log"
	[ $status = 0 ] || fail "$1 failed ($status): $(tail -n 3 "$TOPO_DIR/$1.err")"
}

# stop NAME: ends it with SIGTERM; it must exit with 0.
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

# serve NAME HOST --tcp ADDR:PORT... --udp ADDR:PORT...: starts a server, which is ready when this returns.
serve() {
	local name=$1 host=$2
	shift 2
	start_peer "$name" "$host" serve "$@"
	topo_wait 5 logged "$name" '^ready' || fail "$name: $(cat "$TOPO_DIR/$name.err")"
}

replies() {
	grep -c ' ms$' "$TOPO_DIR/$1.log" || true
}

more_replies() {
	[ "$(replies "$1")" -ge "$2" ]
}

# pulse NAME HOST ADDR:PORT OPTION...: starts `peer.py pulse`, which has had replies when this returns.
pulse() {
	local name=$1 host=$2
	shift 2
	start_peer "$name" "$host" pulse "$@" --tag "$name"
	topo_wait 5 more_replies "$name" 3 || fail "$name: no replies: $(cat "$TOPO_DIR/$name.err")"
}

# gets_replies NAME [SECONDS]: it must get 10 more replies.
gets_replies() {
	local goal=$(($(replies "$1") + 10))
	topo_wait "${2:-3}" more_replies "$1" $goal ||
		fail "$1 stalls after $(replies "$1") replies: $(cat "$TOPO_DIR/$1.err")"
}

# gets_no_replies NAME: no replies for a second, except those in flight.
gets_no_replies() {
	sleep 0.2
	local before
	before=$(replies "$1")
	sleep 1
	[ "$(replies "$1")" = "$before" ] || fail "$1 still gets replies"
}

# ---- captures ----

# capture NAME HOST DEV FILTER...: captures into NAME.pcap, and runs when this returns. The buffer consists of frames of
# the snapshot length, so a short one holds many; pcap.py refuses truncated packets.
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
			fail "the capture $name is incomplete"
	done
}

# packets NAME [FILTER]: a JSON line for each packet of a capture that satisfies a jq filter.
packets() {
	"$PYTHON" "$NET/pcap.py" list "$TOPO_DIR/$1.pcap" | jq -c "select(${2:-true})"
}

count() {
	packets "$@" | wc -l
}

# checksums NAME...: all checksums of all packets of these captures must be right.
checksums() {
	local name
	for name; do
		"$PYTHON" "$NET/pcap.py" checksums "$TOPO_DIR/$name.pcap" || fail "wrong checksums in $name"
	done
}

# ---- assertions ----

is() {
	[ "$1" = "$2" ] || fail "${3:-value} is \"$1\", not \"$2\""
}

# rejects STATUS WORDS COMMAND...: COMMAND exits with STATUS and prints one line on standard error that begins with
# "fwdctl:" and matches WORDS (a regular expression).
rejects() {
	local status=$1 words=$2 got=0 message
	shift 2
	message=$("$@" 2>&1 >/dev/null) || got=$?
	message=$(sed '/^+ /d' <<<"$message")
	printf '%s -> %s: %s\n' "$*" "$got" "$message"
	[ "$got" = "$status" ] || fail "$*: exit status $got, not $status: $message"
	grep -Eqi -- "$words" <<<"$message" || fail "$*: \"$message\" does not match \"$words\""
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
	is "$(forward_count)" 0 "packets in the gateway's FORWARD chain"
	is "$(on gateway iptables -S FORWARD)" "-P FORWARD DROP" "the FORWARD chain"
}

retransmitted() {
	on "$1" nstat -asz TcpRetransSegs | awk '/TcpRetrans/ { print $2 }'
}

# Local traffic on lo, which firewalls accept.
let_lo_pass() {
	local tables
	for tables in iptables ip6tables; do
		on gateway $tables -A INPUT -i lo -j ACCEPT
		on gateway $tables -A OUTPUT -o lo -j ACCEPT
	done
}

# attach DEV...: with FWDCTL_MODE=xdp or xdp-generic, with which all of tests/net can be run, also to XDP.
attach() {
	[ "${FWDCTL_MODE:-}" != xdp ] || accept_from_xdp
	fwd attach "$@" ${FWDCTL_MODE:+--mode "$FWDCTL_MODE"}
}

# A veth accepts frames from XDP only while its peer has an XDP program (or GRO, which would merge the segments that
# tests look at). fwd_xdp passes all packets where there are no connections.
accept_from_xdp() {
	xdp_program internet g0
	! topo_option lan || xdp_program lan eth0
}

# xdp_program HOST DEV: attaches an XDP program that does not belong to the gateway's fwdctl.
xdp_program() {
	on "$1" ip -force link set "$2" xdpdrv object "$ROOT/build/xdp.bpf.o" section xdp
}

# maps_and_services [OPTION...]: the setup of most tests: eth0 and wg0 attached, maps of port 8000 for both families and
# protocols, and the service at home. The options are those of the TCP maps.
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
