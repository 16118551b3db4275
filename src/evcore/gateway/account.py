"""What a set of records says of a session, in whatever order the records come.

`fold` takes one more record into account. Each value of a session has a rule that says which of two records is the
better source for it (a start record beats an update, an earlier time a later one, ...); `Basis` keeps what the present
value rests on. So the result depends on the set of records alone: a late, offline or overtaken record changes nothing
but what it knows better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from evcore.model import RecordKind, Sample, Session, SessionRecord

REGISTER = "Energy.Active.Import.Register"
_RANK: dict[RecordKind, int] = {"start": 0, "update": 1, "end": 2}
_LIMIT = Decimal(10) ** 15  # Wh; beyond it no meter, and digits would grow without end

# By value: the sort key of its source (less is better), then the value itself.
#   start  [rank, time]                      0: the start record, 1: the earliest of the others
#   place  [rank, time, evse, connector]     of the records that name an EVSE
#   token  [rank, time, token]               whose token: the start's, an update's, at last the one that ended it
#   end    [-time, reason]
#   first  [rank, time, digits]              0: meter of the start record, 1: Transaction.Begin, 2: the earliest
#   last   [rank, -time, digits]             0: meter of the end record, 1: Transaction.End, 2: the latest
Basis = dict[str, list[int | str]]


def fold(session: Session, basis: Basis, record: SessionRecord) -> tuple[Session, Basis]:
    """The session with one more record in it. The same record twice, or two in another order, make no difference."""
    basis = dict(basis)
    rank, time = _RANK[record.kind], record.time_ns
    _offer(basis, "start", [min(rank, 1), time])
    if record.evse:
        _offer(basis, "place", [rank, time, record.evse, record.connector])
    if record.token:
        _offer(basis, "token", [rank, time, record.token])
    if record.kind == "end":
        _offer(basis, "end", [-time, record.reason or ""])
    for as_first, as_last, when, digits in _registers(record):
        _offer_register(basis, "first", [as_first, when, digits], larger=False)
        _offer_register(basis, "last", [as_last, -when, digits], larger=True)
    return _session(session, basis), basis


def energy_wh(basis: Basis) -> Decimal:
    """Last register minus first, exact; never below zero (a meter that was exchanged, or one that runs back)."""
    if "first" not in basis:
        return Decimal(0)
    return max(Decimal(0), Decimal(str(basis["last"][2])) - Decimal(str(basis["first"][2])))


def has_start(basis: Basis) -> bool:
    """Has its start record been seen?"""
    return bool(basis) and basis["start"][0] == 0


def register_wh(sample: Sample) -> Decimal | None:
    """The exact Wh of an energy register: its digits as received, at the power of ten that its value says."""
    value = _number(repr(sample.value))
    exact = None if sample.digits is None else _number(sample.digits)
    if value is None or exact is None:
        return value
    for power in (0, 3, -3, 6):  # Wh, kWh, mWh, MWh
        scaled = exact.scaleb(power)
        if abs(scaled - value) <= abs(value) * Decimal("1e-9"):
            return scaled
    return value


def _session(session: Session, basis: Basis) -> Session:
    place, token, end = basis.get("place", [0, 0, 0, 0]), basis.get("token"), basis.get("end")
    return replace(
        session,
        evse=int(place[2]),
        connector=int(place[3]),
        state="ended" if end else "active",
        started_ns=int(basis["start"][1]),
        ended_ns=-int(end[0]) if end else None,
        token=str(token[2]) if token else None,
        meter_start=str(basis["first"][2]) if "first" in basis else None,
        meter_stop=str(basis["last"][2]) if end and "last" in basis else None,
        energy_wh=float(energy_wh(basis)),
        reason=(str(end[1]) or None) if end else None,
    )


def _offer(basis: Basis, name: str, source: list[int | str]) -> None:
    if name not in basis or source < basis[name]:
        basis[name] = source


def _offer_register(basis: Basis, name: str, source: list[int | str], *, larger: bool) -> None:
    """Of two registers of one rank and time the session gets the wider span; equal numbers ("10", "10.0") compare by
    their text, so that the order of arrival does not show."""
    held = basis.get(name)
    if held is None or source[:2] < held[:2]:
        basis[name] = source
    elif source[:2] == held[:2]:
        new, old = Decimal(str(source[2])), Decimal(str(held[2]))
        if (new > old if larger else new < old) or (new == old and str(source[2]) < str(held[2])):
            basis[name] = source


def _registers(record: SessionRecord) -> Iterator[tuple[int, int, int, str]]:
    """(rank as first, rank as last, time, exact digits in Wh) of every total register that the record speaks of."""
    if record.meter is not None and _number(record.meter) is not None:
        as_first, as_last = (0 if record.kind == "start" else 2), (0 if record.kind == "end" else 2)
        yield as_first, as_last, record.time_ns, record.meter
    for sample in record.samples:
        if sample.measurand != REGISTER or sample.phase is not None or sample.location != "Outlet":
            continue
        wh = register_wh(sample)
        if wh is None:
            continue
        rank = 2 if sample.quality != "suspect" else 3
        as_first = 1 if sample.context == "Transaction.Begin" else rank
        as_last = 1 if sample.context == "Transaction.End" else rank
        yield as_first, as_last, sample.time_ns, format(wh, "f")


def _number(digits: str) -> Decimal | None:
    try:
        number = Decimal(digits)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= _LIMIT or int(number.as_tuple().exponent) < -15:
        return None
    return number
