"""The page for those who move shows a program and two diffs; the program runs before and after."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from ocpp.v16 import ChargePoint, call

from evcore.errors import LinkError
from evcore.ocpp.websocket import open_stream

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "moving-from-mobilityhouse.md").read_text()
PROGRAM = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
DIFFS = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)


def patched(program: str, diff: str) -> str:
    for old, new in zip(re.findall(r"^-(.*)", diff, re.M), re.findall(r"^\+(.*)", diff, re.M), strict=True):
        assert f"{old}\n" in program
        program = program.replace(f"{old}\n", f"{new}\n")
    return program


BOTH = patched(patched(PROGRAM, DIFFS[0]), DIFFS[1])
PROGRAMS = {
    "before": PROGRAM,
    "moved": patched(PROGRAM, DIFFS[0]),
    "on our WebSocket": patched(PROGRAM, DIFFS[1]),
    "both": BOTH,
}


def test_the_page_shows_two_diffs():
    assert len(DIFFS) == 2
    assert "evcore" not in PROGRAM
    assert "import websockets" not in BOTH


@pytest.mark.parametrize("name", PROGRAMS)
async def test_the_program_runs_before_and_after(name, free_port):
    port = free_port()
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAMS[name].replace("9000", str(port)), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    stream = await open_stream(f"ws://127.0.0.1:{port}/CP1", subprotocols=["ocpp1.6"])
                    break
                except LinkError:
                    assert program.returncode is None, await program.stderr.read()
                    await asyncio.sleep(0.02)
            station = ChargePoint("CP1", stream)
            life = asyncio.ensure_future(station.start())
            answer = await station.call(call.BootNotification(charge_point_model="M", charge_point_vendor="V"))
            assert (answer.status, answer.interval) == ("Accepted", 10)
            life.cancel()
            await stream.close()
    finally:
        program.kill()
        await program.wait()
