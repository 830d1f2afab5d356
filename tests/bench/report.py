#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
The results of scripts/bench as tables, JSON and plots.

    report.py results COMMAND SECONDS   build/bench/raw.jsonl -> results.json, plots, tables on the terminal
    report.py before                    the commit in tests/bench/ratios
    report.py gate COMMAND SECONDS COMMIT       raw.jsonl against tests/bench/ratios
    report.py set-gate COMMAND SECONDS COMMIT   raw.jsonl -> tests/bench/ratios
    report.py write-docs                results.json -> docs/bench: results.md, run.txt and plots
"""
import configparser
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys

import targets

DIR = "build/bench"
RESULTS = f"{DIR}/results.json"
RATIOS = "tests/bench/ratios"
DOC = "docs/bench/results.md"
ORDER = ["plain", "iptables-nft", "iptables-legacy", "nftables", "before-tc", "fwdctl-tc", "before-xdp", "fwdctl-xdp",
         "fwdctl-xdp-generic", "xdp-redirect", "haproxy", "socat", "reference"]
LANES = {
    "packets": "Packets of established connections",
    "conns": "New TCP connections",
    "refused": "Exhausted source ports",
    "scale": "A million connections",
    "control": "Adding and removing maps",
    "program": "The program alone",
    "bulk": "Bulk transfer",
    "latency": "Latency",
    "gate": "This code compared with an earlier commit",
}
TOLERANCE = 1.15


def place(contender):
    return ORDER.index(contender) if contender in ORDER else len(ORDER)


def number(value):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"


# ---- results ---------------------------------------------------------------------------------


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def summed_up(rows):
    """One entry for each contender, case and metric: all its rounds, and the ratio to its reference."""
    groups = {}
    for row in rows:
        key = (row["lane"], row["case"], row["metric"], row["unit"], row["contender"])
        group = groups.setdefault(key, {"rounds": {}, "command": row["command"]})
        group["rounds"][row["round"]] = row["value"]
    results = []
    for (lane, case, metric, unit, contender), group in groups.items():
        values = list(group["rounds"].values())
        base = groups.get((lane, case, metric, unit, base_of(lane, contender)))
        ratio = targets.paired(group["rounds"], base["rounds"]) if base else None
        results.append({"lane": lane, "case": case, "metric": metric, "unit": unit, "contender": contender,
                        "median": statistics.median(values), "min": min(values), "max": max(values),
                        "ratio": ratio and round(ratio, 4), "rounds": group["rounds"], "command": group["command"]})
    return results


def make_results(command, seconds):
    with open(f"{DIR}/raw.jsonl") as f:
        rows = [json.loads(line) for line in f]
    results = summed_up([row for row in rows if "note" not in row])
    return {
        "command": command,
        "seconds": int(seconds),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "version": output_of("git", "describe", "--tags", "--always", "--dirty"),
        "notes": list(dict.fromkeys(row["note"] for row in rows if "note" in row)),
        "results": results,
        "targets": targets.evaluate(results),
    }


def load():
    try:
        with open(RESULTS) as f:
            return json.load(f)
    except FileNotFoundError:
        sys.exit(f"scripts/bench: {RESULTS} is not there: run scripts/bench first")


# ---- tables ----------------------------------------------------------------------------------


def cases(results, lane):
    """[(case, metric, unit), [entries]], in the order of measurement."""
    found = {}
    for r in results:
        if r["lane"] == lane:
            found.setdefault((r["case"], r["metric"], r["unit"]), []).append(r)
    for entries in found.values():
        entries.sort(key=lambda r: place(r["contender"]))
    return found.items()


def rows_of(results, lane):
    for (case, metric, unit), entries in cases(results, lane):
        for r in entries:
            yield [case, f"{metric}, {unit}" if unit else metric, r["contender"], number(r["median"]),
                   number(r["min"]), number(r["max"]), number(r["ratio"])]


def print_table(head, rows, out):
    rows = list(rows)
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    before = None
    for row in [head] + rows:
        shown = row if row[:2] != before else ["", ""] + row[2:]
        before = row[:2]
        print("  ".join(cell.ljust(w) if i < 3 else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(shown, widths))).rstrip(), file=out)


def base_of(lane, contender):
    """The reference of a contender's figures."""
    if lane == "gate":
        return contender.replace("fwdctl", "before")
    return "reference" if lane == "program" else "iptables-nft"


