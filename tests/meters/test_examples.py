"""The examples run as they are printed, against a simulated meter."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from evcore.sim import SimMeter

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


async def run(name: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_read_meter_prints_what_the_meter_shows():
    async with SimMeter("sdm630", values=lambda: {"power": 11_000.5, "energy_import": 12_340}) as meter:
        code, out = await run("read_meter.py", meter.url, "sdm630")
    assert code == 0, out
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert lines["power"] == ["11000.5", "W"]
    assert lines["energy_import"][1] == "Wh"
    assert float(lines["energy_import"][0]) == 12_340


async def test_read_meter_says_what_is_wrong_in_one_line(free_port):
    code, out = await run("read_meter.py", f"tcp://127.0.0.1:{free_port()}", "sdm630")
    assert code == 1
    assert out.startswith("LinkError: tcp://127.0.0.1")
    assert len(out.splitlines()) == 1
    code, out = await run("read_meter.py", "tcp://127.0.0.1", "sdm999")
    assert code == 1
    assert out.startswith("ConfigError: sdm999")


async def test_modbus_meter_follows_and_ends():
    async with SimMeter("sdm120", values=lambda: {"voltage_l1": 230.1}) as meter:
        code, out = await run("modbus_meter.py", meter.url, "--profile", "sdm120", "--samples", "20")
    assert code == 0, out
    assert "-- up" in out
    assert any(line.split() == ["Voltage", "L1-N", "230.100", "V", "good"] for line in out.splitlines())
