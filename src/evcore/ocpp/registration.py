"""When a station boots and when it sends a Heartbeat. Sans-I/O, over all its connections.

Source: OCPP 1.6, 4.2 and 4.6; 2.0.1 Part 2, B01 to B03 and G02, Part 4, 5.3 (no BootNotification on reconnect unless
its data changed).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from evcore.ocpp.station_clock import StationClock

_SECOND = 1_000_000_000
_DAY = 24 * 3600 * _SECOND


class Duty(Enum):
    """A CALL that is due."""

    BOOT = "BootNotification"
    HEARTBEAT = "Heartbeat"


class Registration:
    """clock: is set by the answers. retry_s: before BootNotification is sent again where the CSMS names no interval or
    does not answer. status: the CSMS's last word, None before the first. heartbeat_s: 300 until the CSMS names an
    interval. pace: how much faster than real ones the CSMS's seconds pass, for simulators.
    """

    def __init__(self, clock: StationClock, *, retry_s: float = 60.0, pace: float = 1.0) -> None:
        self.clock, self.heartbeat_s, self.pace = clock, 300.0, pace
        self.status: str | None = None
        self._retry = int(retry_s * _SECOND)
        self._linked = self._under_way = False
        self._boot_at: int | None = 0  # None: it need not boot
        self._told: dict[str, Any] = {}  # what the CSMS has accepted
        self._asked_again = self._asked_time = False
        self._said = self._set = 0  # when something was last sent, and when the clock was last set

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted"

    @property
    def boot_due(self) -> bool:
        """Must it boot, now or later, before it is as good as accepted?"""
        return self._boot_at is not None

    def connected(self, about: Mapping[str, Any], now: int) -> None:
        """A link is open. about: the payload of a BootNotification now."""
        self._linked, self._under_way = True, False
        self._asked_again = self._asked_time = False
        self._said = now
        if self.accepted and _data(about) != self._told:
            self.boot_again(now)

    def lost(self) -> None:
        self._linked = self._under_way = False

    def boot_again(self, now: int) -> None:
        """Boot now: after a reset, or because the CSMS asked for it, which goes before any interval (B02.FR.04)."""
        self._boot_at = now

    def restarted(self, now: int) -> None:
        """The station itself begins anew: nothing is accepted any more."""
        self.status = None
        self.boot_again(now)

    def not_known(self, now: int) -> None:
        """The CSMS refused a CALL with SecurityError: it lost our registration. Once a link."""
        if self.accepted and not self._asked_again:
            self._asked_again = True
            self.boot_again(now)

    def said(self, now: int) -> None:
        """Another CALL was sent: the heartbeat's interval begins anew (G02.FR.05)."""
        self._said = max(self._said, now)

    def poll(self, now: int) -> list[Duty]:
        """What is to be sent now; each is followed by `booted`, `heard` or `failed`, and nothing is due until then."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        self._under_way = True
        self._said = now
        if self._boot_at is not None:
            return [Duty.BOOT]
        self._asked_time = True
        return [Duty.HEARTBEAT]

    def next_deadline(self) -> int | None:
        if not self._linked or self._under_way:
            return None
        if self._boot_at is not None:
            return self._boot_at
        if self.clock.quality == "none" and not self._asked_time:
            return self._said
        # G02.FR.07: at least once a day for the clock, however much else is said
        return min(self._said + (self._ns(self.heartbeat_s) or _DAY), self._set + _DAY)

    def booted(self, about: Mapping[str, Any], answer: Mapping[str, Any], asked: int, now: int) -> int:
        """The answer to BootNotification; the step of the clock, ns."""
        self._under_way = False
        self.status = str(answer.get("status"))
        interval = _seconds(answer.get("interval"))
        if self.accepted:
            self._boot_at, self._told = None, _data(about)
            self.heartbeat_s = interval or self.heartbeat_s
        else:  # B02.FR.07, B03.FR.05: 0 leaves it to the station
            self._boot_at = now + (self._ns(interval) or self._retry)
        return self._heard(answer, asked, now)

    def heard(self, answer: Mapping[str, Any], asked: int, now: int) -> int:
        """The answer to Heartbeat; the step of the clock, ns."""
        self._under_way = False
        return self._heard(answer, asked, now)

    def failed(self, now: int) -> None:
        """No good answer to what was due."""
        self._under_way = False
        if self._boot_at is not None and self._linked:
            self._boot_at = now + self._retry
        self._set = max(self._set, now - _DAY + self._retry)  # an overdue Heartbeat is not repeated at once

    def _ns(self, seconds: float) -> int:
        return int(seconds * _SECOND / self.pace)

    def _heard(self, answer: Mapping[str, Any], asked: int, now: int) -> int:
        self._set = now
        return self.clock.heard(str(answer.get("currentTime")), asked, now)


def _data(about: Mapping[str, Any]) -> dict[str, Any]:
    """What must not have changed: all but the reason of the boot."""
    return {key: value for key, value in about.items() if key != "reason"}


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0