def print_all(data, out):
    for lane, title in LANES.items():
        rows = list(rows_of(data["results"], lane))
        if not rows:
            continue
        print(f"\n{title}\n", file=out)
        ratio = f"ratio to {base_of(lane, 'fwdctl')}"
        print_table(["case", "figure", "contender", "median", "min", "max", ratio], rows, out)
        print("\nby:", file=out)
        for command in dict.fromkeys(r["command"] for r in data["results"] if r["lane"] == lane):
            print(f"    {command}", file=out)
    if data["targets"]:
        print("\nTargets\n", file=out)
        print_table(["what", "target", "measured", ""],
                    [[t["what"], t["target"], t["measured"], t["verdict"]] for t in data["targets"]], out)
    for n in data["notes"]:
        print(f"note: {n}", file=out)
    print(f"\n{run_line(data)}", file=out)


def run_line(data):
    return (f"{data['command']}: {data['seconds']} s, {data['date']}; fwdctl {data['version']}, kernel "
            f"{data['kernel']}, {data['cpus']} CPUs ({data['cpu']})")


# ---- plots, by gnuplot -----------------------------------------------------------------------

COLOURS = {"plain": "#8c8c8c", "iptables-nft": "#c44e52", "iptables-legacy": "#dd8452", "nftables": "#937860",
           "fwdctl-tc": "#1f6fb4", "fwdctl-xdp": "#2a9d5c", "fwdctl-xdp-generic": "#7fb800",
           "xdp-redirect": "#55c2b8", "haproxy": "#8172b3", "socat": "#b38ac2"}


def plot(path, title, ylabel, xlabels, series, log=False):
    """series: {contender: [median, min, max or None for each of xlabels]}; bars, and lines from min to max."""
    names = sorted(series, key=place)
    width = 0.8 / len(names)
    script = ['set terminal svg size 900,420 font "sans-serif,13" background "white"',
              f'set output "{path}"', f'set title "{title}"', f'set ylabel "{ylabel}"',
              "set style fill solid 0.9 noborder", f"set boxwidth {width * 0.92}",
              "set key outside right top", "set pointintervalbox 0", "set grid ytics lc rgb '#dddddd'", "set border 3",
              "set xtics nomirror", "set ytics nomirror",
              "set xtics (" + ",".join(f'"{x}" {i}' for i, x in enumerate(xlabels)) + ")",
              f"set xrange [-0.5:{len(xlabels) - 0.5}]", "set logscale y" if log else "set yrange [0:*]"]
    plots, data = [], []
    for n, name in enumerate(names):
        shift = (n - (len(names) - 1) / 2) * width
        points = [f"{i + shift:.4f} {v[0]} {v[1]} {v[2]}" for i, v in enumerate(series[name]) if v]
        block = f"$d{n}"
        script.append("\n".join([f"{block} << EOD"] + points + ["EOD"]))
        colour = COLOURS.get(name, "#000000")
        plots.append(f"{block} using 1:2 with boxes lc rgb '{colour}' title '{name}'")
        data.append(f"{block} using 1:2:3:4 with yerrorbars pt -1 lw 1.2 lc rgb '#333333' notitle")
    script.append("plot " + ", ".join(plots + data))
    done = subprocess.run(["gnuplot"], input="\n".join(script), text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"scripts/bench: gnuplot: {done.stderr.strip().splitlines()[-1]}")


def series_of(results, lane, metric, columns):
    """columns: {label: case}. Cases without results are left out."""
    series = {}
    labels = [label for label, case in columns.items()
              if any(r["lane"] == lane and r["case"] == case and r["metric"] == metric for r in results)]
    for i, label in enumerate(labels):
        for r in results:
            if r["lane"] == lane and r["case"] == columns[label] and r["metric"] == metric:
                series.setdefault(r["contender"], [None] * len(labels))[i] = (r["median"], r["min"], r["max"])
    return labels, series


