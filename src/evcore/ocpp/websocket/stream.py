"""Our WebSocket with `recv` and `send`, as mobilityhouse's ChargePoint and others written for `websockets` want it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from evcore.errors import LinkError
from evcore.ocpp.upgrade import SUBPROTOCOLS
from evcore.ocpp.websocket.client import connect
from evcore.ocpp.websocket.connection import Connection

QUEUE = 32  # messages


class ConnectionClosed(LinkError):
    """What ends `Stream.recv` and `send`. code, reason: as `Receiver.closed` has them."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"the connection is closed ({code}{': ' if reason else ''}{reason})")


@dataclass(frozen=True, slots=True)
class Request:
    """What a station asked for. headers: only Sec-WebSocket-Protocol, if it was there."""

    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Stream:
    """A `Receiver`: hand it to `connect`, return it from `listen`'s accept, or let `open_stream` and `serve` do that.

    When `queue` messages wait to be received, nothing more is read from the network until half of them are gone: what
    waits is bounded by them and one buffer of the network. Who takes none for twice the ping interval loses the
    connection, since no pong is seen either.
    """

    def __init__(self, *, queue: int = QUEUE, request: Request = Request()) -> None:
        self.request = request
        self._limit = queue
        self._waiting: deque[str] = deque()
        self._news: asyncio.Future[None] | None = None
        self._connection: Connection | None = None
        self._ended: tuple[int, str] | None = None
        self._paused = False

    @property
    def subprotocol(self) -> str | None:
        """As negotiated, for example "ocpp1.6"; None for none."""
        return None if self._connection is None else self._connection.subprotocol or None

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def remote_address(self) -> tuple[str]:
        return ("" if self._connection is None else self._connection.peer,)

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_open

    async def recv(self) -> str:
        """The next message; after the last one raises ConnectionClosed. One task at a time (RuntimeError)."""
        while not self._waiting:
            if self._ended is not None:
                raise ConnectionClosed(*self._ended)
            if self._news is not None:
                raise RuntimeError("another task receives already")
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None
        message = self._waiting.popleft()
        if self._paused and len(self._waiting) <= self._limit // 2 and self._connection is not None:
            self._paused = False
            self._connection.resume_reading()
        return message

    async def send(self, message: str | bytes) -> None:
        """A text message. Never waits: who reads too slowly loses the connection. Raises ConnectionClosed."""
        if self._connection is None or not self._connection.is_open:
            raise ConnectionClosed(*(self._ended or (1006, "closing")))
        self._connection.send(message.encode() if isinstance(message, str) else bytes(message))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye; returns when the connection has ended, within seconds."""
        if self._connection is not None and self._ended is None:
            self._paused = False
            self._connection.resume_reading()  # or the peer's good-bye would not be seen
            self._connection.close(code, reason)
            await self._connection.wait_closed()

    async def wait_closed(self) -> None:
        if self._connection is not None:
            await self._connection.wait_closed()

    async def __aiter__(self) -> AsyncIterator[str]:
        """All messages to the end of the connection."""
        while True:
            try:
                message = await self.recv()
            except ConnectionClosed:
                return
            yield message

    # Receiver

    def opened(self, connection: Connection) -> None:
        self._connection = connection

    def received(self, data: bytes) -> None:
        self._waiting.append(data.decode())  # the connection has checked that it is UTF-8
        if len(self._waiting) >= self._limit and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause_reading()
        self._wake()

    def closed(self, code: int, reason: str) -> None:
        self._ended = (code, reason)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Closable(Protocol):
    def close(self) -> Awaitable[None]: ...


Opened = TypeVar("Opened", bound=Closable)


class Opening(Generic[Opened]):
    """To be awaited, or entered with `async with`, which closes it too."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Opened]]) -> None:
        self._work = work
        self._opened: Opened | None = None

    def __await__(self) -> Generator[Any, None, Opened]:
        return self._work().__await__()

    async def __aenter__(self) -> Opened:
        self._opened = await self
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await self._opened.close()


def open_stream(
    url: str, *, subprotocols: Sequence[str] = SUBPROTOCOLS, queue: int = QUEUE, **options: Any
) -> Opening[Stream]:
    """Open `url` as a station: `await` it, or `async with`. options: those of `connect`, which also names the
    errors."""

    async def opened() -> Stream:
        stream = Stream(queue=queue)
        await connect(url, stream, subprotocols=subprotocols, **options)
        return stream

    return Opening(opened)
