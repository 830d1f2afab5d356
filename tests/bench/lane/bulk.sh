# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Bulk transfer by iperf3 with default offloads, over veth and over real WireGuard: rate, and CPU time of the gateway
# for each gigabyte.
#
# With TSO veth has no NAPI. So packets are steered by RPS: the gateway's to the last CPU, the others' to the first. The
# result is the time that softirqs take from a busy process there (soak), and the CPU time of processes that forward.

BULK_PORT=5201

lane_bulk() {
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in xdp-redirect | iptables-legacy) continue ;; esac
		bulk_hosts && READY+=("$CONTENDER")
	done
	in_turn "$(by_size 1 3 5)" bulk_turn "$(by_size 1 1 5)"
	# wireguard-go limits the rate there, so that few rounds suffice.
	for ROUND in $(seq "$(by_size 0 1 3)"); do bulk_wireguard 2; done
}

bulk_turn() {
	bulk_measure "tcp, 1 stream" "$1"
	bulk_measure "tcp, 4 streams" "$1" -P 4
	bulk_measure udp "$1" -u -b 0 -l 1400
}

# Creates the hosts, and starts iperf3 at home.
bulk_hosts() {
	hosts_up "bulk-$CONTENDER" threads=off
	steer client g0 0
	steer home h0 0
	steer gateway eth0 "$LAST_CPU"
	steer gateway eth1 "$LAST_CPU"
	topo_spawn home iperf3 taskset -c 0 iperf3 -s -p $BULK_PORT
	printf '%s %d %d\n' tcp $BULK_PORT $BULK_PORT udp $BULK_PORT $BULK_PORT >"$TOPO_DIR/maps"
	contender_up "$CONTENDER" "$TOPO_DIR/maps" 2>"$TOPO_DIR/error" && return
	note "$CONTENDER: bulk: $(tail -n 1 "$TOPO_DIR/error")"
	hosts_down "bulk-$CONTENDER"
	return 1
}

# Packets that this device receives are processed on that CPU.
steer() {
	ip netns exec "$TOPO_PREFIX-$1" sh -c "printf '%x' $((1 << $3)) >/sys/class/net/$2/queues/rx-0/rps_cpus"
}

# With the lowest priority, below ksoftirqd, too.
soak_start() {
	chrt -i 0 taskset -c "$LAST_CPU" $BENCH/soak >"$TOPO_DIR/soak" &
	SOAK=$!
	topo_remember $SOAK
	SOAK_BEFORE=$(processes_cpu)
}

# The gateway's CPU time since soak_start in ns.
soak_end() {
	local after
	after=$(processes_cpu)
	kill -INT $SOAK
	wait $SOAK
	calc "$(cat "$TOPO_DIR/soak") + $after - $SOAK_BEFORE"
}

# The processes that forward, and ksoftirqd of the last CPU.
processes_cpu() {
	calc "$(gateway_cpu) + $(cut -d' ' -f1 "/proc/$(pgrep -x "ksoftirqd/$LAST_CPU")/schedstat")"
}

# bulk_measure CASE SECONDS OPTION...
bulk_measure() {
	local case=$1 to=$GATEWAY cpu rate bytes
	[ "$CONTENDER,$case" != haproxy,udp ] || return 0
	[ "$CONTENDER" != socat ] || [ "$case" = udp ] || return 0
	[ "$CONTENDER" != plain ] || to=$TARGET
	COMMAND="iperf3 -c $to -p $BULK_PORT -t $2 ${*:3}"
	soak_start
	# shellcheck disable=SC2086
	topo_in client timeout $(($2 + 10)) taskset -c 0 $COMMAND -J >"$TOPO_DIR/iperf3.json" 2>&1
	cpu=$(soak_end)
	read -r rate bytes < <(jq -r '.end |
		if .sum_received.bytes then .sum_received | "\(.bits_per_second) \(.bytes)"
		else .sum | (1 - .lost_percent / 100) as $arrived | "\(.bits_per_second * $arrived) \(.bytes * $arrived)" end' \
		"$TOPO_DIR/iperf3.json" 2>/dev/null)
	if [ -z "${bytes:-}" ] || [ "${bytes%.*}" -lt 1000000 ]; then
		note "$CONTENDER: bulk, $case: $(jq -r '.error // "nothing arrived"' "$TOPO_DIR/iperf3.json" 2>/dev/null)"
		return
	fi
	record "$case" rate Gbit/s "$(calc "$rate / 1e9")"
	record "$case" cpu s/GB "$(calc "$cpu / $bytes")"
}

# The topology of the demo. The figure includes wireguard-go's CPU time, which is most of it; the kernel's WireGuard
# has no process and runs on any CPU, so that the figure is too small there.
bulk_wireguard() {
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in iptables-nft | fwdctl-tc | haproxy) ;; *) continue ;; esac
		say "bulk: round $ROUND, $CONTENDER, WireGuard"
		hosts_use wg
		SETS["wg"]=up
		INNER=wg0 TARGET=$HOME_WG SOURCE=$GATEWAY_WG
		if TOPO_OPTIONS='' topo_up && : >"$TOPO_DIR/napi" && steer gateway eth0 "$LAST_CPU" &&
			topo_in gateway iptables -P FORWARD ACCEPT && topo_in gateway iptables -P INPUT ACCEPT &&
			topo_in gateway iptables -P OUTPUT ACCEPT && contender_up "$CONTENDER" <(echo tcp $BULK_PORT $BULK_PORT); then
			topo_spawn home iperf3 iperf3 -s -p $BULK_PORT
			sleep 0.3
			bulk_measure "tcp through WireGuard" "$1"
		else
			note "$CONTENDER: bulk through WireGuard: not measured"
		fi
		hosts_down wg
	done
}
