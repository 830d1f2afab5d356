# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034
#
# The functions that the lanes of scripts/bench use: hosts, CPU time, results.
#
#   client g0 ─── eth0 gateway eth1 ─── h0 home          and with `tun`  gateway wg0, a TUN
#   93.184.216.1  93.184.216.34 10.99.0.1   10.99.0.2                    10.172.16.1 ─ 10.172.16.2
#
# Each contender has its own hosts. GRO is on, as on real NICs; so each device has a NAPI thread, whose run time is that
# of the packets it receives.

BENCH=build/bench
RAW=$BENCH/raw.jsonl
EDGE=93.184.216.1
LAST_CPU=$(($(nproc) - 1))
declare -A SETS=()
READY=()
COMMAND=''

. scripts/topology.sh

# hosts_use NAME: selects the hosts that the functions of the topology act on.
hosts_use() {
	TOPO_PREFIX=bench$$$1
	TOPO_DIR=/run/fwdctl-topology/$TOPO_PREFIX
	export FWDCTL_PIN_DIR=$TOPO_DIR/bpf/fwdctl
}

# hosts_up NAME [tun] [threads=off] [moderation]: creates hosts. With few commands, because it runs a hundred times, and
# each command takes as long as ten thousand packets.
hosts_up() {
	hosts_use "$1"
	SETS[$1]=up
	shift
	TOPO_OPTIONS=$*
	mkdir -p "$TOPO_DIR/bpf"
	mount -t bpf bpf "$TOPO_DIR/bpf"
	: >"$TOPO_DIR/napi"
	INNER=eth1 TARGET=$LAN SOURCE=10.99.0.1
	if topo_option tun; then
		INNER=wg0 TARGET=$HOME_WG SOURCE=$GATEWAY_WG
	fi
	hosts_make
	hosts_link
	topo_option threads=off || hosts_threads
}

hosts_make() {
	local still="net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0"
	ip -batch - <<-END
		netns add $TOPO_PREFIX-client
		netns add $TOPO_PREFIX-gateway
		netns add $TOPO_PREFIX-home
	END
	# shellcheck disable=SC2086
	{
		topo_in client sysctl -qw $still
		topo_in gateway sysctl -qw $still net.ipv4.ip_forward=1
		topo_in home sysctl -qw $still
	}
}

# The links and the TUN; each end has a neighbour entry of the other.
hosts_link() {
	ip -batch - <<-END
		link add g0 netns $TOPO_PREFIX-client type veth peer name eth0 netns $TOPO_PREFIX-gateway
		link add h0 netns $TOPO_PREFIX-home type veth peer name eth1 netns $TOPO_PREFIX-gateway
	END
	topo_ip client <<-END
		link set lo up
		addr add $EDGE/24 dev g0
		link set g0 up
		route add 10.0.0.0/8 via $GATEWAY
	END
	topo_ip home <<-END
		link set lo up
		addr add $LAN/24 dev h0
		link set h0 up
		route add default via 10.99.0.1
	END
	topo_ip gateway <<-END
		link set lo up
		addr add $GATEWAY/24 dev eth0
		addr add 10.99.0.1/24 dev eth1
		link set eth0 up
		link set eth1 up
		route add default via $EDGE
		tuntap add wg0 mode tun
		addr add $GATEWAY_WG/24 dev wg0
		link set wg0 up
	END
	topo_in gateway ping -qc 1 -W 1 $EDGE >/dev/null
	topo_in gateway ping -qc 1 -W 1 $LAN >/dev/null
}

hosts_down() {
	hosts_use "$1"
	unset "SETS[$1]"
	# Otherwise the kernel frees the entries during the next measurement.
	topo_in gateway conntrack -F >/dev/null 2>&1
	forked_end
	topo_down
}

# in_turn ROUNDS FUNCTION ARG...: calls the function for all contenders in $READY, round after round, on the hosts
# $LANE-$CONTENDER. ROUNDS: their number, or "FIRST LAST".
in_turn() {
	local rounds=$1
	shift
	# shellcheck disable=SC2086
	for ROUND in $(seq $rounds); do
		for CONTENDER in "${READY[@]}"; do
			hosts_use "$LANE-$CONTENDER"
			say "$LANE: round $ROUND, $CONTENDER"
			"$@"
		done
	done
	for CONTENDER in "${READY[@]}"; do hosts_down "$LANE-$CONTENDER"; done
	READY=()
}

