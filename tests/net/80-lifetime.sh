# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Connections expire by the timeout of their state, without any process.


no_connections() {
	[ "$(on gateway "$FWDCTL" conn count --json 2>/dev/null | jq '.count? // .')" = 0 ] ||
		[ "$(on gateway "$FWDCTL" conn list --json | jq length)" = 0 ]
}

# UDP expires (30 s by default, 2 s here), and the counters show it.
test_udp_expires() {
	topology
	maps_and_services
	fwd set udp 2
	peer client udp-burst $MAP4 --size 10 --bind $CLIENT:4711
	peer client udp-burst "$MAP6" --size 10 --bind "[$CLIENT6]:4711"
	json 'length == 2 and all(.proto == "udp" and .expires_s <= 2)' conn list
	topo_wait 8 no_connections || fail "still there: $(fwd conn list)"
	json '.connections.active == 0 and .connections.created == 2 and .connections.expired == 2' stats
	json 'all(.connections == 0)' map list
	# The source port is free again, also for another map's connection.
	fwd map add udp $GATEWAY:9000 $HOME_WG:8000
	peer client udp-burst $GATEWAY:9000 --size 10 --bind $CLIENT:4711
}

# Packets refresh a connection.
test_udp_refreshed() {
	topology
	maps_and_services
	fwd set udp 1
	fwd set udp_stream 1
	pulse udp client $MAP4 --proto udp --interval 0.2
	local i
	for i in {1..4}; do
		sleep 1
		json 'length == 1' conn list
	done
	stop udp
	is "$(grep -c '^udp ' "$TOPO_DIR/service.log")" 1 "the sources that home saw"
	topo_wait 8 no_connections || fail "still there: $(fwd conn list)"
}

# TCP: an established connection outlives the short timeouts, a closed one does not.
test_tcp_expires() {
	topology
	maps_and_services
	fwd set tcp_time_wait 2
	fwd set tcp_close 1
	pulse stays client $MAP4
	peer client who $MAP4
	peer client rst $MAP4 --bind $CLIENT:4711
	json 'length == 3 and ([.[].state] | sort) == ["CLOSE", "ESTABLISHED", "TIME_WAIT"]' conn list
	two_are_gone() {
		[ "$(on gateway "$FWDCTL" conn list --json | jq length)" = 1 ]
	}
	topo_wait 8 two_are_gone || fail "still there: $(fwd conn list)"
	gets_replies stays
	json '.[0].state == "ESTABLISHED" and .[0].expires_s > 430000' conn list
	stop stays
	topo_wait 8 no_connections || fail "still there: $(fwd conn list)"
	json '.connections.active == 0' stats
}

# SYNs without a SYN-ACK, and SYN-ACKs without an ACK.
test_half_open_expires() {
	topology
	maps_and_services
	fwd map add tcp $GATEWAY:8009 $HOME_WG:8009
	on home iptables -A INPUT -p tcp --dport 8009 -j DROP
	on client iptables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP
	peer client syns $GATEWAY:8009 --count 20 --bind $CLIENT:30000
	peer client syns $MAP4 --count 20 --bind $CLIENT:31000
	topo_wait 2 json 'length == 40' conn list || fail "$(fwd conn list)"
	json '([.[].state] | group_by(.) | map([.[0], length])) == [["SYN_RECV", 20], ["SYN_SENT", 20]]' conn list
	fwd set tcp_syn_sent 1
	fwd set tcp_syn_recv 1
	# Home repeats its SYN-ACKs for a while.
	on home iptables -A OUTPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP
	topo_wait 10 no_connections || fail "still there: $(fwd conn list)"
}

# conn list and conn flush.
test_conn_flush() {
	topology
	maps_and_services
	pulse ends client $MAP4 --lossy --timeout 0.3
	json 'length == 1' conn list
	fwd conn flush
	gets_no_replies ends
	json 'length == 0' conn list
	peer client who $MAP4
}

# Counters of maps and of connections, in both directions.
test_counters() {
	topology
	maps_and_services
	CAPTURE_DIRECTION=in capture in gateway eth0 udp port 8000
	CAPTURE_DIRECTION=in capture out gateway wg0 udp port 8000
	peer client udp-burst $MAP4 --count 50 --size 100 --bind $CLIENT:4711
	capture_end in out
	local bytes_in bytes_out
	bytes_in=$(packets in | jq -s 'map(.len) | add')
	bytes_out=$(packets out | jq -s 'map(.len) | add')
	json '.[] | select(.proto == "udp" and .listen == "'$MAP4'") | .packets_in == 50 and .packets_out == 50
		and .bytes_in == '"$bytes_in"' and .bytes_out == '"$bytes_out" map list
	json 'length == 1 and (.[0] | .client == "'$CLIENT':4711" and .source == "'$GATEWAY_WG':4711"
		and .listen == "'$MAP4'" and .target == "'$HOME_WG':8000" and .state == "ASSURED"
		and .packets_in == 50 and .packets_out == 50
		and .bytes_in == '"$bytes_in"' and .bytes_out == '"$bytes_out"')' conn list
	# A bulk transfer: at least the bytes sent, and packets counted as segments, not as GRO merged them.
	# Retransmissions are counted, too.
	peer client put $MAP4 --size $((4 << 20))
	json '.[] | select(.proto == "tcp" and .listen == "'$MAP4'")
		| .bytes_in > 4194304
		and .bytes_in < 5000000 + 1500 * '"$(retransmitted client)"' and .packets_in >= 2900' map list
}

