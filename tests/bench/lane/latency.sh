# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Latency: a request of 64 bytes and its answer, one at a time over one connection, devices as they are by default; on
# an idle gateway, and beside a bulk transfer of 500 Mbit/s.

lane_latency() {
	local seconds
	seconds=$(by_size 0.5 0.7 5)
	for ROUND in $(seq "$(by_size 1 3 5)"); do
		for CONTENDER in "${AVAILABLE[@]}"; do
			case $CONTENDER in xdp-redirect | iptables-legacy) continue ;; esac
			say "latency: round $ROUND, $CONTENDER"
			hosts_up latency threads=off
			printf '%s\n' 'tcp 8000 8000' 'udp 8000 8000' 'tcp 5201 5201' >"$TOPO_DIR/maps"
			if serve_home 8000 8000 && contender_up "$CONTENDER" "$TOPO_DIR/maps" 2>"$TOPO_DIR/error"; then
				latency_turn "tcp, idle" tcp "$seconds"
				latency_turn "udp, idle" udp "$seconds"
				latency_beside_bulk "$seconds"
			else
				note "$CONTENDER: latency: $(tail -n 1 "$TOPO_DIR/error")"
			fi
			hosts_down latency
		done
	done
}

latency_turn() {
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
	topo_spawn home iperf3 iperf3 -s
	sleep 0.2
	topo_spawn client bulk iperf3 -c "$to" -b 500M -t 30
	bulk=$TOPO_PID
	sleep 0.5
	if kill -0 "$bulk" 2>/dev/null; then
		latency_turn "tcp, beside bulk" tcp "$1"
		kill -TERM "$bulk"
	else
		note "$CONTENDER: latency beside bulk: $(tail -n 1 "$TOPO_DIR/bulk.err")"
	fi
	wait "$bulk" 2>/dev/null
}
