# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The source address that home sees.

# home_by_docs [EDIT]: creates home's tunnel again with wg-quick, from the lines of docs/real-client-address.md,
# edited by a sed command.
home_by_docs() {
	HOME_TUNNELS=$((${HOME_TUNNELS:-0} + 1))
	HOME_DEV=${TOPO_PREFIX}q$HOME_TUNNELS
	# shellcheck disable=SC2016
	sed -n '/^```ini$/,/^```$/ { /^```/d; p }' "$ROOT/docs/real-client-address.md" |
		sed "s|HOME_PRIVATE_KEY|$(cat "$TOPO_DIR/home.key")|
			s|GATEWAY_PUBLIC_KEY|$(cat "$TOPO_DIR/gateway.pub")|
			${1:-}" >"$TOPO_DIR/$HOME_DEV.conf"
	chmod 600 "$TOPO_DIR/$HOME_DEV.conf"
	on home ip link del wg0 2>/dev/null || true
	wg_quick home up "$TOPO_DIR/$HOME_DEV.conf"
	topo_wait 10 on home ping -c1 -W1 $GATEWAY_WG || fail "no tunnel"
}

home_by_docs_down() {
	wg_quick home down "$TOPO_DIR/$HOME_DEV.conf"
}

# by_device SOURCE DESTINATION: the device by which home sends such packets.
by_device() {
	on home ip route get "$2" ${1:+from $1} | sed -n 's/.* dev \([^ ]*\) .*/\1/p'
}

none_maps() {
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat none
	fwd map add udp $MAP4 $HOME_WG:8000 --snat none
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000" --snat none
	fwd map add udp "$MAP6" "[$HOME_WG6]:8000" --snat none
}

# none: the visitor's address. Home routes its replies through the tunnel, as docs/real-client-address.md describes.
test_snat_none() {
	topology client2
	command -v wg-quick >/dev/null || skip "no wg-quick here"
	local rules
	rules=$(on home ip -4 rule; on home ip -6 rule)
	# rp_filter may be strict.
	on home sysctl -qw net.ipv4.conf.all.rp_filter=1
	home_by_docs
	none_maps
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000 "[$HOME_WG6]:8000"
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$CLIENT 4711" "the source that home sees"
	is "$(peer client2 who $MAP4 --bind $CLIENT2:4711)" "$CLIENT2 4711" "the source that home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$CLIENT6 4711" "the source that home sees"
	is "$(peer client2 who "$MAP6" --bind "[$CLIENT2_6]:4711")" "$CLIENT2_6 4711" "the source that home sees"
	peer client udp-burst $MAP4 --count 10 --size 100
	peer client2 udp-burst "$MAP6" --count 10 --size 100
	peer client put $MAP4 --size $((4 << 20))
	peer client2 get $MAP4 --size $((4 << 20))
	peer client put "$MAP6" --size $((4 << 20))
	peer client2 get "$MAP6" --size $((4 << 20))
	forward_untouched
	[ -n "${FWDCTL_STANDIN:-}" ] ||
		json 'all(.snat == "none")' map list
	# The routes of home's other traffic are unchanged.
	is "$(by_device $HOME_WG $CLIENT)" "$HOME_DEV" "the device of replies"
	is "$(by_device $HOME_WG6 $CLIENT6)" "$HOME_DEV" "the device of replies"
	is "$(by_device "" $CLIENT)" enp3s0 "the device of other packets"
	on home ping -c1 -W2 $CLIENT2
	home_by_docs_down
	is "$(on home ip -4 rule; on home ip -6 rule)" "$rules" "home's rules afterwards"
}

# replies_arrive EDIT V4 V6: whether the client gets replies with the lines edited so: "yes" or "no" for each family.
replies_arrive() {
	local got4=yes got6=yes
	home_by_docs "$1"
	serve "$HOME_DEV" home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	peer client who $MAP4 --timeout 2 || got4=no
	peer client who "$MAP6" --timeout 2 || got6=no
	is "$got4 $got6" "$2 $3" "replies by IPv4 and IPv6 after \"$1\""
	kill "${PID[$HOME_DEV]}"
	home_by_docs_down
}

