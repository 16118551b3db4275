"""The CSMS's side of the door: one port for all versions.

What picows 2.3 leaves to its user is guarded here: it takes `Connection: upgrade` only and sends the text of a
factory's exception to the peer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from evcore.ocpp.admission import Admission, Handshakes, NoRoom
from evcore.ocpp.deflate import accept_offer
from evcore.ocpp.upgrade import (
    SUBPROTOCOLS,
    Upgrade,
    UpgradeError,
    choose_subprotocol,
    read_upgrade,
)
from evcore.ocpp.websocket.arrival import Arrival
from evcore.ocpp.websocket.connection import Connection, Receiver, expect_hang_ups, log, quiet
from evcore.ocpp.websocket.sockets import OPENING, ListeningSocket, OpeningSocket
from evcore.ocpp.websocket.watch import Watch

Accept = Callable[[Upgrade, str], Receiver]  # upgrade, subprotocol -> receiver; raises UpgradeError to refuse
Report = Callable[[str, str, str], None]  # reason, peer, identity ("" where it was not read)

GUESSING = "guessing"  # the reason for which `refused` hears of an identity that is being guessed at
_CROWD, _SHUT_S = 256, 0.02  # handshakes under way at which new ones wait, and for how long at most
_CREDENTIALS = "credentials"


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
        subprotocols: Sequence[str],
        no_common: Literal["close", "refuse"],
    ) -> None:
        self._accept, self._refused, self._admission = accept, refused, admission
        self._limit, self._default, self._subprotocols, self._no_common = limit, default, subprotocols, no_common
        self._watch = Watch(ping_s)
        self._servers: list[tuple[ListeningSocket, asyncio.Server]] = []
        self._opening: Handshakes[OpeningSocket] = Handshakes(opening)
        self._backlog, self._handshake_s, self._stopped = 0, 0.0, False
        self._shut: asyncio.TimerHandle | None = None  # while new connections are left waiting
        self.connections = self._watch.connections
        self.port = 0

    @property
    def opening(self) -> int:
        """Connections whose peer is not known yet."""
        return len(self._opening)

    # Opening

    async def open(self, host: str, port: int, backlog: int, ssl: tls.SSLContext | None, handshake_s: float) -> None:
        self._backlog, self._handshake_s = backlog, handshake_s
        loop = asyncio.get_running_loop()
        if ssl is not None:
            expect_hang_ups(loop)
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, address in dict.fromkeys(found):
            where = (address[0], self.port or port, *address[2:])
            listening = ListeningSocket.bound(family, kind, proto, where, self)
            self.port = listening.getsockname()[1]
            self._servers.append((listening, await self._serve(listening, ssl)))

    async def replace_tls(self, ssl: tls.SSLContext) -> None:
        """New connections get this context; those that are open or under way keep theirs. The port never closes. Raises
        OSError: all is as before."""
        loop, before, fresh = asyncio.get_running_loop(), self._servers, []
        try:
            for listening, _ in before:
                again = listening.again()
                fresh.append((again, await self._serve(again, ssl)))
            for listening, _ in before:
                loop.remove_reader(listening.fileno())
            await asyncio.sleep(0)  # what was taken a moment ago is set up before its server closes
        finally:
            done = len(fresh) == len(before) and not self._stopped
            self._servers = fresh if done else before
            for _, server in before if done else fresh:
                server.close()

    async def _serve(self, listening: ListeningSocket, ssl: tls.SSLContext | None) -> asyncio.Server:
        tls_limits: dict[str, Any] = {} if ssl is None else {"ssl_handshake_timeout": self._handshake_s}
        return await ws_create_server(
            self._upgrade,
            sock=listening,
            ssl=ssl,
            backlog=self._backlog,
            websocket_handshake_timeout=self._handshake_s,
            max_frame_size=self._limit,
            read_buffer_init_size=2048,
            enable_auto_pong=False,
            logger_name=quiet,
            use_aiofastnet=True,  # under any event loop it takes connections by our `accept`
            **tls_limits,
        )

    def admit(self, opening: socket.socket, address: Any) -> OpeningSocket | None:
        """A connection was made: watch over its handshake, or turn it away."""
        peer, now = str(address[0]), time.monotonic_ns()
        if not self._admission.admits(peer, now):
            opening.close()
            self._refused("too_many_failures", peer, "")
            return None
        try:
            victim = self._opening.victim(peer, now)
        except NoRoom:
            opening.close()
            self._refused("too_many_handshakes", peer, "")
            return None
        if victim is not None:
            self.ended(victim)
            victim.give_up()
        watched = OpeningSocket.of(opening, self, peer)
        self._opening.begin(watched, peer, now)
        OPENING.set(watched)
        if len(self._opening) >= _CROWD and self._shut is None:
            self._shut_for_a_while()
        return watched

    def turned_away(self) -> None:
        self._refused("no_descriptors", "", "")

    def ended(self, opening: OpeningSocket) -> None:
        """A socket closed; if nobody was let in and nobody was refused, its handshake came to nothing."""
        if self._settle(opening):
            self._fail("handshake", opening.peer, "")

    def _upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """picows' factory: no exception may leave it, its text would go to the peer."""
        opening = OPENING.get()
        peer, upgrade = "" if opening is None else opening.peer, None
        try:
            upgrade = read_upgrade(request.path, request.headers, peer)
            if peer and not self._admission.may_try(peer, upgrade.identity, time.monotonic_ns()):
                raise UpgradeError(429, "too_many_failures", "too many failures")
            return self._open_connection(request, upgrade, opening)
        except UpgradeError as error:
            self._settle(opening)
            blame = 400 <= error.status < 500 and error.status != 429
            self._fail(error.reason, peer, "" if upgrade is None else upgrade.identity, blame=blame)
            return _refusal(error.status, str(error))
        except Exception:  # noqa: BLE001 - no text of ours may reach the peer
            self._settle(opening)
            log.exception("an upgrade from %s failed", peer)
            self._refused("internal", peer, "" if upgrade is None else upgrade.identity)
            return _refusal(500, "internal error")

    def _open_connection(
        self, request: WSUpgradeRequest, upgrade: Upgrade, opening: OpeningSocket | None
    ) -> WSUpgradeResponseWithListener:
        request.headers["Connection"] = "upgrade"  # chargers send `keep-alive, Upgrade`, or none at all
        subprotocol = choose_subprotocol(upgrade.subprotocols, self._subprotocols)
        if subprotocol is None and not upgrade.subprotocols and self._default:
            subprotocol = self._default
        receiver = self._accept(upgrade, subprotocol or "")
        if subprotocol is None and self._no_common == "refuse":
            raise UpgradeError(400, "no_common_version", f"expected one of {', '.join(self._subprotocols)}")
        if isinstance(receiver, Arrival):
            receiver.reception, receiver.opening = self, opening
        else:
            self._settle(opening)
            self._admission.succeeded(upgrade.peer, upgrade.identity)
        if isinstance(receiver, Closing):
            self._refused("no_common_version", upgrade.peer, upgrade.identity)
        deflate = accept_offer(upgrade.extensions) if upgrade.extensions else None
        headers = {} if subprotocol is None or not upgrade.subprotocols else {"Sec-WebSocket-Protocol": subprotocol}
        if deflate is not None:
            headers["Sec-WebSocket-Extensions"] = deflate.answer
        connection = Connection(receiver, self._watch, limit=self._limit, peer=upgrade.peer)
        connection.negotiated(subprotocol or "", deflate)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), connection)

    # Arrivals

    def admitted(self, arrival: Arrival) -> None:
        self._settle(arrival.opening)
        if arrival.connection is not None:
            self._admission.succeeded(arrival.connection.peer, arrival.identity)

    def rejected(self, arrival: Arrival, reason: str, *, blame: bool) -> None:
        self._settle(arrival.opening)
        peer = "" if arrival.connection is None else arrival.connection.peer
        self._fail(reason, peer, arrival.identity, blame=blame)

    def _settle(self, opening: OpeningSocket | None) -> bool:
        """Its handshake is over, well or not. False: it was already."""
        was_open = opening is not None and self._opening.end(opening)
        if self._shut is not None and len(self._opening) <= _CROWD // 2:
            self._take_again()
        return was_open

    def _shut_for_a_while(self) -> None:
        """Those whose handshakes are under way come first, or their requests would all arrive at once and hold up the
        connections that are open. Not for long: they may never come."""
        for listening, _ in self._servers:
            listening.shut(True)
        self._shut = asyncio.get_running_loop().call_later(_SHUT_S, self._take_again)

    def _take_again(self) -> None:
        if self._shut is not None:
            self._shut.cancel()
            self._shut = None
        for listening, _ in self._servers:
            listening.shut(False)

    def _fail(self, reason: str, peer: str, identity: str, *, blame: bool = True) -> None:
        guessed = identity if reason == _CREDENTIALS else None
        if blame and peer and self._admission.failed(peer, guessed, time.monotonic_ns(), name=identity):
            self._refused(GUESSING, peer, identity)
        self._refused(reason, peer, identity)

    # Closing

    def stop(self) -> None:
        """Take no new connections; the open ones stay."""
        self._stopped = True
        self._take_again()
        for _, server in self._servers:
            server.close()
        for opening in self._opening:
            opening.give_up()

    async def drain(self, seconds: float, code: int = 1012, reason: str = "restart", *, goodbye_s: float = 5.0) -> None:
        """Stop, and close what is open, spread over `seconds`, so that not all come back at once. goodbye_s: how long
        the last ones may take to answer; a dead one never does, and is left to `close`."""
        self.stop()
        connections = list(self.connections)
        for connection in connections:
            connection.close(code, reason)
            await asyncio.sleep(seconds / len(connections))
        await self._wait_ended(goodbye_s)

    async def close(self) -> None:
        """Stop and drop everything; returns when nothing is left open."""
        self.stop()
        for connection in list(self.connections):
            connection.abort("shutdown")
        await self._wait_ended(5.0)

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
    refused: Report = lambda reason, peer, identity: None,
    ssl: tls.SSLContext | None = None,
    admission: Admission | None = None,
    limit: int = 256 * 1024,
    ping_s: float = 30.0,
    handshake_s: float = 10.0,
    opening: int = 2048,
    backlog: int = 1024,
    default_subprotocol: str = "",
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    no_common_subprotocol: Literal["close", "refuse"] = "close",
) -> Listening:
    """Listen for stations. accept: authenticates (raises UpgradeError 401, 404, ...) and returns who receives, or an
    `Arrival` where that is not known yet. refused: told of every handshake that failed.

    port: 0 for any free one. limit: bytes of a message, inflated and joined, and of a frame. opening:
    handshakes under way at once, arrivals among them. default_subprotocol: for chargers that offer none at all, "" to
    close those. no_common_subprotocol: finish the handshake without the header and let `accept`'s receiver close
    (OCPP-J 1.6, 3.1.2; 2.1 Part 4), or refuse it with 400 (as 2.0.1 is tested, Part 6, TC_B_58_CSMS).
    """
    door = Listening(
        accept,
        refused,
        Admission() if admission is None else admission,
        limit=limit,
        ping_s=ping_s,
        opening=opening,
        default=default_subprotocol,
        subprotocols=subprotocols,
        no_common=no_common_subprotocol,
    )
    try:
        await door.open(host, port, backlog, ssl, handshake_s)
    except BaseException:
        await door.close()
        raise
    return door


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
    if status in (429, 503):
        headers["Retry-After"] = "10"
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, text.encode(), headers), None)
