# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The targets that fwdctl has set itself, held against what was measured."""


class Measured:
    """The medians of a run; None where something wasn't measured."""

    def __init__(self, results):
        self.by_key = {(r["lane"], r["case"], r["metric"], r["contender"]): r for r in results}

    def __call__(self, lane, case, metric, contender):
        r = self.by_key.get((lane, case, metric, contender))
        return r["median"] if r else None

    def spread(self, lane, case, metric, contender):
        r = self.by_key.get((lane, case, metric, contender))
        return r["max"] - r["min"] if r else None

    def best(self, lane, case, metric, contenders):
        values = [v for v in (self(lane, case, metric, c) for c in contenders) if v is not None]
        return min(values) if values else None


def ratio(a, b):
    return a / b if a is not None and b else None


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def judge(results):
    m = Measured(results)
    rows = []

    def target(what, limit, value, text=None):
        if value is not None:
            rows.append({"what": what, "target": text or f"at most {limit:.2f}", "measured": f"{value:.2f}",
                         "verdict": "holds" if value <= limit else "misses"})

    def packets(ours, theirs, to, size):
        cases = [f"{proto} to {to}, {size} connections, {way}" for proto in ("udp", "tcp") for way in ("in", "back")]
        return mean(ratio(m("packets", c, "cpu", ours), m("packets", c, "cpu", theirs)) for c in cases)

    def growth(ours):
        return mean(ratio(m("packets", f"udp to eth, 500000 connections, {way}", "cpu", ours),
                          m("packets", f"udp to eth, 1000 connections, {way}", "cpu", ours))
                    for way in ("in", "back"))

    target("tc, CPU per packet, to iptables", 0.60, packets("fwdctl-tc", "iptables-nft", "eth", 1000))
    target("tc, CPU per packet, to plain forwarding", 1.0, packets("fwdctl-tc", "plain", "eth", 1000))
    target("tc to an L3 device, to iptables", 0.65, packets("fwdctl-tc", "iptables-nft", "tun", 1000))
    target("XDP, CPU per packet, to iptables", 0.25, packets("fwdctl-xdp", "iptables-nft", "eth", 1000))
    target("XDP, CPU per packet, to bare redirect", 1.5, packets("fwdctl-xdp", "xdp-redirect", "eth", 1000))
    for ours in ("fwdctl-tc", "fwdctl-xdp"):
        target(f"{ours}: a new TCP connection, 1 map, to iptables", 0.5,
               ratio(m("conns", "1 maps", "cpu", ours), m("conns", "1 maps", "cpu", "iptables-nft")))
        target(f"{ours}: a new TCP connection, 10,000 maps to 1", 1.05,
               ratio(m("conns", "10000 maps", "cpu", ours), m("conns", "1 maps", "cpu", ours)))
        target(f"{ours}: a packet of 500,000 connections to one of 1,000", 2.0, growth(ours))
        target(f"{ours}: a packet of 500,000 connections, to iptables", 0.5,
               packets(ours, "iptables-nft", "eth", 500000))
    for case in ("tcp, 1 stream", "tcp, 4 streams"):
        ours, plain, theirs = (m("bulk", case, "rate", c) for c in ("fwdctl-tc", "plain", "iptables-nft"))
        target(f"bulk, {case}: iptables' rate to ours", 1.0, ratio(theirs, ours))
        target(f"bulk, {case}: plain forwarding's rate to ours", 1.03, ratio(plain, ours))
        target(f"bulk, {case}: CPU per GB, to iptables", 1.0,
               ratio(m("bulk", case, "cpu", "fwdctl-tc"), m("bulk", case, "cpu", "iptables-nft")))
    memory = m("scale", "1000000 connections", "memory", "fwdctl-tc")
    target("memory per connection, bytes", 400, memory, "at most 400")
    target("memory per connection, to nf_conntrack", 1.0,
           ratio(memory, m("scale", "1000000 connections", "memory", "iptables-nft")))
    for ours in ("fwdctl-tc", "fwdctl-xdp"):
        target(f"{ours}: a refused packet to an established one", 2.0,
               ratio(m("refused", "refused", "cpu", ours), m("refused", "established", "cpu", ours)))
    for case in ("tcp, idle", "tcp, beside bulk"):
        ours, plain = (m("latency", case, "p99", c) for c in ("fwdctl-tc", "plain"))
        noise = m.spread("latency", case, "p99", "plain")
        if ours is not None and plain is not None:
            target(f"p99 over plain forwarding, {case}, µs", noise, ours - plain, f"at most plain's spread, {noise:.1f}")
    target("maps added, seconds each, to the faster of iptables-restore and nft", 1.0,
           ratio(m("control", "adding", "time", "fwdctl-tc"),
                 m.best("control", "adding", "time", ["iptables-nft", "iptables-legacy", "nftables"])))
    return rows
