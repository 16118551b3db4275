"""Commands from outside: one idempotency key runs once, however often and over whichever door it is asked."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from evcore.backends.http.encode import encode
from evcore.model import Answer, Command, Verb
from evcore.ports import Hub, KeyReused

REMEMBERED = 1000
FOR_SECONDS = 600.0


class Commands:
    """Asks the hub, with the key as the command's id, and remembers the answers of the last minutes by key."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: OrderedDict[str, tuple[bytes, float, asyncio.Task[Answer]]] = OrderedDict()
        self._running: set[asyncio.Task[Answer]] = set()

    async def run(self, target: str, verb: Verb, args: Mapping[str, Any], key: str = "") -> Answer:
        """The device's answer. A repeat with the same key gets the first answer, also while that is still awaited.

        Offline is not remembered: nothing was asked of a device. Raises KeyReused for another command.
        """
        asked = encode([target, verb, args])
        known = self._known.get(key) if key else None
        if known is not None and time.monotonic() - known[1] < FOR_SECONDS:
            before, _, task = known
            if before != asked:
                raise KeyReused(f"the key {key!r} was used for another command")
        else:
            task = asyncio.create_task(
                self._hub.command(Command(target, verb, args, key or f"http-{uuid.uuid4().hex}"))
            )
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            if key:
                self._remember(key, asked, task)
        return await asyncio.shield(task)  # the asker may leave, the command goes on

    def _remember(self, key: str, asked: bytes, task: asyncio.Task[Answer]) -> None:
        self._known[key] = asked, time.monotonic(), task
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

        def forget_offline(done: asyncio.Task[Answer]) -> None:
            failed = done.cancelled() or done.exception() is not None or done.result().status == "Offline"
            known = self._known.get(key)
            if failed and known is not None and known[2] is done:
                del self._known[key]

        task.add_done_callback(forget_offline)

    async def close(self) -> None:
        """Cancel what still waits for a device."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
