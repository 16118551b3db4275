"""The README's examples run as they stand, but for the addresses."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from evcore.sim import SimMeter, SimStation

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).resolve().parents[1] / "README.md").read_text(), re.DOTALL)


async def run_until(code: str, wanted: str) -> None:
    """Run a program until it has printed `wanted`."""
    python = await asyncio.create_subprocess_exec(sys.executable, "-u", "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            while wanted not in (line := (await python.stdout.readline()).decode()):
                assert line, f"it ended without {wanted!r}"
    finally:
        python.kill()
        await python.wait()


def test_the_codec_prints_what_the_comments_say():
    done = subprocess.run([sys.executable, "-c", BLOCKS[0]], capture_output=True, text=True, check=True)
    expected = [line.split("  # ")[1] for line in BLOCKS[0].splitlines() if "  # " in line]
    printed = done.stdout.splitlines()
    assert [printed[0], printed[2]] == expected
    assert printed[1].startswith('b\'[3,"17",')


async def test_a_station_charges_at_the_csms(free_port):
    port = free_port()
    station = SimStation(f"ws://127.0.0.1:{port}", "CP1", speed=60, backoff_s=0.1)

    async def charge() -> None:
        await station.online.wait()
        await station.plug_in(1, "CARD-1")

    lives = [asyncio.ensure_future(station.run()), asyncio.ensure_future(charge())]
    try:
        await run_until(BLOCKS[1].replace("9000", str(port)), "session.started")
    finally:
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)


async def test_the_meter_is_read():
    async with SimMeter("sdm630", values=lambda: {"energy_import": 1234.0}) as meter:
        await run_until(
            BLOCKS[2].replace("192.168.1.20:502", f"127.0.0.1:{meter.port}"), "Energy.Active.Import.Register"
        )
