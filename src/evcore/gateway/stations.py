"""The stations that this site has accepted, as they described themselves: a restart of the gateway must not make them
strangers, since a station that only reconnects need not boot again (OCPP 1.6, 4.2; 2.0.1 Part 2, B01)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evcore.errors import StoreError
from evcore.gateway import station_store
from evcore.gateway.store import Store
from evcore.model import Event, Station
from evcore.ports import Hub

MOST = 20_000
_log = logging.getLogger("evcore.gateway")


class Stations:
    """Remembers each station whose BootNotification was accepted."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def known(self) -> Sequence[Station]:
        """As they were last seen, all offline. Raises StoreError."""
        return await self._store.read(lambda conn: station_store.every(conn, MOST))

    async def run(self, hub: Hub) -> None:
        """Write down who boots, until cancelled."""
        boots = hub.subscribe(Event)
        try:
            async for event in boots:
                if isinstance(event, Event) and event.kind == "station.booted" and event.text == "Accepted":
                    station = hub.last(f"charger/{event.source}")
                    if isinstance(station, Station):
                        await self._keep(station)
        finally:
            boots.close()

    async def _keep(self, station: Station) -> None:
        try:
            await self._store.write(lambda conn: station_store.save(conn, station))
        except StoreError as error:
            _log.warning("%s is not remembered: %s", station.id, error)
