"""The CSMS's side of the door: one port for all versions.

What picows 2.3 leaves to its user is guarded here: it takes `Connection: upgrade` only, sends the text of a factory's
exception to the peer, and does not tell the factory who asks. The last is known to the listening socket; its `accept`
hands it on in a context variable, which asyncio copies into the task of the new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl as tls
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from evcore.ocpp.admission import Admission
from evcore.ocpp.deflate import accept_offer
from evcore.ocpp.upgrade import (
    SUBPROTOCOLS,
    Upgrade,
    UpgradeError,
    choose_subprotocol,
    read_upgrade,
)
from evcore.ocpp.websocket.connection import Connection, Receiver, Watch, log, quiet

Accept = Callable[[Upgrade, str], Receiver]  # upgrade, subprotocol -> receiver; raises UpgradeError to refuse
Report = Callable[[str, str], None]  # reason, peer

_OPENING: ContextVar[_Socket | None] = ContextVar("opening", default=None)
_SLOW_NS = 2_000_000_000  # a handshake older than this is given up for a new one when there are too many
_REFUSALS_PER_PASS = 64  # connections turned away before others get their turn


class Listening:
    """A listening door. port: the real one. connections: the open ones."""

    def __init__(
        self,
        accept: Accept,
        refused: Report,
        admission: Admission,
        *,
        limit: int,
        ping_s: float,
        opening: int,
        default: str,
    ) -> None:
        self._accept, self._refused, self._admission = accept, refused, admission
        self._limit, self._opening_limit, self._default = limit, opening, default
        self._watch = Watch(ping_s)
        self._servers: list[asyncio.Server] = []
        self._opening: dict[_Socket, int] = {}  # handshakes under way, oldest first
        self._reserve = os.open(os.devnull, os.O_RDONLY)
        self.connections: set[Connection] = set()
        self.port = 0

    # Opening

    async def open(self, host: str, port: int, backlog: int, ssl: tls.SSLContext | None, handshake_s: float) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, address in dict.fromkeys(found):
            listening = _ListeningSocket(family, kind, proto)
            listening.door = self
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.bind((address[0], self.port or port, *address[2:]))
                listening.setblocking(False)
            except BaseException:
                listening.close()
                raise
            self.port = listening.getsockname()[1]
            tls_limits: dict[str, Any] = {} if ssl is None else {"ssl_handshake_timeout": handshake_s}
            server = await ws_create_server(
                self._upgrade,
                sock=listening,
                ssl=ssl,
                backlog=backlog,
                websocket_handshake_timeout=handshake_s,
                max_frame_size=self._limit_of_a_frame,
                read_buffer_init_size=2048,
                enable_auto_pong=False,
                logger_name=quiet,
                **tls_limits,
            )
            self._servers.append(server)

    @property
    def _limit_of_a_frame(self) -> int:
        return min(self._limit, 64 * 1024)

    def admit(self, opening: socket.socket, address: Any) -> _Socket | None:
        """A connection was made: watch over its handshake, or turn it away."""
        peer, now = str(address[0]), time.monotonic_ns()
        if not self._admission.admits(peer, now):
            opening.close()
            self._refused("too_many_failures", peer)
            return None
        if not self._has_room(now):
            opening.close()
            self._refused("too_many_handshakes", peer)
            return None
        watched = _Socket(opening.family, opening.type, opening.proto, fileno=opening.detach())
        watched.door, watched.peer = self, peer
        self._opening[watched] = now
        _OPENING.set(watched)
        return watched

    def _has_room(self, now: int) -> bool:
        """May another handshake begin? A slow one is given up for it."""
        if len(self._opening) < self._opening_limit:
            return True
        oldest, since = next(iter(self._opening.items()))
        if now - since < _SLOW_NS:
            return False
        self.ended(oldest)
        oldest.give_up()
        return True

    def turn_away(self, listening: socket.socket) -> None:
        """No descriptor is left: take the connection with the reserve and close it, or it is offered for ever."""
        os.close(self._reserve)
        try:
            with contextlib.suppress(OSError):
                socket.socket.accept(listening)[0].close()
        finally:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        self._refused("no_descriptors", "")

    def ended(self, opening: _Socket) -> None:
        """A socket closed; without an upgrade or a refusal it was a handshake that came to nothing."""
        if self._opening.pop(opening, None) is not None:
            self._fail("handshake", opening.peer)

    def _upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """picows' factory: no exception may leave it, its text would go to the peer."""
        opening = _OPENING.get()
        peer = ""
        if opening is not None:
            peer = opening.peer
            self._opening.pop(opening, None)
        try:
            return self._open_connection(request, peer)
        except UpgradeError as error:
            self._fail(error.reason, peer, blame=400 <= error.status < 500)
            return _refusal(error.status, str(error))
        except Exception:  # noqa: BLE001 - no text of ours may reach the peer
            log.exception("an upgrade from %s failed", peer)
            self._refused("internal", peer)
            return _refusal(500, "internal error")

    def _open_connection(self, request: WSUpgradeRequest, peer: str) -> WSUpgradeResponseWithListener:
        upgrade = read_upgrade(request.path, request.headers, peer)
        request.headers["Connection"] = "upgrade"  # chargers send `keep-alive, Upgrade`, or none at all
        subprotocol = choose_subprotocol(upgrade.subprotocols, SUBPROTOCOLS)
        if subprotocol is None and not upgrade.subprotocols and self._default:
            subprotocol = self._default
        receiver = self._accept(upgrade, subprotocol or "")
        self._admission.succeeded(peer)
        deflate = accept_offer(upgrade.extensions) if upgrade.extensions else None
        headers = {} if subprotocol is None or not upgrade.subprotocols else {"Sec-WebSocket-Protocol": subprotocol}
        if deflate is not None:
            headers["Sec-WebSocket-Extensions"] = deflate.answer
        connection = Connection(receiver, self, limit=self._limit, peer=peer)
        connection.negotiated(subprotocol or "", deflate)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), connection)

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)
        self._watch.add(connection)

    def discard(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._watch.discard(connection)

    def _fail(self, reason: str, peer: str, *, blame: bool = True) -> None:
        if blame and peer:
            self._admission.failed(peer, time.monotonic_ns())
        self._refused(reason, peer)

    # Closing

    def stop(self) -> None:
        """Take no new connections; the open ones stay."""
        for server in self._servers:
            server.close()
        for opening in list(self._opening):
            opening.give_up()

    async def drain(self, seconds: float, code: int = 1012, reason: str = "restart") -> None:
        """Stop, and close what is open, spread over `seconds`, so that not all come back at once."""
        self.stop()
        connections = list(self.connections)
        for connection in connections:
            connection.close(code, reason)
            await asyncio.sleep(seconds / len(connections))
        await self._wait_ended(5.0)

    async def close(self) -> None:
        """Stop and drop everything; returns when nothing is left open."""
        self.stop()
        for connection in list(self.connections):
            connection.abort("shutdown")
        await self._wait_ended(5.0)
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    async def _wait_ended(self, seconds: float) -> None:
        waiting = [asyncio.ensure_future(connection.wait_closed()) for connection in self.connections]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=seconds)
            for task in late:
                task.cancel()


