"""Charging profiles as a station keeps them, and the limit that comes of them. No I/O; times in seconds since 1970.

Source: OCPP 1.6, 3.13 and 7.8 to 7.14; OCPP 2.0.1 Part 2, K: of one purpose the highest stack level that has a limit
now counts, a transaction's replaces the default one, and the least of the purposes holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evcore.ocpp.times import parse_time

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """payload: as the CSMS sent it. evse: 0 for all. since: when it was taken, where a relative one begins that belongs
    to no transaction."""

    id: int
    evse: int
    payload: dict[str, Any]
    since: float

    @property
    def purpose(self) -> str:
        return str(self.payload["chargingProfilePurpose"])

    @property
    def stack_level(self) -> int:
        return int(self.payload["stackLevel"])

    @property
    def schedule(self) -> dict[str, Any]:
        """1.6 has one, 2.x up to three of which this station takes the first."""
        schedule = self.payload["chargingSchedule"]
        found: dict[str, Any] = schedule[0] if isinstance(schedule, list) else schedule
        return found

    @property
    def unit(self) -> str:
        return str(self.schedule["chargingRateUnit"])

    def starts(self, at: float, began: float | None) -> float:
        """When the schedule that holds at `at` started. began: its transaction."""
        kind = self.payload["chargingProfileKind"]
        fixed = _seconds(self.schedule.get("startSchedule"))
        if kind == "Recurring" and fixed is not None:
            period = 7 * _DAY if self.payload.get("recurrencyKind") == "Weekly" else _DAY
            return at - (at - fixed) % period
        if kind != "Relative" and fixed is not None:
            return fixed
        return self.since if began is None else began

    def limit(self, at: float, began: float | None) -> float | None:
        """In its own unit; None where it says nothing now."""
        valid_from, valid_to = _seconds(self.payload.get("validFrom")), _seconds(self.payload.get("validTo"))
        passed = at - self.starts(at, began)
        over = passed < 0 or passed >= self.schedule.get("duration", float("inf"))
        if over or at < (valid_from or at) or at >= (valid_to or float("inf")):
            return None
        limits = [p.get("limit") for p in self.schedule["chargingSchedulePeriod"] if p["startPeriod"] <= passed]
        return None if not limits or limits[-1] is None else float(limits[-1])

    def changes(self, at: float, began: float | None) -> Iterable[float]:
        """The moments, of the schedule that holds at `at` and of its next, when its limit may change."""
        start = self.starts(at, began)
        for again in (start, start + (7 * _DAY if self.payload.get("recurrencyKind") == "Weekly" else _DAY)):
            yield from (again + period["startPeriod"] for period in self.schedule["chargingSchedulePeriod"])
            if "duration" in self.schedule:
                yield again + self.schedule["duration"]
        for bound in ("validFrom", "validTo"):
            moment = _seconds(self.payload.get(bound))
            if moment is not None:
                yield moment


def limits(profiles: Iterable[KeptProfile], evse: int, at: float, began: float | None) -> dict[str, tuple[float, str]]:
    """By purpose, the limit that holds on an EVSE and its unit. began: its transaction, None: none runs."""
    found: dict[str, tuple[float, str]] = {}
    for profile in sorted(profiles, key=lambda one: (one.stack_level, one.evse)):
        if profile.evse in (0, evse) and (began is not None or profile.purpose != "TxProfile"):
            limit = profile.limit(at, began)
            if limit is not None:
                found[profile.purpose] = (limit, profile.unit)
    return found


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_time(text) / 1e9
