# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# A million live TCP connections: memory and CPU time for each, the time to list them, and the time after their timeout
# until they have expired. One round, because this lane takes longest.

SCALE_IDLE=10 # seconds: the timeout for the test of expiry
SCALE_WAIT=90

lane_scale() {
	local flows
	flows=$(by_size 100000 1000000 1000000)
	ROUND=1
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in plain | xdp-redirect | haproxy | socat) continue ;; esac
		# All others have nf_conntrack's records, and XDP has tc's.
		case $CONTENDER,$FULL in nftables,* | iptables-legacy,* | fwdctl-xdp,) continue ;; esac
		say "scale: $CONTENDER, $flows connections"
		hosts_up scale
		table_fits "$flows"
		CONNECTIONS=$flows
		scale_turn "$flows" "$flows connections"
		hosts_down scale
		table_default
	done
}

scale_turn() {
	local flows=$1 case=$2 before direction ns
	before=$(slab_bytes)
	contender_up "$CONTENDER" <(echo "tcp 8000 8015") || return
	traffic --tcp --services 16 --flows "$flows" --packets 1 >"$TOPO_DIR/traffic"
	record "$case" live "" "$(scale_live)"
	while read -r direction ns; do
		record "$case" "cpu, $direction" ns/packet "$ns"
	done < <(jq -r 'select(.step == "established") | "\(.direction) \(.cpu_ns / .received)"' "$TOPO_DIR/traffic")
	# The records are the same as with tc.
	[ "$CONTENDER" != fwdctl-xdp ] || return 0
	scale_memory "$case" "$before" "$flows"
	COMMAND="fwdctl conn list"
	case $CONTENDER in iptables*) COMMAND="conntrack -L" ;; esac
	record "$case" listing s "$(seconds topo_in gateway sh -c "PATH=build:\$PATH; $COMMAND 2>/dev/null | wc -l")"
	[ -n "$QUICK" ] || scale_gone "$case" "$flows"
}

scale_live() {
	case $CONTENDER in
	fwdctl-*) topo_in gateway build/fwdctl conn count ;;
	*) topo_in gateway cat /proc/sys/net/netfilter/nf_conntrack_count ;;
	esac
}

# The slabs of connections and NAT; the extensions are in kmalloc's.
slab_bytes() {
	awk '$1 ~ /^(nf_conntrack|kmalloc)/ { bytes += $15 * $6 * 4096 } END { printf "%.0f\n", bytes }' /proc/slabinfo
}

scale_memory() {
	local case=$1 before=$2 flows=$3 bytes map
	case $CONTENDER in
	fwdctl-*)
		COMMAND="bpftool map show pinned .../maps/*: bytes_memlock of all"
		bytes=$(for map in "$FWDCTL_PIN_DIR"/maps/*; do bpftool -j map show pinned "$map"; done |
			jq -s 'map(.bytes_memlock) | add')
		;;
	*)
		COMMAND="/proc/slabinfo: growth of nf_conntrack and kmalloc-*, and 8 bytes for each bucket"
		bytes=$(($(slab_bytes) - before + $(cat /sys/module/nf_conntrack/parameters/hashsize) * 8))
		;;
	esac
	record "$case" memory bytes/connection "$(calc "$bytes / $flows")"
}

# Each connection gets one more packet. nf_conntrack applies a timeout that was set before the packet; fwdctl's is set
# after it, because it applies at once.
scale_gone() {
	local case=$1 flows=$2 start
	case $CONTENDER in
	fwdctl-*) ;;
	*) topo_in gateway sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=$SCALE_IDLE ;;
	esac
	traffic --tcp --known --services 16 --flows "$flows" --packets 1 >/dev/null
	start=${EPOCHREALTIME/[.,]/}
	case $CONTENDER in
	fwdctl-*) topo_in gateway build/fwdctl set tcp_established $SCALE_IDLE ;;
	esac
	COMMAND="timeout $SCALE_IDLE s; from the last packet to a count of 0"
	if topo_wait $SCALE_WAIT scale_is_empty; then
		record "$case" "gone after" s "$(calc "(${EPOCHREALTIME/[.,]/} - $start) / 1e6")"
	else
		note "$CONTENDER: $(scale_live) of $flows connections are still there $SCALE_WAIT s after the last packet"
	fi
}

scale_is_empty() {
	sleep 0.2
	[ "$(scale_live)" = 0 ]
}
