"""One connection of one station to an `OcppServer`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from evcore.chargers.ocpp_dialect import Dialect
from evcore.chargers.ocpp_station import ChargerState, Trouble, shown
from evcore.chargers.ocpp_v2 import Dialect2
from evcore.chargers.ocpp_v16 import Dialect16
from evcore.errors import CallError, EvcoreError
from evcore.model import Answer, Command
from evcore.ocpp.events import Anomaly, Called, Notified, Repaired
from evcore.ocpp.session import Session as RpcSession
from evcore.ocpp.subject import Subject
from evcore.ocpp.websocket import Link


class Keeper(Protocol):
    """Who keeps the list of the links that serve."""

    def serve(self, link: StationLink) -> None: ...
    def ended(self, link: StationLink, reason: str) -> None: ...


class StationLink(Link):
    """subject: of the certificate that it showed. pending: nobody knows this station yet. secure: it is encrypted.
    dialect: what is said in its version. release: takes it off the hub again."""

    __slots__ = (
        "_asked_to_boot",
        "_keeper",
        "dialect",
        "pending",
        "release",
        "secure",
        "state",
        "subject",
        "subprotocol",
        "version",
    )

    def __init__(
        self,
        keeper: Keeper,
        state: ChargerState,
        session: RpcSession,
        subprotocol: str,
        *,
        secure: bool = False,
        handler_timeout_s: float | None = None,
    ) -> None:
        self._keeper, self.state, self.subprotocol = keeper, state, subprotocol
        self.version, self.secure = session.version, secure
        self.subject: Subject | None = None
        self.pending = False
        self.dialect: Dialect = (Dialect16 if self.version == "1.6" else Dialect2)(state, self)
        self.release: Callable[[], None] = _nothing
        self._asked_to_boot = False
        traffic = state.hub.traffic("ocpp")
        super().__init__(session, self.dialect.handle, traffic=traffic, handler_timeout_s=handler_timeout_s)

    @property
    def unheard(self) -> int:
        """Answers that were still being made when the connection ended."""
        return len(self._going)

    async def command(self, command: Command) -> Answer:
        return await self.dialect.command(command)

    def on_opened(self) -> None:
        self._keeper.serve(self)

    def on_closed(self, code: int, reason: str) -> None:
        self._keeper.ended(self, reason)
        self.release = _nothing
        del self.dialect  # it knows this link: ten thousand such circles stop the server while they are collected

    def on_anomaly(self, anomaly: Anomaly) -> None:
        self.state.complain(anomaly.reason, anomaly.detail, anomaly.action)
        if anomaly.reason == "not_accepted" and not self._asked_to_boot:
            # it reconnected to a server that does not know it any more: ask, or it would be refused for ever
            self._asked_to_boot = True
            self.spawn(self._ask_to_boot())

    async def _ask_to_boot(self) -> None:
        with contextlib.suppress(EvcoreError):
            await self.call("TriggerMessage", {"requestedMessage": "BootNotification"})

    def on_refused(self, called: Called, error: CallError) -> None:
        if not isinstance(error, Trouble):
            self.state.complain(f"refused_{error.code}", error.description, called.action)

    def on_suspended(self, called: Called, task: asyncio.Task[Any]) -> bool:
        return called.action in self.dialect.RECORDS and self.state.recording.add(called, task)

    def on_repaired(self, repaired: Repaired) -> None:
        self.state.mended(repaired)

    def on_notified(self, notified: Notified) -> None:
        self.state.event("periodic_event", text=notified.action, data=shown(notified))


def _nothing() -> None:
    pass
