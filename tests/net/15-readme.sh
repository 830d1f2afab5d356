# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The very lines of the README: wg-quick runs fwdctl with the tunnel, and a fwdctl that fails does not take it down.

# readme SECTION: the indented lines of a section of the README, without what is in the text of a list.
readme() {
	sed -n "/^##* $1\$/,/^##/ s/^    *//p" "$ROOT/README.md"
}

# gateway_config: the gateway's tunnel as a file of wg-quick, with the lines of the README. Sets DEV and CONFIG.
gateway_config() {
	DEV=${TOPO_PREFIX}q
	CONFIG=$TOPO_DIR/$DEV.conf
	readme "After a reboot" | grep '^Post' >"$TOPO_DIR/hooks"
	is "$(sed 's/ = .*//' "$TOPO_DIR/hooks" | uniq -c | awk '{ print $1 $2 }' | tr '\n' ' ')" "2PostUp 1PostDown " \
		"the hooks of the README"
	is "$(grep '^Post' "$ROOT/docs/fwdctl.8")" "$(cat "$TOPO_DIR/hooks")" "the hooks of the manual"
	(
		umask 077
		cat >"$CONFIG" <<-END
			[Interface]
			PrivateKey = $(cat "$TOPO_DIR/gateway.key")
			Address = $GATEWAY_WG/24, $GATEWAY_WG6/64
			ListenPort = $WG_PORT
			$(cat "$TOPO_DIR/hooks")
			[Peer]
			PublicKey = $(cat "$TOPO_DIR/home.pub")
			AllowedIPs = $HOME_WG/32, $HOME_WG6/128
		END
	)
	mkdir "$TOPO_DIR/sbin"
	ln -s "$FWDCTL" "$TOPO_DIR/sbin/fwdctl"
	on gateway iptables -A INPUT -i "$DEV" -j ACCEPT
	on gateway iptables -A OUTPUT -o "$DEV" -j ACCEPT
	on gateway ip link del wg0
}

# quick up|down
quick() {
	PATH=$TOPO_DIR/sbin:$PATH wg_quick gateway "$1" "$CONFIG"
}

# Home would notice only after 15 s without a reply that the gateway has lost the session (WireGuard's
# KEEPALIVE_TIMEOUT and REKEY_TIMEOUT): a new peer begins with a handshake.
tunnel_is_up() {
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" remove
	topo_wg home set peer "$(cat "$TOPO_DIR/gateway.pub")" endpoint $GATEWAY:$WG_PORT \
		persistent-keepalive 25 allowed-ips 10.172.16.0/24,fd10:172:16::/64
	topo_wait 10 on home ping -c1 -W1 $GATEWAY_WG || fail "no tunnel${1:-}"
}

test_wg_quick() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in cannot follow a device"
	topology
	command -v wg-quick >/dev/null || skip "no wg-quick here"
	gateway_config
	serve service home --tcp $HOME_WG:8000
	quick up
	tunnel_is_up
	json '[.devices[] | select(.attached).name] == ["eth0", "'"$DEV"'"]' stats
	is "$(peer client who $MAP4 --bind $CLIENT:4711)" "$GATEWAY_WG 4711" "the source that home sees"
	# Down: the device is detached; up again: the map exists already, and its message does no harm.
	quick down
	json '[.devices[].name] == ["eth0"] ' stats
	quick up 2>"$TOPO_DIR/again"
	cat "$TOPO_DIR/again"
	grep -q "fwdctl: map add: .* is mapped to $HOME_WG:8000 already, with the same options$" "$TOPO_DIR/again" || fail "no message of fwdctl"
	tunnel_is_up
	is "$(peer client who $MAP4 --bind $CLIENT:4712)" "$GATEWAY_WG 4712" "the source that home sees"
	quick down
}

# Each command of the README's lines fails: the tunnel is up, and goes down as asked.
test_wg_quick_with_failures() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in has none of these errors"
	topology
	command -v wg-quick >/dev/null || skip "no wg-quick here"
	gateway_config
	mkdir "$TOPO_DIR/no-bpffs"
	FWDCTL_PIN_DIR=$TOPO_DIR/no-bpffs/fwdctl quick up 2>"$TOPO_DIR/failed"
	cat "$TOPO_DIR/failed"
	is "$(grep -c '^fwdctl: ' "$TOPO_DIR/failed")" 2 "failures of fwdctl"
	tunnel_is_up ", although it does not depend on fwdctl"
	json '.devices == []' stats
	FWDCTL_PIN_DIR=$TOPO_DIR/no-bpffs/fwdctl quick down
	! on gateway ip link show "$DEV" 2>/dev/null || fail "$DEV is still there"
	# Without that, this test would show nothing: the tunnel goes down with the command.
	sed -i 's/ || true//' "$CONFIG"
	! FWDCTL_PIN_DIR=$TOPO_DIR/no-bpffs/fwdctl quick up || fail "wg-quick ignores a failing PostUp"
	! on gateway ip link show "$DEV" 2>/dev/null || fail "$DEV is still there"
}

# The lines that turn on forwarding, with a directory of this test in place of /etc/sysctl.d; the name of the uplink.
test_sysctl_and_uplink() {
	topology
	local lines command
	on gateway sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
	lines=$(sed -n 's/^ *\(echo net[^#]*\).*/\1/p' "$ROOT/README.md")
	is "$(wc -l <<<"$lines")" 2 "lines for sysctl.d"
	on gateway bash -ec "${lines//\/etc\/sysctl.d/$TOPO_DIR}"
	on gateway sysctl -p "$TOPO_DIR/90-fwdctl.conf"
	is "$(on gateway sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding | tr '\n' ' ')" "1 1 " "forwarding"

	command=$(sed -n 's/^ *\(ip -o route get [0-9.]*\) .*/\1/p' "$ROOT/README.md")
	[ -n "$command" ] || fail "the README does not say how to find the uplink"
	# shellcheck disable=SC2086
	on gateway $command | grep -q ' dev eth0 ' || fail "$command: $(on gateway $command)"
}
