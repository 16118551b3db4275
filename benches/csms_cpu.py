"""Rows 5 and 6: the server's CPU for one message, 100 stations in a closed loop of MeterValues with 4 values.

usage: python benches/csms_cpu.py [--rounds 5] [--seconds 3] [--stations 100] [--version 1.6] [--only NAME ...]

Servers are processes of their own on one core, the load (`evcore.sim.Fleet`, in this process) on another. A client
saturates first, so the rate says nothing: what counts is the CPU time of the server's process over the messages that
it answered. All contestants validate the payload, hand it to a handler and answer, but `picows`, which sends the frame
back. One round measures all of them, one after the other; ratios are within a round, their median is quoted.
For ocpp-rpc: `npm install --prefix .venv/node ocpp-rpc`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from pathlib import Path

import uvloop
from csms.load import Load
from csms.process import Missing, Server

OURS = "link"
NAMES = [OURS, "codec", "server", "picows", "mobilityhouse", "ocpp-rpc"]
WARM_S = 0.7


async def measure(server: Server, stations: int, version: str, seconds: float) -> tuple[float, float]:
    """us of the server's CPU a message, and messages a second."""
    fleet = Load(server.url, stations, version, echo=server.name == "picows")
    run = asyncio.create_task(fleet.run(3600))
    async with asyncio.timeout(30):
        await fleet.connected.wait()
    await asyncio.sleep(WARM_S)
    cpu, count = server.cpu_ns(), fleet.report.latency.count
    await asyncio.sleep(seconds)
    cpu, count = server.cpu_ns() - cpu, fleet.report.latency.count - count
    report = fleet.report
    run.cancel()
    await asyncio.wait([run])
    if sum(report.refusals.values()) or report.lost or report.nonsense or not count:
        sys.exit(f"{server.name} does not do the work: {report.as_dict()}")
    return cpu / count / 1000, count / seconds


def start(names: list[str]) -> list[Server]:
    servers = []
    for name in names:
        try:
            servers.append(Server(name))
        except Missing as missing:
            print(f"{name} is left out: {missing}")
    return servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--version", choices=["1.6", "2.0.1"], default="1.6")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--append", type=Path, help="write the table at the end of this file too")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    servers = start(options.only)
    costs: dict[str, list[float]] = {server.name: [] for server in servers}
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    try:
        for turn in range(options.rounds):
            for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                cost, rate = uvloop.run(measure(server, options.stations, options.version, options.seconds))
                costs[server.name].append(cost)
                rates[server.name].append(rate)
    finally:
        for server in servers:
            server.stop()
    lines = [*table(costs, rates), "", *verdicts(costs)]
    action = "MeterValues" if options.version == "1.6" else "TransactionEvent"
    title = f"{options.stations} stations, OCPP {options.version}, closed loop of {action} with 4 values"
    text = f"{title}, {options.rounds} rounds of {options.seconds:g} s\n\n" + "\n".join(lines)
    print(text)
    if options.append:
        with options.append.open("a") as file:
            file.write(f"\n## A CSMS's CPU for one message\n\n{text}\n")


def table(costs: dict[str, list[float]], rates: dict[str, list[float]]) -> list[str]:
    lines = ["| server | its CPU a message | against `link` | spread | messages/s |", "|---|---|---|---|---|"]
    for name, values in costs.items():
        ratios = [value / ours for value, ours in zip(values, costs.get(OURS, values), strict=True)]
        lines.append(
            f"| {name} | {statistics.median(values):.1f} us | **{statistics.median(ratios):.2f}x** "
            f"| {min(ratios):.2f}-{max(ratios):.2f} | {statistics.median(rates[name]):.0f} |"
        )
    return lines


def verdicts(costs: dict[str, list[float]]) -> list[str]:
    """What rows 5 and 6 of the targets ask, for the bare session and for the whole server."""
    lines = []
    for ours in (OURS, "server"):
        told = []
        for peer, values in costs.items():
            if ours in costs and peer not in (OURS, "server", "codec"):
                ratios = sorted(own / value for own, value in zip(costs[ours], values, strict=True))
                told.append(f"{statistics.median(ratios):.3g} of {peer}'s ({ratios[0]:.3g}-{ratios[-1]:.3g})")
        if told:
            lines.append(f"{ours}: " + ", ".join(told))
    return lines


if __name__ == "__main__":
    main()
