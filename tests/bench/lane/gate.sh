# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# This code compared with an earlier commit ("before"), which tests/bench/ratios names. Their hosts exist at the same
# time and are measured in turn for less than a second each, so that disturbances affect both; there are many rounds.
# The hosts are created again several times, because the placement in memory matters, too.

. tests/bench/lane/program.sh

GATE_SETS=3 # of hosts

# before_build [COMMIT]: builds that commit, or the one in tests/bench/ratios, as $BEFORE/build/fwdctl.
before_build() {
	local commit=$1
	[ -n "$commit" ] || commit=$(python3 tests/bench/report.py before) || return
	if ! BEFORE_COMMIT=$(git rev-parse --quiet --verify "$commit^{commit}"); then
		echo "scripts/bench: commit $commit is not in this repository, but the gate compares with its code:" \
			"git fetch --unshallow, or scripts/bench --set-gate=COMMIT" >&2
		return 1
	fi
	BEFORE=$BENCH/before-$BEFORE_COMMIT
	if [ ! -d "$BEFORE" ]; then
		rm -rf $BENCH/before-*
		mkdir "$BEFORE.new" && git archive "$BEFORE_COMMIT" Makefile bpf user include | tar -x -C "$BEFORE.new" &&
			mv "$BEFORE.new" "$BEFORE" || return
	fi
	make -s -C "$BEFORE" -j"$(nproc)" VERSION="$BEFORE_COMMIT"
}

lane_gate() {
	local set
	for set in $(seq 0 $((GATE_SETS - 1))); do
		gate_set "$set" eth "8000 8015" gate_eth
		gate_set "$set" tun "8000 8015" gate_tun
		gate_set "$set" eth "8000 8000" gate_refused
	done
}

# gate_set SET TO PORTS FUNCTION: the rounds of one set of hosts, with all contenders.
gate_set() {
	local set=$1 to=$2 ports=$3 what=$4 share=$((ROUNDS / GATE_SETS))
	READY=()
	for CONTENDER in "${AVAILABLE[@]}"; do
		# Towards a TUN, XDP passes all packets to tc; the lane `program` has the cost of that.
		case $CONTENDER,$to in *-xdp,tun) continue ;; esac
		hosts_up "gate-$CONTENDER" "$to"
		contender_up "$CONTENDER" <(echo "udp $ports") && READY+=("$CONTENDER")
	done
	in_turn "$((set * share + 1)) $(((set + 1) * share))" "$what"
	all_down # also those of contenders that failed
}

gate_eth() {
	gate_packets "udp to eth, 1000 connections"
	gate_program
}

gate_tun() {
	gate_packets "udp to tun, 1000 connections" --tun
}

# Both directions in one figure. The first packets of a thousand connections are too few for a separate one.
gate_packets() {
	local case=$1
	shift
	traffic --services 16 --flows 1000 --packets "$PACKETS" "$@" >"$TOPO_DIR/traffic"
	gate_record established "$case" <"$TOPO_DIR/traffic"
}

gate_refused() {
	local known=--known
	[ -f "$TOPO_DIR/traffic" ] || known='' # the first turn on these hosts opens them
	# shellcheck disable=SC2086
	traffic --flows 64512 --packets "$PACKETS" --refused $known >"$TOPO_DIR/traffic"
	gate_record established "udp to eth, 64512 connections" <"$TOPO_DIR/traffic"
	gate_record refused "udp to eth, refused" <"$TOPO_DIR/traffic"
}

# gate_record STEP CASE: a result with lost packets, or with packets that should have been refused, is void.
gate_record() {
	local sent received right cpu
	read -r sent received right cpu < <(jq -rs --arg step "$1" 'map(select(.step == $step)) |
		map([.sent, .received, .right, .cpu_ns]) | transpose | map(add) | join(" ")')
	if [ -z "$sent" ]; then
		note "$CONTENDER: $2: not measured"
		return
	fi
	[ "$1" != refused ] || right=$((sent - right))
	if [ $((right * 1000)) -lt $((sent * 999)) ] || [ "$received" = 0 ]; then
		note "$CONTENDER: $2: $right of $sent packets had the expected result"
	else
		record "$2" cpu ns/packet "$(calc "$cpu / $received")"
	fi
}

# Its connections have other clients with the same ports as those of `traffic`, so the two must not run at the same
# time.
gate_program() {
	local path ns
	topo_in gateway "$(contender_fwdctl)" conn flush >/dev/null
	if program_run "${CONTENDER#*-}"; then
		while IFS=: read -r path ns; do
			record "program, $path" run ns/packet "$ns"
		done < <(program_paths)
	fi
	topo_in gateway "$(contender_fwdctl)" conn flush >/dev/null
}
