# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# All source ports towards a target are taken, and another client connects: CPU time for each of its packets, all of
# which are refused.

lane_refused() {
	local proto=${REFUSED_PROTO:-udp}
	for ROUND in $(seq "$(by_size 2 2 3)"); do
		for CONTENDER in "${AVAILABLE[@]}"; do
			case $CONTENDER in plain | xdp-redirect | haproxy | socat) continue ;; esac
			say "refused: round $ROUND, $CONTENDER"
			hosts_up refused
			if contender_up "$CONTENDER" <(echo "$proto 8000 8000"); then
				traffic --flows 64512 --packets "$PACKETS" --refused >"$TOPO_DIR/traffic"
				refused_record <"$TOPO_DIR/traffic"
			fi
			hosts_down refused
		done
	done
}

refused_record() {
	local step right received cpu
	while read -r step right received cpu; do
		case $step in established | refused) ;; *) continue ;; esac
		# One port in a thousand may be free, because the packet that opens its connection was lost.
		if [ "$step" = refused ] && [ $((right * 1000)) -gt "$received" ]; then
			note "$CONTENDER: $right of $received packets that should have been refused arrived"
			continue
		fi
		record "$step" cpu ns/packet "$(calc "$cpu / $received")"
	done < <(jq -r '"\(.step) \(.right) \(.received) \(.cpu_ns)"')
}
