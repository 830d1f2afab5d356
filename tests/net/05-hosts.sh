# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The test infrastructure itself.

# A second process with the same name: a test that waits for its "ready" must not read the first one's log.
test_log_of_reused_name() {
	local turn found
	topology
	# Called between the start of the process and the return to the test. It starts no process (grep), which would
	# give the new one time to write.
	topo_remember() {
		found=
		read -r found <"$TOPO_DIR/twice.log" || true
		[ "$found" != "ready $((turn - 1))" ] || fail "turn $turn reads the log of the previous process"
		echo "$1 $(topo_started_at "$1")" >>"$TOPO_DIR/pids"
	}
	for turn in {1..50}; do
		start twice home echo "ready $turn"
		finish twice
	done
}
