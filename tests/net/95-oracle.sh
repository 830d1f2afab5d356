# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# netfilter as the judge (scripts/oracle), the fast form: for each kind of inside, sequences that are always the
# same, and some that nobody has seen before.

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
