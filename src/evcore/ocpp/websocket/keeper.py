"""Brings what changed in a station's queue to its store, a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from evcore.errors import StoreError
from evcore.ocpp.records import Change, MemoryStore, MessageStore, merged
from evcore.ocpp.transactions import TransactionQueue


class Keeper:
    """store: None for memory. failed: told when the store did not take a batch, which comes again with the next."""

    def __init__(self, queue: TransactionQueue, store: MessageStore | None, failed: Callable[[str], None]) -> None:
        self.store: MessageStore = MemoryStore() if store is None else store
        self._queue, self._failed = queue, failed
        self._wanted = asyncio.Event()
        self._lock = asyncio.Lock()
        self._waiting: list[Change] = []

    async def load(self) -> None:
        """Put what the store has back into the queue. Raises StoreError."""
        try:
            self._queue.restore(await self.store.load())
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"the store cannot be read: {type(error).__name__}: {error}") from error

    def wake(self) -> None:
        """There may be changes; they are stored soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Store what `wake` tells of, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.commit()

    async def commit(self) -> None:
        """Returns when the store has all that changed before, or has failed to take it."""
        async with self._lock:
            changes = self._queue.changes()
            self._waiting = merged([*self._waiting, *changes]) if self._waiting else changes
            if not self._waiting:
                return
            try:
                await self.store.commit(self._waiting)
            except Exception as error:  # noqa: BLE001 - whatever it raises, nothing was stored, and the station goes on
                self._failed(str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}")
            else:
                self._waiting = []
