"""A part of the running gateway, and what happens when it fails: it alone is started again, after a pause."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from evcore.model import Health
from evcore.ports import Hub

FIRST_PAUSE_S = 1.0
LONGEST_DETAIL = 200
_log = logging.getLogger("evcore.gateway")


class Listener(Protocol):
    """What a connector that listens shows: where, and since when. port and url are right once `started` is set."""

    started: asyncio.Event
    port: int

    @property
    def url(self) -> str: ...


class Phase(IntEnum):
    """Parts are stopped in this order and started in the other: who listens to strangers is the last to start."""

    STATIONS = 0
    WEB = 1
    DEVICES = 2
    RECORDS = 3
    BACKENDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """run: until cancelled. listens: the connector, where it is a listener. drain: called with the seconds there are,
    before the cancellation: sends those away that it serves."""

    name: str
    phase: Phase
    run: Callable[[Hub], Coroutine[Any, Any, None]]
    listens: Listener | None = None
    drain: Callable[[float], Awaitable[None]] | None = None


async def supervise(part: Part, hub: Hub, *, longest_s: float, mask: Callable[[str], str] = str) -> None:
    """Run `part` until cancelled. When it fails, whatever way, the others do not notice: it is logged, counted, shown
    as `Health` and started again after a pause of 1 s, then 2 s ... at most `longest_s`, with jitter.

    mask: takes the secrets out of what an exception says.
    """
    pause = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        reason = mask(await _run_once(part, hub))
        if time.monotonic() - began > longest_s:
            pause = FIRST_PAUSE_S
        wait = min(pause, longest_s) * random.uniform(0.5, 1.0)
        pause = min(2 * pause, longest_s)
        _log.error("%s failed, again in %.1f s: %s", part.name, wait, reason)
        hub.count("evcore_part_failures_total", part=part.name)
        detail = f"failed, started again: {reason}"[:LONGEST_DETAIL]
        hub.publish(Health(part.name, "down", detail, time.time_ns()))
        await asyncio.sleep(wait)


async def _run_once(part: Part, hub: Hub) -> str:
    """Why it ended. Raises CancelledError only when we are cancelled, and after the part has ended.

    The part has a task of its own: before Python 3.13 a TaskGroup in which a task failed may leave its task marked as
    cancelled (https://github.com/python/cpython/issues/116720), so that we could not tell our own cancellation.
    """
    task = asyncio.create_task(part.run(hub), name=part.name)
    ours: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            ours = error
            task.cancel()
    if task.cancelled():
        reason = "it was cancelled from within"
    elif failure := task.exception():
        _log.debug("%s failed", part.name, exc_info=failure)
        reason = _describe(failure)
    else:
        reason = "it ended by itself"
    if ours is not None:
        raise ours
    return reason


def _describe(error: BaseException) -> str:
    """The first cause: a group of one says no more than the one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
