"""From an upgrade to a link that serves: what is asked of a newcomer, and who yields to whom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from evcore.chargers.ocpp_access import Access, Claim
from evcore.chargers.ocpp_link import StationLink
from evcore.chargers.ocpp_roster import Roster
from evcore.chargers.ocpp_station import ChargerState
from evcore.model import Station
from evcore.ocpp.session import Session as RpcSession
from evcore.ocpp.subject import Subject
from evcore.ocpp.upgrade import VERSIONS, Upgrade, UpgradeError
from evcore.ocpp.websocket import Arrival, Closing, Receiver

log = logging.getLogger("evcore.chargers.ocpp")

_GIVE_UP_S = 1.0  # for what was cancelled
_LOOK_S = 0.05  # between two looks at a connection that was pinged
TRY_AGAIN_LATER, INTERNAL_ERROR = 1013, 1011

T = TypeVar("T")
MakeSession = Callable[[str, ChargerState], RpcSession]  # version, station -> session


class Reception:
    """Decides about each newcomer, in this order: password, room, version; after the upgrade certificate, an
    authenticator's verdict that takes time, and another connection of the same name.

    verdict_s: how long an authenticator may take. duel_s: how long an older connection may be silent where neither side
    has proven who it is. handler_timeout_s: see `Link`. Nothing is kept of anybody who is not let in.
    """

    def __init__(
        self,
        roster: Roster,
        access: Access,
        session: MakeSession,
        *,
        verdict_s: float,
        duel_s: float,
        handler_timeout_s: float,
        warn: bool,
        secure: bool,
    ) -> None:
        self._roster, self._access, self._session = roster, access, session
        self._verdict_s, self._duel_s, self._handler_timeout_s = verdict_s, duel_s, handler_timeout_s
        self._warn, self._secure = warn, secure
        self._challengers: dict[str, Arrival] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.draining = False

    def accept(self, upgrade: Upgrade, subprotocol: str) -> Receiver:
        """The door's question. Nothing is allocated before the password is right. Raises UpgradeError."""
        claim = self._access.judge(upgrade)
        if self.draining:
            raise UpgradeError(503, "draining", "restarting")
        if not subprotocol:
            return Closing()
        if not self._roster.has_room(upgrade.identity):
            raise UpgradeError(503, "too_many_stations", "no room for another station")
        verdict = None if claim.verdict is None else self._spawn(self._bounded(claim.verdict))
        return Arrival(upgrade.identity, lambda arrival: self._arrived(arrival, claim, subprotocol, verdict))

    def is_pending(self, station: Station) -> bool:
        """Does this station connect though nobody knows it?"""
        link = self._roster.links.get(station.id)
        return link is not None and link.pending

    def serial_problem(self, station: Station) -> str:
        """OCPP 2.0.1 Part 2, B01.FR.12: what is wrong with the serial number that a station boots with."""
        link = self._roster.links.get(station.id)
        if link is None or link.subject is None or not self._access.rule.boot_serial or link.session.version == "1.6":
            return ""
        name = link.subject.common_name
        if not station.serial or station.serial == name:
            return ""
        return f"serial number {station.serial[:50]}, certificate of {name[:64]}"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GIVE_UP_S)  # an authenticator may not let itself be cancelled

    # After the upgrade

    def _arrived(self, arrival: Arrival, claim: Claim, subprotocol: str, verdict: asyncio.Task[bool] | None) -> None:
        try:
            problem, subject = self._access.judge_certificate(claim, arrival.certificate)
        except Exception:
            log.exception("the certificate of %s could not be judged", claim.identity)
            arrival.refuse("internal", code=INTERNAL_ERROR, blame=False)
            return
        if problem:
            arrival.refuse(problem)
        elif verdict is not None:
            self._spawn(self._wait_for(arrival, claim, subprotocol, subject, verdict))
        else:
            self._enter(arrival, claim, subprotocol, subject)

    async def _wait_for(
        self,
        arrival: Arrival,
        claim: Claim,
        subprotocol: str,
        subject: Subject | None,
        verdict: asyncio.Task[bool],
    ) -> None:
        await asyncio.wait({verdict}, timeout=self._verdict_s + _GIVE_UP_S)
        try:
            right = verdict.result()
        except (TimeoutError, asyncio.InvalidStateError):  # it took too long, and did not let itself be cancelled
            arrival.refuse("no_verdict", code=TRY_AGAIN_LATER, blame=False)
        except (Exception, asyncio.CancelledError):
            log.exception("the authenticator failed")
            arrival.refuse("internal", code=INTERNAL_ERROR, blame=False)
        else:
            if right:
                self._enter(arrival, claim, subprotocol, subject)
            else:
                arrival.refuse("credentials")

    def _enter(self, arrival: Arrival, claim: Claim, subprotocol: str, subject: Subject | None) -> None:
        if arrival.settled:
            return  # it has left meanwhile
        serving = self._roster.links.get(claim.identity)
        if serving is None or claim.proven or subject is not None:
            self._serve(arrival, claim, subprotocol, subject)
            return
        earlier = self._challengers.get(claim.identity)
        self._challengers[claim.identity] = arrival
        if earlier is not None:
            earlier.refuse("superseded", blame=False)
        self._spawn(self._duel(arrival, claim, subprotocol, serving))

    async def _duel(self, arrival: Arrival, claim: Claim, subprotocol: str, serving: StationLink) -> None:
        """Neither has proven who it is: the older connection stays if it lives, or knowing a name would be enough to
        take a station away (CVE-2026-27652); a dead one yields, or a station would be locked out by its own."""
        try:
            if await self._lives(serving, arrival):
                arrival.refuse("duplicate", blame=False)
                serving.state.event(
                    "security.duplicate", severity="warning", text=f"{_peer(arrival)} claims to be {claim.identity}"
                )
            elif not arrival.settled:
                self._serve(arrival, claim, subprotocol, None)
        finally:
            if self._challengers.get(claim.identity) is arrival:
                del self._challengers[claim.identity]

    async def _lives(self, serving: StationLink, arrival: Arrival) -> bool:
        """Does it say anything, within duel_s from now on? False as soon as it has ended or the challenger has."""
        connection, loop = serving.connection, asyncio.get_running_loop()
        seen = 0 if connection is None else connection.last_seen
        if connection is not None:
            connection.ping()
        until = loop.time() + self._duel_s
        while loop.time() < until and not arrival.settled:
            now_serving = self._roster.links.get(serving.state.id)
            if now_serving is not serving:
                return now_serving is not None
            if connection is not None and connection.last_seen != seen:
                return True
            await asyncio.sleep(_LOOK_S)
        return False

    def _serve(self, arrival: Arrival, claim: Claim, subprotocol: str, subject: Subject | None) -> None:
        state = self._roster.charger(claim.identity)
        if state is None:
            arrival.refuse("too_many_stations", code=TRY_AGAIN_LATER, blame=False)
            return
        if claim.pending:
            state.registered = False
        proven = claim.proven or subject is not None
        if not proven and self._warn:
            log.warning("%s connects from %s without authentication", claim.identity, _peer(arrival))
        session = self._session(VERSIONS[subprotocol], state)
        link = StationLink(
            self._roster,
            state,
            session,
            subprotocol,
            secure=self._secure,
            handler_timeout_s=self._handler_timeout_s,
        )
        link.subject, link.pending = subject, claim.pending
        arrival.admit(link)

    async def _bounded(self, verdict: Awaitable[bool]) -> bool:
        """Raises TimeoutError. By itself, since nobody may come to wait for it: the upgrade can still fail."""
        async with asyncio.timeout(self._verdict_s):
            return bool(await verdict)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who waits for it takes it too; where nobody does, asyncio shall not complain


def _peer(arrival: Arrival) -> str:
    return "somebody" if arrival.connection is None else arrival.connection.peer
