"""The example within FastAPI runs as it is printed; its station is mobilityhouse's."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import urllib.request
from pathlib import Path

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result, datatypes

EXAMPLE = Path(__file__).resolve().parents[2] / "examples", "fastapi_csms.py"


class Station(ChargePoint):
    @on("Reset")
    async def on_fastapi_reset(self, type):
        return call_result.Reset(status="Accepted" if type == "Soft" else "Rejected")


def post(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=8) as answer:
        return answer.read()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """The next line with these words."""
    assert process.stdout is not None
    async for line in process.stdout:
        if words in line.decode():
            return line.decode()
    raise AssertionError(f"it ended without saying {words}")


async def test_the_example_serves_a_station_and_a_rest_call():
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        assert not os.environ.get("CI"), "fastapi and uvicorn are in the dev extra"
        pytest.skip("no fastapi")
    folder, name = EXAMPLE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "--app-dir", str(folder), f"{Path(name).stem}:app", "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            at = (await said(process, "running on")).split("//")[1].split()[0]
            url = f"ws://{at}/ocpp/CP%201"
            async with websockets.connect(url, subprotocols=["ocpp1.6"]) as connection:
                station = Station("CP 1", connection)
                life = asyncio.ensure_future(station.start())
                booted = await station.call(call.BootNotification(charge_point_model="M", charge_point_vendor="Vendor"))
                assert booted.status == "Accepted"
                assert "CP 1 of Vendor" in await said(process, "Vendor")
                sampled = [datatypes.SampledValue(value="1.5", measurand="Voltage")]
                values = datatypes.MeterValue(timestamp="2026-11-23T18:00:00Z", sampled_value=sampled)
                assert await station.call(call.MeterValues(connector_id=1, meter_value=[values])) is not None
                assert "SampledValue(value='1.5'" in await said(process, "SampledValue")
                assert await asyncio.to_thread(post, f"http://{at}/stations/CP%201/reset") == b'{"status":"Accepted"}'
                life.cancel()
    finally:
        process.terminate()
        await process.wait()