# Ends the processes that a proxy has forked, which the topology does not know.
forked_end() {
	local pid
	for pid in $(ip netns pids "$TOPO_PREFIX-gateway" 2>/dev/null); do
		kill -TERM "$pid" 2>/dev/null
	done
}

all_down() {
	local name
	for name in "${!SETS[@]}"; do hosts_down "$name"; done
}

# Each device gets a NAPI thread with a real-time priority, on the last CPU for the gateway's devices, on the first
# for the others. With `moderation` a thread that has received packets waits 200 µs for more, as NICs do before they
# interrupt: otherwise wakeups would dominate where packets arrive one by one. TSO is off, because veth passes all
# packets through NAPI only then.
hosts_threads() {
	# The gateway would wake a sleeping sink at its own cost.
	local wait=0 sinks_wait=20000
	topo_option moderation && wait=200000 sinks_wait=200000
	# Without these threads, threads found by the devices' names would belong to other hosts.
	if ! { device_poll client $sinks_wait g0 && device_poll home $sinks_wait h0 && device_poll gateway $wait eth0 eth1; }; then
		note "no NAPI threads (/sys/class/net/*/threaded, kernel 5.12)"
		return 1
	fi
	thread_place 0 g0
	thread_place 0 h0
	thread_place "$LAST_CPU" eth0 && echo "$NAPI" >>"$TOPO_DIR/napi"
	thread_place "$LAST_CPU" eth1 && echo "$NAPI" >>"$TOPO_DIR/napi"
}

# device_poll HOST WAIT DEV...
device_poll() {
	local host=$1 wait=$2
	shift 2
	# shellcheck disable=SC2016
	ip netns exec "$TOPO_PREFIX-$host" sh -c '
		wait=$1
		shift
		for dev; do
			ethtool -K $dev gro on tso off && cd /sys/class/net/$dev && echo 1 >threaded &&
				echo $wait >gro_flush_timeout && echo 1 >napi_defer_hard_irqs || exit
		done' sh "$wait" "$@"
}

# thread_place CPU DEV: places the thread of the youngest device of that name, and sets $NAPI to it.
thread_place() {
	NAPI=$(pgrep -n "^napi/$2-") ||
		{ note "$2 has no NAPI thread (/sys/class/net/$2/threaded, kernel 5.12)"; return 1; }
	taskset -pc "$1" "$NAPI" >/dev/null
	chrt -f -p 1 "$NAPI"
}

# The gateway's CPU time so far in ns: of the receiving threads, and of processes that forward.
gateway_cpu() {
	local pid
	{
		while read -r pid; do cat "/proc/$pid/schedstat"; done <"$TOPO_DIR/napi"
		for pid in $(ip netns pids "$TOPO_PREFIX-gateway"); do cat "/proc/$pid"/task/*/schedstat 2>/dev/null; done
	} | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# record CASE METRIC UNIT VALUE: a result of $LANE, $CONTENDER, $ROUND, measured with $COMMAND.
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

# seconds CMD...: prints the run time.
seconds() {
	local start=${EPOCHREALTIME/[.,]/}
	"$@" >/dev/null || return
	calc "(${EPOCHREALTIME/[.,]/} - $start) / 1e6"
}

# reuse_ports HOST: connections from all ports, also from those in TIME_WAIT.
reuse_ports() {
	topo_in "$1" sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv4.ip_local_port_range="1024 65535"
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

# table_fits COUNT: room for so many connections; for conntrack, one bucket for two entries, as its documentation
# advises.
table_fits() {
	CONNECTIONS=131072
	[ "$1" -gt 100000 ] || return 0
	CONNECTIONS=$(($1 + 65536))
	echo "$((1 << 20))" >/sys/module/nf_conntrack/parameters/hashsize
}

table_default() {
	unset CONNECTIONS
	[ "$(cat /sys/module/nf_conntrack/parameters/hashsize)" = "$HASHSIZE" ] ||
		echo "$HASHSIZE" >/sys/module/nf_conntrack/parameters/hashsize
}

traffic() {
	COMMAND="traffic --listen $GATEWAY --source $SOURCE --target $TARGET $*"
	$BENCH/traffic --client "$TOPO_PREFIX-client" --gateway "$TOPO_PREFIX-gateway" --home "$TOPO_PREFIX-home" \
		--threads "$(paste -sd, "$TOPO_DIR/napi")" --listen $GATEWAY --source "$SOURCE" --target "$TARGET" "$@"
}
