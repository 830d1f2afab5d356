# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the lanes of scripts/bench are written with: hosts, CPU time, results. scripts/bench sources it.
#
#   client g0 ─── eth0 gateway eth1 ─── h0 home          and with `tun`  gateway wg0, a TUN
#   93.184.216.1  93.184.216.34 10.99.0.1   10.99.0.2                    10.172.16.1 ─ 10.172.16.2
#
# Each contender has such hosts of its own. GRO is on, as on real NICs; so each device has a NAPI thread, and
# what runs on it is charged to it alone.

BENCH=build/bench
RAW=$BENCH/raw.jsonl
EDGE=93.184.216.1
SETS=()

. scripts/topology.sh

# hosts_use NAME: the functions of the topology are about these hosts from now on.
hosts_use() {
	TOPO_PREFIX=bench$$$1
	TOPO_DIR=/run/fwdctl-topology/$TOPO_PREFIX
	export FWDCTL_PIN_DIR=$TOPO_DIR/bpf/fwdctl
}

# hosts_up NAME [tun] [threads=off]
hosts_up() {
	hosts_use "$1"
	SETS+=("$1")
	shift
	TOPO_OPTIONS=$*
	mkdir -p "$TOPO_DIR/bpf"
	mount -t bpf bpf "$TOPO_DIR/bpf"
	local host
	for host in client gateway home; do topo_host $host; done
	topo_link client g0 gateway eth0
	topo_in client ip addr add $EDGE/24 dev g0
	topo_in gateway ip addr add $GATEWAY/24 dev eth0
	topo_default_route gateway $EDGE
	topo_forwarding gateway
	: >"$TOPO_DIR/napi"
	device_thread client g0
	device_thread gateway eth0
	if topo_option tun; then
		topo_in gateway ip tuntap add wg0 mode tun
		topo_in gateway ip addr add $GATEWAY_WG/24 dev wg0
		topo_in gateway ip link set wg0 up
		device_thread gateway wg0
		INNER=wg0 TARGET=$HOME_WG SOURCE=$GATEWAY_WG
		return
	fi
	INNER=eth1 TARGET=$LAN SOURCE=10.99.0.1
	topo_link home h0 gateway eth1
	topo_in gateway ip addr add $SOURCE/24 dev eth1
	topo_in home ip addr add $TARGET/24 dev h0
	topo_default_route home $SOURCE
	topo_in client ip route add 10.99.0.0/24 via $GATEWAY
	device_thread gateway eth1
	device_thread home h0
}

hosts_down() {
	hosts_use "$1"
	# Else the kernel takes them apart later, and beside what is measured next.
	topo_in gateway conntrack -F >/dev/null 2>&1
	topo_down
}

all_down() {
	local name
	for name in "${SETS[@]}"; do
		hosts_use "$name"
		topo_down
	done
	SETS=()
}

# Its receive path gets a thread of its own, on the last CPU for the gateway's devices, on the first for the
# others; ahead of whatever else this machine is doing.
device_thread() {
	local host=$1 dev=$2 pid cpu=0
	topo_option threads=off && return
	topo_in "$host" ethtool -K "$dev" gro on
	ip netns exec "$TOPO_PREFIX-$host" sh -c "echo 1 >/sys/class/net/$dev/threaded"
	pid=$(napi_of "$dev") || return 0
	[ "$host" != gateway ] || cpu=$(($(nproc) - 1))
	taskset -pc $cpu "$pid" >/dev/null
	renice -n -15 -p "$pid" >/dev/null
	[ "$host" != gateway ] || echo "$pid" >>"$TOPO_DIR/napi"
}

# The thread of the youngest device of that name.
napi_of() {
	local file comm youngest=0 pid=
	for file in /proc/[0-9]*/comm; do
		{ read -r comm <"$file"; } 2>/dev/null || continue
		[[ $comm == napi/$1-* ]] && ((${comm##*-} > youngest)) || continue
		youngest=${comm##*-} pid=${file#/proc/} pid=${pid%/comm}
	done
	[ -n "$pid" ] && echo "$pid"
}

# The gateway's CPU time so far, ns: receiving, and the processes that forward.
gateway_cpu() {
	local pid
	{
		while read -r pid; do cat "/proc/$pid/schedstat"; done <"$TOPO_DIR/napi"
		for pid in $(ip netns pids "$TOPO_PREFIX-gateway"); do cat "/proc/$pid"/task/*/schedstat 2>/dev/null; done
	} | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# record CASE METRIC UNIT VALUE: of $LANE, $CONTENDER, $ROUND; how it was measured is in $COMMAND.
record() {
	jq -nc --arg lane "$LANE" --arg contender "$CONTENDER" --argjson round "$ROUND" --arg case "$1" \
		--arg metric "$2" --arg unit "$3" --argjson value "$4" --arg command "$COMMAND" \
		'$ARGS.named' >>$RAW
}

note() {
	printf '  %s\n' "$*" >&2
	jq -nc --arg note "$*" '$ARGS.named' >>$RAW
}

say() {
	printf '%6s  %s\n' "$((SECONDS - STARTED))s" "$*" >&2
}

# calc EXPRESSION
calc() {
	awk "BEGIN { printf \"%.6g\", $1 }"
}

# seconds CMD...: prints how long it took.
seconds() {
	local start=${EPOCHREALTIME/[.,]/}
	"$@" >/dev/null || return
	calc "(${EPOCHREALTIME/[.,]/} - $start) / 1e6"
}

# serve_home LOW HIGH
serve_home() {
	topo_spawn home serve taskset -c 0 $BENCH/sockets serve $TARGET "$1" "$2"
	topo_wait 5 grep -q ready "$TOPO_DIR/serve.log" ||
		{ note "home does not serve: $(tail -n 1 "$TOPO_DIR/serve.err")"; return 1; }
}

on_client() {
	topo_in client taskset -c 0 "$@"
}