# set and get: settings are kept with the maps, and apply to existing connections.
test_settings() {
	topology
	# No instance yet: get prints the defaults, and creates nothing.
	is "$(fwd get | wc -l)" 11 "the number of settings"
	is "$(fwd get tcp_established)" 432000 "tcp_established"
	[ ! -e "$FWDCTL_PIN_DIR" ] || fail "get created files"
	fwd set udp 17
	fwd set udp_stream 1000
	is "$(fwd get udp)" 17 "udp"
	fwd get | grep -qx 'udp 17 (default 30)' || fail "get does not show the default: $(fwd get)"
	fwd get | grep -qx 'tcp_close 10' || fail "get: $(fwd get)"
	json '. == {"tcp_syn_sent": 120, "tcp_syn_recv": 60, "tcp_established": 432000, "tcp_fin_wait": 120,
		"tcp_close_wait": 60, "tcp_last_ack": 30, "tcp_time_wait": 120, "tcp_close": 10,
		"udp": 17, "udp_stream": 1000, "flood": 5}' get
	json '. == {"udp": 17}' get udp
	# Other commands keep the settings.
	maps_and_services
	json '.udp == 17 and .udp_stream == 1000' get
	peer client udp-burst $MAP4 --size 10 --count 5
	json 'length == 1 and .[0].state == "ASSURED" and .[0].expires_s > 900' conn list
	fwd set udp_stream 1
	json 'length == 0 or .[0].expires_s <= 1' conn list
	topo_wait 5 no_connections || fail "still there: $(fwd conn list)"
	peer client who $MAP4
	fwd detach
	fwd attach eth0 wg0
	json '.udp == 17 and .udp_stream == 1' get
	fwd set udp default
	is "$(fwd get udp)" 30 "udp"
	json 'length == 4' map list
	fwd purge
	is "$(fwd get udp_stream)" 120 "udp_stream"

	rejects 2 '"frob".*tcp_syn_sent, .*udp_stream' fwd set frob 3
	rejects 2 '"frob".*tcp_syn_sent, .*udp_stream' fwd get frob
	rejects 2 'udp: "0".*1 to 1728000' fwd set udp 0
	rejects 2 'udp: "1728001"' fwd set udp 1728001
	rejects 2 'udp: "5m"' fwd set udp 5m
	rejects 2 'NAME VALUE' fwd set udp
	[ ! -e "$FWDCTL_PIN_DIR" ] || fail "a wrong argument created files"
}

# However connections end, those that exist and those that ended, by reason, are those that were created.
adds_up() {
	json '.connections | .created == .active + .expired + .evicted + .replaced + .removed + .flushed
		and .ended == .created - .active' stats
}

test_stats_add_up() {
	topology
	attach eth0 wg0 --connections 64 --half-open 16
	fwd map add tcp $MAP4 $HOME_WG:8000
	fwd map add udp $MAP4 $HOME_WG:8000
	fwd map add tcp $GATEWAY:8009 $HOME_WG:8009
	serve service home --tcp $HOME_WG:8000 --udp $HOME_WG:8000
	on home iptables -A INPUT -p tcp --dport 8009 -j DROP
	# The same port again, after a RST.
	peer client rst $MAP4 --bind $CLIENT:4711
	peer client rst $MAP4 --bind $CLIENT:4711
	json '.connections.replaced > 0' stats
	# More half-open ones than there is room for.
	peer client syns $GATEWAY:8009 --count 100 --bind $CLIENT:10000
	json '.connections.evicted > 0' stats
	adds_up
	# Each map removed, with what is left of its connections.
	pulse stays client $MAP4
	fwd map del tcp $GATEWAY:8009
	removed() {
		[ "$(on gateway "$FWDCTL" stats --json | jq .connections.removed)" -gt 0 ]
	}
	topo_wait 5 removed || fail "$(fwd stats)"
	adds_up
	fwd conn flush
	json '.connections.active == 0 and .connections.flushed > 0' stats
	adds_up
	fwd set udp 1
	peer client udp-burst $MAP4 --size 10 --bind $CLIENT:4712
	topo_wait 8 no_connections || fail "still there: $(fwd conn list)"
	json '.connections.expired > 0' stats
	adds_up
	# The text has each of these rows.
	local name
	for name in active created expired evicted replaced removed flushed failed; do
		fwd stats | grep -q "^  $name  *[0-9]" || fail "no $name: $(fwd stats)"
	done
}
