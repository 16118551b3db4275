"""The gateway: connectors, hub, store and ledger as one program."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from evcore.backends.psp import GenericProvider
from evcore.errors import ConfigError
from evcore.gateway import wiring
from evcore.gateway.config import Config
from evcore.gateway.history import History
from evcore.gateway.hub import Hub
from evcore.gateway.journal import keep_journal
from evcore.gateway.ledger import StoreLedger
from evcore.gateway.logs import Masker
from evcore.gateway.outbox import StoreOutbox
from evcore.gateway.part import Listener, Part, Phase, supervise
from evcore.gateway.payment_desk import PaymentDesk
from evcore.gateway.site import GatewaySite
from evcore.gateway.stations import Stations
from evcore.gateway.store import Store
from evcore.gateway.tokens import Tokens
from evcore.model import Station
from evcore.ports import Hub as HubPort
from evcore.ports import Token

STALE_EVERY_S = 1.0
_log = logging.getLogger("evcore.gateway")


@dataclass(slots=True)
class _Records:
    """What keeps and answers for the records of the site."""

    store: Store
    stations: Stations
    tokens: Tokens
    history: History
    ledger: StoreLedger
    providers: Mapping[str, GenericProvider]
    desk: PaymentDesk | None
    site: GatewaySite


class Gateway:
    """A site, as its configuration says.

        gateway = Gateway(load("site.toml"))
        await gateway.run()

    `run` returns after `stop()`. hub: where everything that happens is published. started: set once every port listens.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.hub = config, Hub()
        self.started = asyncio.Event()
        self._stopping = asyncio.Event()
        self._listeners: dict[str, Listener] = {}

    @property
    def urls(self) -> Mapping[str, str]:
        """Where each listener is, by its name; complete once `started` is set."""
        return {name: listener.url for name, listener in self._listeners.items()}

    def stop(self) -> None:
        """Let `run` drain and return. From the event loop only."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop` or a cancellation; either way stations are told to come back later, what is under way is
        finished, and the store is closed, within `limits.drain_s`.

        Raises ConfigError (a part cannot be made as configured) and StoreError (the database cannot be opened), before
        anything listens.
        """
        self._stopping.clear()
        records = self._keepers()
        await records.store.open()
        try:
            accepted = await self._restore(records)
            parts = self._parts(records, accepted)
            async with asyncio.TaskGroup() as group:
                try:
                    await self._serve(group, parts)
                finally:
                    # Also where a part hangs: what was told to anybody is on disk, and the file is let go.
                    await self._close(records)
        finally:
            await self._close(records)

    async def check(self) -> None:
        """Make everything as configured and throw it away. Raises ConfigError."""
        self._parts(self._keepers(), [])

    def _keepers(self) -> _Records:
        """Store, ledger and what else answers for the past, not yet open. Raises ConfigError."""
        store, price = Store(self.config.store.path), wiring.tariff(self.config)
        providers = wiring.payment_providers(self.config)
        brokers = [broker.name for broker in self.config.mqtt]
        desk = None
        if providers:
            if price is None:
                raise ConfigError(self.config.file, "tariff", "a tariff, since payments are taken by it", "none")
            desk = PaymentDesk(store, self.hub, providers, price=price, currency=price.currency, destinations=brokers)
        tokens, history = Tokens(store), History(store)
        ledger = StoreLedger(
            store,
            hooks=[desk.hook] if desk else [],
            destinations=brokers,
            tokens=tokens,
            more_tokens=[desk.authorize] if desk else [],
            one_session=self.config.site.one_session,
            price=price,
        )
        site = GatewaySite(self.hub, store, history, tokens, payments=desk)
        return _Records(store, Stations(store), tokens, history, ledger, providers, desk, site)

    def _parts(self, records: _Records, accepted: Collection[str]) -> list[Part]:
        """All that runs. accepted: stations that have booted before. Raises ConfigError."""
        parts = [
            Part("historian", Phase.RECORDS, records.history.run),
            Part("stations", Phase.RECORDS, records.stations.run),
            Part("freshness", Phase.RECORDS, self._mark_stale),
            Part("journal", Phase.BACKENDS, keep_journal),
        ]
        desk = records.desk
        if desk is not None:
            parts.append(Part("payments", Phase.RECORDS, lambda hub: desk.run()))
        parts += wiring.backend_parts(self.config, lambda name: StoreOutbox(records.store, name))
        parts += wiring.device_parts(self.config)
        parts += wiring.listener_parts(self.config, records.ledger, records.site, accepted)
        self._listeners = {part.name: part.listens for part in parts if part.listens is not None}
        records.site.parts = parts
        return parts

    async def _restore(self, records: _Records) -> Collection[str]:
        """What the hub must know before anybody asks: stations, known and expected, and the sessions that are open.
        Returns which stations are known."""
        for table in self.config.tokens:
            expires_ns = None if table.expires is None else int(table.expires.timestamp()) * 1_000_000_000
            await records.tokens.put(Token(table.id, table.status, expires_ns, table.group, table.note))
        known = {station.id: station for station in await records.stations.known()}
        expected = {station.id for listener in self.config.ocpp for station in listener.stations}
        for id in sorted(expected | known.keys()):
            self.hub.publish(known.get(id) or Station(id, False))
        # Oldest first, since of too many the hub forgets those that it heard of first.
        for session in reversed(await records.history.sessions(state="active", limit=10_000)):
            self.hub.publish(session)
        return known.keys()

    async def _serve(self, group: asyncio.TaskGroup, parts: Sequence[Part]) -> None:
        """Run the parts until `stop` or a cancellation, then end them."""
        mask, longest_s = Masker(self.config.secrets()), self.config.limits.restart_max_s
        tasks: dict[asyncio.Task[None], Part] = {}
        opening: asyncio.Task[None] | None = None
        try:
            for part in sorted(parts, key=lambda part: part.phase, reverse=True):
                runner = supervise(part, self.hub, longest_s=longest_s, mask=mask)
                tasks[group.create_task(runner, name=part.name)] = part
            opening = group.create_task(self._tell_when_started(), name="start")
            await self._stopping.wait()
        finally:
            self.started.clear()
            if opening is not None:
                opening.cancel()
            await self._drain(tasks)

    async def _tell_when_started(self) -> None:
        for listener in self._listeners.values():
            await listener.started.wait()
        self.started.set()
        _log.info("started: %s", ", ".join(f"{name} {url}" for name, url in self.urls.items()) or "no listener")

    async def _drain(self, tasks: Mapping[asyncio.Task[None], Part]) -> None:
        """End the parts, phase by phase: first who brings new work, last who takes it away."""
        _log.info("stopping")
        deadline = time.monotonic() + self.config.limits.drain_s
        for phase in Phase:
            ending = [task for task, part in tasks.items() if part.phase is phase and not task.done()]
            if not ending:
                continue
            # A part that hangs leaves half of what remains to those after it.
            patience = max(0.1, (deadline - time.monotonic()) / 2)
            await self._send_away([tasks[task] for task in ending], patience / 2)
            for task in ending:
                task.cancel()
            _, hanging = await asyncio.wait(ending, timeout=patience)
            for task in hanging:
                _log.error("%s does not end", task.get_name())

    async def _send_away(self, parts: Sequence[Part], seconds: float) -> None:
        """Let parts say goodbye to those they serve."""
        drains = [part.drain(seconds / 2) for part in parts if part.drain is not None]
        try:
            async with asyncio.timeout(seconds):
                results = await asyncio.gather(*drains, return_exceptions=True)
        except TimeoutError:
            results = [TimeoutError(f"not done within {seconds:.1f} s")]
        for result in results:
            if isinstance(result, BaseException):
                _log.error("a goodbye failed: %s", result)

    async def _close(self, records: _Records) -> None:
        for provider in records.providers.values():
            await provider.close()
        await records.store.close()

    async def _mark_stale(self, hub: HubPort) -> None:
        """Show values that nobody has renewed as what they are."""
        oldest_ns = int(self.config.limits.stale_s * 1e9)
        while True:
            await asyncio.sleep(min(STALE_EVERY_S, self.config.limits.stale_s))
            self.hub.mark_stale(time.monotonic_ns(), oldest_ns)
