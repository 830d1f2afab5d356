# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The performance targets of fwdctl, compared with the results."""

import statistics


def paired(ours, theirs):
    """The mean of the middle half of the rounds' ratios: the median of up to four rounds, and steadier than the median
    of many. Rounds are dictionaries; a round is short, so that the machine is in the same state for both."""
    ratios = sorted(value / theirs[r] for r, value in ours.items() if theirs.get(r))
    aside = (len(ratios) + 1) // 4
    return statistics.mean(ratios[aside:len(ratios) - aside]) if ratios else None


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


class Measured:
    """The results of a run; None for a case that was not measured."""

    def __init__(self, results):
        self.by_key = {(r["lane"], r["case"], r["metric"], r["contender"]): r for r in results}

    def __call__(self, lane, case, metric, contender, what="median"):
        r = self.by_key.get((lane, case, metric, contender))
        return r[what] if r else None

    def ratio(self, lane, metric, ours, theirs):
        """ours and theirs: (case, contender)"""
        a, b = (self(lane, case, metric, contender, "rounds") for case, contender in (ours, theirs))
        return paired(a, b) if a and b else None

    def packets(self, ours, theirs, to, size):
        """CPU time of an established connection's packet, both protocols and both directions in one figure."""
        cases = [f"{proto} to {to}, {size} connections, {direction}"
                 for proto in ("udp", "tcp") for direction in ("in", "back")]
        return mean(self.ratio("packets", "cpu", (c, ours), (c, theirs)) for c in cases)

    def refused(self, ours):
        """CPU time of a packet that finds no source port, relative to one of an established connection."""
        return self.ratio("refused", "cpu", ("refused", ours), ("established", ours))


def evaluate(results):
    m = Measured(results)
    rows = []

    def target(what, limit, value, text=None):
        if value is not None:
            rows.append({"what": what, "target": text or f"at most {limit:.2f}", "measured": f"{value:.2f}",
                         "verdict": "holds" if value <= limit else "misses"})

    def growth(ours):
        return mean(m.ratio("packets", "cpu", (f"udp to eth, 500000 connections, {direction}", ours),
                            (f"udp to eth, 1000 connections, {direction}", ours)) for direction in ("in", "back"))

    def over_plain_growth(ours):
        """Relative to plain forwarding, because sockets, caches and neighbours cost more with more ports, too. Both
        have the same rounds for each number of maps; the rounds of different numbers are far apart in time."""
        few, many = (m.ratio("conns", "cpu", (f"{n} maps", ours), (f"{n} maps", "plain")) for n in (1, 10000))
        return many / few if few and many else None

    target("tc, CPU per packet, to iptables", 0.60, m.packets("fwdctl-tc", "iptables-nft", "eth", 1000))
    target("tc, CPU per packet, to plain forwarding", 1.0, m.packets("fwdctl-tc", "plain", "eth", 1000))
    target("tc to an L3 device, to iptables", 0.65, m.packets("fwdctl-tc", "iptables-nft", "tun", 1000))
    target("XDP, CPU per packet, to iptables", 0.25, m.packets("fwdctl-xdp", "iptables-nft", "eth", 1000))
    target("XDP, CPU per packet, to bare redirect", 1.5, m.packets("fwdctl-xdp", "xdp-redirect", "eth", 1000))
    for ours in ("fwdctl-tc", "fwdctl-xdp"):
        target(f"{ours}: a new TCP connection, 1 map, to iptables", 0.5,
               m.ratio("conns", "cpu", ("1 maps", ours), ("1 maps", "iptables-nft")))
        target(f"{ours}: a new TCP connection, 10,000 maps to 1", 1.05,
               m.ratio("conns", "cpu", ("10000 maps", ours), ("1 maps", ours)))
        target(f"{ours}: the same, to plain forwarding to as many ports", 1.05, over_plain_growth(ours))
        target(f"{ours}: a packet of 500,000 connections to one of 1,000", 2.0, growth(ours))
        target(f"{ours}: a packet of 500,000 connections, to iptables", 0.5,
               m.packets(ours, "iptables-nft", "eth", 500000))
    for case in ("tcp, 1 stream", "tcp, 4 streams"):
        ours = (case, "fwdctl-tc")
        target(f"bulk, {case}: iptables' rate to ours", 1.0, m.ratio("bulk", "rate", (case, "iptables-nft"), ours))
        target(f"bulk, {case}: plain forwarding's rate to ours", 1.03, m.ratio("bulk", "rate", (case, "plain"), ours))
        target(f"bulk, {case}: CPU per GB, to iptables", 1.0, m.ratio("bulk", "cpu", ours, (case, "iptables-nft")))
    million = "1000000 connections"
    target("memory per connection, bytes", 400, m("scale", million, "memory", "fwdctl-tc"), "at most 400")
    target("memory per connection, to nf_conntrack", 1.0,
           m.ratio("scale", "memory", (million, "fwdctl-tc"), (million, "iptables-nft")))
    for ours in ("fwdctl-tc", "fwdctl-xdp"):
        target(f"{ours}: a refused packet to an established one", 2.0, m.refused(ours))
    for case in ("tcp, idle", "tcp, beside bulk"):
        over_plain(m, case, target)
    fastest = [c for c in ("iptables-nft", "iptables-legacy", "nftables") if m("control", "adding", "time", c)]
    if fastest:
        best = min(fastest, key=lambda c: m("control", "adding", "time", c))
        target(f"maps added, time for each, to {best}", 1.0,
               m.ratio("control", "time", ("adding", "fwdctl-tc"), ("adding", best)))
    return rows


def over_plain(m, case, target):
    """Below noise: the difference is within the spread of plain forwarding's own rounds."""
    ours, plain, low, high = (m("latency", case, "p99", c, w) for c, w in (
        ("fwdctl-tc", "median"), ("plain", "median"), ("plain", "min"), ("plain", "max")))
    if ours is not None and plain is not None:
        target(f"p99 over plain forwarding, {case}, µs", high - low, ours - plain,
               f"at most plain's own spread, {high - low:.1f}")