# name, lane, metric, title, axis, {label: case}, logarithmic
PLOTS = [
    ("packets-ethernet", "packets", "cpu", "CPU time per 64-byte packet, Ethernet to Ethernet",
     "ns of CPU per packet (less is better)",
     {"UDP 1": "udp to eth, 1 connections, in", "UDP 1000": "udp to eth, 1000 connections, in",
      "UDP 65536": "udp to eth, 65536 connections, in", "UDP 500000": "udp to eth, 500000 connections, in",
      "TCP 1000": "tcp to eth, 1000 connections, in"}, False),
    ("packets-tunnel", "packets", "cpu", "CPU time per 64-byte packet, 1000 connections, Ethernet to a TUN and back",
     "ns of CPU per packet (less is better)",
     {"UDP to home": "udp to tun, 1000 connections, in", "UDP back": "udp to tun, 1000 connections, back",
      "TCP to home": "tcp to tun, 1000 connections, in", "TCP back": "tcp to tun, 1000 connections, back"}, False),
    ("conns", "conns", "cpu", "CPU time per TCP connection (connect, request, reply, close)",
     "µs of CPU per connection (less is better)",
     {f"{n} maps": f"{n} maps" for n in (1, 100, 1000, 10000)}, True),
    ("bulk-cpu", "bulk", "cpu", "CPU time per gigabyte", "s of CPU per GB (less is better)",
     {"TCP": "tcp, 1 stream", "TCP, 4 streams": "tcp, 4 streams", "UDP": "udp",
      "TCP, WireGuard": "tcp through WireGuard"}, True),
    ("latency", "latency", "p99", "Time to the reply, 99th percentile", "µs (less is better)",
     {"TCP, idle": "tcp, idle", "TCP, beside a bulk transfer": "tcp, beside bulk",
      "UDP, idle": "udp, idle"}, True),
]


def plot_all(data, directory):
    os.makedirs(directory, exist_ok=True)
    written = []
    if not shutil.which("gnuplot"):
        print("scripts/bench: no plots: gnuplot is not installed: scripts/deps bench", file=sys.stderr)
        return written
    for name, lane, metric, title, axis, columns, log in PLOTS:
        labels, series = series_of(data["results"], lane, metric, columns)
        if series:
            plot(f"{directory}/{name}.svg", title, axis, labels, series, log)
            written.append((name, lane, title))
    return written


# ---- docs ------------------------------------------------------------------------------------


def doc_lane(data, lane):
    """A table for each metric: a row for each case, a column for each contender."""
    tables = {}
    for (case, metric, unit), entries in cases(data["results"], lane):
        tables.setdefault((metric, unit), {})[case] = {r["contender"]: r for r in entries}
    out = []
    for (metric, unit), by_case in tables.items():
        contenders = sorted({c for row in by_case.values() for c in row}, key=place)
        out += ["", "| " + " | ".join([f"{metric}, {unit}" if unit else metric] + contenders) + " |",
                "| --- |" + " ---: |" * len(contenders)]
        out += ["| " + " | ".join([case] + [doc_cell(row.get(c), lane) for c in contenders]) + " |"
                for case, row in by_case.items()]
    return "\n".join(out[1:]) if out else "(not measured)"


def doc_cell(result, lane):
    if not result:
        return ""
    if result["ratio"] is None or result["contender"] == base_of(lane, result["contender"]):
        return number(result["median"])
    return f"{number(result['median'])} ({result['ratio']:.2f})"


def doc_targets(data):
    out = ["| what | target | measured | |", "| --- | --- | --- | --- |"]
    return "\n".join(out + [f"| {t['what']} | {t['target']} | {t['measured']} | {t['verdict']} |"
                            for t in data["targets"]])


def doc_run(data):
    return "\n".join([run_line(data) + ".", ""] + [f"- {n}" for n in data["notes"]]).strip()


LICENCE = "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"


def sign(path):
    """Adds the SPDX line that each file of the repository has."""
    with open(path) as f:
        declaration, rest = f.read().split("\n", 1)
    with open(path, "w") as f:
        f.write(f"{declaration}\n<!-- {LICENCE} -->\n{rest}")


