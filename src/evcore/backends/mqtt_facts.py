"""Facts from the outbox to the broker: a fact leaves the outbox when the broker has acknowledged it, not before."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from evcore.backends.mqtt_payloads import fact_payload, fact_source
from evcore.backends.mqtt_publisher import Message, Publisher
from evcore.backends.mqtt_topics import Topics
from evcore.errors import LinkError, RefusedError
from evcore.ports import Fact, Hub, Outbox

_RETRY_S = 1.0
_log = logging.getLogger("evcore.mqtt")


class Facts:
    """Batch by batch, so that the facts of one order key follow one another: the outbox gives one of each at a time.

    A batch outlives the connection: what was not acknowledged is told again on the next one, so readers get each fact
    at least once.
    """

    def __init__(self, hub: Hub, outbox: Outbox, topics: Topics, publisher: Publisher, *, limit: int) -> None:
        self._hub, self._outbox, self._topics, self._publisher = hub, outbox, topics, publisher
        self._limit = limit
        self._batch: dict[int, Fact] = {}
        self._told: list[int] = []
        self._refused: dict[int, str] = {}
        self._finished = asyncio.Event()

    async def deliver(self) -> None:
        """While there is a connection; until cancelled."""
        while True:
            try:
                await self._settle()
                if not self._batch:
                    self._batch = {fact.id: fact for fact in await self._outbox.next(self._limit)}
            except Exception:  # noqa: BLE001 - a full disk, say: the batch is kept, and the connection with it
                self._hub.count("evcore_mqtt_outbox_errors_total")
                _log.exception("the outbox does not answer; trying again in %g s", _RETRY_S)
                await asyncio.sleep(_RETRY_S)
                continue
            self._finished.clear()
            for fact in list(self._batch.values()):
                topic = self._topics.event(fact_source(fact), fact.kind)
                self._publisher.add(Message(topic, fact_payload(fact), done=partial(self._done, fact.id)))
            if self._batch:
                await self._finished.wait()

    def _done(self, id: int, error: RefusedError | LinkError | None) -> None:
        if isinstance(error, LinkError) or self._batch.pop(id, None) is None:
            return
        if error is None:
            self._told.append(id)
        else:
            self._refused[id] = str(error)
        if not self._batch:
            self._finished.set()

    async def _settle(self) -> None:
        while self._told:
            told = list(self._told)
            await self._outbox.done(told)
            del self._told[: len(told)]
        while self._refused:
            id, reason = next(iter(self._refused.items()))
            await self._outbox.failed(id, reason)
            del self._refused[id]
