# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Which address home sees.

# none: the visitor's own. Home routes its answers back through the tunnel.
test_snat_none() {
	topology client2 snat-none
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat none
	fwd map add udp $MAP4 $HOME_WG:8000 --snat none
	fwd map add tcp "$MAP6" "[$HOME_WG6]:8000" --snat none
	serve service home --tcp $HOME_WG:8000 "[$HOME_WG6]:8000" --udp $HOME_WG:8000
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$CLIENT 4711" "whom home sees"
	is "$(peer client2 who $MAP4 --bind $CLIENT2:4711)" "$CLIENT2 4711" "whom home sees"
	is "$(peer client who "$MAP6" --bind "[$CLIENT6]:4711")" "$CLIENT6 4711" "whom home sees"
	peer client udp-burst $MAP4 --count 10 --size 100
	peer client put $MAP4 --size $((4 << 20))
	peer client2 get $MAP4 --size $((4 << 20))
	forward_untouched
	[ -n "${FWDCTL_STANDIN:-}" ] ||
		json 'all(.snat == "none")' map list
}

# One address, that is not the one the kernel would take.
test_snat_one() {
	topology
	on gateway ip addr add 10.172.16.9/32 dev wg0
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000 --snat 10.172.16.9
	fwd map add udp $MAP4 $HOME_WG:8000 --snat 10.172.16.9
	serve service home --tcp $HOME_WG:8000 --udp $HOME_WG:8000
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "10.172.16.9 4711" "whom home sees"
	peer client udp-burst $MAP4 --count 10 --size 100
	is "$(awk '/^(tcp|udp) / { print $2 }' "$TOPO_DIR/service.log" | sort -u)" 10.172.16.9 "whom home sees"
	forward_untouched
}

# A pool: home sees all of them.
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
	peer client many $MAP4 --count 300 --timeout 20
	awk '/^tcp / { print $2 }' "$TOPO_DIR/service.log" | sort | uniq -c
	is "$(awk '/^tcp / { print $2 }' "$TOPO_DIR/service.log" | sort -u | tr '\n' ' ')" \
		"10.172.16.11 10.172.16.12 10.172.16.13 " "the sources that home saw"
	json 'length == 1 and .[0].snat != "auto"' map list
}

# auto is the address that the kernel would take: here one that a route's src names.
test_snat_auto_by_route() {
	topology
	on gateway ip addr add 10.172.16.7/32 dev wg0
	on gateway ip route add $HOME_WG/32 dev wg0 src 10.172.16.7
	attach eth0 wg0
	fwd map add tcp $MAP4 $HOME_WG:8000
	serve service home --tcp $HOME_WG:8000
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "10.172.16.7 4711" "whom home sees"
}
