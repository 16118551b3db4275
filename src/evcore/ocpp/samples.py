"""MeterValues of OCPP 1.6 and 2.x to `model.Sample`: words kept, units brought to the base, digits kept exactly.

Source: OCPP 1.6, 7.31 to 7.45 (SampledValue); OCPP 2.0.1 Part 2, 2.33 (MeterValueType) and 2.44 (SampledValueType).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from evcore.model import Sample, Session
from evcore.ocpp.times import parse_time
from evcore.quick import changed, quick

REGISTER = "Energy.Active.Import.Register"  # the measurand where none is named
# unit as received -> (unit of the model, power of ten)
_UNITS = {
    "kWh": ("Wh", 3),
    "kvarh": ("varh", 3),
    "kW": ("W", 3),
    "kVA": ("VA", 3),
    "kvar": ("var", 3),
    "kVAh": ("VAh", 3),
    "Celcius": ("Celsius", 0),  # the spelling of OCPP 1.5, still sent
    "Hz": ("Hertz", 0),
}
# first word of the measurand -> its unit where none is named
_DEFAULT_UNITS = {
    "Energy": "Wh",
    "Power": "W",
    "Current": "A",
    "Voltage": "V",
    "Frequency": "Hertz",
    "SoC": "Percent",
    "Temperature": "Celsius",
    "RPM": "RPM",
}


@quick
@dataclass(frozen=True, slots=True)
class Reading:
    """What a list of meter values says. meter: digits in Wh of the newest total import register. unreadable: values
    left out because they are no numbers, and times that are none."""

    samples: tuple[Sample, ...] = ()
    meter: str | None = None
    unreadable: int = 0

    def of_session(self, session: Session) -> tuple[Reading, tuple[Sample, ...]]:
        """What a session that runs there has of it, on its connector, and the samples that are older."""
        began_ns, place = session.started_ns, {"connector": session.connector, "session": session.id}
        own = tuple(changed(one, **place) for one in self.samples if one.time_ns >= began_ns)
        older = tuple(one for one in self.samples if one.time_ns < began_ns)
        metered = not older or any(one.measurand == REGISTER and one.phase is None for one in own)
        return Reading(own, self.meter if metered else None, self.unreadable), older


def read_v16(
    meter_values: Iterable[Mapping[str, Any]], *, source: str, evse: int, now_ns: int, session: str | None = None
) -> Reading:
    """`meterValue` of MeterValues.req, `transactionData` of StopTransaction.req (wire names)."""
    reader = _Reader(source, evse, 1 if evse else 0, session, now_ns)
    for entry in meter_values:
        reader.start(entry["timestamp"])
        for value in entry["sampledValue"]:
            signed = value["value"] if value.get("format") == "SignedData" else None
            reader.add(value, None if signed else value["value"], value.get("unit"), 0, signed)
    return reader.result()


def read_v2(
    meter_values: Iterable[Mapping[str, Any]],
    *,
    source: str,
    evse: int,
    connector: int = 0,
    now_ns: int,
    session: str | None = None,
) -> Reading:
    """`meterValue` of MeterValues and TransactionEvent (wire names; numbers as Decimal keep their digits)."""
    reader = _Reader(source, evse, connector, session, now_ns)
    for entry in meter_values:
        reader.start(entry["timestamp"])
        for value in entry["sampledValue"]:
            unit = value.get("unitOfMeasure") or {}
            signed = (value.get("signedMeterValue") or {}).get("signedMeterData")
            reader.add(value, str(value["value"]), unit.get("unit"), int(unit.get("multiplier", 0)), signed)
    return reader.result()


def in_wh(digits: str, power: int = 0) -> str | None:
    """A register's digits in Wh (or another base unit), scaled without rounding; None where they are no number."""
    number = _decimal(digits)
    if number is None:
        return None
    if power == 0:
        return digits.strip()
    sign, parts, exponent = number.as_tuple()
    return format(Decimal((sign, parts, int(exponent) + power)), "f")  # scaleb would round to 28 digits


