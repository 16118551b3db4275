"""The whole way on a serial line: pymodbus's RTU server, a pseudo-terminal, the master, the connector, the hub."""

from __future__ import annotations

import asyncio
import contextlib
import time

from evcore.local import LocalHub
from evcore.meters import ModbusMeter
from evcore.sim import SimMeter


async def test_a_meter_on_a_noisy_serial_line_is_read_and_an_unplugged_one_is_down(wire):
    values = {"power": 4200.0, "energy_import": 98_760}
    wire.spoil = lambda data: b"\xff\x01" + data + b"\x00"
    hub = LocalHub()

    async def until(state: str) -> None:
        limit = time.monotonic() + 8
        while not hub.last("health/line") or hub.last("health/line").state != state:
            assert time.monotonic() < limit, hub.last("health/line")
            await asyncio.sleep(0.01)

    async with SimMeter("sdm120", values=lambda: values, device=wire.device, baudrate=115200):
        meter = ModbusMeter(
            f"rtu://{wire.master}?baudrate=115200", profile="sdm120", name="line", period_s=0.05, timeout_s=2
        )
        running = asyncio.create_task(meter.run(hub))
        try:
            await until("up")
            energy = hub.last("sample/line/0/Energy.Active.Import.Register")
            assert (energy.digits, energy.quality) == ("98760", "good")
            assert hub.last("sample/line/0/Power.Active.Import").value == 4200.0
            assert meter.client.counters.timeouts == 0
            wire.unplug()
            await until("down")
            assert not hub.last("meter/line").online
            assert not running.done()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
