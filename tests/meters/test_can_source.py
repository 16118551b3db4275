"""CanSource on python-can's virtual bus: a database's signals, and a charging session played by the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import can
import pytest
from waiting import until

from evcore.can import Database
from evcore.can.frames import ERROR, EXTENDED, Frame
from evcore.errors import ConfigError
from evcore.local import LocalHub
from evcore.meters import CanSource
from evcore.meters.can_signals import Reading, SignalSamples
from evcore.meters.can_vehicle import GbtVehicle, masked
from evcore.model import Event, Health, Sample, Vehicle, wire
from evcore.sim import Battery, GbtSession

DBC = """VERSION ""
BO_ 256 Pack: 8 BMS
 SG_ Volts : 0|16@1+ (0.1,0) [0|1000] "V" X
 SG_ Amps : 16|16@1- (0.1,0) [0|0] "A" X
 SG_ Counter : 56|8@1+ (1,0) [0|0] "" X
BO_ 257 Cells: 2 BMS
 SG_ Which M : 0|8@1+ (1,0) [0|0] "" X
 SG_ Cell1 m1 : 8|8@1+ (0.02,0) [0|0] "V" X
 SG_ Cell2 m2 : 8|8@1+ (0.02,0) [0|0] "V" X
BO_ 2147484006 Status: 2 BMS
 SG_ State : 0|8@1+ (1,0) [0|0] "" X
 SG_ Counter : 8|8@1+ (1,0) [0|0] "" X
