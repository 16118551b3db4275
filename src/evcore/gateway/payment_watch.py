"""What the desk learns from the hub: sessions that use up their amount, stations that come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from evcore.gateway import payment_store as rows
from evcore.gateway.store import Store
from evcore.model import Command, Payment, Session, Station, Verb
from evcore.ports import Hub

AFTER_RETURN_NS = 1_000_000_000  # what a station says of sessions while it was away comes before another start
_MOST_STOPS = 200  # under way at once

Price = Callable[[Session], tuple[int, str] | None]


class PaymentWatch:
    """show: called with a payment that the ledger's transaction has changed. wake: called when one has become due."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        price: Price,
        show: Callable[[Payment], None],
        wake: Callable[[], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store, self._hub, self._price, self._show, self._wake = store, hub, price, show, wake
        self._clock = clock
        self._stopped: set[str] = set()  # sessions that were told to stop at their limit
        self._online: dict[str, bool] = {}

    async def run(self) -> None:
        """Until cancelled."""
        items = self._hub.subscribe(Session, Station)
        try:
            async with asyncio.TaskGroup() as group:
                async for item in items:
                    if isinstance(item, Session) and item.payment is not None:
                        await self._see_session(group, item, item.payment)
                    elif isinstance(item, Station):
                        await self._see_station(item)
        finally:
            items.close()

    async def _see_station(self, station: Station) -> None:
        """A start that found nobody is tried again as soon as the station is there."""
        if station.online == self._online.get(station.id, False):
            return
        self._online[station.id] = station.online
        if station.online:
            due_ns = self._clock() + AFTER_RETURN_NS
            await self._store.write(lambda conn: rows.hasten_starts(conn, station.id, due_ns))
            self._wake()

    async def _see_session(self, group: asyncio.TaskGroup, session: Session, id: str) -> None:
        payment = await self._store.read(lambda conn: rows.by_id(conn, id))
        if payment is None:
            return
        if self._hub.last(payment.key) != payment:
            self._show(payment)
        if session.state == "ended":
            self._stopped.discard(session.id)
        elif self._is_used_up(session, payment):
            self._stopped.add(session.id)
            group.create_task(self._stop(session))

    def _is_used_up(self, session: Session, payment: Payment) -> bool:
        """And it has not been told to stop yet."""
        if session.id in self._stopped or len(self._stopped) >= _MOST_STOPS:
            return False
        priced = self._price(session)
        return priced is not None and priced[0] >= payment.amount

    async def _stop(self, session: Session) -> None:
        # An id of its own: the hub answers a repeated id with the first answer, and this one may have failed.
        id = f"limit:{session.id}:{self._clock()}"
        answer = await self._hub.command(Command(session.station, Verb.STOP, {"session": session.id}, id))
        if not answer.ok:  # asked again with the next meter value
            self._stopped.discard(session.id)
