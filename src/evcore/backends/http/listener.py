"""The listening socket, with aiohttp's protocol taught to answer broken HTTP as everything else: with a problem."""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
from http import HTTPStatus
from typing import Any

from aiohttp import web

from evcore.backends.http.guard import GUARD
from evcore.backends.http.problem import MEDIA, ProblemError
from evcore.ports import Hub

CONNECTIONS = 500
HEAD_S = 20.0
LINGER_S = 2.0  # for the rest of a body that nobody wants; aiohttp waits for it also when the peer has gone

log = logging.getLogger(__name__)


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

        patience = HEAD_S if ssl else None
        self._server = await loop.create_server(
            connection, host or None, port, ssl=ssl, backlog=128, ssl_handshake_timeout=patience
        )
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Accept no more; the runner ends the connections that there are."""
        if self._server is not None:
            self._server.close()


class _Protocol(web.RequestHandler):
    """heard: a whole request has come, or what is none and was answered; until then a peer that dawdles holds its
    place for HEAD_S only."""

    __slots__ = ("_began", "_hub", "_late", "_owner", "heard")

    def __init__(self, manager: web.Server, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=75.0,
            lingering_time=LINGER_S,
        )
        self._owner, self._hub, self.heard = manager, hub, False
        self._late: asyncio.TimerHandle | None = None
        self._began = False  # some bytes came, or were waited for in vain

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self._owner.connections) > CONNECTIONS:
            self._hub.count("evcore_http_refused_total", reason="connections")
            self.force_close()
            return
        self._late = asyncio.get_running_loop().call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._late is not None:
            self._late.cancel()
            if self._began and not self.heard:
                self._hub.count("evcore_http_refused_total", reason="no request")
                self._hub.traffic("http").errors += 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began = True
        super().data_received(data)

    def _give_up(self) -> None:
        if not self.heard:
            self._began = True
            self.force_close()

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no HTTP at all ends its connection; it is the peer's fault and not worth a traceback."""
        if exc is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("while answering %s", request.remote, exc_info=exc)
        self.heard = True
        traffic = self._hub.traffic("http")
        traffic.received += 1
        traffic.sent += 1
        traffic.errors += 1
        broken = status < HTTPStatus.INTERNAL_SERVER_ERROR
        detail = (message or "").strip().split("\n", 1)[0][:200] if broken else ""
        problem = ProblemError(status, detail, kind="malformed" if broken else "")
        response = web.Response(
            body=problem.body(), status=status, headers={"Content-Type": MEDIA, "Server": "evcore", **GUARD}
        )
        response.force_close()
        return response


def heard(request: web.Request) -> None:
    """Its connection has sent a whole request head."""
    if isinstance(request.protocol, _Protocol):
        request.protocol.heard = True
