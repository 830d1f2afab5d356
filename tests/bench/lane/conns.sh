# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# New TCP connections by real sockets: connect, request, reply, close. CPU time of the gateway for each: both devices,
# and a proxy's process. Plain forwarding has as many ports, without maps, and shows the cost of more ports for the
# hosts. Each round uses every map, so that the result is for many maps in use, not for the first use of each.

lane_conns() {
	local maps
	for maps in $(by_size 1 '1 1000 10000' '1 100 1000 10000'); do
		conns_with "$maps" "$(by_size 1500 10000 20000)"
	done
}

# conns_with MAPS COUNT: all contenders are set up at the beginning, because adding ten thousand maps takes long.
conns_with() {
	local maps=$1 count=$2 last=$((8000 + $1 - 1))
	say "conns: $maps maps"
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in xdp-redirect | socat) continue ;; esac
		hosts_up "conns-$CONTENDER" moderation
		reuse_ports client
		if seq 8000 $last | awk '{ print "tcp", $1, $1 }' >"$TOPO_DIR/maps" && serve_home 8000 $last &&
			contender_up "$CONTENDER" "$TOPO_DIR/maps" 2>"$TOPO_DIR/error" && conns_run "$last" 200 >/dev/null; then
			READY+=("$CONTENDER")
		else
			note "$CONTENDER: not measured with $maps maps: $(tail -n 1 "$TOPO_DIR/error")"
			hosts_down "conns-$CONTENDER"
		fi
	done
	in_turn "$ROUNDS" conns_turn "$maps" "$last" "$count"
}

conns_run() {
	local to=$GATEWAY
	[ "$CONTENDER" != plain ] || to=$LAN
	COMMAND="sockets connect $to 8000 $1 $2"
	# shellcheck disable=SC2086
	on_client $BENCH/$COMMAND
}

conns_turn() {
	local maps=$1 last=$2 count=$3 before after result good failed took
	before=$(gateway_cpu)
	conns_run "$last" "$count" >"$TOPO_DIR/result"
	sleep 0.05
	after=$(gateway_cpu)
	result=$(jq -r '"\(.connections) \(.failed) \(.seconds)"' "$TOPO_DIR/result")
	read -r good failed took <<<"$result"
	[ "${failed:-1}" = 0 ] || { note "$CONTENDER: $maps maps: $failed of $count connections failed"; return; }
	record "$maps maps" cpu "µs/connection" "$(calc "($after - $before) / $good / 1000")"
	record "$maps maps" rate "connections/s" "$(calc "$good / $took")"
}
