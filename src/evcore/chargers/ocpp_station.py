"""What the CSMS knows of one station, whatever version it speaks: its state in the model, published when it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from evcore.chargers.ocpp_recording import Recording
from evcore.chargers.ocpp_reports import Report
from evcore.chargers.ocpp_services import Services
from evcore.errors import CallError, StoreError
from evcore.masking import masked
from evcore.model import Authorization, Connector, Event, Evse, Recorded, Session, SessionRecord, Station
from evcore.ocpp.events import Called, Notified, Repaired
from evcore.ocpp.times import parse_time
from evcore.ports import Hub
from evcore.quick import changed

MAX_EVSE, MAX_SESSIONS = 999, 256  # of one station: what is kept of it is bounded whatever it says
TX_PROFILE, DEFAULT_PROFILE = "TxProfile", "TxDefaultProfile"  # ChargingProfilePurposeType
_SHOWN = 16 * 1024  # bytes of a message that its event carries: events wait in queues that are bounded by number
_SHOWN_REPAIRS = 4
_QUIET_NS = 1_000_000_000  # between two events about broken messages of one station
_MOST_TELLING = ("Occupied", "Reserved", "Available", "Faulted", "Unavailable")  # of an EVSE's connectors


class Trouble(CallError):
    """A refusal whose cause is ours, and has been counted and told."""


@dataclass(slots=True)
class ChargerState:
    """One identity, across its connections. generation: of the connection that serves; an older one changes nothing."""

    services: Services
    station: Station
    generation: int = 0
    registered: bool = False
    evses: dict[int, Evse] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)  # active, by OCPP's transaction id
    limits: dict[tuple[int, str], float] = field(default_factory=dict)  # A, by EVSE and charging profile purpose
    reports: dict[int, Report] = field(default_factory=dict)  # that somebody waits for, by request id
    recording: Recording = field(default_factory=Recording)
    signing: int = 0  # certificate requests that wait for the hook
    _last_complaint_ns: int = -_QUIET_NS
    _last_mending_ns: int = -_QUIET_NS

    @property
    def id(self) -> str:
        return self.station.id

    @property
    def hub(self) -> Hub:
        return self.services.hub

    # Station

    def update(self, **changes: Any) -> None:
        """Change the station and publish it."""
        self.station = changed(self.station, last_seen_ns=time.time_ns(), **changes)
        self.hub.publish(self.station)

    def boot(self, **identity: str) -> str:
        """A BootNotification: the registration status that answers it."""
        self.update(**identity)
        status = self.services.register(self.station)
        self.registered = status == "Accepted"
        self.event("station.booted", text=status, data=dict(identity) | {"status": status})
        return status

    def event(
        self,
        kind: str,
        *,
        evse: int = 0,
        session: str | None = None,
        severity: Literal["info", "warning", "error"] = "info",
        text: str = "",
        data: Mapping[str, Any] | None = None,
        time_ns: int | None = None,
    ) -> None:
        when = time.time_ns() if time_ns is None else time_ns
        self.hub.publish(Event(self.id, kind, when, evse, session, severity, text[:500], data or {}))

    def complain(self, reason: str, detail: str, action: str | None = None) -> None:
        """Count a broken message; tell of it, at most once a second."""
        self.services.count("errors", reason=reason)
        now = time.monotonic_ns()
        if now - self._last_complaint_ns >= _QUIET_NS:
            self._last_complaint_ns = now
            self.event("protocol.error", severity="warning", text=f"{reason}: {detail}", data={"action": action or ""})

    def mended(self, repaired: Repaired) -> None:
        """Count what the lenient mode mended in a message, the station's or ours; tell of it, at most once a second."""
        action, direction = repaired.action or "", repaired.direction
        for repair in repaired.repairs:
            self.services.count("repairs", repair=repair.name, action=action, direction=direction)
        now = time.monotonic_ns()
        if now - self._last_mending_ns >= _QUIET_NS:
            self._last_mending_ns = now
            text = f"{action}: {'; '.join(map(str, repaired.repairs[:_SHOWN_REPAIRS]))}"
            data: dict[str, Any] = {"action": action, "repairs": len(repaired.repairs)}
            if direction == "out":
                data["direction"] = direction
            self.event("protocol.mended", text=text, data=data)

    def time_of(self, text: str | None) -> int:
        """A message's own time; now where it is none, for a record with a broken time is still a record."""
        if text is not None:
            try:
                return parse_time(text)
            except ValueError:
                self.complain("time", text[:40])
        return time.time_ns()

    # EVSEs

    def check_evse(self, evse: int) -> int:
        """Raises CallError where no station has so many."""
        if 0 <= evse <= MAX_EVSE:
            return evse
        raise CallError("PropertyConstraintViolation", f"expected an EVSE or connector of 0 to {MAX_EVSE}, got {evse}")

    def set_evse(self, evse: int, **changes: Any) -> None:
        """Change an EVSE and publish it; tells of faults that come and go."""
        known = self.evses.get(evse)
        if known is not None and all(getattr(known, name) == value for name, value in changes.items()):
            return
        before = known or Evse(self.id, evse, "Available")
        after = changed(before, **changes)
        self.evses[evse] = after
        self.hub.publish(after)
        if after.fault != before.fault and before.fault:
            self.event("fault.cleared", evse=evse, text=before.fault)
        if after.fault != before.fault and after.fault:
            self.event("fault.raised", evse=evse, severity="error", text=after.fault)

    def set_connector(self, evse: int, connector: int, time_ns: int, **changes: Any) -> None:
        """Change a connector of an EVSE (status, type), and with it the EVSE: one is in use where one of its connectors
        is, and available where one can be used.
        """
        known = self.evses.get(evse)
        connectors = {one.id: one for one in known.connectors} if known else {}
        connectors[connector] = changed(connectors.get(connector, Connector(connector)), **changes)
        told = {one.status for one in connectors.values()}
        status = next((word for word in _MOST_TELLING if word in told), known.status if known else "Available")
        self.set_evse(
            evse,
            status=status,
            charging=known.charging if known and status == "Occupied" else None,
            fault="Faulted" if "Faulted" in told else "",
            connectors=tuple(connectors[id] for id in sorted(connectors)),
            time_ns=time_ns,
        )

    def limit(self, evse: int, purpose: str, amperes: float | None) -> None:
        """A charging profile was set, or cleared (None); one for the transaction hides the default."""
        self.limits.pop((evse, purpose), None)
        if amperes is not None:
            self.limits[evse, purpose] = amperes
        if evse:
            default = self.limits.get((evse, DEFAULT_PROFILE))
            self.set_evse(evse, limit_a=self.limits.get((evse, TX_PROFILE), default))

    def session_on(self, evse: int) -> Session | None:
        """The newest that is active there."""
        return next((session for session in reversed(self.sessions.values()) if session.evse == evse), None)

    def find_session(self, id: str) -> Session | None:
        """An active session by our id, or by OCPP's."""
        for session in self.sessions.values():
            if session.id == id:
                return session
        known = self.hub.last(f"session/{id}")
        if isinstance(known, Session) and known.station == self.id:
            return known
        return self.sessions.get(id)

    # Records

    async def authorize(self, token: str) -> Authorization:
        """May it charge? Raises CallError InternalError: it cannot be known now."""
        try:
            return await self.services.ledger.authorize(self.id, token)
        except StoreError as error:
            self.complain("store", str(error), "Authorize")
            raise Trouble("InternalError", "the tokens could not be read") from error

    async def record(self, record: SessionRecord) -> Recorded:
        """Commit, publish, then return: what the station is answered is on disk. Raises CallError InternalError: it is
        not, and the station keeps its record. Goes on when its CALL has been refused for taking too long."""
        try:
            recorded = await self.services.ledger.record(record)
        except asyncio.CancelledError:
            self._not_stored(record, "it was cut off, as when the server stops")
            raise
        except StoreError as error:
            self._not_stored(record, str(error))
            raise Trouble("InternalError", "the record could not be stored") from error
        except Exception as error:  # the link logs it; its own word may come too soon after another
            self._not_stored(record, f"{type(error).__name__}: {error}")
            raise
        session = recorded.session
        id, publish = session.id, self.services.hub.publish
        for sample in record.samples:
            publish(sample if sample.session == id else changed(sample, session=id))
        self._follow(session)
        self.hub.publish(session)
        if not recorded.duplicate and record.kind != "update":
            kind = "session.started" if record.kind == "start" else "session.ended"
            data: dict[str, Any] = {"token": session.token or "", "transaction_id": session.transaction_id}
            if record.kind == "end":
                data |= {"energy_wh": session.energy_wh, "reason": session.reason or ""}
            self.event(kind, evse=session.evse, session=session.id, data=data, time_ns=record.time_ns)
        return recorded

    def _not_stored(self, record: SessionRecord, why: str) -> None:
        self.services.count("errors", reason="store")
        self.event("store.failed", evse=record.evse, severity="error", text=why)

    def _follow(self, session: Session) -> None:
        if session.state == "active":
            self.sessions[session.transaction_id] = session
            if len(self.sessions) > MAX_SESSIONS:  # of a station that never ends any
                del self.sessions[next(iter(self.sessions))]
            if session.evse:
                known = self.evses.get(session.evse)
                if known is None or known.session != session.id:
                    self.set_evse(session.evse, session=session.id)
            return
        if self.sessions.pop(session.transaction_id, None) is not None and (session.evse, TX_PROFILE) in self.limits:
            self.limit(session.evse, TX_PROFILE, None)  # it ends with its transaction
        known = self.evses.get(session.evse)
        if known is not None and known.session == session.id:
            self.set_evse(session.evse, session=None)


def shown(message: Called | Notified, part: Any = None) -> Mapping[str, Any]:
    """The payload, or this part of it, as an event carries it: without secrets, and of a long message only how long it
    is.
    """
    if message.size > _SHOWN:
        return {"bytes": message.size}
    data: Mapping[str, Any] = masked(plain(message.payload if part is None else part))
    return data


def plain(value: Any) -> Any:
    """As the model has it: a Decimal becomes the float that says the same; it stays where none does."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    return number if Decimal(repr(number)) == value else value
