# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The topology of the README's example, in network namespaces. scripts/demo, scripts/oracle, scripts/bench and tests/net
# source this file.
#
#   client                internet                        gateway
#   eth0 ───────────────▸ c0   g0 ◂─────────────────────▸ eth0 93.184.216.34
#   54.147.66.132         (routes)                        wg0  10.172.16.1 ◂═════════╗
#   client2               d0   h0                                                    ║
#   eth0 ───────────────▸        │                                                   ║ WireGuard
#   198.51.100.77                ▼                                                   ║ UDP port 51913
#                              home router (masquerades)     home                    ║
#                              wan 203.0.113.7           ┌─▸ enp3s0 192.168.178.20   ║
#                              lan 192.168.178.1 ◂───────┘   wg0    10.172.16.2 ◂════╝
#
# and as options `lan`: a server on the gateway's eth1, by Ethernet; and `phone`: another WireGuard peer, 10.172.16.3,
# that sends all its traffic through the tunnel.
#
# Each run has a prefix, and its namespaces are called PREFIX-HOST, so that any number of runs can exist at the same
# time. All its files are in TOPO_DIR: keys, logs, the pids of its processes, and a bpffs.
#
#   topo_up              creates it; TOPO_OPTIONS:
#                          client2       a second client
#                          lan           a server behind the gateway's eth1
#                          phone         a second WireGuard peer
#                          offload=off   checksum and segmentation offloads off on every device
#   topo_in HOST CMD...  runs a command on a host
#   topo_spawn HOST NAME CMD...  the same in the background; output in TOPO_DIR/NAME.log and NAME.err
#   topo_down            removes everything; may be called after an interrupted topo_up, and repeatedly
#
# Callers: trap topo_down EXIT; trap 'exit 130' INT TERM

TOPO_PREFIX=${TOPO_PREFIX:-fwd$$}
TOPO_DIR=${TOPO_DIR:-/run/fwdctl-topology/$TOPO_PREFIX}
TOPO_OPTIONS=${TOPO_OPTIONS:-}

CLIENT=54.147.66.132
CLIENT6=2001:db8:54::132
CLIENT2=198.51.100.77
CLIENT2_6=2001:db8:198::77
GATEWAY=93.184.216.34
GATEWAY6=2001:db8:93::34
GATEWAY_WG=10.172.16.1
GATEWAY_WG6=fd10:172:16::1
HOME_WG=10.172.16.2
HOME_WG6=fd10:172:16::2
PHONE_WG=10.172.16.3
PHONE_WG6=fd10:172:16::3
LAN=10.99.0.2
LAN6=fd10:99::2
WG_PORT=51913

# A pipe without data: `read -t` on it sleeps without starting a process.
exec {TOPO_SILENT}<> <(:)

# fwdctl pins its objects in this run's own bpffs.
export FWDCTL_PIN_DIR=$TOPO_DIR/bpf/fwdctl

# `ip netns exec` would remount /sys; nsenter changes the network namespace and nothing else.
topo_in() {
	local host=$1
	shift
	nsenter --net="/run/netns/$TOPO_PREFIX-$host" -- "$@"
}

# topo_ip HOST: runs ip(8) commands from standard input, in one process, because processes dominate the time of topo_up.
topo_ip() {
	ip -n "$TOPO_PREFIX-$1" -batch -
}

topo_option() {
	[[ " $TOPO_OPTIONS " == *" $1 "* ]]
}

# A process is identified by pid and start time, because pids are reused.
topo_started_at() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	echo "${20}"
}

topo_remember() {
	echo "$1 $(topo_started_at "$1")" >>"$TOPO_DIR/pids"
}

topo_spawn() {
	local host=$1 name=$2
	shift 2
	# Truncated here, not by the new process: a caller that waits for its "ready" could otherwise read that of an
	# earlier process with the same name.
	: >"$TOPO_DIR/$name.log" 2>"$TOPO_DIR/$name.err"
	# In a session of its own: the caller handles Ctrl-C, and ends this process.
	setsid nsenter --net="/run/netns/$TOPO_PREFIX-$host" -- "$@" \
		</dev/null >>"$TOPO_DIR/$name.log" 2>>"$TOPO_DIR/$name.err" &
	TOPO_PID=$!
	topo_remember "$TOPO_PID"
}

