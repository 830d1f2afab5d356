# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The comparison with netfilter (scripts/oracle), shortened: for each kind of inside, the same sequences in each run,
# and some random ones.

oracle() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in is netfilter itself"
	command -v nft >/dev/null || skip "no nft here"
	FWDCTL=$FWDCTL "$ROOT/scripts/oracle" --config "$1" --seed 1 --sequences 2000
	FWDCTL=$FWDCTL "$ROOT/scripts/oracle" --config "$1" --sequences 500
}

test_l3() {
	oracle l3
}

test_ethernet() {
	oracle ethernet
}
