# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Bulk transfer by iperf3, offloads as they are by default, over veth and over real WireGuard: rate, and CPU time of
# the gateway for each gigabyte.
#
# With TSO veth has no NAPI. So packets are steered (RPS): the gateway's to the last CPU, where nothing else is done,
# the others' to the first; what counts is the last CPU's softirq time, and that of processes that forward.

BULK_PORT=5201

lane_bulk() {
	local seconds
	seconds=$(by_size 1 2 5)
	for ROUND in $(seq "$(by_size 1 3 5)"); do
		for CONTENDER in "${AVAILABLE[@]}"; do
			case $CONTENDER in xdp-redirect | iptables-legacy) continue ;; esac
			say "bulk: round $ROUND, $CONTENDER"
			bulk_hosts "$CONTENDER" || continue
			bulk_turn "tcp, 1 stream" "$seconds"
			bulk_turn "tcp, 4 streams" "$seconds" -P 4
			bulk_turn udp "$seconds" -u -b 0 -l 1400
			hosts_down bulk
		done
		[ -n "$QUICK" ] || bulk_wireguard "$seconds"
	done
}

# bulk_hosts CONTENDER: all is up, and iperf3 waits at home.
bulk_hosts() {
	hosts_up bulk threads=off
	steer client g0 0
	steer home h0 0
	steer gateway eth0 $(($(nproc) - 1))
	steer gateway eth1 $(($(nproc) - 1))
	topo_spawn home iperf3 taskset -c 0 iperf3 -s -p $BULK_PORT
	printf '%s %d %d\n' tcp $BULK_PORT $BULK_PORT udp $BULK_PORT $BULK_PORT >"$TOPO_DIR/maps"
	contender_up "$1" "$TOPO_DIR/maps" 2>"$TOPO_DIR/error" && return
	note "$1: bulk: $(tail -n 1 "$TOPO_DIR/error")"
	hosts_down bulk
	return 1
}

# What this device receives is worked on by that CPU.
steer() {
	ip netns exec "$TOPO_PREFIX-$1" sh -c "printf '%x' $((1 << $3)) >/sys/class/net/$2/queues/rx-0/rps_cpus"
}

# Ticks of 10 ms: softirq of the last CPU, and the gateway's processes.
bulk_ticks() {
	local pid
	{
		awk -v cpu="cpu$(($(nproc) - 1))" '$1 == cpu { print $8 }' /proc/stat
		for pid in $(ip netns pids "$TOPO_PREFIX-gateway"); do
			sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | awk '{ print $12 + $13 }'
		done
	} | awk '{ ticks += $1 } END { print ticks }'
}

# bulk_turn CASE SECONDS OPTION...
bulk_turn() {
	local case=$1 to=$GATEWAY before after rate bytes
	[ "$CONTENDER,$case" != haproxy,udp ] || return 0
	[ "$CONTENDER" != socat ] || [ "$case" = udp ] || return 0
	[ "$CONTENDER" != plain ] || to=$TARGET
	COMMAND="iperf3 -c $to -p $BULK_PORT -t $2 ${*:3}"
	before=$(bulk_ticks)
	# shellcheck disable=SC2086
	topo_in client timeout $(($2 + 10)) taskset -c 0 $COMMAND -J >"$TOPO_DIR/iperf3.json" 2>&1
	after=$(bulk_ticks)
	read -r rate bytes < <(jq -r '.end |
		if .sum_received.bytes then .sum_received | "\(.bits_per_second) \(.bytes)"
		else .sum | (1 - .lost_percent / 100) as $arrived | "\(.bits_per_second * $arrived) \(.bytes * $arrived)" end' \
		"$TOPO_DIR/iperf3.json" 2>/dev/null)
	if [ -z "${bytes:-}" ] || [ "${bytes%.*}" -lt 1000000 ]; then
		note "$CONTENDER: bulk, $case: $(jq -r '.error // "nothing arrived"' "$TOPO_DIR/iperf3.json" 2>/dev/null)"
		return
	fi
	record "$case" rate Gbit/s "$(calc "$rate / 1e9")"
	record "$case" cpu s/GB "$(calc "($after - $before) / 100 / ($bytes / 1e9)")"
}

# The topology of the story. The CPU time is that of WireGuard's process on the gateway and softirqs of the last CPU;
# the kernel's WireGuard has no process, and only the rate is told.
bulk_wireguard() {
	for CONTENDER in "${AVAILABLE[@]}"; do
		case $CONTENDER in iptables-nft | fwdctl-tc | haproxy) ;; *) continue ;; esac
		say "bulk: round $ROUND, $CONTENDER, WireGuard"
		hosts_use wg
		SETS+=(wg)
		TOPO_OPTIONS=
		INNER=wg0 TARGET=$HOME_WG SOURCE=$GATEWAY_WG
		if topo_up && steer gateway eth0 $(($(nproc) - 1)) &&
			topo_in gateway iptables -P FORWARD ACCEPT && topo_in gateway iptables -P INPUT ACCEPT &&
			topo_in gateway iptables -P OUTPUT ACCEPT && contender_up "$CONTENDER" <(echo tcp $BULK_PORT $BULK_PORT); then
			topo_spawn home iperf3 iperf3 -s -p $BULK_PORT
			sleep 0.3
			bulk_turn "tcp through WireGuard" "$1"
		else
			note "$CONTENDER: bulk through WireGuard: not measured"
		fi
		topo_down
	done
}
