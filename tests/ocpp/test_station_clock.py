"""A station's clock: set by the CSMS, never going back unnoticed, and the times told before it was set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evcore.model import rfc3339
from evcore.ocpp.station_clock import StationClock

S = 1_000_000_000
NOON = 1_795_435_200 * S  # 2026-11-23T12:00:00Z


def test_the_middle_of_the_round_trip_is_when_the_csms_looked_at_its_clock() -> None:
    clock = StationClock(now=100)
    assert clock.quality == "none"
    clock.heard("2026-11-23T12:00:00Z", 10 * S, 14 * S)
    assert clock.quality == "ocpp"
    assert clock.wall(14 * S) == NOON + 2 * S
    assert clock.stamp(15 * S) == "2026-11-23T12:00:03.000Z"


def test_what_whole_seconds_and_the_round_trip_explain_does_not_move_the_clock() -> None:
    clock = StationClock(NOON, 0)
    assert clock.heard("2026-11-23T12:00:00Z", 900_000_000, 900_000_000) == 0
    assert clock.wall(S) == NOON + S


def test_a_small_step_back_is_waited_out_and_a_big_one_is_made() -> None:
    clock = StationClock(NOON, 0)
    clock.wall(10 * S)
    assert clock.heard("2026-11-23T11:59:50Z", 10 * S, 10 * S) == -20 * S
    assert clock.wall(11 * S) == NOON + 10 * S
    assert clock.wall(40 * S) == NOON + 20 * S
    assert clock.heard("2026-11-22T12:00:00Z", 40 * S, 40 * S) < -23 * 3600 * S
    assert clock.wall(40 * S) == NOON - 24 * 3600 * S


def test_what_is_no_time_is_not_believed() -> None:
    clock = StationClock(now=0)
    for nonsense in ("", "None", "0000-00-00T00:00:00Z", "9999-01-01T00:00:00Z", "yesterday"):
        assert clock.heard(nonsense, 0, 1) == 0
    assert clock.quality == "none"


def test_times_told_before_the_clock_was_set_are_put_right_wherever_they_stand() -> None:
    clock = StationClock(now=5 * S)
    told = clock.stamp(7 * S)
    assert told == "1970-01-01T00:00:02.000Z"
    payload = {"timestamp": told, "n": 1, "meterValue": [{"timestamp": told}, {"timestamp": "2026-01-01T00:00:00Z"}]}
    clock.heard("2026-11-23T12:00:00Z", 10 * S, 10 * S)
    mended = clock.mend(payload)
    assert mended["timestamp"] == mended["meterValue"][0]["timestamp"] == "2026-11-23T11:59:57.000Z"
    assert mended["meterValue"][1]["timestamp"] == "2026-01-01T00:00:00Z"
    assert payload["timestamp"] == told


def test_a_record_of_an_earlier_run_ends_when_this_run_began() -> None:
    clock = StationClock(now=100 * S)
    clock.heard("2026-11-23T12:00:00Z", 110 * S, 110 * S)
    payload = {"timestamp": rfc3339(300 * S), "meterValue": [{"timestamp": rfc3339(280 * S)}]}
    mended = clock.mend(payload, told=300 * S)
    assert mended["timestamp"] == "2026-11-23T11:59:50.000Z"
    assert mended["meterValue"][0]["timestamp"] == "2026-11-23T11:59:30.000Z"


@given(st.lists(st.tuples(st.integers(0, 100 * S), st.integers(-300, 300)), max_size=30))
def test_times_never_decrease_unless_the_clock_says_that_it_stepped_back(steps: list[tuple[int, int]]) -> None:
    clock, now, last = StationClock(NOON, 0), 0, 0
    for passed, off in steps:
        now += passed
        step = clock.heard(rfc3339(NOON + now + off * S), now, now)
        wall = clock.wall(now)
        assert wall >= last or step < -60 * S
        last = wall
