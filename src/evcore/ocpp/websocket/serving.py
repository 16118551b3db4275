"""A port whose connections are handed to a coroutine as streams, in the manner of `websockets.serve`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from evcore.ocpp.upgrade import SUBPROTOCOLS, Upgrade
from evcore.ocpp.websocket.connection import Connection, Receiver, log
from evcore.ocpp.websocket.server import Closing, Listening, listen
from evcore.ocpp.websocket.stream import QUEUE, ConnectionClosed, Opening, Request, Stream

Handler = Callable[[Stream], Awaitable[Any]]


class Serving:
    """An open port. port: the real one."""

    def __init__(self, handler: Handler, queue: int) -> None:
        self._handler, self._queue = handler, queue
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening: Listening | None = None
        self._closed = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return 0 if self.listening is None else self.listening.port

    def close(self) -> asyncio.Task[None]:
        """Drop all connections, and wait a few seconds for the handlers; then they are cancelled. Begins at once: as
        with `websockets`, `wait_closed` has its end; so has awaiting what is returned.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        return self._closing

    async def _close(self) -> None:
        if self.listening is not None:
            await self.listening.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5.0)
            for task in late:
                task.cancel()
        self._closed.set()

    async def drain(self, seconds: float, code: int = 1012, reason: str = "restart") -> None:
        """Close the connections one by one, spread over `seconds`, then all."""
        if self.listening is not None:
            await self.listening.drain(seconds, code, reason)
        await self.close()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def accept(self, upgrade: Upgrade) -> Receiver:
        offered = {"Sec-WebSocket-Protocol": ", ".join(upgrade.subprotocols)} if upgrade.subprotocols else {}
        return _Served(self, queue=self._queue, request=Request(upgrade.path, offered))

    def begin(self, stream: Stream, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._handle(stream, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, stream: Stream, connection: Connection) -> None:
        code = 1000
        try:
            await self._handler(stream)
        except ConnectionClosed:
            log.debug("the connection of %s ended", connection.peer)
        except Exception:  # noqa: BLE001 - one connection's fault, as below the reader's
            log.exception("the handler of %s failed", connection.peer)
            code = 1011
        finally:
            connection.close(code)


class _Served(Stream):
    def __init__(self, serving: Serving, **options: Any) -> None:
        super().__init__(**options)
        self._serving = serving

    def opened(self, connection: Connection) -> None:
        super().opened(connection)
        self._serving.begin(self, connection)


def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    authenticate: Callable[[Upgrade], None] = lambda upgrade: None,
    queue: int = QUEUE,
    **options: Any,
) -> Opening[Serving]:
    """Listen, and run `handler(stream)` for every connection; when it ends the connection is closed. To be awaited, or
    entered with `async with`.

    subprotocols: what is spoken; a peer that offers none of it is closed after the handshake. authenticate: raises
    UpgradeError to refuse. queue: see `Stream`. options: those of `listen`, for example `ssl`.
    """
    serving = Serving(handler, queue)

    def accept(upgrade: Upgrade, subprotocol: str) -> Receiver:
        authenticate(upgrade)
        return serving.accept(upgrade) if subprotocol else Closing()

    async def opened() -> Serving:
        serving.listening = await listen(host, port, accept, subprotocols=subprotocols, **options)
        return serving

    return Opening(opened)
