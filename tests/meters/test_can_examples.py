"""The examples for CAN run as they are printed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DBC = """VERSION ""
BO_ 2551379030 CCS: 8 Charger
 SG_ Volts : 0|16@1+ (0.1,0) [0|0] "V" X
 SG_ Amps : 16|16@1+ (0.1,-400) [0|0] "A" X
"""


async def run(name: str, *arguments: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    return said.decode().splitlines()


async def test_a_log_is_decoded_frame_by_frame(tmp_path: Path) -> None:
    (tmp_path / "a.dbc").write_text(DBC)
    (tmp_path / "a.log").write_text(
        "(1.5) can0 1812F456#1E15830F0000FDFF\n"
        "(1.6) can0 1812F456#1E15\n"
        "(1.7) can0 123#00\n"
        "not a frame\n"
        "(1.8) can0 1812F456#1E15830F0000FDFF\n"
    )  # fmt: skip
    said = await run("decode_can.py", str(tmp_path / "a.log"), str(tmp_path / "a.dbc"))
    assert said[0].startswith("1.500000 Volts=540.6, Amps=-2.8999999999999773")
    assert "length at /CCS: expected 8 bytes, got 2" in said[1]
    assert said[-1] == "2 decoded, 1 unknown, 1 broken, 1 lines that are no frame"


async def test_a_simulated_car_is_watched_until_it_charges() -> None:
    said = await run("watch_car.py", "--seconds", "6")
    assert "vehicle.stage configuration to charging" in said
    assert any(line.startswith("car-1 at CP-1: charging LEV**********0517") for line in said)
    assert any(line.startswith("Power.Active.Import") for line in said)
