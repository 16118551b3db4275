"""The listening socket, with aiohttp's protocol taught to answer broken HTTP as everything else: with a problem."""

from __future__ import annotations

import asyncio
import ssl as tls
from http import HTTPStatus
from typing import Any

from aiohttp import web

from evcore.backends.http.problem import MEDIA, ProblemError
from evcore.ports import Hub


class Listener:
    """Accepts connections for a runner that is set up."""

    def __init__(self, runner: web.AppRunner, hub: Hub) -> None:
        self._runner, self._hub = runner, hub
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int, ssl: tls.SSLContext | None) -> int:
        """The port that it listens on. Raises OSError."""
        manager, hub = self._runner.server, self._hub
        if manager is None:
            raise RuntimeError("the runner is not set up")
        loop = asyncio.get_running_loop()

        def connection() -> _Protocol:
            return _Protocol(manager, hub, loop)

        self._server = await loop.create_server(connection, host or None, port, ssl=ssl, backlog=128)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accept no more; the runner ends the connections that there are."""
        if self._server is not None:
            self._server.close()


class _Protocol(web.RequestHandler):
    __slots__ = ("_hub",)

    def __init__(self, manager: web.Server, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, access_log=None, keepalive_timeout=75.0)  # type: ignore[arg-type]
        self._hub = hub

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP at all ends its connection; it is the peer's fault and not worth a traceback."""
        traffic = self._hub.traffic("http")
        traffic.received += 1
        traffic.sent += 1
        traffic.errors += 1
        detail = (message or "").strip().split("\n", 1)[0][:200] if status < HTTPStatus.INTERNAL_SERVER_ERROR else ""
        body = ProblemError(
            status, detail, kind="malformed" if status < HTTPStatus.INTERNAL_SERVER_ERROR else ""
        ).body()
        response = web.Response(body=body, status=status, headers={"Content-Type": MEDIA})
        response.force_close()
        return response
