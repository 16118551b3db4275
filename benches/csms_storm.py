"""Rows 7 and 8: what an idle station costs in memory, and how soon 10 000 are back when all connections break at once.

usage: python benches/csms_storm.py [--stations 10000] [--only link server picows] [--seconds 60]

Memory: resident bytes of the server's process with all stations connected, booted and silent, less those before the
first, over their number. Storm: all connections are dropped at one instant and come back, each with BootNotification;
meanwhile 100 others, connected before and driven by a process of their own, send 100 calls a second, and their p99 is
what a driver at the plug would feel; on a busy machine look at the longest pause of the server's event loop, which is
counted in its own CPU time. The server runs on one core, all stations on another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from csms.load import Plain
from csms.process import Server

from evcore.sim.fleet import Fleet, FleetPlan

HANDSHAKES = 1000  # under way at once: more would only wait in the listener's queue and be sent again by TCP
QUIET = 1e-9  # calls a second: none


async def reached(what: str, condition: object, seconds: float) -> float:
    """Seconds until it came true."""
    began = time.monotonic()
    while not condition():  # type: ignore[operator]
        if time.monotonic() - began > seconds:
            sys.exit(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def measure(server: Server, stations: int, seconds: float, pauses: Path) -> list[str]:
    """Lines that say what was found."""
    echo = server.name == "picows"
    before = server.memory()
    plan = FleetPlan(server.url, stations, rate=QUIET, reboot=True, opening=HANDSHAKES)
    fleet = Fleet(plan)
    if echo:
        fleet.stations = [Plain(fleet, station.identity, "1.6") for station in fleet.stations]
    run = asyncio.create_task(fleet.run(3600))

    def back() -> bool:
        return fleet.connected.is_set() and all(station.booted and not station.awaited for station in fleet.stations)

    first = await reached("first connections", fleet.connected.is_set if echo else back, seconds)
    await asyncio.sleep(3)
    each = (server.memory() - before) / stations
    lines = [f"{server.name}: {stations} stations, connected in {first:.1f} s, {each / 1024:.1f} KiB each"]
    if not echo:
        command = [sys.executable, "-m", "evcore", "sim", "fleet", server.url, "--stations", "100", "--rate", "100"]
        command += ["--for", "15", "--prefix", "CALM-", "--json"]
        calm = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await asyncio.sleep(4)  # they are connected and under way
        cpu = server.cpu_ns()
        pauses.write_text("0")
        for station in fleet.stations:
            station.drops += 1
            if station.transport is not None:
                station.booted = False
                station.transport.disconnect(False)
        await asyncio.sleep(0)
        storm = await reached("all back", back, seconds)
        cpu = server.cpu_ns() - cpu
        told = json.loads((await calm.communicate())[0])
        lines.append(
            f"{server.name}: all back and booted in {storm:.1f} s, {cpu / stations / 1000:.0f} us of its CPU each; "
            f"longest pause of its loop {1000 * float(pauses.read_text()):.0f} ms of CPU"
        )
        p99, longest = told["latency_ms"]["p99"], told["latency_ms"]["max"]
        lines.append(
            f"{server.name}: the 100 others: p99 {p99:.0f} ms, longest {longest:.0f} ms, {told['answered']} of "
            f"{told['sent']} answered, {told['lost']} lost"
        )
        if fleet.report.refusals or not told["ok"]:
            lines.append(f"{server.name}: refused: {dict(fleet.report.refusals)}, calm: {told}")
    run.cancel()
    await asyncio.wait([run])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long anything may take")
    parser.add_argument("--only", nargs="*", choices=["link", "server", "picows"], default=["picows", "link", "server"])
    parser.add_argument("--append", type=Path, help="write the lines at the end of this file too")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        pauses = Path(folder, "pauses")
        pauses.write_text("0")
        for name in options.only:
            server = Server(name, PAUSES=str(pauses))
            try:
                lines = uvloop.run(measure(server, options.stations, options.seconds, pauses))
            finally:
                server.stop()
            print("\n".join(lines), flush=True)
            found += [f"- {line}" for line in lines]
    if options.append:
        with options.append.open("a") as file:
            file.write("\n## Idle stations, and all of them coming back at once\n\n" + "\n".join(found) + "\n")


if __name__ == "__main__":
    main()
