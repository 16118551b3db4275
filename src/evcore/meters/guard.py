"""Is this reading of an energy register possible? Such a register never falls and never outruns physics."""

from __future__ import annotations

from decimal import Decimal

_HOUR_NS = 3_600_000_000_000


class CounterGuard:
    """max_power_w: what cannot flow through this meter. confirmations: readings that must agree with one another before
    a register that is elsewhere than expected (meter replaced, reset) is believed again. All energies in Wh.

    A register may be updated seldom: what may have been added counts from the moment when it last changed.
    """

    def __init__(self, max_power_w: float, confirmations: int = 3) -> None:
        self._power = Decimal(repr(max_power_w))
        self._confirmations = confirmations
        self._last: tuple[Decimal, int] | None = None
        self._candidate: tuple[Decimal, int] | None = None
        self._agreed = 0
        self.accepted_jump: tuple[Decimal, Decimal] | None = None
        """(before, after) if the last `judge` began to believe in another level."""

    def judge(self, value: Decimal, now: int, resolution: Decimal = Decimal(0)) -> bool:
        """True: good. False: suspect. now: monotonic ns. resolution: the register's smallest step."""
        self.accepted_jump = None
        if self._last is None or self._follows(self._last, value, now, resolution):
            if self._last is None or value != self._last[0]:
                self._last = (value, now)
            self._candidate = None
            return True
        agrees = self._candidate is not None and self._follows(self._candidate, value, now, resolution)
        self._agreed = self._agreed + 1 if agrees else 1
        if self._candidate is None or not agrees or value != self._candidate[0]:
            self._candidate = (value, now)
        if self._agreed < self._confirmations:
            return False
        self.accepted_jump = (self._last[0], value)
        self._last, self._candidate = self._candidate, None
        return True

    def _follows(self, before: tuple[Decimal, int], value: Decimal, now: int, resolution: Decimal) -> bool:
        added = value - before[0]
        return 0 <= added <= self._power * (now - before[1]) / _HOUR_NS + 2 * resolution
