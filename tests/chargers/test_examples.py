"""The two examples run as they are printed, against each other."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


async def spawn(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def test_the_csms_and_the_station_charge_twice() -> None:
    csms = await spawn("csms.py", "--port", "0", "--sessions", "2")
    assert csms.stdout is not None
    try:
        async with asyncio.timeout(60):
            url = (await csms.stdout.readline()).decode().split()[-1]
            for identity in ("CP1", "CP2"):
                station = await spawn("station.py", url, identity, "CARD-1")
                said, _ = await station.communicate()
                assert station.returncode == 0, said.decode()
                assert said.decode().splitlines()[-1] == "41.0 Wh"
            told = (await csms.stdout.read()).decode()
            assert await csms.wait() == 0, told
    finally:
        if csms.returncode is None:
            csms.kill()
            await csms.wait()
    assert told.count("session.ended") == 2
    assert told.count("Answer(status='Accepted', ok=True") == 2
