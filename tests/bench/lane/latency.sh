# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Latency: a request of 64 bytes and its reply, one at a time on one connection, with default settings of devices; on an
# idle gateway, and during a bulk transfer of 500 Mbit/s.

lane_latency() {
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in xdp-redirect | iptables-legacy) continue ;; esac
		hosts_up "latency-$CONTENDER" threads=off
		topo_spawn home iperf3 iperf3 -s
		printf '%s\n' 'tcp 8000 8000' 'udp 8000 8000' 'tcp 5201 5201' >"$TOPO_DIR/maps"
		if serve_home 8000 8000 && contender_up "$CONTENDER" "$TOPO_DIR/maps" 2>"$TOPO_DIR/error"; then
			READY+=("$CONTENDER")
		else
			note "$CONTENDER: latency: $(tail -n 1 "$TOPO_DIR/error")"
			hosts_down "latency-$CONTENDER"
		fi
	done
	in_turn "$(by_size 1 3 5)" latency_turn "$(by_size 0.5 0.5 5)"
}

latency_turn() {
	latency_measure "tcp, idle" tcp "$1"
	latency_measure "udp, idle" udp "$1"
	latency_beside_bulk "$1"
}

latency_measure() {
	local case=$1 proto=$2 to=$GATEWAY name value
	[ "$CONTENDER,$proto" != haproxy,udp ] || return 0
	[ "$CONTENDER,$proto" != socat,tcp ] || return 0
	[ "$CONTENDER" != plain ] || to=$TARGET
	COMMAND="sockets ask $proto $to 8000 $3"
	# shellcheck disable=SC2086
	if ! topo_in client $BENCH/$COMMAND >"$TOPO_DIR/latency" 2>"$TOPO_DIR/error"; then
		note "$CONTENDER: latency, $case: $(tail -n 1 "$TOPO_DIR/error")"
		return
	fi
	while read -r name value; do
		record "$case" "$name" µs "$value"
	done < <(jq -r '"p50 \(.p50)\np99 \(.p99)\np99.9 \(.p999)"' "$TOPO_DIR/latency")
}

latency_beside_bulk() {
	local to=$GATEWAY bulk
	[ "$CONTENDER" != plain ] || to=$TARGET
	[ "$CONTENDER" != socat ] || return 0
	topo_spawn client bulk iperf3 -c "$to" -b 500M -t 30
	bulk=$TOPO_PID
	sleep 0.5
	if kill -0 "$bulk" 2>/dev/null; then
		latency_measure "tcp, beside bulk" tcp "$1"
		kill -TERM "$bulk"
	else
		note "$CONTENDER: latency beside bulk: $(tail -n 1 "$TOPO_DIR/bulk.err")"
	fi
	wait "$bulk" 2>/dev/null
}
