"""A station's wall clock, set by its CSMS. Sans-I/O: monotonic time comes in, wall time goes out.

Source: OCPP 1.6, 4.2 and 4.6; 2.0.1 Part 2, B01.FR.06 and G02.FR.06: BootNotification and Heartbeat tell the time.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from evcore.model import rfc3339
from evcore.ocpp.times import parse_time

Quality = Literal["none", "rtc", "ocpp"]

_SECOND = 1_000_000_000
_NOISE = _SECOND  # a CSMS that tells whole seconds is no reason to move the clock
_HOLD = 60 * _SECOND  # so far back is waited out, so that the times of a transaction never decrease
_UNSET = re.compile(r"19[7-9]\d-\d\d-\d\dT")  # how times look that were told before the clock was set


class StationClock:
    """wall = monotonic + offset. quality: "none" until the time is known, "rtc" where the machine knew one.

    wall_ns: the machine's time at monotonic `now`, None if it has none that is worth anything. Until the clock is set
    its times begin in 1970; `mend` puts them right later.
    """

    def __init__(self, wall_ns: int | None = None, now: int = 0) -> None:
        self.quality: Quality = "none" if wall_ns is None else "rtc"
        self._offset = -now if wall_ns is None else wall_ns - now
        self._began, self._unset = now, -now
        self._last = 0  # the latest time that was told

    def wall(self, now: int) -> int:
        """Ns since 1970 UTC. Never decreases, but for the steps that `heard` returns."""
        self._last = max(self._last, now + self._offset)
        return self._last

    def stamp(self, now: int) -> str:
        """RFC 3339, for a message."""
        return rfc3339(self.wall(now))

    def heard(self, text: str, asked: int, now: int) -> int:
        """The CSMS told its time in an answer that came at `now` to what was asked at `asked`; the step that the clock
        made, ns. What is no time is not believed, and what differs by a second or less is noise."""
        try:
            wall = parse_time(text) + (now - asked) // 2
        except ValueError:
            return 0
        before = now + self._offset
        step, known = wall - before, self.quality != "none"
        self.quality = "ocpp"
        if known and abs(step) <= _NOISE + (now - asked) // 2:
            return 0
        self._offset = wall - now
        if not known or step < -_HOLD:
            self._last = 0
        return step

    def mend(self, payload: dict[str, Any], told: int | None = None) -> dict[str, Any]:
        """The payload of a record that was made before the clock was set, with right times.

        told: None for a record of this run. One of an earlier run shows times whose meaning is lost: pass what that
        run's clock showed when the record was made, and that moment becomes the one when this run began."""
        shift = self._offset - self._unset if told is None else self._began + self._offset - told
        mended: dict[str, Any] = _shifted(payload, shift)
        return mended


def _shifted(value: Any, shift: int) -> Any:
    if isinstance(value, dict):
        return {key: _shifted(member, shift) for key, member in value.items()}
    if isinstance(value, list):
        return [_shifted(item, shift) for item in value]
    if isinstance(value, str) and _UNSET.match(value):
        try:
            return rfc3339(parse_time(value) + shift)
        except ValueError:
            return value
    return value