# Ends the processes in a file with lines "PID START-TIME".
topo_kill() {
	local pid started signal _
	[ -f "$1" ] || return 0
	for signal in TERM KILL; do
		while read -r pid started; do
			[ -n "$started" ] && [ "$(topo_started_at "$pid")" = "$started" ] &&
				kill -"$signal" "$pid" 2>/dev/null
		done <"$1"
		for _ in {1..50}; do
			while read -r pid started; do
				# A zombie has ended; its parent will wait for it.
				[ -n "$started" ] && [ "$(topo_started_at "$pid")" = "$started" ] &&
					! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null &&
					sleep 0.02 && continue 2
			done <"$1"
			break 2
		done
	done
	rm -f "$1"
}

# topo_wait SECONDS CMD...: waits until CMD succeeds. The interval is a compromise: each attempt costs processes, and
# several tests wait at the same time.
topo_wait() {
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
		read -rt 0.1 -u "$TOPO_SILENT" || true
	done
}

# topo_host HOST: creates a host without links.
topo_host() {
	ip netns add "$TOPO_PREFIX-$1"
	topo_settings "$1"
	topo_ip "$1" <<<"link set lo up"
}

# topo_settings HOST [SETTING...]: sysctls. Duplicate address detection is off.
topo_settings() {
	local host=$1
	shift
	topo_in "$host" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0 "$@"
}

# For `ip -batch`: a link HOST DEV HOST DEV.
topo_cable() {
	echo "link add $2 netns $TOPO_PREFIX-$1 type veth peer name $4 netns $TOPO_PREFIX-$3"
}

# topo_cable_plain HOST DEV HOST DEV: turns off the offloads of both ends.
topo_cable_plain() {
	topo_offload "$1" "$2" off
	topo_offload "$3" "$4" off
}

# topo_link HOST DEV HOST DEV: creates a link, both ends up.
topo_link() {
	topo_cable "$@" | topo_ip "$1"
	! topo_option offload=off || topo_cable_plain "$@"
	topo_ip "$1" <<<"link set $2 up"
	topo_ip "$3" <<<"link set $4 up"
}

topo_offload() {
	topo_in "$1" ethtool -K "$2" tx "$3" rx "$3" gro "$3" gso "$3" tso "$3" >/dev/null 2>&1 || true
}

# topo_addresses DEV ADDRESS/LEN...: lines for `ip -batch`, as are those of the next two functions.
topo_addresses() {
	local address dev=$1
	shift
	for address; do
		case $address in
		*:*) echo "addr add $address dev $dev nodad" ;;
		*) echo "addr add $address dev $dev" ;;
		esac
	done
}

# topo_device DEV ADDRESS/LEN...
topo_device() {
	topo_addresses "$@"
	echo "link set $1 up"
}

# topo_routes GATEWAY...
topo_routes() {
	printf 'route add default via %s\n' "$@"
}

# topo_address HOST DEV ADDRESS/LEN...
topo_address() {
	local host=$1
	shift
	topo_addresses "$@" | topo_ip "$host"
}

# topo_default_route HOST GATEWAY...
topo_default_route() {
	local host=$1
	shift
	topo_routes "$@" | topo_ip "$host"
}

TOPO_FORWARDING='net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1'

# topo_wireguard HOST: creates wg0, with the kernel's module if there is one, else with wireguard-go, one process for
# each device. All wireguard-go processes share a directory of control sockets named by device: so the device is
# created with a unique name, and renamed to wg0 in its namespace. `topo_wg` uses the unique name.
topo_wireguard() {
	local host=$1 name=wg0
	if ! topo_in "$host" ip link add wg0 type wireguard 2>/dev/null; then
		name=$TOPO_PREFIX${host:0:1}
		command -v wireguard-go >/dev/null ||
			{ echo "no WireGuard: neither the kernel's module nor wireguard-go" >&2; return 1; }
		[ -c /dev/net/tun ] ||
			{ echo "no WireGuard: wireguard-go needs /dev/net/tun" >&2; return 1; }
		topo_spawn "$host" "wireguard-$host" wireguard-go -f "$name"
		# Not with `wg`, which removes a socket that is bound but does not listen yet.
		topo_wait 10 topo_in "$host" grep -q " 00010000 .*/$name.sock" /proc/net/unix ||
			{ echo "wireguard-go did not start:" >&2; cat "$TOPO_DIR/wireguard-$host.err" >&2; return 1; }
		topo_in "$host" ip link set "$name" name wg0
	fi
	echo "$name" >"$TOPO_DIR/wg-$host"
}

topo_wg() {
	local host=$1 command=$2
	shift 2
	topo_in "$host" wg "$command" "$(cat "$TOPO_DIR/wg-$host")" "$@"
}

