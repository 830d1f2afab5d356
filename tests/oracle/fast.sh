# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# netfilter as the judge (scripts/oracle), the fast form: for each kind of inside, sequences that are always
# the same and as many that nobody has seen before. Run it by `tests/net/run tests/oracle/fast.sh`; it becomes a
# file of tests/net, and so a part of scripts/test, when the differences that docs/rfc.md calls open are mended.

oracle() {
	[ -z "${FWDCTL_STANDIN:-}" ] || skip "the stand-in is netfilter itself"
	FWDCTL=$FWDCTL "$ROOT/scripts/oracle" --config "$1" --seed 1 --sequences 2000
	FWDCTL=$FWDCTL "$ROOT/scripts/oracle" --config "$1" --sequences 2000
}

test_l3() {
	oracle l3
}

test_ethernet() {
	oracle ethernet
}
