# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Adding and removing maps, and the effect on a client of another map: it sends requests all the time, and the longest
# wait for a reply counts.

lane_control() {
	local many
	many=$(by_size 2000 10000 10000)
	for ROUND in $(seq "$(by_size 1 2 3)"); do
		for CONTENDER in "${AVAILABLE[@]}"; do
			case $CONTENDER in plain | xdp-redirect | haproxy | socat | fwdctl-xdp*) continue ;; esac
			say "control: round $ROUND, $CONTENDER"
			hosts_up control threads=off
			if serve_home 7999 7999 && contender_up "$CONTENDER" <(echo tcp 7999 7999); then
				control_turn "$many"
			fi
			hosts_down control
		done
	done
}

control_turn() {
	local many=$1
	seq 8000 $((8000 + many - 1)) | awk '{ print "tcp", $1, $1 }' >"$TOPO_DIR/maps"
	control_step adding µs/map "$many" control_add
	control_step removing µs/map "$many" control_remove
	# One more map in addition to many.
	control_add
	echo tcp 7000 7000 >"$TOPO_DIR/maps"
	control_step "adding one to $many" ms 1 control_add_one
}

# control_step CASE ms|µs/map MAPS FUNCTION
control_step() {
	local case=$1 unit=$2 count=$3 factor=1000 took
	[ "$unit" = ms ] || factor=1000000
	# The client runs until SIGINT, and prints its result.
	topo_spawn client visitor $BENCH/sockets ask tcp $GATEWAY 7999 600
	sleep 0.2
	took=$(seconds "$4" 2>"$TOPO_DIR/error") || { note "$CONTENDER: $case: $(tail -n 1 "$TOPO_DIR/error")"; return; }
	kill -INT "$TOPO_PID"
	wait "$TOPO_PID"
	COMMAND=$(control_command "$4" "$count")
	record "$case" time "$unit" "$(calc "$took * $factor / $count")"
	record "$case" "longest wait of a visitor" ms "$(jq '.max / 1000' "$TOPO_DIR/visitor.log")"
}

control_command() {
	case $CONTENDER,$1 in
	iptables-*,control_add_one) echo "iptables -A, twice" ;;
	iptables-*) echo "$CONTENDER-restore, $2 maps" ;;
	nftables,*) echo "nft -f, $2 maps" ;;
	fwdctl-*,control_add_one) echo "fwdctl map add" ;;
	fwdctl-*,control_remove) echo "fwdctl map del -, $2 maps" ;;
	fwdctl-*) echo "fwdctl map add -, $2 maps" ;;
	esac
}

control_add() {
	case $CONTENDER in
	iptables-*) iptables_rules <"$TOPO_DIR/maps" | topo_in gateway "$CONTENDER-restore" --noflush ;;
	nftables) nftables_rules many <"$TOPO_DIR/maps" | topo_in gateway nft -f - ;;
	fwdctl-*) contender_maps "$CONTENDER" <"$TOPO_DIR/maps" ;;
	esac
}

control_remove() {
	case $CONTENDER in
	iptables-*) iptables_rules <<<"tcp 7999 7999" | topo_in gateway "$CONTENDER-restore" ;;
	nftables) topo_in gateway nft delete table ip many ;;
	fwdctl-*) fwdctl_maps <"$TOPO_DIR/maps" | cut -d' ' -f1,2 | topo_in gateway build/fwdctl map del - ;;
	esac
}

control_add_one() {
	case $CONTENDER in
	iptables-*)
		local tool=iptables-${CONTENDER#iptables-}
		topo_in gateway "$tool" -t nat -A PREROUTING -d $GATEWAY -p tcp --dport 7000 -j DNAT --to-destination "$TARGET:7000" &&
			topo_in gateway "$tool" -t nat -A POSTROUTING -d "$TARGET" -o "$INNER" -p tcp --dport 7000 -j SNAT --to-source "$SOURCE"
		;;
	nftables) nftables_rules one <"$TOPO_DIR/maps" | topo_in gateway nft -f - ;;
	fwdctl-*) topo_in gateway build/fwdctl map add tcp $GATEWAY:7000 "$TARGET:7000" ;;
	esac
}
