# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The program alone, by BPF_PROG_RUN: run time and instructions for each path, compared with a program of one lookup;
# and the latency of a load from memory, which is the price of a large table.

lane_program() {
	for ROUND in $(seq "$ROUNDS"); do
		for CONTENDER in "${AVAILABLE[@]}"; do
			case $CONTENDER in fwdctl-tc | fwdctl-xdp) program_turn "${CONTENDER#fwdctl-}" ;; esac
		done
		COMMAND="program load"
		CONTENDER=reference record "from 256 MB, one after the other" load ns \
			"$(taskset -c "$LAST_CPU" $BENCH/program load | jq .load)"
	done
}

program_turn() {
	local hook=$1
	say "program: round $ROUND, $hook"
	hosts_up program
	contender_up "$CONTENDER" <(echo udp 8000 8000) || return
	program_run "$hook" && program_record "$hook"
	hosts_down program
}

# program_run HOOK: writes $TOPO_DIR/program, or a note with the reason.
program_run() {
	COMMAND="program $1 eth0 $INNER $GATEWAY $SOURCE $TARGET"
	# shellcheck disable=SC2086
	topo_in gateway taskset -c "$LAST_CPU" $BENCH/$COMMAND >"$TOPO_DIR/program" 2>"$TOPO_DIR/error" && return
	note "$CONTENDER: program: $(tail -n 1 "$TOPO_DIR/error")"
	return 1
}

# Lines of "PATH:NS", of the last run.
program_paths() {
	jq -r 'select(.path and .path != "reference") | "\(.path):\(.ns)"' "$TOPO_DIR/program"
}

# Records the reference program's figure for each path, so that there is a ratio.
program_record() {
	local hook=$1 reference path ns name xlated verified
	reference=$(jq 'select(.path == "reference") | .ns' "$TOPO_DIR/program")
	while IFS=: read -r path ns; do
		record "$hook, $path" run ns/packet "$ns"
		CONTENDER=reference record "$hook, $path" run ns/packet "$reference"
	done < <(program_paths)
	while read -r name xlated verified; do
		[ "$name" = program ] && name=$CONTENDER
		CONTENDER=$name record "$hook, size" instructions "" "$xlated"
		CONTENDER=$name record "$hook, size" "instructions verified" "" "$verified"
	done < <(jq -r 'select(.size) | "\(.size) \(.xlated) \(.verified)"' "$TOPO_DIR/program")
}
