"""The virtual clock drives real machines and finds out the ones that break the shape."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from evcore.ocpp import Codec
from evcore.ocpp.events import Called, Finished, Outcome
from evcore.ocpp.session import Session
from evcore.sim.clock import StuckError, VirtualClock

MS = 1_000_000
SECOND = 1000 * MS


class Ticker:
    """Ticks every `period`, sends the time, hears others."""

    def __init__(self, period: int | None, until: int = 2**63) -> None:
        self.period, self.until = period, until
        self.due, self.out, self.heard, self.polled = period, list[int](), list[tuple[int, Any]](), list[int]()

    def receive(self, x: Any, now: int) -> None:
        self.heard.append((now, x))

    def poll(self, now: int) -> list[str]:
        self.polled.append(now)
        if self.due is None or now < self.due or self.period is None:
            return []
        self.due += self.period
        if self.due > self.until:
            self.due = None
        self.out.append(now)
        return [f"tick {now}"]

    def to_send(self) -> list[int]:
        out, self.out = self.out, []
        return out

    def next_deadline(self) -> int | None:
        return self.due


def test_time_jumps_from_deadline_to_deadline_and_messages_arrive_late() -> None:
    clock, slow, ear = VirtualClock(), Ticker(30 * SECOND), Ticker(None)
    events: list[str] = []
    clock.add(slow, events.append)
    clock.add(ear)
    clock.connect(slow, ear, delay=5 * MS)
    clock.advance(3600 * SECOND)
    assert clock.now == 3600 * SECOND
    assert len(events) == 120
    assert ear.heard[0] == (30 * SECOND + 5 * MS, 30 * SECOND)
    assert len(ear.heard) == 119, "the last is still on its way"
    assert len(slow.polled) < 1000, "polled only when there was a reason"


def test_a_way_can_lose_repeat_reorder_and_spoil() -> None:
    def way(message: int, now: int) -> Iterable[tuple[int, Any]]:
        match message // SECOND:
            case 1:
                return ()
            case 2:
                return (now, message), (now, message)
            case 3:
                return ((now + 1500 * MS, message),)
            case _:
                return ((now, "spoilt"),)

    clock, mouth, ear = VirtualClock(), Ticker(SECOND), Ticker(None)
    clock.add(mouth)
    clock.add(ear)
    clock.connect(mouth, ear, way=way)
    clock.advance(5 * SECOND)
    assert [x for _, x in ear.heard] == [2 * SECOND, 2 * SECOND, "spoilt", 3 * SECOND, "spoilt"]


def test_run_stops_as_soon_as_it_is_done_and_says_whether_it_was() -> None:
    clock, ticker = VirtualClock(100), Ticker(SECOND)
    clock.add(ticker)
    assert clock.run(lambda: clock.now >= 3 * SECOND, until=10 * SECOND)
    assert clock.now == 3 * SECOND
    assert not clock.run(lambda: False, until=3500 * MS)
    assert clock.now == 3500 * MS


def test_actions_happen_at_their_time_in_order_and_late_ones_at_once() -> None:
    clock, seen = VirtualClock(50), list[tuple[str, int]]()
    clock.at(70, lambda: seen.append(("second", clock.now)))
    clock.at(60, lambda: clock.at(10, lambda: seen.append(("late", clock.now))))
    clock.advance(30)
    assert seen == [("late", 60), ("second", 70)]
    assert clock.now == 80


def test_a_machine_whose_deadline_does_not_move_is_found_out() -> None:
    class Stuck(Ticker):
        def poll(self, now: int) -> list[str]:
            return []

    clock = VirtualClock()
    clock.add(Stuck(SECOND))
    with pytest.raises(StuckError, match="Stuck"):
        clock.advance(2 * SECOND)


def test_machines_that_wake_one_another_without_end_are_found_out() -> None:
    class Echo(Ticker):
        def receive(self, x: Any, now: int) -> None:
            self.out.append(x)

    clock, a, b = VirtualClock(limit=100), Echo(SECOND), Echo(None)
    for machine in (a, b):
        clock.add(machine)
    clock.connect(a, b)
    clock.connect(b, a)
    with pytest.raises(StuckError, match="100 turns"):
        clock.advance(2 * SECOND)


def test_an_ocpp_station_and_a_csms_talk_for_a_day_and_one_lost_answer_times_out() -> None:
    """The engine of both roles, over a line of 20 ms that loses one answer in the middle of the day."""
    clock = VirtualClock()
    station, csms = Session(Codec("2.0.1"), "station", accepted=True), Session(Codec("2.0.1"), "csms", accepted=True)
    outcomes: list[Outcome] = []

    def at_the_csms(event: Any) -> None:
        assert isinstance(event, Called)
        assert csms.answer(event.id, {"currentTime": "2026-11-23T18:00:00Z"}, clock.now)

    def at_the_station(event: Any) -> None:
        if isinstance(event, Finished):
            outcomes.append(event.outcome)

    def way(message: bytes, now: int) -> Iterable[tuple[int, bytes]]:
        noon = 43_200 * SECOND <= now < 43_200 * SECOND + 300 * SECOND
        return () if noon else ((now + 20 * MS, message),)

    clock.add(station, at_the_station)
    clock.add(csms, at_the_csms)
    clock.connect(station, csms, delay=20 * MS)
    clock.connect(csms, station, way=way)

    def beat() -> None:
        station.call("Heartbeat", {}, clock.now)

    for n in range(288):
        clock.at(n * 300 * SECOND, beat)
    clock.advance(86_400 * SECOND)
    assert outcomes.count(Outcome.ANSWERED) == 287
    assert outcomes.count(Outcome.TIMED_OUT) == 1
