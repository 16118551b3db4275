"""The back-off law of a station (2.0.1 Part 4, 5.3), with a fake clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.ocpp.backoff import RetryBackOff

S = 1_000_000_000


def waits(law: RetryBackOff, count: int) -> list[float]:
    return [law.next_try(0) / S for _ in range(count)]


def test_the_wait_doubles_with_a_new_random_part_and_stays_after_the_last_doubling() -> None:
    parts = iter([0.5, 0.0, 1.0, 0.25])
    law = RetryBackOff(10, 4, 3, rng=lambda: next(parts))
    assert waits(law, 6) == [12, 24, 52, 105, 105, 105]


def test_without_doublings_the_wait_is_always_the_first_one() -> None:
    assert waits(RetryBackOff(3, 0, 0), 3) == [3, 3, 3]


def test_a_link_that_lasted_a_minute_resets_the_law_and_one_that_broke_at_once_does_not() -> None:
    law = RetryBackOff(1, 0, 9)
    assert waits(law, 3) == [1, 2, 4]
    law.connected(0)
    assert law.next_try(59 * S) == (59 + 8) * S
    law.connected(0)
    assert law.next_try(60 * S) == 61 * S


def test_an_accepted_boot_resets_the_law_however_short_the_link_was() -> None:
    law = RetryBackOff(1, 0, 9)
    assert waits(law, 3) == [1, 2, 4]
    law.connected(0)
    law.accepted()
    assert law.next_try(1) == S + 1


def test_a_flapping_link_is_tried_less_and_less_often() -> None:
    law, now, tries = RetryBackOff(1, 2, 6), 0, 0
    while now < 3600 * S:
        law.connected(now)
        now = law.next_try(now + S)
        tries += 1
    assert tries < 60


@given(
    least=st.floats(0.1, 100),
    spread=st.floats(0, 100),
    times=st.integers(0, 10),
    rolls=st.lists(st.floats(0, 1), min_size=14),
)
def test_every_wait_lies_within_the_law(least: float, spread: float, times: int, rolls: list[float]) -> None:
    law = RetryBackOff(least, spread, times, rng=iter(rolls * 2).__next__)
    low = high = 0.0
    for n, wait in enumerate(waits(law, 14)):
        if n == 0:
            low, high = least, least + spread
        elif n <= times:
            low, high = 2 * low, 2 * high + spread
        assert low == pytest.approx(wait, rel=1e-6) or low < wait
        assert high == pytest.approx(wait, rel=1e-6) or wait < high