topo_tunnel() {
	local host
	for host in gateway home; do
		(umask 077 && wg genkey >"$TOPO_DIR/$host.key")
		wg pubkey <"$TOPO_DIR/$host.key" >"$TOPO_DIR/$host.pub"
		topo_wireguard "$host"
	done
	topo_wg gateway set listen-port $WG_PORT private-key "$TOPO_DIR/gateway.key" \
		peer "$(cat "$TOPO_DIR/home.pub")" allowed-ips $HOME_WG/32,$HOME_WG6/128
	topo_wg home set private-key "$TOPO_DIR/home.key" \
		peer "$(cat "$TOPO_DIR/gateway.pub")" endpoint $GATEWAY:$WG_PORT \
		persistent-keepalive 25 allowed-ips 10.172.16.0/24,fd10:172:16::/64
	topo_address gateway wg0 $GATEWAY_WG/24 $GATEWAY_WG6/64
	topo_address home wg0 $HOME_WG/24 $HOME_WG6/64
	for host in gateway home; do
		topo_option offload=off && topo_offload $host wg0 off
		topo_in $host ip link set wg0 mtu 1420 up
	done
}

# The phone's AllowedIPs are 0.0.0.0/0 and ::/0, which needs the rules of wg-quick: all packets are routed through the
# tunnel, except WireGuard's own, which have a mark.
topo_phone() {
	local family
	topo_host phone
	topo_link phone eth0 internet p0
	topo_in phone ip addr add 192.0.2.3/24 dev eth0
	topo_in internet ip addr add 192.0.2.1/24 dev p0
	topo_default_route phone 192.0.2.1
	(umask 077 && wg genkey >"$TOPO_DIR/phone.key")
	wg pubkey <"$TOPO_DIR/phone.key" >"$TOPO_DIR/phone.pub"
	topo_wireguard phone
	topo_wg gateway set peer "$(cat "$TOPO_DIR/phone.pub")" allowed-ips $PHONE_WG/32,$PHONE_WG6/128
	topo_wg phone set private-key "$TOPO_DIR/phone.key" fwmark $WG_PORT \
		peer "$(cat "$TOPO_DIR/gateway.pub")" endpoint $GATEWAY:$WG_PORT \
		persistent-keepalive 25 allowed-ips 0.0.0.0/0,::/0
	topo_address phone wg0 $PHONE_WG/32 $PHONE_WG6/128
	topo_option offload=off && topo_offload phone wg0 off
	topo_in phone ip link set wg0 mtu 1420 up
	for family in -4 -6; do
		topo_in phone ip $family route add default dev wg0 table $WG_PORT
		topo_in phone ip $family rule add not fwmark $WG_PORT table $WG_PORT
		topo_in phone ip $family rule add table main suppress_prefixlength 0
	done
	topo_wait 10 topo_in phone ping -c1 -W1 $GATEWAY_WG
}

# The gateway's firewall accepts ssh, WireGuard and packets of wg0. FORWARD has policy DROP and no rule. IPv6 needs
# neighbour discovery.
topo_firewall() {
	local neighbours
	neighbours=$(printf -- '-A %s -p icmpv6 --icmpv6-type %s -j ACCEPT\n' \
		INPUT 133 INPUT 134 INPUT 135 INPUT 136 OUTPUT 133 OUTPUT 134 OUTPUT 135 OUTPUT 136)
	topo_filter | topo_in gateway iptables-restore
	topo_filter "$neighbours" | topo_in gateway ip6tables-restore
}

# topo_filter [LINES]
topo_filter() {
	cat <<-END
		*filter
		:INPUT DROP
		:FORWARD DROP
		:OUTPUT DROP
		-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
		-A INPUT -p tcp --dport 22 -j ACCEPT
		-A INPUT -p udp --dport $WG_PORT -j ACCEPT
		-A INPUT -i wg0 -j ACCEPT
		-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
		-A OUTPUT -p udp --sport $WG_PORT -j ACCEPT
		-A OUTPUT -o wg0 -j ACCEPT
		${1:-}
		COMMIT
	END
}

# The links, one a line: HOST DEV HOST DEV.
topo_cables() {
	echo client eth0 internet c0
	echo gateway eth0 internet g0
	echo router wan internet h0
	echo home enp3s0 router lan
	! topo_option client2 || echo client2 eth0 internet d0
	! topo_option lan || echo gateway eth1 lan eth0
}