class _Reader:
    """Gathers the samples of one message."""

    def __init__(self, source: str, evse: int, connector: int, session: str | None, now_ns: int) -> None:
        self._source, self._evse, self._connector, self._session = source, evse, connector, session
        self._now = self._time = now_ns
        self._samples: list[Sample] = []
        self._meter: tuple[int, bool, str] | None = None  # (time, at the outlet, digits): the greatest counts
        self._unreadable = 0

    def start(self, timestamp: str) -> None:
        try:
            self._time = parse_time(timestamp)
        except ValueError:
            self._time = self._now
            self._unreadable += 1

    def add(self, value: Mapping[str, Any], text: str | None, unit: str | None, power: int, signed: str | None) -> None:
        """text: the number's digits; None where there is only signed data, which joins the number beside it or tells
        its own (OCMF)."""
        measurand = value.get("measurand") or REGISTER
        base, more = _base(measurand, unit)
        power += more
        phase = value.get("phase")
        if text is None:
            if self._join(measurand, phase, value.get("context"), signed):
                return
            text, power, base = _ocmf(signed or "") or ("", 0, base)
        number = _scaled(text, power)
        if number is None and signed is None:
            self._unreadable += 1
            return
        location = value.get("location") or "Outlet"
        exact = number is not None and (signed is not None or measurand.startswith("Energy."))
        digits = (in_wh(text, power) if power else text.strip()) if exact else None
        self._samples.append(
            Sample(
                self._source,
                measurand,
                number or 0.0,
                base,
                self._time,
                self._evse,
                self._connector,
                phase,
                value.get("context") or "Sample.Periodic",
                location,
                "suspect" if number is None else "good",
                digits,
                self._session,
                signed,
            )
        )
        if digits is not None and measurand == REGISTER and phase is None:
            newest = (self._time, location == "Outlet", digits)
            if self._meter is None or newest[:2] >= self._meter[:2]:
                self._meter = newest

    def _join(self, measurand: str, phase: str | None, context: str | None, signed: str | None) -> bool:
        wanted = (self._time, measurand, phase, context or "Sample.Periodic", None)
        for n, other in enumerate(self._samples):
            if (other.time_ns, other.measurand, other.phase, other.context, other.signed) == wanted:
                self._samples[n] = changed(other, signed=signed)
                return True
        return False

    def result(self) -> Reading:
        return Reading(tuple(self._samples), None if self._meter is None else self._meter[2], self._unreadable)


def _decimal(text: str) -> Decimal | None:
    if "_" in text:  # digits grouped as in Python's source are no number of OCPP
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and -30 < number.adjusted() < 30 else None


def _scaled(text: str, power: int) -> float | None:
    if len(text) < 30 and text.isascii() and text.replace(".", "", 1).isdecimal() and -30 < power < 30:
        return float(f"{text}e{power}" if power else text)  # nearly all: digits and a point
    number = _decimal(text)
    return None if number is None or not -30 < power < 30 else float(number.scaleb(power))


@lru_cache(maxsize=256)  # units of 2.x are any text, but stations have few
def _base(measurand: str, unit: str | None) -> tuple[str, int]:
    """Unit of the model, and the power of ten that leads there."""
    return _UNITS.get(unit or "", (unit or _DEFAULT_UNITS.get(measurand.split(".")[0], ""), 0))


def _ocmf(signed: str) -> tuple[str, int, str] | None:
    """Digits, power of ten and unit of the last reading in an OCMF record (`OCMF|{...}|{...}`, OCMF 1.0, section 3)."""
    try:
        body = json.loads(signed.split("|")[1], parse_float=str, parse_int=str)
        last = body["RD"][-1]
        return str(last["RV"]), {"kWh": 3, "Wh": 0}[last["RU"]], "Wh"
    except (ValueError, LookupError, TypeError):
        return None
