"""The frame of what stations say, whatever their version: handlers by action, hooks, and messages that only become
events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evcore.chargers.commands import TABLES, Commands
from evcore.chargers.ocpp_costs import CostTeller
from evcore.chargers.ocpp_services import Peer, StationRules
from evcore.chargers.ocpp_station import ChargerState, Trouble, shown
from evcore.errors import CallError
from evcore.model import Answer, Command, Session, Verb, rfc3339
from evcore.ocpp.events import Called
from evcore.ocpp.samples import Reading

log = logging.getLogger("evcore.chargers.ocpp")
Payload = dict[str, Any]
STATION_CERTIFICATE = "ChargingStationCertificate"
_SIGN_S, _MOST_SIGNING = 300.0, 4  # for one certificate; of one station at once


class Dialect:
    """One version's words: answers the station's CALLs, and carries out commands. HANDLERS: by action. NOTICES: by
    action, what only becomes an event. RECORDS: actions whose handlers wait for nothing but the ledger's commit.
    AT_ONCE: those that wait for nothing.
    """

    __slots__ = ("_commands", "_costs", "peer", "state")
    HANDLERS: ClassVar[Mapping[str, Callable[[Any, Called], Any]]] = {}
    RECORDS: ClassVar[Collection[str]] = ()
    NOTICES: ClassVar[Mapping[str, Notice]] = {}
    AT_ONCE = frozenset({"BootNotification", "Heartbeat", "SecurityEventNotification", "StatusNotification"})

    def __init__(self, state: ChargerState, peer: Peer) -> None:
        self.state, self.peer = state, peer
        self._commands = Commands(TABLES[peer.version], state, peer)
        self._costs: CostTeller | None = None

    @property
    def rules(self) -> StationRules:
        return self.state.services.rules

    async def command(self, command: Command) -> Answer:
        return await self._commands.command(command)

    def handle(self, called: Called) -> Any:
        """The answer, or an awaitable of it. Raises CallError."""
        handler = self.HANDLERS.get(called.action)
        if handler is not None:
            if self.state.recording and called.action in self.RECORDS:
                return self._beside(handler, called)
            return handler(self, called)
        notice = self.NOTICES.get(called.action)
        hook = self.state.services.answers.get(called.action)
        if notice is None:
            raise CallError("NotSupported", f"{called.action} is not offered here")
        told = called.payload
        session = self.state.sessions.get(str(told.get("transactionId", "")))
        evse = told.get("evseId") or (told.get("evse") or {}).get("id") or (session.evse if session else 0)
        self.state.event(
            notice.kind,
            evse=self.state.check_evse(evse),
            session=session.id if session else None,
            severity="warning" if notice.warns else "info",
            text=str(told.get(notice.text, "")),
            data=shown(called),
            time_ns=self.state.time_of(told["timestamp"]) if "timestamp" in told else None,
        )
        if hook is not None:
            return hook(self.state.id, told)
        return notice.answer(self, called) if notice.answer else {}

    def _beside(self, handler: Callable[[Any, Called], Any], called: Called) -> Any:
        """A record while others are on their way into the ledger."""
        recording = self.state.recording
        same = recording.same(called)
        if same is not None:  # the station asks again
            return same
        if recording.is_full:
            self.state.complain("too_many_records", f"{len(recording)} are being stored", called.action)
            raise Trouble("InternalError", "too many records are being stored")
        return handler(self, called)

    def web_payment(self, evse: int, seconds: int) -> None:
        """Somebody pays on the web for this EVSE: it is not to be used by others for so long. No words before 2.1."""

    # What all versions have

    def boot(self, vendor: str, model: str, serial: str | None, firmware: str | None) -> Payload:
        """The answer to BootNotification."""
        status = self.state.boot(vendor=vendor, model=model, serial=serial or "", firmware=firmware or "")
        interval = self.state.services.heartbeat_s
        return {"currentTime": rfc3339(time.time_ns()), "interval": interval, "status": status}

    def heartbeat(self, called: Called) -> Payload:
        self.state.update()
        return {"currentTime": rfc3339(time.time_ns())}

    def data_transfer(self, called: Called) -> Any:
        """Answered by the hook of its vendor."""
        vendor = called.payload["vendorId"]
        self.state.event("data_transfer", text=vendor, data=shown(called))
        hook = self.state.services.data_transfer.get(vendor)
        return {"status": "UnknownVendorId"} if hook is None else hook(self.state.id, called.payload)

    def sign_certificate(self, called: Called) -> Payload:
        """Accepted where somebody signs it; the certificate follows in a CertificateSigned of our own (1.6 security
        white paper and 2.0.1 Part 2, A02).
        """
        told, services = called.payload, self.state.services
        kind = told.get("certificateType", STATION_CERTIFICATE)
        sign = services.sign_certificate
        refused = ""
        if sign is None:
            refused = "nobody signs here"
        elif not self.rules.lets_certificates(self.peer):
            refused = "not without TLS"
        elif self.state.signing >= _MOST_SIGNING:
            refused = "too many are being signed"
        self.state.event(
            "certificate.requested",
            severity="warning" if refused else "info",
            text=refused or kind,
            data={"type": kind},
        )
        if sign is None or refused:
            return {"status": "Rejected"}
        chain = sign(self.state.id, told["csr"], kind)
        if chain is None:
            return {"status": "Rejected"}
        self.peer.spawn(self._send_certificate(chain, told))
        return {"status": "Accepted"}

    async def _send_certificate(self, chain: str | Awaitable[str | None], told: Payload) -> None:
        kind = told.get("certificateType", STATION_CERTIFICATE)
        self.state.signing += 1
        try:
            async with asyncio.timeout(_SIGN_S):
                signed = chain if isinstance(chain, str) else await chain
        except TimeoutError:
            self.state.complain("handler_timeout", f"{_SIGN_S} s", "SignCertificate")
            signed = None
        except Exception as error:
            log.error("%s: the certificate could not be signed", self.state.id, exc_info=error)
            signed = None
        finally:
            self.state.signing -= 1
        if signed is None:
            self.state.event("certificate.refused", severity="warning", text="it was not signed", data={"type": kind})
            return
        args: Payload = {"chain": signed}
        if "certificateType" in told:
            args["type"] = told["certificateType"]
        if "requestId" in told:
            args["request_id"] = told["requestId"]
        answer = await self.command(Command(self.state.id, Verb.CERTIFICATE_SIGNED, args))
        self.state.event(
            "certificate.signed" if answer.ok else "certificate.refused",
            severity="info" if answer.ok else "warning",
            text=f"{answer.status} {answer.reason}".strip(),
            data={"type": kind},
        )

    def security(self, called: Called) -> Payload:
        told = called.payload
        when = self.state.time_of(told.get("timestamp"))
        self.state.event("security.event", severity="warning", text=told["type"], data=shown(called), time_ns=when)
        return {}

    def report(self, called: Called, kind: str, member: str) -> Payload:
        """A part of a report, for whoever waits for it, and as an event."""
        told = called.payload
        self.state.event(kind, data=shown(called))
        waiting = self.state.reports.get(told["requestId"])
        if waiting is not None:
            waiting.add(told["seqNo"], told.get(member, []), called.size, more=told.get("tbc", False))
        return {}

    def read(self, reading: Reading) -> Reading:
        """What was read of meter values; what could not be is told."""
        if reading.unreadable:
            self.state.complain("meter_value", f"{reading.unreadable} values are unreadable", "MeterValues")
        return reading

    def tell_cost(self, session: Session) -> None:
        """Where the answer that is being given has no place for it."""
        if self._costs is None:
            self._costs = CostTeller(self.peer, self.rules.minor_digits)
        evse = self.state.evses.get(session.evse)
        self._costs.tell(session, evse.charging if evse else None)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that becomes an event of this kind. text: the member that says it in a word. answer: what the station
    is told; None: {}."""

    kind: str
    text: str = "status"
    answer: Callable[[Dialect, Called], Payload] | None = None
    warns: bool = False


def is_hookable(action: str, dialects: tuple[type[Dialect], ...]) -> bool:
    """May `Services.answers` answer it?"""
    return any(action in dialect.NOTICES for dialect in dialects)