VAL_ 2147484006 State 1 "Ready" ;
"""
NOW = 1_700_000_000_000_000_000


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "pack.dbc"
    path.write_text(DBC)
    return path


@contextlib.asynccontextmanager
async def running(source):
    """The source at work on its own hub; cancelled at the end, which it must leave clean."""
    items = []
    hub = LocalHub(items.append)
    task = asyncio.create_task(source.run(hub))
    async with asyncio.timeout(10):
        await source.started.wait()
    try:
        yield hub, items
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not [thread for thread in threading.enumerate() if thread.name == "can-reader"]


def send(bus, id, data):
    bus.send(can.Message(arbitration_id=id & ~EXTENDED, is_extended_id=bool(id & EXTENDED), data=data))


async def test_signals_of_a_bus_become_samples_with_name_unit_and_time(database):
    source = CanSource("virtual", "src-1", database=database, name="pack", evse=2, period_s=0.05)
    with can.Bus(interface="virtual", channel="src-1") as bus:
        async with running(source) as (hub, items):
            send(bus, 0x100, bytes.fromhex("8813 9CFF 00000007"))
            send(bus, 0x123, b"\x00")
            await until(lambda: hub.last("sample/pack/2/Volts"))
            sample = hub.last("sample/pack/2/Volts")
            assert (sample.value, sample.unit, sample.quality) == (500.0, "V", "good")
            assert abs(sample.time_ns - time.time_ns()) < 60e9
            assert hub.last("sample/pack/2/Amps").value == -10.0
            assert hub.last("sample/pack/2/Pack.Counter").value == 7
            assert (hub.traffic("can").received, hub.traffic("can").errors) == (2, 0)
            send(bus, 0x100, bytes(3))
            await until(lambda: [item for item in items if isinstance(item, Event)])
            (event,) = [item for item in items if isinstance(item, Event)]
            assert (event.kind, event.text) == ("protocol.violation", "Pack: expected 8 bytes, got 3")
            assert hub.traffic("can").errors == 1
    states = [item.state for item in items if isinstance(item, Health)]
    assert states == ["starting", "up", "stopped"]


async def test_a_value_that_no_longer_comes_is_published_as_stale_once(database):
    source = CanSource("virtual", "src-2", database=database, name="pack", period_s=0.02, stale_s=0.1)
    with can.Bus(interface="virtual", channel="src-2") as bus:
        async with running(source) as (_, items):
            send(bus, 0x100, bytes(8))
            await until(lambda: [i for i in items if isinstance(i, Sample) and i.quality == "stale"])
            await asyncio.sleep(0.1)
            volts = [item.quality for item in items if isinstance(item, Sample) and item.measurand == "Volts"]
            assert volts == ["good", "stale"]


def test_a_fast_message_is_decoded_once_a_flush_and_a_multiplexed_one_every_time(database):
    samples = SignalSamples(Database.load(database), source="pack")
    for i in range(50):
        assert samples.receive(Frame(0x100, bytes([i]) + bytes(7), 0, NOW))
        assert samples.receive(Frame(0x101, bytes([1 + i % 2, i]), 0, NOW))
    values = {sample.measurand: sample.value for sample in samples.samples()}
    assert values["Volts"] == pytest.approx(4.9)
    assert (values["Cell1"], values["Cell2"]) == (pytest.approx(0.96), pytest.approx(0.98))
    assert samples.samples() == []
    assert not samples.receive(Frame(0x101, b"\x09\x00", 0, NOW))
    assert "Which" in samples.errors["Cells"]


def test_signals_can_be_chosen_and_put_into_the_words_of_the_model(database):
    samples = SignalSamples(
        Database.load(database),
        source="bay",
        signals={"Volts": "Voltage", "Pack.Amps": Reading("Current.Import", scale=-1.0, location="EV")},
    )
    samples.receive(Frame(0x100, bytes.fromhex("8813 9CFF 00000007"), 0, NOW))
    samples.receive(Frame(0x126 | EXTENDED, b"\x01\x02", 0, NOW))
    found = {sample.key: (sample.value, sample.unit) for sample in samples.samples()}
    assert found == {"sample/bay/0/Voltage": (500.0, "V"), "sample/bay/0/Current.Import/-/EV": (10.0, "A")}


def test_a_signal_that_does_not_exist_a_missing_file_and_no_task_are_refused(database, tmp_path):
    with pytest.raises(ConfigError, match=r"signals\.Pack\.Watts"):
        CanSource(database=database, signals={"Pack.Watts": "x"})
    with pytest.raises(ConfigError, match=r"none\.dbc"):
        CanSource(database=tmp_path / "none.dbc")
    with pytest.raises(ValueError, match="neither"):
        CanSource()
    with pytest.raises(ValueError, match="observer: expected 'gbt27930', got 'chademo'"):
        CanSource(observer="chademo")
    for times in ({"period_s": 0.0}, {"period_s": float("nan")}, {"stale_s": -1.0}):
        with pytest.raises(ValueError, match=next(iter(times))):
            CanSource(observer="gbt27930", **times)


async def test_a_charging_session_is_a_vehicle_with_samples_and_events():
    source = CanSource(
        "virtual", "src-3", observer="gbt27930", name="can", vehicle="car-7", station="CP-1", evse=1, period_s=0.02
    )
    async with running(source) as (hub, items):
        session = GbtSession("src-3", battery=Battery(soc=40), pace=4, speed=50, max_power_w=40_000)
        play = asyncio.create_task(session.run())
        async with asyncio.timeout(20):
            await session.charging.wait()
        await until(lambda: (hub.last("sample/car-7/1/Current.Import/-/EV") or sample(0)).value > 50)
        vehicle = hub.last("vehicle/car-7")
        assert (vehicle.protocol, vehicle.stage, vehicle.station, vehicle.evse) == ("gbt27930", "charging", "CP-1", 1)
        assert vehicle.vin == "LEV**********0517"
        assert vehicle.limits["max_voltage_v"] == 420.0
        assert vehicle.limits["charger_max_current_a"] == 200.0
        await until(lambda: (hub.last("sample/car-7/1/SoC/-/EV") or sample(0)).value > 40)
        volts, amps, watts = (
            hub.last(f"sample/car-7/1/{name}/-/EV") for name in ("Voltage", "Current.Import", "Power.Active.Import")
        )
        assert (volts.unit, amps.unit, watts.unit, watts.context) == ("V", "A", "W", "Other")
        assert watts.value == pytest.approx(40_000, rel=0.05)
        assert hub.last("sample/car-7/1/Temperature/-/EV").unit == "Celsius"
        session.stop_car("insulation")
        async with asyncio.timeout(20):
            await play
        await until(lambda: [i for i in items if isinstance(i, Event) and i.kind == "vehicle.charged"])
        events = [item for item in items if isinstance(item, Event)]
        stages = [event.data["stage"] for event in events if event.kind == "vehicle.stage"]
        assert stages == ["handshake", "recognition", "configuration", "charging", "stopping", "ended"]
        (stopped,) = [event for event in events if event.kind == "vehicle.stopped"]
        assert (stopped.data["by"], stopped.data["reason"], stopped.severity) == ("car", "insulation", "warning")
        assert stopped.data["station"] == "CP-1"
        assert [event.data["code"] for event in events if event.kind == "fault.raised"] == ["insulation"]
        assert len([event for event in events if event.kind == "vehicle.charged"]) == 1
        assert [event for event in events if event.kind == "protocol.violation"] == []
        assert hub.traffic("can").received > 100
        assert hub.traffic("can").errors == 0
        for item in items:
            wire(item)


def sample(value):
    return Sample("", "", value, "", 0)


def test_the_recorded_session_gives_states_before_their_events_and_a_cleared_vehicle_at_the_end(shared_data):
    from evcore.can import read_log

    vehicle = GbtVehicle("car-1")
    items, now = [], 0
    for frame in read_log(shared_data / "can" / "gbt27930-charger-stops.log"):
        now = frame.time_ns
        items += vehicle.receive(frame, now)
    items += vehicle.poll(now + 60_000_000_000)
    stages = [item.stage if isinstance(item, Vehicle) else "event" for item in items if not isinstance(item, Sample)]
    assert stages.index("handshake") < stages.index("event")
    currents = [item.value for item in items if isinstance(item, Sample) and item.measurand == "Current.Import"]
    assert max(currents) == 3.0
    assert min(currents) >= 0
    last = [item for item in items if isinstance(item, Vehicle)][-1]
    assert (last.stage, last.limits) == ("idle", {})
    timeouts = [item for item in items if isinstance(item, Event) and item.kind == "protocol.timeout"]
    assert [event.data["messages"] for event in timeouts] == [["CCS"]]


def test_a_vin_is_masked_unless_asked_for():
    assert masked("LSVAA49J132012345") == "LSV**********2345"
    assert masked("") == ""
    assert masked("12345") == "*****"


def test_violations_of_one_kind_are_told_every_ten_seconds_and_always_counted():
    vehicle = GbtVehicle("car-1")
    items = []
    for i in range(300):
        # Every CCS is too long: told once a session by the observer; broken transfers each time.
        frame = Frame(0x9CEB56F4, bytes(8), 0, NOW + i * 100_000_000)
        items += vehicle.receive(frame, i * 100_000_000)
        rts = Frame(0x9CEC56F4, bytes.fromhex("1008000200000600"), 0, NOW + i * 100_000_000)
        items += vehicle.receive(rts, i * 100_000_000)
    told = [item for item in items if isinstance(item, Event) and item.kind == "protocol.violation"]
    assert vehicle.violations >= 300
    assert 4 <= len(told) <= 8


async def test_a_bus_that_cannot_be_opened_is_down_and_is_tried_again():
    source = CanSource("socketcan", "no-such-bus-0", observer="gbt27930")
    items = []
    task = asyncio.create_task(source.run(LocalHub(items.append)))
    try:
        await until(lambda: [i for i in items if isinstance(i, Health) and i.state == "down"])
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    (down,) = [item for item in items if isinstance(item, Health) and item.state == "down"]
    assert "no-such-bus-0" in down.detail
    assert [item.kind for item in items if isinstance(item, Event)] == ["bus.error"]


async def test_a_bus_that_breaks_is_opened_again_and_its_values_are_stale(database, monkeypatch):
    monkeypatch.setattr("evcore.meters.can_source._BACK_OFF_S", (0.02, 0.1))
    source = CanSource("virtual", "src-4", database=database, name="pack", period_s=0.02)
    with can.Bus(interface="virtual", channel="src-4") as bus:
        async with running(source) as (hub, items):
            send(bus, 0x100, bytes(8))
            await until(lambda: hub.last("sample/pack/0/Volts"))
            with monkeypatch.context() as broken:
                broken.setattr("can.interfaces.virtual.VirtualBus._recv_internal", _gone)
                await until(lambda: [i for i in items if isinstance(i, Health) and i.state == "down"])
            assert hub.last("sample/pack/0/Volts").quality == "stale"
            count = len(items)
            await until(lambda: [i for i in items[count:] if isinstance(i, Health) and i.state == "up"])

            def sent_and_good():
                send(bus, 0x100, bytes(8))
                return hub.last("sample/pack/0/Volts").quality == "good"

            await until(sent_and_good)


def _gone(self, timeout):
    raise can.CanOperationError("the adapter was pulled out")


async def test_error_frames_are_counted_and_told_once(monkeypatch):
    frames = [Frame(ERROR | 0x40, bytes(8))] * 5
    source = CanSource("virtual", "src-5", observer="gbt27930", period_s=0.02)
    with can.Bus(interface="virtual", channel="src-5") as bus:
        async with running(source) as (hub, items):
            for _ in frames:
                bus.send(can.Message(arbitration_id=0x40, is_error_frame=True))
            await until(lambda: hub.traffic("can").errors == 5)
            await until(lambda: [i for i in items if isinstance(i, Event)])
            assert {item.kind for item in items if isinstance(item, Event)} == {"bus.error"}
            assert "bus off" in next(item.text for item in items if isinstance(item, Event))
            await until(lambda: sum(hub.counters().values()) == 5)
