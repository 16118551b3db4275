"""The stations of an `OcppServer`: who is known, and which connection of each serves."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from evcore.chargers.ocpp_link import StationLink
from evcore.chargers.ocpp_services import Services
from evcore.chargers.ocpp_station import ChargerState
from evcore.model import Session, Station

_GIVE_UP_S = 1.0  # for tasks that were cancelled
_ORDINARY = {"peer", "lost", "shutdown", "restart", "replaced", "silent"}


class Roster:
    """most: stations known at once; for one more, the one that is away longest and charges nobody is forgotten.
    accepted: need this station not boot again?"""

    def __init__(self, services: Services, most: int, accepted: Callable[[Station], bool]) -> None:
        self._services, self._most, self._accepted = services, most, accepted
        self._chargers: dict[str, ChargerState] = {}
        self._away: OrderedDict[str, None] = OrderedDict()  # of those, the longest away first
        self.links: dict[str, StationLink] = {}
        self.tasks: set[asyncio.Task[None]] = set()  # of links that are gone: records still under way
        self._restored: dict[str, list[Session]] = {}  # active sessions from before this process, by station
        for item in services.hub.snapshot("session/"):
            if isinstance(item, Session) and item.state == "active":
                self._restored.setdefault(item.station, []).append(item)

    @property
    def known(self) -> Collection[str]:
        return self._chargers.keys()

    def has_room(self, identity: str) -> bool:
        """Can this station be served? Allocates nothing."""
        return identity in self._chargers or len(self._chargers) < self._most or self._forgettable() is not None

    def charger(self, identity: str) -> ChargerState | None:
        """Its state; a new one where it was not known; None: there is no room."""
        state = self._chargers.get(identity)
        if state is not None:
            return state
        if len(self._chargers) >= self._most:
            gone = self._forgettable()
            if gone is None:
                return None
            del self._chargers[gone], self._away[gone]
        known = self._services.hub.last(f"charger/{identity}")  # as it described itself to an earlier process
        station = replace(known, online=False) if isinstance(known, Station) else Station(identity, False)
        state = ChargerState(self._services, station)
        state.sessions = {session.transaction_id: session for session in self._restored.pop(identity, ())}
        state.registered = bool(state.sessions) or self._accepted(station)  # who charges was accepted before
        self._chargers[identity] = state
        self._away[identity] = None
        return state

    def _forgettable(self) -> str | None:
        """What is kept of a charge that goes on, or is just being stored, must not be lost."""
        chargers = self._chargers
        away = ((identity, chargers[identity]) for identity in self._away)
        return next((identity for identity, state in away if not (state.sessions or state.recording)), None)

    # The links' reports

    def serve(self, link: StationLink) -> None:
        """The newest connection that was let in serves, from its first message on."""
        state = link.state
        state.generation += 1
        self._services.count("opened")
        before = self.links.get(state.id)
        if before is not None and before.connection is not None:
            before.connection.settle()  # where it has ended that comes first
            before = self.links.get(state.id)
        self.links[state.id] = link
        self._away.pop(state.id, None)
        if before is not None:
            state.event("station.replaced", severity="warning", text="a newer connection took over")
            before.close(1008, "replaced")
        else:
            state.event("station.connected", text=link.subprotocol, data={"generation": state.generation})
        state.update(online=True, protocol=link.subprotocol, since_ns=time.time_ns())
        link.release = state.hub.serve(state.id, link.command)

    def ended(self, link: StationLink, reason: str) -> None:
        """A connection ended; an older generation's end changes nothing but itself."""
        self.tasks |= link.tasks
        for task in link.tasks:
            task.add_done_callback(self.tasks.discard)
        link.release()
        self._services.count("closed", reason=reason)
        if link.unheard:
            self._services.count("errors", link.unheard, reason="unheard")
        if reason not in _ORDINARY:
            link.state.complain(f"websocket_{reason}", "the connection was closed for it")
            link.traffic.errors += 1
        if self.links.get(link.state.id) is link:
            del self.links[link.state.id]
            self._away[link.state.id] = None
            link.state.update(online=False)
            link.state.event("station.disconnected", text=reason)

    async def finish(self, seconds: float) -> None:
        """Let records that are under way be finished, though nobody hears the answer; cancel what is not done then."""
        late = await self.settle(seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_GIVE_UP_S)

    async def settle(self, seconds: float) -> Collection[asyncio.Task[Any]]:
        """Wait for what is under way: what is not done then."""
        tasks = {task for link in self.links.values() for task in link.tasks} | self.tasks
        return (await asyncio.wait(tasks, timeout=seconds))[1] if tasks else ()