# Each of these lines is necessary.
test_snat_none_by_line() {
	topology
	command -v wg-quick >/dev/null || skip "no wg-quick here"
	none_maps
	replies_arrive '/^Post.* ip -4/d' no yes
	replies_arrive '/^Post.* ip -6/d' yes no
	replies_arrive 's|0.0.0.0/0|10.172.16.0/24|' no yes
	replies_arrive 's|::/0|fd10:172:16::/64|' yes no
	replies_arrive '' yes yes
}

# One address, other than the kernel's choice.
test_snat_one() {
	topology
	on gateway ip addr add 10.172.16.9/32 dev wg0
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat 10.172.16.9
	fwd map add udp $MAP4 $HOME_WG:8000 --snat 10.172.16.9
	serve service home --tcp $HOME_WG:8000 --udp $HOME_WG:8000
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "10.172.16.9 4711" "the source that home sees"
	peer client udp-burst $MAP4 --count 10 --size 100
	is "$(awk '/^(tcp|udp) / { print $2 }' "$TOPO_DIR/service.log" | sort -u)" 10.172.16.9 "the source that home sees"
	forward_untouched
}

# A pool: all addresses are used.
test_snat_pool() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no pools"
	topology
	local address
	for address in 10.172.16.11 10.172.16.12 10.172.16.13; do
		on gateway ip addr add $address/32 dev wg0
	done
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat 10.172.16.11,10.172.16.12,10.172.16.13
	serve service home --tcp $HOME_WG:8000
	peer client many $MAP4 --count 100 --timeout 20
	is "$(awk '/^tcp / { print $2 }' "$TOPO_DIR/service.log" | sort -u | wc -l)" 1 "the sources of one visitor"
	# Of 30 visitors none gets the same address as all others, except once in 200,000 runs.
	local i
	for i in {1..30}; do
		on client ip addr add 54.147.66.$((150 + i))/32 dev eth0
		peer client who $MAP4 --bind 54.147.66.$((150 + i)):4711
	done | cut -d' ' -f1 | sort | uniq -c | tee "$TOPO_DIR/sources"
	is "$(wc -l <"$TOPO_DIR/sources")" 3 "the sources of 30 visitors"
	json 'length == 1 and .[0].snat != "auto"' map list
}

# One visitor has one address of a pool, and its ports.
test_snat_pool_of_one_visitor() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has no pools"
	local first=10.172.16.11 second=10.172.16.12
	topology offload=off
	topo_address gateway wg0 $first/32 fd10:172:16::11/128
	topo_address gateway wg0 $second/32 fd10:172:16::12/128
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat $first,$second
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000" --snat fd10:172:16::11,fd10:172:16::12
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000"
	capture sent client eth0 tcp or ip6
	capture got home wg0 tcp or ip6
	peer client many $MAP4 --count 400 --timeout 20
	peer client many "$MAP6" --count 400 --timeout 20
	capture_end sent got
	is_one 4
	is_one 6
}

# is_one VERSION: the 400 connections in `got` have one address, and the ports of `sent`.
is_one() {
	local syn=".version == $1 and .flags == \"S\""
	is "$(packets got "$syn" | jq -r .src | sort -u | wc -l)" 1 "addresses that home saw"
	is "$(packets sent "$syn" | jq .sport | sort -u | wc -l)" 400 "the client's ports"
	is "$(packets got "$syn" | jq .sport | sort -u)" "$(packets sent "$syn" | jq .sport | sort -u)" "the ports that home saw"
}

# auto: the address that the kernel would use, here the src of a route.
test_snat_auto_by_route() {
	topology
	on gateway ip addr add 10.172.16.7/32 dev wg0
	on gateway ip route add $HOME_WG/32 dev wg0 src 10.172.16.7
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "10.172.16.7 4711" "the source that home sees"
}
