"""The simulated session, in virtual time against the observer, and in real time on a python-can bus."""

from __future__ import annotations

import asyncio
import itertools

import can
import pytest

from evcore.can.gbt27930 import (
    CarIdentified,
    Charged,
    Measured,
    Observer,
    StageChanged,
    Stopped,
    Timeouts,
    Violation,
)
from evcore.can.j1939 import parse_id
from evcore.sim import Battery, GbtSession
from evcore.sim.gbt_session import GbtPlay

MS = 1_000_000
SECOND = 1000 * MS
VIN = "LEVCRE00000000517"


class Heard:
    """A play to its end in virtual time, with an observer beside it."""

    def __init__(self, play, action=None, at=0.0):
        self.play, self.events, self.frames = play, [], []
        observer, now = Observer(), 0
        while not play.done:
            if action is not None and now >= at * SECOND:
                action, _ = None, action(play, now)
            play.poll(now)
            for frame in play.to_send():
                frame = frame._replace(time_ns=now)
                self.frames.append(frame)
                observer.receive(frame, now)
            self.events += observer.poll(now)
            due = play.next_deadline()
            assert play.done or due is not None
            now = max(due or 0, now + MS)
            assert now < 7200 * SECOND
        self.seconds = now / SECOND

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def stages(self):
        return [event.stage for event in self.of(StageChanged)]


def test_a_session_by_the_book_charges_until_the_car_is_full():
    play = GbtPlay(Battery(soc=20, capacity_kwh=60), vin=VIN, speed=120)
    heard = Heard(play)
    assert heard.of(Violation) == []
    assert heard.stages() == ["handshake", "recognition", "configuration", "charging", "stopping", "ended"]
    assert [(event.by, event.reason) for event in heard.of(Stopped)] == [("car", "soc_reached")]
    assert {event.vin for event in heard.of(CarIdentified)} == {VIN}
    assert play.battery.soc == 100
    assert play.charger.energy_wh == pytest.approx(48_000, rel=0.01)
    assert heard.of(Charged)[-1].energy_kwh == pytest.approx(48, abs=0.2)
    soc = [event.soc for event in heard.of(Measured) if event.soc is not None]
    assert soc == sorted(soc)
    assert soc[0] == 20
    assert soc[-1] == 100


def test_current_is_constant_first_and_falls_at_the_voltage_limit():
    play = GbtPlay(Battery(soc=80, max_current_a=150), speed=60)
    heard = Heard(play)
    amps = [-event.current_a for event in heard.of(Measured) if event.current_a is not None][2:]
    volts = [event.voltage_v for event in heard.of(Measured) if event.current_a is not None][2:]
    full = 60_000 / volts[0]  # the charger's power limit comes first
    assert amps[0] == pytest.approx(full, rel=0.01)
    assert amps[-1] < full / 2
    assert max(volts) <= 420.1
    assert amps == sorted(amps, reverse=True)


def test_messages_keep_the_periods_of_the_standard():
    frames = Heard(GbtPlay(), lambda play, now: play.charger.stop(now, {"manual": "yes"}, "manual"), at=12).frames
    for pgn, period in {0x2600: 250, 0x1000: 50, 0x1200: 50, 0x1300: 250, 0x1A00: 10, 0x1900: 10}.items():
        times = [frame.time_ns for frame in frames if parse_id(frame.id).pgn == pgn]
        gaps = [(after - before) / MS for before, after in itertools.pairwise(times)]
        assert len(gaps) > 2
        assert sum(gaps) / len(gaps) == pytest.approx(period, rel=0.25), hex(pgn)


@pytest.mark.parametrize(
    ("action", "by", "reason"),
    [
        (lambda play, now: play.charger.stop(now, {"manual": "yes"}, "manual"), "charger", "manual"),
        (lambda play, now: play.charger.stop(now, {"emergency_stop": "fault"}, "e"), "charger", "emergency_stop"),
        (lambda play, now: play.car.stop(now, {"insulation": "fault"}, "insulation"), "car", "insulation"),
        (lambda play, now: play.charger.fall_silent(now), "car", "timeout"),
        (lambda play, now: play.car.fall_silent(now), "charger", "timeout"),
    ],
)
@pytest.mark.parametrize("at", [0.5, 1.1, 1.6, 5.0])
def test_whoever_ends_it_and_whenever_the_observer_names_him(action, by, reason, at):
    heard = Heard(GbtPlay(), action, at)
    stopped = [(event.by, event.reason) for event in heard.of(Stopped)]
    assert stopped in ([(by, reason)], [])
    assert stopped or at == 0.5  # nobody to miss anybody yet
    if reason == "timeout" and at == 5.0:
        assert [event.messages for event in heard.of(Timeouts)] == [("CCS",) if by == "car" else ("BCL",)]
    assert heard.play.charger.current_a == 0


def test_a_limit_holds_the_power_down():
    play = GbtPlay(Battery(soc=50), max_power_w=60_000, speed=60)

    def limit(play, now):
        play.charger.limit_w = 10_000

    heard = Heard(play, limit, at=8)
    powers = [event.voltage_v * -event.current_a for event in heard.of(Measured) if event.current_a is not None]
    assert max(powers) == pytest.approx(60_000, rel=0.02)
    assert powers[-10] == pytest.approx(10_000, rel=0.02)


async def test_a_session_on_a_real_bus_is_heard_by_python_can_and_follows_its_hooks():
    with can.Bus(interface="virtual", channel="sim-hooks") as listener:
        session = GbtSession("sim-hooks", vin=VIN, pace=4, speed=100, max_power_w=50_000)
        task = asyncio.create_task(session.run())
        async with asyncio.timeout(10):
            await session.charging.wait()
            while session.energy_wh < 10:
                await asyncio.sleep(0.01)
        assert session.stage == "charging"
        assert session.power_w() == pytest.approx(50_000, rel=0.05)
        session.stop()
        async with asyncio.timeout(10):
            assert await task == "manual"
        assert session.power_w() == 0
        ids = set()
        while (message := listener.recv(0)) is not None:
            ids.add(message.arbitration_id)
    assert {0x1826F456, 0x182756F4, 0x1CEC56F4, 0x1CECF456, 0x1CEB56F4, 0x181DF456} <= ids


@pytest.mark.parametrize(
    ("interfere", "reason"),
    [
        (lambda session: session.stop("emergency_stop"), "emergency_stop"),
        (lambda session: session.stop_car("insulation"), "insulation"),
        (lambda session: session.go_silent("charger"), "timeout: CCS"),
        (lambda session: session.go_silent("car"), "timeout: BCL"),
    ],
)
async def test_run_returns_why_it_ended(interfere, reason):
    session = GbtSession("sim-ends", pace=10)
    task = asyncio.create_task(session.run())
    async with asyncio.timeout(20):
        await session.charging.wait()
        interfere(session)
        assert await task == reason


async def test_a_cancelled_session_leaves_no_thread_and_no_queue():
    import threading

    from can.interfaces.virtual import channels

    task = asyncio.create_task(GbtSession("sim-cancel").run())
    while not channels.get("sim-cancel"):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not channels.get("sim-cancel")
    assert not [thread for thread in threading.enumerate() if thread.name == "can-reader"]


def test_a_speed_of_nothing_is_refused():
    with pytest.raises(ValueError, match="speed and pace"):
        GbtSession("x", speed=0)
