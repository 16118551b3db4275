"""The hub of a gateway: `LocalHub`, and what many askers and a screen need."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from evcore.local import LocalHub
from evcore.masking import HIDDEN, hides, names_a_secret, without_user
from evcore.model import Answer, Command, Event, Item, Sample

_LONG, _MANY, _DEEP = 200, 20, 6  # of an argument as an event shows it


class Hub(LocalHub):
    """See `ports.Hub`.

    A command with an id that was asked within `repeat_s` gets the first answer, and waits for it where it is still to
    come; the last `repeats` ids are remembered, but for those answered Offline: nobody was asked. Each command that was
    carried out becomes an event "command.answered", without secrets.
    """

    def __init__(
        self,
        on_item: Callable[[Item], None] | None = None,
        *,
        over: int = 200,
        going: int = 10_000,
        repeats: int = 500,
        repeat_s: float = 600.0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        super().__init__(on_item, over=over, going=going)
        self._repeats, self._repeat_ns, self._clock = repeats, int(repeat_s * 1e9), clock
        self._asked: OrderedDict[str, tuple[int, Command, asyncio.Task[Answer]]] = OrderedDict()
        self._running: set[asyncio.Task[Answer]] = set()
        self._arrived: dict[str, int] = {}  # sample key -> monotonic ns

    def publish(self, item: Item) -> None:
        if isinstance(item, Sample):
            self._arrived[item.key] = self._clock()
        super().publish(item)

    def mark_stale(self, now_ns: int, max_age_ns: int) -> int:
        """Publish every good sample again as "stale" that no newer one has replaced for `max_age_ns`; how many.

        now_ns: of this hub's clock (monotonic). By the time of arrival, since a device's own clock may be anywhere.
        """
        old = [key for key, arrived in self._arrived.items() if now_ns - arrived > max_age_ns]
        for key in old:
            del self._arrived[key]
            sample = self.last(key)
            if isinstance(sample, Sample) and sample.quality == "good":
                super().publish(replace(sample, quality="stale"))
        return len(old)

    async def command(self, command: Command, timeout: float = 35.0) -> Answer:
        if not command.id:
            return await self._carry_out(command, timeout)
        self._forget_asked()
        asked = self._asked.get(command.id)
        if asked is None:
            # A task of its own: an asker that goes away must not take the answer from those who ask again.
            task = asyncio.create_task(self._carry_out(command, timeout), name=f"command {command.id}")
            self._asked[command.id] = self._clock(), command, task
            self._running.add(task)  # the loop itself keeps no task alive
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda done: self._forget_unasked(command.id, done))
        elif asked[1] != command:
            return Answer("Error", False, f"the id {command.id[:_LONG]} was used for another command")
        else:
            task = asked[2]
        return await asyncio.shield(task)

    async def _carry_out(self, command: Command, timeout: float) -> Answer:
        answer = await super().command(command, timeout)
        data = {
            "id": command.id,
            "verb": str(command.verb),
            "args": shown(command.args),
            "status": answer.status,
            "ok": answer.ok,
            "reason": shown(answer.reason),
        }
        self.publish(
            Event(
                command.target,
                "command.answered",
                time.time_ns(),
                severity="info" if answer.ok else "warning",
                text=f"{command.verb}: {answer.status}",
                data=data,
            )
        )
        return answer

    def _forget_unasked(self, id: str, done: asyncio.Task[Answer]) -> None:
        """Nobody was asked, so the same id may ask when the device is back."""
        known = self._asked.get(id)
        offline = not done.cancelled() and done.exception() is None and done.result().status == "Offline"
        if offline and known is not None and known[2] is done:
            del self._asked[id]

    def _forget_asked(self) -> None:
        oldest = self._clock() - self._repeat_ns
        while self._asked and (next(iter(self._asked.values()))[0] < oldest or len(self._asked) >= self._repeats):
            self._asked.popitem(last=False)


def shown(value: Any, depth: int = 0, *, secret: bool = False) -> Any:
    """`value` as an event may show it: JSON values, bounded, without passwords, keys and the user part of URLs."""
    if secret:
        return HIDDEN
    if isinstance(value, bool | int | float | Decimal | None):
        return value
    if isinstance(value, str):
        text = without_user(value[: 4 * _LONG])
        return text if len(text) <= _LONG else text[:_LONG] + "..."
    if depth >= _DEEP:
        return "..."
    if isinstance(value, Mapping):
        named = names_a_secret(value)
        pairs = list(value.items())[:_MANY]
        return {str(key)[:_LONG]: shown(part, depth + 1, secret=hides(key, values=named)) for key, part in pairs}
    if isinstance(value, list | tuple):
        return [shown(part, depth + 1) for part in value[:_MANY]] + (["..."] if len(value) > _MANY else [])
    return type(value).__name__
