# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The contenders. Each reads maps from standard input, lines of "PROTO LOW HIGH", and forwards packets to these ports of
# $GATEWAY to the same ports of $TARGET. The FORWARD chain is empty with policy ACCEPT: the minimum for netfilter.

CONTENDERS=(plain iptables-nft iptables-legacy nftables fwdctl-tc fwdctl-xdp xdp-redirect haproxy socat)

# contender_up NAME [MAPS]: on the current hosts.
contender_up() {
	local name=$1
	case $name in
	plain | xdp-redirect) return ;; # traffic attaches the latter
	fwdctl-* | before-*) fwdctl_attach "${name#*-}" >"$TOPO_DIR/attach" 2>&1 || { cat "$TOPO_DIR/attach" >&2; return 1; } ;;
	esac
	[ $# = 1 ] || contender_maps "$name" <"$2"
}

contender_maps() {
	case $1 in
	plain | xdp-redirect) ;;
	iptables-nft) iptables_rules | topo_in gateway iptables-nft-restore ;;
	iptables-legacy) iptables_rules | topo_in gateway iptables-legacy-restore ;;
	nftables) nftables_rules nat | topo_in gateway nft -f - ;;
	fwdctl-* | before-*) fwdctl_maps | topo_in gateway "$(contender_fwdctl)" map add - ;;
	haproxy) haproxy_start ;;
	socat) socat_start ;; # UDP; TCP by haproxy
	esac
}

# contender_try NAME: prints on standard error why a contender is not available.
contender_try() {
	local ret
	hosts_up try
	contender_up "$1" <(echo tcp 8000 8000)
	ret=$?
	hosts_down try
	return $ret
}

iptables_rules() {
	awk -v listen="$GATEWAY" -v target="$TARGET" -v source="$SOURCE" -v out="$INNER" '
	BEGIN { print "*nat" }
	{
		port = $2 == $3 ? $2 : $2 ":" $3
		to = $2 == $3 ? target ":" $2 : target
		print "-A PREROUTING -d " listen " -p " $1 " --dport " port " -j DNAT --to-destination " to
		print "-A POSTROUTING -d " target " -o " out " -p " $1 " --dport " port " -j SNAT --to-source " source
	}
	END { print "COMMIT" }'
}

# nftables_rules TABLE: as users write many maps: one rule with an nftables map; ranges have rules of their own.
nftables_rules() {
	awk -v table="$1" -v listen="$GATEWAY" -v target="$TARGET" -v source="$SOURCE" -v out="$INNER" '
	function dnat(what) { pre[++rules] = "ip daddr " listen " " what }
	function snat(what) { post[rules] = "ip daddr " target " oifname \"" out "\" " what " snat to " source }
	$2 != $3 {
		dnat($1 " dport " $2 "-" $3 " dnat to " target)
		snat($1 " dport " $2 "-" $3)
		next
	}
	!count[$1]++ {
		dnat("dnat ip to " $1 " dport map @to_" $1)
		snat($1 " dport @of_" $1)
	}
	{ ports[$1, count[$1]] = $2 }
	END {
		print "table ip " table " {"
		for (p in count) {
			print "map to_" p " { type inet_service : ipv4_addr . inet_service; elements = {"
			for (i = 1; i <= count[p]; i++) print ports[p, i] " : " target " . " ports[p, i] ","
			print "} }\nset of_" p " { type inet_service; elements = {"
			for (i = 1; i <= count[p]; i++) print ports[p, i] ","
			print "} }"
		}
		print "chain prerouting { type nat hook prerouting priority dstnat;"
		for (i = 1; i <= rules; i++) print pre[i]
		print "}\nchain postrouting { type nat hook postrouting priority srcnat;"
		for (i = 1; i <= rules; i++) print post[i]
		print "}\n}"
	}'
}

# before-tc and before-xdp are those of an earlier commit, built in $BEFORE.
contender_fwdctl() {
	case $CONTENDER in before-*) echo "$BEFORE/build/fwdctl" ;; *) echo build/fwdctl ;; esac
}

fwdctl_attach() {
	topo_in gateway "$(contender_fwdctl)" attach eth0 "$INNER" --mode "$1" --connections "${CONNECTIONS:-131072}"
}

fwdctl_maps() {
	awk -v listen="$GATEWAY" -v target="$TARGET" -v source="$SOURCE" '{
		port = $2 == $3 ? $2 : $2 "-" $3
		print $1, listen ":" port, target ":" port, "--snat", source
	}'
}

# A proxy instead of NAT: it terminates connections and opens others from the gateway's ports, which must suffice.
haproxy_start() {
	command -v haproxy >/dev/null || { echo "haproxy: not installed: scripts/deps bench" >&2; return 1; }
	reuse_ports gateway
	{
		printf 'global\n  maxconn 2000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\nlisten maps\n'
		awk -v listen="$GATEWAY" '$1 == "tcp" { print "  bind " listen ":" ($2 == $3 ? $2 : $2 "-" $3) }'
		printf '  server home %s\n' "$TARGET"
	} >"$TOPO_DIR/haproxy.cfg"
	topo_spawn gateway haproxy taskset -c "$(($(nproc) - 1))" haproxy -db -f "$TOPO_DIR/haproxy.cfg"
	topo_wait 20 topo_in gateway grep -q ' 0A 00000000:' /proc/net/tcp ||
		{ echo "haproxy does not listen: $(tail -n 1 "$TOPO_DIR/haproxy.err" "$TOPO_DIR/haproxy.log")" >&2; return 1; }
}

# One process for each map and for each client.
socat_start() {
	command -v socat >/dev/null || { echo "socat: not installed: scripts/deps bench" >&2; return 1; }
	local proto low _
	cat >"$TOPO_DIR/socat.maps"
	while read -r proto low _; do
		[ "$proto" = udp ] || continue
		topo_spawn gateway "socat-$low" taskset -c "$(($(nproc) - 1))" \
			socat "UDP4-LISTEN:$low,bind=$GATEWAY,fork,reuseaddr" "UDP4:$TARGET:$low"
	done <"$TOPO_DIR/socat.maps"
	haproxy_start <"$TOPO_DIR/socat.maps"
}
