"""A connection without a network, and what both libraries can be asked alike."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any

import pytest

MODULES = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
ENDED = object()


class FakeConnection:
    """Keeps what is sent; `say` is the peer."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.news = asyncio.Event()
        self.subprotocol = ""

    async def send(self, text: str) -> None:
        assert isinstance(text, str)
        self.sent.append(json.loads(text))
        self.news.set()

    async def recv(self) -> str:
        text = await self.inbox.get()
        if text is ENDED:
            raise ConnectionResetError("ended")
        return text

    async def close(self) -> None:
        self.end()

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.inbox.put_nowait(message if isinstance(message, str | bytes) else json.dumps(message))

    def end(self) -> None:
        self.inbox.put_nowait(ENDED)

    async def next_sent(self, number: int = 1) -> Any:
        """The message with this number, once it has been sent."""
        async with asyncio.timeout(8):
            while len(self.sent) < number:
                self.news.clear()
                await self.news.wait()
        return self.sent[number - 1]


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def ours() -> Any:
    """ours("1.6"): evcore.ocpp.v16."""
    return lambda version: importlib.import_module(f"evcore.ocpp.{MODULES[version]}")


@pytest.fixture
def theirs() -> Any:
    """theirs("1.6"): ocpp.v16."""
    return lambda version: importlib.import_module(f"ocpp.{MODULES[version]}")


@pytest.fixture
def running() -> Any:
    """running(point): its `start` as a task, ended after the test."""
    tasks: list[asyncio.Task[Any]] = []

    def run(point: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.ensure_future(point.start()))
        return tasks[-1]

    yield run
    for task in tasks:
        task.cancel()