async def listen(
    host: str,
    port: int,
    accept: Accept,
    *,
    refused: Report = lambda reason, peer: None,
    ssl: tls.SSLContext | None = None,
    admission: Admission | None = None,
    limit: int = 256 * 1024,
    ping_s: float = 30.0,
    handshake_s: float = 10.0,
    opening: int = 2048,
    backlog: int = 1024,
    default_subprotocol: str = "",
) -> Listening:
    """Listen for stations. accept: authenticates (raises UpgradeError 401, 404, ...) and returns who receives. refused:
    told of every handshake that failed.

    port: 0 for any free one. limit: bytes of a message, inflated and joined; a frame may have 64 KiB. opening:
    handshakes under way at once. default_subprotocol: for chargers that offer none at all, "" to close those.
    """
    door = Listening(
        accept,
        refused,
        Admission() if admission is None else admission,
        limit=limit,
        ping_s=ping_s,
        opening=opening,
        default=default_subprotocol,
    )
    try:
        await door.open(host, port, backlog, ssl, handshake_s)
    except BaseException:
        await door.close()
        raise
    return door


class _ListeningSocket(socket.socket):
    __slots__ = ("door",)
    door: Listening

    def accept(self) -> tuple[socket.socket, Any]:
        for _ in range(_REFUSALS_PER_PASS):
            try:
                opening, address = super().accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                self.door.turn_away(self)
                continue
            watched = self.door.admit(opening, address)
            if watched is not None:
                return watched, address
        raise BlockingIOError


class _Socket(socket.socket):
    """A connection that tells when it closes."""

    __slots__ = ("door", "peer")
    door: Listening
    peer: str

    def give_up(self) -> None:
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        self.door.ended(self)


class Closing:
    """Receives nothing: a handshake without common version is finished without the header, then closed (OCPP-J 1.6,
    3.1.2; 2.x Part 4, 3.1.2)."""

    def opened(self, connection: Connection) -> None:
        connection.close(1002, "no common subprotocol")

    def received(self, data: bytes) -> None:
        pass

    def closed(self, code: int, reason: str) -> None:
        pass


def _refusal(status: int, text: str) -> WSUpgradeResponseWithListener:
    headers = {"WWW-Authenticate": 'Basic realm="OCPP"'} if status == 401 else {}
    if status == 426:
        headers["Upgrade"] = "websocket"
    if status == 503:
        headers["Retry-After"] = "10"
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, text.encode(), headers), None)
