# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Packets of established connections, 64 bytes on the wire: CPU time of the gateway for each.

SERVICES=16

lane_packets() {
	local protos='udp tcp' few=1,1000 many=65536,500000 proto
	[ -z "$QUICK" ] || protos=udp few=1000 many=
	for ROUND in $(seq "$ROUNDS"); do
		packets_of eth $few "$protos"
		packets_of tun 1000 "$protos"
		[ "$ROUND" -le "$MANY_ROUNDS" ] || continue
		for proto in $MANY_PROTOS; do
			packets_of eth $many "$proto"
		done
	done
}

# packets_of TO SIZES PROTOS: a round of all contenders.
packets_of() {
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER,$1,$FULL in
		haproxy,* | socat,*) continue ;;
		xdp-redirect,tun,*) continue ;; # does not exist
		# One contender with nf_conntrack suffices, except for the case in which they are compared with each
		# other.
		iptables-legacy,*, | nftables,*,) if [ "$1" != eth ] || [ "${2##*,}" -gt 1000 ]; then continue; fi ;;
		esac
		say "packets: round $ROUND, $1, $2 connections, $3: $CONTENDER"
		packets_turn "$@"
	done
}

packets_turn() {
	local to=$1 sizes=$2 protos=$3 proto
	hosts_up packets "$to"
	table_fits "${sizes##*,}"
	for proto in $protos; do echo "$proto 8000 $((8000 + SERVICES - 1))"; done >"$TOPO_DIR/maps"
	if contender_up "$CONTENDER" "$TOPO_DIR/maps"; then
		for proto in $protos; do packets_measure "$to" "$sizes" "$proto"; done
	else
		note "$CONTENDER: not measured with $protos, $to"
	fi
	hosts_down packets
	table_default
}

packets_measure() {
	local options=()
	[ "$1" = eth ] || options+=(--tun)
	[ "$3" = udp ] || options+=(--tcp)
	case $CONTENDER in
	plain) options+=(--plain) ;;
	xdp-redirect) options+=(--redirect) ;;
	esac
	traffic --services $SERVICES --flows "$2" --packets "$PACKETS" "${options[@]}" >"$TOPO_DIR/traffic"
	packets_record "$3" "$1" <"$TOPO_DIR/traffic"
}

# A result with lost or wrong packets is void.
packets_record() {
	jq -c --arg contender "$CONTENDER" --argjson round "$ROUND" --arg proto "$1" --arg to "$2" \
		--arg command "$COMMAND" '
		def row(lane; case; metric; unit; value):
			{lane: lane, contender: $contender, round: $round, case: case, metric: metric, unit: unit,
			 value: value, command: $command};
		"\($proto) to \($to), \(.flows) connections" as $case |
		if .right < .sent * 0.999 then
			{note: "\($contender): \($case), \(.step) \(.direction): of \(.sent) packets \(.right) arrived right, \(.wrong) wrong"}
		elif .step == "established" then
			row("packets"; $case + ", " + .direction; "cpu"; "ns/packet"; .cpu_ns / .received)
		elif .sent > 500 then
			row("packets"; $case + ", " + .step; "cpu"; "ns/packet"; .cpu_ns / .received)
		else empty end' | tee -a $RAW | jq -r 'select(.note) | "  " + .note' >&2
}
