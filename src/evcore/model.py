"""The one vocabulary that connectors share. The words are OCPP's own.

What a device reports is a `Sample` (a measured value), an `Event` (something happened, never conflated) or a state
(`Station`, `Evse`, `Session`, `Payment`, `Meter`, `Vehicle`, `Health`: the latest one per `key` counts). What is asked
of one is a `Command`, answered by an `Answer`. A charging order is a `Session` (OCPP: transaction); what must never be
lost of it is a `SessionRecord`.

Times are int nanoseconds since 1970 UTC (`*_ns`), energies Wh, powers W, money integer minor units. `wire(item)` is the
JSON form that REST, feed and MQTT share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Literal

from evcore.quick import quick
from evcore.verbs import Verb as Verb  # part of the vocabulary, in a file of its own

Quality = Literal["good", "stale", "suspect"]


@quick
@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value.

    source: id of the device it came from. measurand, phase, unit, context, location: OCPP 2.0.1 Part 2, 3.50-3.58
    (MeasurandEnumType ...); unit is the SI base where OCPP allows both (Wh, W, not kWh, kW). time_ns: the device's own
    time where it has one, else arrival. digits: the value of an energy register in its unit as exact decimal text, no
    digit of what was received lost. signed: the signed meter data as received.
    """

    source: str
    measurand: str
    value: float
    unit: str
    time_ns: int
    evse: int = 0
    connector: int = 0
    phase: str | None = None
    context: str = "Sample.Periodic"
    location: str = "Outlet"
    quality: Quality = "good"
    digits: str | None = None
    session: str | None = None
    signed: str | None = None

    @property
    def key(self) -> str:
        """One per value that a screen shows: `sample/SOURCE/EVSE/MEASURAND[/PHASE[/LOCATION]]`; the location only where
        not Outlet.
        """
        tail = f"/{self.phase}" if self.phase else ""
        if self.location != "Outlet":
            tail = f"/{self.phase or '-'}/{self.location}"
        return f"sample/{self.source}/{self.evse}/{self.measurand}{tail}"


@quick
@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: delivered once to each consumer, in order, never conflated.

    kind: dotted, for example "session.started", "session.ended", "fault.raised", "fault.cleared", "payment.captured",
    "security.refused", "command.answered". data: JSON values only; a number that no float holds may be a Decimal, which
    goes out as a number with all its digits.
    """

    source: str
    kind: str
    time_ns: int
    evse: int = 0
    session: str | None = None
    severity: Literal["info", "warning", "error"] = "info"
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Station:
    """A charging station (OCPP) or a charger spoken to in another way. protocol: "ocpp1.6", "ocpp2.0.1", "gbt27930",
    ...
    """

    id: str
    online: bool
    protocol: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    since_ns: int = 0
    last_seen_ns: int = 0

    @property
    def key(self) -> str:
        return f"charger/{self.id}"


@dataclass(frozen=True, slots=True)
class Connector:
    """One outlet of an EVSE. type: OCPP 2.0.1 ConnectorEnumType, status: ConnectorStatusEnumType; "" where unknown."""

    id: int
    type: str = ""
    status: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Evse:
    """One place to charge at a station, with the status words of OCPP 2.0.1; what 1.6 says in one word is two here.

    status: Available, Occupied, Reserved, Unavailable, Faulted (ConnectorStatusEnumType). charging: Charging,
    EVConnected, SuspendedEV, SuspendedEVSE, Idle (ChargingStateEnumType) or None. fault: error code and vendor's text,
    "" when none. limit_a: the limit in force.
    """

    station: str
    id: int
    status: str
    charging: str | None = None
    fault: str = ""
    session: str | None = None
    limit_a: float | None = None
    connectors: tuple[Connector, ...] = ()
    time_ns: int = 0

    @property
    def key(self) -> str:
        return f"evse/{self.station}/{self.id}"


@quick
@dataclass(frozen=True, slots=True)
class Session:
    """A charging order. id: ours, unique for ever. transaction_id: OCPP's, unique per station. meter_start/stop: digits
    as received, in Wh. energy_wh: last register minus first. cost: minor units of currency, None while no tariff
    applies.
    """

    id: str
    station: str
    evse: int
    transaction_id: str
    state: Literal["active", "ended"]
    started_ns: int
    connector: int = 0
    token: str | None = None
    ended_ns: int | None = None
    meter_start: str | None = None
    meter_stop: str | None = None
    energy_wh: float = 0.0
    reason: str | None = None
    payment: str | None = None
    cost: int | None = None
    currency: str | None = None

    @property
    def key(self) -> str:
        return f"session/{self.id}"


PaymentState = Literal[
    "created",
    "authorised",
    "starting",
    "charging",
    "ended",
    "capturing",
    "captured",
    "voiding",
    "voided",
    "failed",
    "review",
]


@dataclass(frozen=True, slots=True)
class Payment:
    """An amount held at a payment provider for one session. amount, cost, captured: minor units. The states:
    docs/payment.md.
    """

    id: str
    provider: str
    state: PaymentState
    station: str
    evse: int
    amount: int
    currency: str
    created_ns: int
    updated_ns: int
    provider_ref: str | None = None
    redirect_url: str | None = None
    session: str | None = None
    cost: int | None = None
    captured: int | None = None
    error: str | None = None

    @property
    def key(self) -> str:
        return f"payment/{self.id}"


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter as such; its values are samples with source = id."""

    id: str
    online: bool
    model: str = ""
    serial: str = ""
    last_seen_ns: int = 0

    @property
    def key(self) -> str:
        return f"meter/{self.id}"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car that is heard on a bus; SoC, voltage, current, temperature are samples with source = id. vin: masked unless
    asked for. limits: what the car allows, by name with unit suffix (max_voltage_v, max_current_a, capacity_kwh).
    """

    id: str
    protocol: str
    stage: str
    vin: str = ""
    station: str = ""
    evse: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    last_seen_ns: int = 0

    @property
    def key(self) -> str:
        return f"vehicle/{self.id}"


@dataclass(frozen=True, slots=True)
class Health:
    """How a connector is. detail: what is wrong, in one line, without secrets."""

    connector: str
    state: Literal["starting", "up", "degraded", "down", "stopped"]
    detail: str = ""
    time_ns: int = 0

    @property
    def key(self) -> str:
        return f"health/{self.connector}"


State = Station | Evse | Session | Payment | Meter | Vehicle | Health
Item = Sample | Event | State


@dataclass(frozen=True, slots=True)
class Command:
    """Something asked of a device. target: its id. id: the asker's, a repeat within minutes gets the first answer."""

    target: str
    verb: Verb
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the device itself answered.

    status: its own word (Accepted, Rejected, Unlocked, RebootRequired, ...), or ours: NotSupported (it cannot), Offline
    (no such device connected), Invalid (a wrong argument, it was not asked), Timeout (no answer in time),
    Error (it answered with an error). ok: the device will do or did it. reason: one line. data: the device's answer in
    full, wire names; JSON values as in `Event`.
    """

    status: str
    ok: bool
    reason: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


RecordKind = Literal["start", "update", "end"]


@quick
@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a station says of a session: committed before the station gets its answer.

    transaction_id: None asks the ledger for one (OCPP 1.6 StartTransaction). seq_no: OCPP 2.x. meter: the energy
    register in Wh, digits as received. payload: the message's payload bytes as received; a repeat of the same record is
    recognised by it. cost, currency: what the station itself has calculated (OCPP 2.1), in minor units.
    """

    station: str
    kind: RecordKind
    time_ns: int
    payload: bytes
    evse: int = 0
    connector: int = 0
    transaction_id: str | None = None
    seq_no: int | None = None
    token: str | None = None
    meter: str | None = None
    reason: str | None = None
    offline: bool = False
    samples: tuple[Sample, ...] = ()
    cost: int | None = None
    currency: str | None = None

    def price(self, session: Session) -> Session:
        """The session with the station's own cost, unless it is a running one that comes after the end."""
        if self.cost is None or (session.state == "ended" and self.kind != "end"):
            return session
        return replace(session, cost=self.cost, currency=self.currency)


AuthorizationStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]


@quick
@dataclass(frozen=True, slots=True)
class Authorization:
    """May this token charge? status: the words that OCPP 1.6 and 2.x share (AuthorizationStatus). max_cost: the most
    that its session may cost (what a payment holds), in minor units.
    """

    status: AuthorizationStatus
    expires_ns: int | None = None
    group: str | None = None
    max_cost: int | None = None


@quick
@dataclass(frozen=True, slots=True)
class Recorded:
    """The committed answer to a SessionRecord. duplicate: this very record had been committed before."""

    session: Session
    authorization: Authorization
    duplicate: bool = False


_LAST_NS = 253_402_300_799_999_999_999  # the end of the year 9999: RFC 3339 has four digits for a year


def rfc3339(time_ns: int) -> str:
    """`2026-11-23T18:30:37.123Z`: UTC, milliseconds, truncated; a device's nonsense before 1970 or after 9999 becomes
    that year.
    """
    seconds, rest = divmod(min(max(time_ns, 0), _LAST_NS), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03}Z"


@lru_cache(maxsize=256)  # what is told in one burst is mostly of the same second or two
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def wire(item: Item | Answer | Command | Authorization | Connector) -> dict[str, Any]:
    """The JSON form that REST, feed and MQTT share: field names as here, `*_ns` as RFC 3339 without the suffix, None
    left out.
    """
    kind: type = type(item)
    values, names, times = _plan(kind)
    result = {name: value for name, value in zip(names, values(item), strict=True) if value is not None}
    for name in times:
        if value := result.get(name):
            result[name] = rfc3339(value)
        else:
            result.pop(name, None)
    for name, value in result.items():
        if type(value) is tuple:
            result[name] = [wire(part) if isinstance(part, Connector) else part for part in value]
    return result


@cache
def _plan(kind: type) -> tuple[attrgetter[tuple[Any, ...]], tuple[str, ...], tuple[str, ...]]:
    """How to read the fields of a class at once, what they are called outside, and which of them are times."""
    names = [spec.name for spec in dataclasses.fields(kind)]
    outside = tuple(name.removesuffix("_ns") for name in names)
    return attrgetter(*names), outside, tuple(name[:-3] for name in names if name.endswith("_ns"))
