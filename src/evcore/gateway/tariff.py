"""What a session costs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from evcore.model import Session

Price = Callable[[Session], tuple[int, str] | None]
"""(cost in integer minor units, ISO 4217 currency) of a session as it stands, or None: no tariff applies."""


class Tariff:
    """A `Price` of a fixed sum, the energy and the time, each in minor units (cents) and exact decimals as text.

    The parts are added exactly and rounded once, half up, to a whole minor unit. An active session is priced by the
    energy up to its last register and not by time, which only its end tells.
    """

    def __init__(self, currency: str, *, per_kwh: str = "0", per_session: str = "0", per_hour: str = "0") -> None:
        if len(currency) != 3 or not currency.isascii() or not currency.isupper():
            raise ValueError(f"currency: expected three capital letters of ISO 4217, got {currency!r}")
        self.currency = currency
        self._per_kwh = _amount("per_kwh", per_kwh)
        self._per_session = _amount("per_session", per_session)
        self._per_hour = _amount("per_hour", per_hour)

    def __call__(self, session: Session) -> tuple[int, str]:
        # A float of at most 15 digits and its shortest text name one number: no digit of a register is lost here.
        energy = Decimal(repr(session.energy_wh))
        ended = session.started_ns if session.ended_ns is None else session.ended_ns
        time = Decimal(max(0, ended - session.started_ns))
        exact = self._per_session + self._per_kwh * energy / 1000 + self._per_hour * time / (3600 * 10**9)
        return int(exact.to_integral_value(ROUND_HALF_UP)), self.currency


def _amount(name: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{name}: expected minor units as a decimal number, not negative, got {text!r}")
    return amount
