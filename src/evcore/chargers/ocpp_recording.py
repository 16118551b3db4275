"""The records of one station that are on their way into the ledger."""

from __future__ import annotations

import asyncio
from typing import Any

from evcore.ocpp.events import Called

MOST = 12  # of a station, over all its connections: fewer than its CALLs in work, so that records leave room for others

Key = tuple[str, bytes]


class Recording(dict[Key, "asyncio.Task[Any]"]):
    """What the station says of a session is stored though its CALL was refused for taking too long, or its connection
    is gone. A station without an answer says it again: then that waits for the same record, and no second one is made.
    """

    __slots__ = ()

    def add(self, called: Called, task: asyncio.Task[Any]) -> bool:
        """A handler that stores a record goes on as this task. False: it only waits for one that is there already."""
        key = _key(called)
        if key in self:
            return False
        self[key] = task
        task.add_done_callback(lambda _: self.pop(key, None))
        return True

    def same(self, called: Called) -> asyncio.Future[Any] | None:
        """The answer to a CALL that says word for word what is being stored. To cancel it changes nothing there."""
        task = self.get(_key(called))
        return None if task is None else asyncio.shield(task)

    @property
    def is_full(self) -> bool:
        return len(self) >= MOST


def _key(called: Called) -> Key:
    return called.action, called.raw_payload
