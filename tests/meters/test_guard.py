"""The guard of energy registers, in virtual time."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from evcore.meters.guard import CounterGuard

SECOND = 1_000_000_000


def judge(guard: CounterGuard, *readings: tuple[float, str], resolution: str = "0") -> list[bool]:
    return [guard.judge(Decimal(value), round(at * SECOND), Decimal(resolution)) for at, value in readings]


def test_what_flows_is_good_and_what_falls_is_suspect():
    guard = CounterGuard(max_power_w=11_000)
    assert judge(guard, (0, "1000"), (1, "1003"), (2, "1003"), (3, "1002.9")) == [True, True, True, False]
    assert judge(guard, (4, "1005")) == [True]


def test_no_more_than_the_power_allows_is_good():
    assert judge(CounterGuard(3600), (0, "0"), (10, "10.01")) == [True, False]
    assert judge(CounterGuard(3600), (0, "0"), (10, "10")) == [True, True]


def test_a_register_with_coarse_steps_may_take_one():
    assert judge(CounterGuard(3600), (0, "0"), (1, "100"), resolution="100") == [True, True]


def test_a_register_that_is_updated_once_a_minute_may_catch_up():
    guard = CounterGuard(3600)
    assert judge(guard, *((t, "0") for t in range(60)), (60, "60")) == [True] * 61


def test_another_level_is_believed_when_three_readings_agree_on_it():
    guard = CounterGuard(11_000)
    assert judge(guard, (0, "5000"), (1, "12"), (2, "12"), (3, "13")) == [True, False, False, True]
    assert guard.accepted_jump == (Decimal(5000), Decimal(13))
    assert judge(guard, (4, "14")) == [True]
    assert guard.accepted_jump is None


def test_spikes_that_disagree_are_never_believed():
    guard = CounterGuard(11_000)
    readings = [(0, "5000"), *((t, str(10**6 * (1 + t % 2))) for t in range(1, 20)), (20, "5001")]
    assert judge(guard, *readings) == [True, *[False] * 19, True]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_a_true_counter_is_never_suspect(steps):
    guard = CounterGuard(11_000)
    value = 0
    for second, step in enumerate(steps):
        value += step
        assert guard.judge(Decimal(value), second * SECOND)