def doc_page(run, targets_table, parts):
    """parts: [(title, text)], one for each lane."""
    sections = [f"<!-- {LICENCE} -->\n# The last recorded run of the benchmarks",
                "Written by `scripts/bench --write-docs`; [benchmarks.md](../benchmarks.md) explains it.",
                run, "## Targets", targets_table]
    for title, text in parts:
        sections += [f"## {title}", text]
    return "\n\n".join(sections) + "\n"


def write_docs():
    data = load()
    plots = plot_all(data, "docs/bench")
    for name, _, _ in plots:
        sign(f"docs/bench/{name}.svg")
    parts = []
    for lane, title in LANES.items():
        if lane != "gate":
            shown = "".join(f"![{title}]({name}.svg)\n\n" for name, of, title in plots if of == lane)
            parts.append((title, shown + doc_lane(data, lane)))
    with open(DOC, "w") as f:
        f.write(doc_page(doc_run(data), doc_targets(data), parts))
    with open("docs/bench/run.txt", "w") as f:
        print(LICENCE, file=f)
        print_all(data, f)
    print(f"written: {DOC}, and in docs/bench run.txt and {len(plots)} plots")


# ---- the gate --------------------------------------------------------------------------------


def committed():
    """The commit, and {figure: ratio of the CPU time of this code to that of the commit}. None, {}: no file."""
    ratios = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    ratios.optionxform = str
    try:
        ratios.read(RATIOS)
        return ratios["before"]["commit"], {figure: float(ratio) for figure, ratio in ratios["ratios"].items()}
    except (configparser.Error, KeyError, ValueError):
        return None, {}


def before():
    commit = committed()[0]
    if not commit:
        sys.exit(f"scripts/bench: {RATIOS} has no ratios; to measure them: scripts/bench --set-gate=COMMIT")
    print(commit)


def gate_results(command, seconds, commit):
    data = make_results(command, seconds)
    print_all(data, sys.stdout)
    print(f"before: {commit}\n")
    return data, {f"{r['contender']}: {r['case']}": r["ratio"] for r in data["results"]
                  if r["contender"].startswith("fwdctl") and r["ratio"]}


def set_gate(data, ratios, commit):
    missing = [figure for figure in committed()[1] if figure not in ratios]
    if missing:
        sys.exit(f"scripts/bench: {RATIOS} is unchanged, because these were not measured: {'; '.join(missing)}. "
                 "Delete from it what no longer exists")
    lines = [f"# {LICENCE}",
             "# Ratio of the CPU time of this code to that of an earlier commit, in one run, on one machine.",
             "# scripts/bench --gate compares with it, scripts/bench --set-gate writes it.", f"# {run_line(data)}",
             "[before]", f"commit = {commit}", "", "[ratios]"]
    with open(RATIOS, "w") as f:
        print("\n".join(lines + [f"{figure} = {ratio:.2f}" for figure, ratio in ratios.items()]), file=f)
    print(f"written: {RATIOS}: {len(ratios)} ratios")


def gate(ratios):
    then = committed()[1]
    missing = [figure for figure in then if figure not in ratios]
    worse = [figure for figure in then if figure in ratios and ratios[figure] > then[figure] * TOLERANCE]
    for figure in missing:
        print(f"gate: {figure}: not measured")
    for figure in worse:
        print(f"gate: {figure}: ratio {ratios[figure]:.2f}, more than 15 % above {then[figure]:.2f}")
    print(f"gate: {len(then)} ratios, {len(worse)} worse, {len(missing)} not measured")
    return 1 if worse or missing else 0


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "results" and len(sys.argv) == 4:
        data = make_results(sys.argv[2], sys.argv[3])
        with open(RESULTS, "w") as f:
            json.dump(data, f, indent=1)
        plot_all(data, f"{DIR}/plots")
        print_all(data, sys.stdout)
        print(f"results in {RESULTS}, plots in {DIR}/plots")
    elif what == "before":
        before()
    elif what in ("gate", "set-gate") and len(sys.argv) == 5:
        data, ratios = gate_results(*sys.argv[2:])
        if what == "gate":
            return gate(ratios)
        set_gate(data, ratios, sys.argv[4])
    elif what == "write-docs":
        write_docs()
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
