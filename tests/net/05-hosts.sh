# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the other tests stand on.

# The second process of a name: whoever waits for its "ready" must not find the first one's.
test_log_of_reused_name() {
	local turn found
	topology
	# It is called between the start and whatever the caller does next. Without another process (grep), the
	# new one has no time to come first.
	topo_remember() {
		found=
		read -r found <"$TOPO_DIR/twice.log" || true
		[ "$found" != "ready $((turn - 1))" ] || fail "turn $turn reads what the one before has written"
		echo "$1 $(topo_started_at "$1")" >>"$TOPO_DIR/pids"
	}
	for turn in {1..50}; do
		start twice home echo "ready $turn"
		finish twice
	done
}
