# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Behaviour at the limits.

# A full table: established connections continue, a new one is refused and counted, and accepted once there is room.
test_full_table() {
	topology
	attach eth0 wg0 --connections 16 --half-open 16
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	pulse first client $MAP4
	mkfifo "$TOPO_DIR/hold"
	exec 9<>"$TOPO_DIR/hold"
	setsid nsenter --net="/run/netns/$TOPO_PREFIX-client" -- "$PYTHON" -u "$NET/peer.py" many $MAP4 --count 15 \
		--hold <&9 >"$TOPO_DIR/fifteen.log" 2>"$TOPO_DIR/fifteen.err" &
	topo_remember $!
	PID["fifteen"]=$!
	topo_wait 5 logged fifteen '^open 15' || fail "15 connections were not established"
	json '.connections.active >= 16' stats
	# The 17th.
	! on client "$PYTHON" "$NET/peer.py" who $MAP4 --timeout 1 || fail "a 17th connection was accepted"
	gets_replies first
	json '.drops.table_full > 0' stats
	json '.connections.failed > 0' stats
	# Room again.
	on gateway "$FWDCTL" conn flush >/dev/null
	peer client who $MAP4
}

# A flood of half-open connections evicts no established one, and expires soon.
few_are_left() {
	(($(fwd conn count) <= 8))
}

test_syn_flood() {
	topology
	fwd set flood 1
	attach eth0 wg0 --connections 64 --half-open 64
	fwd map add tcp $MAP4 $HOME_WG:8000
	fwd map add tcp $GATEWAY:8009 $HOME_WG:8009
	serve service home --tcp $HOME_WG:8000
	on home iptables -A INPUT -p tcp --dport 8009 -j DROP
	pulse first client $MAP4 --timeout 10
	peer client syns $GATEWAY:8009 --count 5000 --bind $CLIENT:10000
	gets_replies first
	# A real client still connects.
	peer client who $MAP4
	stop first
	json '.connections.active <= 128' stats
	topo_wait 5 few_are_left || fail "the flood does not expire: $(fwd conn list)"
}
