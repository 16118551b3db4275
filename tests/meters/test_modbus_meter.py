"""The connector against a real Modbus server, pymodbus's, which makes its registers with its own converters."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimDevice
from waiting import until

from evcore.errors import ConfigError
from evcore.local import LocalHub
from evcore.meters import ModbusMeter
from evcore.modbus.link import Client
from evcore.model import Event, Health, Meter, Sample
from evcore.sim import SimMeter

VALUES = {
    "voltage_l1": 230.1,
    "voltage_l2": 229.9,
    "current_l1": 16.02,
    "power": 11_034.5,
    "frequency": 50.01,
    "energy_import": 1_234_560,
    "energy_export": 0,
}
ENERGY = "sample/grid/0/Energy.Active.Import.Register"


@contextlib.asynccontextmanager
async def running(meter: ModbusMeter) -> AsyncIterator[LocalHub]:
    hub = LocalHub()
    task = asyncio.create_task(meter.run(hub))
    try:
        yield hub
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def quick(url: str, **options: object) -> ModbusMeter:
    settings = {"profile": "sdm630", "name": "grid", "period_s": 0.05, "timeout_s": 0.1, "stale_after_s": 0.3}
    return ModbusMeter(url, **{**settings, **options})  # type: ignore[arg-type]


async def test_two_meters_take_turns_on_one_line_and_a_dead_one_does_not_stop_the_other():
    meters = [SimMeter("sdm630", values=lambda unit=unit: {"power": 1000.0 * unit}, unit=unit) for unit in (1, 2)]
    devices = [SimDevice(meter.unit, simdata=meter._blocks(), action=meter._fill) for meter in meters]
    server = ModbusTcpServer(devices, framer=FramerType.RTU, address=("127.0.0.1", 0), ignore_missing_devices=True)
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    line = Client(f"rtu+tcp://127.0.0.1:{port}", timeout_s=0.1, retries=0)
    first, second, dead = (quick(line, name=f"m{unit}", unit=unit) for unit in (1, 2, 3))
    try:
        async with running(first) as hub:
            others = [asyncio.create_task(meter.run(hub)) for meter in (second, dead)]
            await until(lambda: hub.last("health/m3") and "degraded" in str(hub.last("health/m3")))
            await until(lambda: (sample := hub.last("sample/m2/0/Power.Active.Import")) and sample.value == 2000.0)
            sent = hub.traffic("modbus").sent
            assert sent == pytest.approx(line.counters.sent, abs=20), "each message is counted once"
            for other in others:
                other.cancel()
            await asyncio.wait(others)
            assert line.connected, "the first still uses it"
            seen = hub.last("sample/m1/0/Power.Active.Import").time_ns
            await until(lambda: hub.last("sample/m1/0/Power.Active.Import").time_ns > seen)
            assert hub.last("sample/m1/0/Power.Active.Import").value == 1000.0
        assert not line.connected
    finally:
        await server.shutdown()


@pytest.mark.parametrize("framing", ["tcp", "rtu+tcp"])
async def test_a_meter_is_read_in_the_words_of_the_model_with_exact_digits(framing):
    async with SimMeter("sdm630", values=lambda: VALUES, framing=framing) as sim, running(quick(sim.url)) as hub:
        await until(lambda: hub.last(ENERGY))
        energy = hub.last(ENERGY)
        assert isinstance(energy, Sample)
        assert (energy.value, energy.unit, energy.digits, energy.quality) == (1_234_560.0, "Wh", "1234560", "good")
        assert abs(energy.time_ns - time.time_ns()) < 5e9
        voltage = hub.last("sample/grid/0/Voltage/L1-N")
        assert isinstance(voltage, Sample)
        assert (voltage.value, voltage.digits) == (230.1, None)  # not 230.10000610351562
        assert hub.last("sample/grid/0/Power.Active.Import").value == 11_034.5
        meter, health = hub.last("meter/grid"), hub.last("health/grid")
        assert isinstance(meter, Meter)
        assert meter.online
        assert meter.model == "Eastron SDM630"
        assert isinstance(health, Health)
        assert health.state == "up"
        traffic = hub.traffic("modbus")
        assert traffic.sent == traffic.received > 0
        assert traffic.errors == 0


async def test_a_device_that_falls_silent_goes_stale_and_comes_back():
    async with SimMeter("sdm630", values=lambda: VALUES) as sim, running(quick(sim.url)) as hub:
        await until(lambda: hub.last(ENERGY))
        sim.silent = True
        await until(lambda: hub.last("health/grid").state in ("degraded", "down"))
        before = hub.last(ENERGY)
        await until(lambda: all(sample.quality == "stale" for sample in hub.snapshot("sample/")))
        assert hub.last(ENERGY).time_ns >= before.time_ns
        assert hub.last(ENERGY).value == 1_234_560.0
        await until(lambda: not hub.last("meter/grid").online)
        assert hub.counters()["evcore_modbus_timeouts_total", ()] > 1
        sim.silent = False
        await until(lambda: hub.last(ENERGY).quality == "good" and hub.last("health/grid").state == "up")


async def test_a_server_that_goes_away_is_found_again():
    sim = SimMeter("sdm630", values=lambda: VALUES)
    await sim.start()
    async with running(quick(sim.url)) as hub:
        await until(lambda: hub.last(ENERGY))
        await sim.stop()
        await until(lambda: hub.last("health/grid").state == "down")
        assert not hub.last("meter/grid").online
        again = SimMeter("sdm630", values=lambda: {**VALUES, "energy_import": 1_234_570}, port=sim.port)
        async with again:
            await until(lambda: hub.last(ENERGY).value == 1_234_570.0)


async def test_nobody_there_at_all_is_health_down_and_no_exception(free_port):
    async with running(quick(f"tcp://127.0.0.1:{free_port()}")) as hub:
        await until(lambda: hub.last("health/grid") and hub.last("health/grid").state == "down")
        assert "127.0.0.1" in hub.last("health/grid").detail
        assert hub.counters()["evcore_modbus_failures_total", (("connector", "grid"),)] >= 1


async def test_an_energy_register_that_falls_is_suspect_until_it_is_confirmed():
    values = dict(VALUES)
    events: list[Event] = []
    async with SimMeter("sdm630", values=lambda: values) as sim, running(quick(sim.url)) as hub:
        subscription = hub.subscribe(Event)
        await until(lambda: hub.last(ENERGY))
        seen: list[str] = []
        samples = hub.subscribe(Sample)
        values["energy_import"] = 500
        async with asyncio.timeout(8):
            async for item in samples:
                if item.key == ENERGY and item.value == 500:
                    seen.append(item.quality)
                    if item.quality == "good":
                        break
        assert seen == ["suspect", "suspect", "good"]
        events.append(await subscription.get())
    assert events[0].kind == "meter.jumped"
    assert events[0].data == {"measurand": "Energy.Active.Import.Register", "before": "1234560", "after": "500"}


async def test_a_device_that_refuses_one_read_still_gives_the_others(tmp_path):
    # Two points of a device that has only the first: the second read is answered with exception 2.
    one = '[[point]]\nname = "power"\naddress = 0\ntype = "int32"\nmeasurand = "Power.Active.Import"\nunit = "W"\n'
    two = (
        one + '[[point]]\nname = "current_l1"\naddress = 99\ntype = "int32"\nmeasurand = "Current.Import"\nunit = "A"\n'
    )
    head = 'title = "t"\nmanufacturer = "m"\nmodel = "x"\n[[source]]\nrepository = "a/b"\npath = "c"\ncommit = "d"\n'
    for name, points in (("has", one), ("asks", two)):
        (tmp_path / f"{name}.toml").write_text(head + points)
    meter_of = tmp_path / "asks.toml"
    async with (
        SimMeter(tmp_path / "has.toml", values=lambda: {"power": -5}) as sim,
        running(quick(sim.url, profile=meter_of)) as hub,
    ):
        await until(lambda: hub.last("health/grid") and hub.last("health/grid").state == "degraded")
        assert "illegal data address" in hub.last("health/grid").detail
        assert hub.last("sample/grid/0/Power.Active.Import").value == -5.0
        assert hub.last("meter/grid").online


async def test_cancelling_leaves_no_task_and_says_stopped():
    async with SimMeter("sdm630", values=lambda: VALUES) as sim:
        before = asyncio.all_tasks()
        meter = quick(sim.url)
        async with running(meter) as hub:
            await until(lambda: hub.last(ENERGY))
        assert asyncio.all_tasks() == before
        assert not meter.client.connected
        assert hub.last("health/grid").state == "stopped"
        assert not hub.last("meter/grid").online


def test_wrong_arguments_are_named():
    with pytest.raises(ConfigError, match="scheme"):
        ModbusMeter("http://x", profile="sdm630")
    with pytest.raises(ConfigError, match="sdm630"):
        ModbusMeter("tcp://x", profile="nonesuch")
    with pytest.raises(KeyError):
        ModbusMeter("tcp://x", profile="sdm630", points=["nonesuch"])
    for wrong in ({"period_s": 0}, {"period_s": float("nan")}, {"stale_after_s": 0}, {"max_power_w": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ModbusMeter("tcp://x", profile="sdm630", **wrong)
