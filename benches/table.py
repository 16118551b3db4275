"""Run the pytest benches several times and print one table of ratios against the peers.

usage: python benches/table.py [--runs 3] [--out docs/benchmarks.md] [pytest arguments]

A benchmark's group is the work, the id in brackets the contestant; `evcore` is ours. A ratio is peer / evcore within
one run (over 1: evcore is faster), the median over the runs is quoted and the spread printed. Absolute times move
with the machine and are not compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
Medians = dict[str, dict[str, float]]


def run_once(arguments: list[str]) -> Medians:
    """Group -> contestant -> median seconds of one call."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pytest", str(HERE), "-q", "-p", "no:cacheprovider", "--benchmark-disable-gc"]
        command += [
            "--benchmark-warmup=on",
            "--benchmark-max-time=0.4",
            f"--benchmark-json={report}",
            "-o",
            "python_files=bench_*.py",
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        benchmarks = json.loads(report.read_text())["benchmarks"]
    medians: Medians = defaultdict(dict)
    for benchmark in benchmarks:
        contestant = (benchmark["param"] or benchmark["name"]).split("-")[-1]
        medians[benchmark["group"]][contestant] = benchmark["stats"]["median"]
    return medians


def seconds(value: float) -> str:
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if value * scale < 1000:
            return f"{value * scale:.3g} {unit}"
    return f"{value:.3g} s"


def table(runs: list[Medians]) -> str:
    lines = ["| work | peer | peer / evcore | spread | evcore | peer |", "|---|---|---|---|---|---|"]
    for group, contestants in sorted(runs[0].items()):
        if "evcore" not in contestants:  # left out by a -k
            continue
        for peer in sorted(set(contestants) - {"evcore"}):
            ratios = [run[group][peer] / run[group]["evcore"] for run in runs]
            ours = statistics.median(run[group]["evcore"] for run in runs)
            theirs = statistics.median(run[group][peer] for run in runs)
            lines.append(
                f"| {group} | {peer} | **{statistics.median(ratios):.2f}x** | {min(ratios):.2f}-{max(ratios):.2f} "
                f"| {seconds(ours)} | {seconds(theirs)} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="how often, at least 1 (3)")
    parser.add_argument("--out", type=Path, help="write the table into this file too")
    options, rest = parser.parse_known_args()
    text = table([run_once(rest) for _ in range(options.runs)])
    print(text)
    if options.out:
        machine = f"CPython {platform.python_version()}, {platform.machine()}, {options.runs} runs"
        options.out.write_text(
            f"# Benchmarks\n\nMade by `make bench` ({machine}). A ratio over 1 means that evcore is faster;\n"
            "both sides did the same work in the same run, and each bench checks the answers first.\n\n"
            f"{text}\n"
        )


if __name__ == "__main__":
    main()
