"""A CSMS and stations in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from evcore.chargers import OcppServer
from evcore.local import LocalHub, LocalLedger
from evcore.model import Answer, Command, Event, Item, Verb
from evcore.sim import SimStation

PASSWORD = "a-password-of-16+"


async def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Wait for a condition, polled fast, with a generous limit; its value."""
    for _ in range(1600):
        value = condition()
        if value:
            return value
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what} did not come true")


class Csms:
    """A running OcppServer, its hub, and what it published."""

    def __init__(self, **options: Any) -> None:
        self.items: list[Item] = []
        self.hub = LocalHub(self.items.append)
        self.ledger = options.setdefault("ledger", LocalLedger())
        self.server = OcppServer(port=options.pop("port", 0), **options)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return self.server.url

    async def start(self) -> Csms:
        self.task = self._spawn(self.server.run(self.hub))
        await asyncio.wait_for(self.server.started.wait(), 8)
        return self

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def station(self, id: str = "CP1", *, online: bool = True, **options: Any) -> SimStation:
        defaults: dict[str, Any] = {"speed": 50, "interval_s": 5, "backoff_s": 0.05}
        station = SimStation(self.url, id, **defaults | options)
        self._spawn(station.run())
        if online:
            await asyncio.wait_for(station.online.wait(), 8)
        return station

    async def command(self, verb: Verb, target: str = "CP1", **args: Any) -> Answer:
        return await self.hub.command(Command(target, verb, args), timeout=8)

    def events(self, kind: str = "") -> list[Event]:
        return [item for item in self.items if isinstance(item, Event) and item.kind.startswith(kind)]

    def errors(self) -> dict[str, int]:
        """Counted refusals, by reason."""
        return {
            dict(labels)["reason"]: count
            for (name, labels), count in self.hub.counters().items()
            if name == "evcore_ocpp_errors_total"
        }


@pytest.fixture
async def csms() -> AsyncIterator[Callable[..., Awaitable[Csms]]]:
    """csms(**options of OcppServer): a running one; stopped at the end, with no task left behind."""
    started: list[Csms] = []

    async def start(**options: Any) -> Csms:
        started.append(Csms(**options))
        return await started[-1].start()

    yield start
    for one in started:
        await one.stop()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[Any]]:
    return until
