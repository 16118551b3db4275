"""When a station boots and beats, with a fake clock."""

from __future__ import annotations

from typing import Any

import pytest

from evcore.ocpp.registration import Duty, Registration
from evcore.ocpp.station_clock import StationClock

S = 1_000_000_000
ABOUT = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}


def answer(status: str = "Accepted", interval: int = 100) -> dict[str, Any]:
    return {"status": status, "interval": interval, "currentTime": "2026-11-23T12:00:00Z"}


@pytest.fixture
def accepted() -> Registration:
    """Booted at 0."""
    registration = Registration(StationClock(now=0))
    registration.connected(ABOUT, 0)
    assert registration.poll(0) == [Duty.BOOT]
    registration.booted(ABOUT, answer(), 0, 0)
    return registration


def test_nothing_is_due_without_a_link_or_while_an_answer_is_awaited() -> None:
    registration = Registration(StationClock(now=0))
    assert (registration.poll(0), registration.next_deadline()) == ([], None)
    registration.connected(ABOUT, 0)
    assert registration.poll(0) == [Duty.BOOT]
    assert (registration.poll(999 * S), registration.next_deadline()) == ([], None)


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b02_fr_04_it_boots_again_after_the_interval_and_not_before(status: str) -> None:
    registration = Registration(StationClock(now=0))
    registration.connected(ABOUT, 0)
    registration.poll(0)
    registration.booted(ABOUT, answer(status, 30), 0, 0)
    assert not registration.accepted
    registration.lost()  # a new connection is no way around the interval
    registration.connected(ABOUT, S)
    assert registration.poll(30 * S - 1) == []
    assert registration.poll(30 * S) == [Duty.BOOT]


@pytest.mark.parametrize("silent", [True, False])
def test_b02_fr_07_without_an_interval_or_an_answer_it_waits_for_a_minute(silent: bool) -> None:
    registration = Registration(StationClock(now=0))
    registration.connected(ABOUT, 0)
    registration.poll(0)
    registration.failed(0) if silent else registration.booted(ABOUT, answer("Pending", 0), 0, 0)
    assert registration.next_deadline() == 60 * S


def test_a_trigger_boots_at_once(accepted: Registration) -> None:
    accepted.boot_again(5 * S)
    assert accepted.poll(5 * S) == [Duty.BOOT]


def test_it_boots_on_reconnect_only_when_its_data_changed(accepted: Registration) -> None:
    accepted.lost()
    accepted.connected(ABOUT | {"reason": "Watchdog"}, S)
    assert accepted.poll(S) == []
    accepted.lost()
    accepted.connected(ABOUT | {"chargingStation": {"model": "M2", "vendorName": "V"}}, 2 * S)
    assert accepted.poll(2 * S) == [Duty.BOOT]


def test_a_csms_that_forgot_it_is_booted_at_once_a_link(accepted: Registration) -> None:
    accepted.not_known(S)
    assert accepted.poll(S) == [Duty.BOOT]
    accepted.booted(ABOUT, answer(), S, S)
    accepted.not_known(2 * S)
    assert accepted.poll(2 * S) == []
    accepted.lost()
    accepted.connected(ABOUT, 3 * S)
    accepted.not_known(3 * S)
    assert accepted.poll(3 * S) == [Duty.BOOT]


def test_g02_fr_05_other_calls_put_the_heartbeat_off(accepted: Registration) -> None:
    assert accepted.next_deadline() == 100 * S
    accepted.said(60 * S)
    assert accepted.poll(159 * S) == []
    assert accepted.poll(160 * S) == [Duty.HEARTBEAT]
    accepted.heard(answer(), 160 * S, 161 * S)
    assert accepted.next_deadline() == 260 * S


def test_g02_fr_07_a_talkative_station_asks_for_the_time_once_a_day(accepted: Registration) -> None:
    beats = []
    for now in range(0, 3 * 86_400, 50):
        accepted.said(now * S)
        if accepted.poll(now * S):
            accepted.heard(answer(), now * S, now * S)
            beats.append(now)
    assert beats == [86_400, 2 * 86_400]


def test_a_heartbeat_without_an_answer_is_no_reason_for_a_loop(accepted: Registration) -> None:
    accepted.heartbeat_s = 0
    assert accepted.poll(86_400 * S) == [Duty.HEARTBEAT]
    accepted.failed(86_400 * S)
    assert (accepted.next_deadline() or 0) >= (86_400 + 60) * S


def test_a_station_without_a_clock_asks_for_the_time_once_a_link() -> None:
    registration = Registration(StationClock(now=0))
    registration.connected(ABOUT, 0)
    registration.poll(0)
    registration.booted(ABOUT, answer() | {"currentTime": "soon"}, 0, 0)
    assert registration.poll(1) == [Duty.HEARTBEAT]
    registration.heard({"currentTime": "later"}, 1, 2)
    assert registration.poll(S) == []


def test_after_a_restart_nothing_is_accepted(accepted: Registration) -> None:
    accepted.restarted(S)
    assert (accepted.status, accepted.poll(S)) == (None, [Duty.BOOT])
