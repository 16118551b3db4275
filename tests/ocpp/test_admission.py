"""Budgets of failures and the bound on unfinished handshakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evcore.ocpp.admission import Admission, Handshakes, NoRoom

SECOND = 1_000_000_000
ADDRESSES, IDENTITIES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["CP1", "CP2"]


def test_an_address_that_fails_too_often_waits_and_others_do_not() -> None:
    admission = Admission(failures=3, forgive=SECOND)
    for _ in range(3):
        assert admission.admits("10.0.0.1", 0)
        admission.failed("10.0.0.1", None, 0)
    assert not admission.admits("10.0.0.1", 0)
    assert not admission.may_try("10.0.0.1", "CP1", 0)
    assert admission.admits("10.0.0.2", 0)
    assert admission.admits("10.0.0.1", SECOND)
    admission.succeeded("10.0.0.1", "CP1")
    assert len(admission) == 0


def test_no_more_addresses_are_remembered_than_allowed() -> None:
    admission = Admission(addresses=10, homes=10)
    for n in range(100):
        admission.failed(str(n), f"CP{n}", 0)
        admission.succeeded(f"home {n}", f"CP{n}")
    assert len(admission) == 10
    assert len(admission._identities) == len(admission._homes) == len(admission._guests) == 10


def test_an_identity_under_attack_is_closed_to_who_has_failed_and_to_nobody_else() -> None:
    admission = Admission(identity_failures=5)
    told = [admission.failed(f"10.1.0.{n}", "CP1", 0) for n in range(10)]
    assert told == [False] * 4 + [True] + [False] * 5, "it is told of once"
    assert not any(admission.may_try(f"10.1.0.{n}", "CP1", 0) for n in range(10))
    assert admission.may_try("10.1.0.0", "CP2", 0)
    assert admission.may_try("10.2.0.1", "CP1", 0), "the station itself has not failed"


def test_where_a_station_was_let_in_it_is_let_in_again_whatever_others_do_there() -> None:
    admission = Admission(failures=3, identity_failures=3)
    admission.succeeded("10.0.0.1", "CP1")
    for _ in range(10):
        admission.failed("10.0.0.1", "CP1", 0)
    assert admission.admits("10.0.0.1", 0)
    assert admission.may_try("10.0.0.1", "CP1", 0)
    assert not admission.may_try("10.0.0.1", "CP2", 0)
    admission.succeeded("10.0.0.9", "CP1")  # it has moved
    for _ in range(10):
        admission.failed("10.0.0.1", None, 0)
    assert not admission.admits("10.0.0.1", 0)


@pytest.mark.parametrize("known", [True, False])
def test_neighbours_that_repeat_what_is_wrong_do_not_use_up_their_address(known: bool) -> None:
    admission, judged, now = Admission(), 0, 0
    for _ in range(3600):  # an hour: three at one address, each tries every second
        now += SECOND
        for name in ("WRONG1", "WRONG2", "WRONG3"):
            if admission.admits("10.0.0.1", now) and admission.may_try("10.0.0.1", name, now):
                judged += 1
                admission.failed("10.0.0.1", name if known else None, now, name=name)
        if now > 30 * SECOND:
            assert admission.admits("10.0.0.1", now)
            assert admission.may_try("10.0.0.1", "GENUINE", now)
    assert judged <= 3 * (10 + 60), "and less is judged than an address may try"
    admission.succeeded("10.0.0.1", "WRONG1")
    assert admission.may_try("10.0.0.1", "WRONG1", now)


def test_a_flood_of_one_identity_from_one_address_is_soon_not_read_any_more() -> None:
    admission, read, judged = Admission(), 0, 0
    for n in range(10_000):  # in ten seconds
        if admission.admits("10.0.0.1", n * SECOND // 1000):
            read += 1
            if admission.may_try("10.0.0.1", "CP1", n * SECOND // 1000):
                judged += 1
                admission.failed("10.0.0.1", "CP1", n * SECOND // 1000, name="CP1")
    assert (judged, read < 10 + 100 + 10 * 10 + 2) == (10, True)
    assert admission.admits("10.0.0.1", 11 * SECOND)


def test_without_a_limit_for_addresses_as_behind_a_proxy_an_identity_has_none_there_either() -> None:
    admission = Admission(failures=0, identity_failures=0)
    for _ in range(100):
        admission.failed("10.0.0.1", "CP1", 0, name="CP1")
    assert admission.may_try("10.0.0.1", "CP1", 0)


@given(
    st.lists(
        st.tuples(st.sampled_from(ADDRESSES[1:]), st.sampled_from([*IDENTITIES, None]), st.integers(0, 3 * SECOND)),
        max_size=60,
    )
)
def test_whoever_never_fails_is_never_kept_away(failures: list[tuple[str, str | None, int]]) -> None:
    admission, now = Admission(failures=2, identity_failures=2), 0
    for address, identity, pause in failures:
        now += pause
        admission.failed(address, identity, now)
        assert all(
            admission.admits(ADDRESSES[0], now) and admission.may_try(ADDRESSES[0], id, now) for id in IDENTITIES
        )


@given(st.lists(st.tuples(st.sampled_from(ADDRESSES), st.booleans(), st.integers(0, SECOND)), max_size=80))
def test_handshakes_stay_within_their_limit_and_a_lonely_address_gets_in(
    steps: list[tuple[str, bool, int]],
) -> None:
    handshakes: Handshakes[int] = Handshakes(6)
    alive: dict[int, str] = {}
    now = 0
    for number, (address, ends, pause) in enumerate(steps):
        now += pause
        if ends and alive:
            gone = next(iter(alive))
            del alive[gone]
            assert handshakes.end(gone)
            assert not handshakes.end(gone)
            continue
        try:
            victim = handshakes.victim(address, now)
        except NoRoom:
            assert len(alive) == 6
            mine = list(alive.values()).count(address)
            assert all(list(alive.values()).count(other) <= mine + 1 for other in ADDRESSES)
            continue
        if victim is not None:
            handshakes.end(victim)
            del alive[victim]
        handshakes.begin(number, address, now)
        alive[number] = address
        assert len(handshakes) == len(alive) <= 6
    assert set(handshakes) == set(alive)


def test_where_all_are_alike_only_a_slow_one_is_given_up() -> None:
    handshakes: Handshakes[str] = Handshakes(2)
    for name in ("a", "b"):
        handshakes.begin(name, name, 0)
    with pytest.raises(NoRoom):
        handshakes.victim("c", SECOND)
    assert handshakes.victim("c", 2 * SECOND) == "a"