# each_cable FUNCTION: calls it with the words of each of these lines.
each_cable() {
	local cable
	while read -ra cable; do
		"$1" "${cable[@]}"
	done < <(topo_cables)
}

topo_make_internet() {
	topo_device lo
	topo_device c0 54.147.66.1/24 2001:db8:54::1/64
	topo_device g0 93.184.216.1/24 2001:db8:93::1/64
	topo_device h0 203.0.113.1/24
	! topo_option client2 || topo_device d0 198.51.100.1/24 2001:db8:198::1/64
}

topo_make_client() {
	topo_device lo
	topo_device eth0 $CLIENT/24 $CLIENT6/64
	topo_routes 54.147.66.1 2001:db8:54::1
}

topo_make_client2() {
	topo_device lo
	topo_device eth0 $CLIENT2/24 $CLIENT2_6/64
	topo_routes 198.51.100.1 2001:db8:198::1
}

topo_make_gateway() {
	topo_device lo
	topo_device eth0 $GATEWAY/24 $GATEWAY6/64
	topo_routes 93.184.216.1 2001:db8:93::1
	! topo_option lan || topo_device eth1 10.99.0.1/24 fd10:99::1/64
}

# The home router has one public address, and home has none.
topo_make_router() {
	topo_device lo
	topo_device wan 203.0.113.7/24
	topo_device lan 192.168.178.1/24
	topo_routes 203.0.113.1
}

topo_make_home() {
	topo_device lo
	topo_device enp3s0 192.168.178.20/24
	topo_routes 192.168.178.1
}

topo_make_lan() {
	topo_device lo
	topo_device eth0 $LAN/24 $LAN6/64
	topo_routes 10.99.0.1 fd10:99::1
}

# All steps; the first failure ends it.
topo_make() {
	local host hosts=(internet client gateway router home)
	! topo_option client2 || hosts+=(client2)
	! topo_option lan || hosts+=(lan)
	mkdir -p "$TOPO_DIR/bpf"
	chmod 700 "$TOPO_DIR"
	mount -t bpf bpf "$TOPO_DIR/bpf"

	# In few processes, because processes dominate the time.
	printf "netns add $TOPO_PREFIX-%s\n" "${hosts[@]}" | ip -batch -
	# Before the devices are created, because they inherit settings.
	for host in "${hosts[@]}"; do
		# shellcheck disable=SC2086
		case $host in
		internet | gateway) topo_settings "$host" $TOPO_FORWARDING ;;
		router) topo_settings router net.ipv4.ip_forward=1 ;;
		*) topo_settings "$host" ;;
		esac
	done
	# Created in its namespace, because kernels before 6.15 require the device's name to be free in the caller's.
	each_cable topo_cable | topo_ip internet
	for host in "${hosts[@]}"; do
		"topo_make_$host" | topo_ip "$host"
	done
	topo_in router iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
	! topo_option offload=off || each_cable topo_cable_plain

	topo_tunnel
	topo_firewall
	# PersistentKeepalive makes home start the handshake at once; before that the gateway has no endpoint of home.
	topo_wait 10 topo_in home ping -c1 -W1 $GATEWAY_WG
	if topo_option phone; then
		topo_phone
	fi
}

topo_up() {
	if [ "$(id -u)" != 0 ]; then
		echo "network namespaces need root" >&2
		return 1
	fi
	# In a separate bash, because `set -e` is disabled within an `if` or a `||`.
	TOPO_PREFIX=$TOPO_PREFIX TOPO_DIR=$TOPO_DIR TOPO_OPTIONS=$TOPO_OPTIONS \
		bash -eu "${BASH_SOURCE[0]}" make
}

topo_down() {
	local namespace
	topo_kill "$TOPO_DIR/pids"
	for namespace in /run/netns/"$TOPO_PREFIX"-*; do
		[ -e "$namespace" ] && echo "netns del ${namespace##*/}"
	done | ip -force -batch -
	while mountpoint -q "$TOPO_DIR/bpf" 2>/dev/null; do
		umount "$TOPO_DIR/bpf" || break
	done
	# Never delete through a mount that still exists.
	if ! mountpoint -q "$TOPO_DIR/bpf" 2>/dev/null; then
		rm -rf "$TOPO_DIR"
		rmdir "${TOPO_DIR%/*}" 2>/dev/null
	fi
	return 0
}

if [ "${BASH_SOURCE[0]}" = "$0" ] && [ "${1:-}" = make ]; then
	topo_make
fi
