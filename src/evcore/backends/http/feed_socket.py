"""The live feed's sockets: one reader and one writer for each client, and the pump from the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta, Struct

import evcore
from evcore.backends.http.commands import Commands
from evcore.backends.http.encode import encode
from evcore.backends.http.feed import Client, Feed
from evcore.backends.http.problem import ProblemError
from evcore.model import Item, Verb, wire
from evcore.ports import Hub, KeyReused

PROTOCOL = "evcore.feed.v1"
CLIENTS = 100
COMMANDS = 16  # of one client at a time
HEARTBEAT_S = 20.0
SEND_S = 20.0  # a client that takes nothing for so long is closed
LOOK_S = 30.0  # how often an idle client's login is looked at
LARGEST = 64 * 1024

Text = Annotated[str, Meta(min_length=1, max_length=255)]
MessageId = Text | int | None

log = logging.getLogger(__name__)


class Subscribe(Struct, tag_field="op", tag="sub", forbid_unknown_fields=True, frozen=True):
    """keys: whole keys or prefixes ending in "*"; events are `event/KIND`. since, node: resume from there."""

    id: MessageId = None
    keys: Annotated[tuple[Text, ...], Meta(max_length=64)] = ("*",)
    since: Annotated[int, Meta(ge=0)] | None = None
    node: Text | None = None
    max_hz: Annotated[float, Meta(ge=0.1, le=50)] = 5.0


class Order(Struct, tag_field="op", tag="cmd", forbid_unknown_fields=True, frozen=True):
    """A command. id: comes back with the answer. name: the verb. key: idempotency key."""

    id: Text | int
    target: Text
    name: Verb
    args: dict[str, Any] = {}
    key: Annotated[str, Meta(max_length=255)] = ""


_decoder: msgspec.json.Decoder[Subscribe | Order] = msgspec.json.Decoder(Subscribe | Order)


@dataclass(slots=True, eq=False)
class Connection:
    """One client's socket. wake: its writer has something to look at. known: it may still ask, as when it came."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    known: Callable[[], bool]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    client: Client = field(default_factory=Client)


class FeedServer:
    """Serves /feed. hub: counts traffic there as "websocket"."""

    def __init__(self, hub: Hub, commands: Commands) -> None:
        self.feed = Feed()
        self._hub, self._commands = hub, commands
        self._traffic = hub.traffic("websocket")
        self._connections: set[Connection] = set()

    async def pump(self) -> None:
        """Move what the hub publishes into the feed, for ever."""
        subscription = self._hub.subscribe(limit=10_000)
        moved = dropped = 0
        try:
            self._read_all()
            async for item in subscription:
                self._publish(item)
                if subscription.dropped != dropped:
                    self._hub.count("evcore_feed_dropped_total", subscription.dropped - dropped)
                    dropped = subscription.dropped
                    self._read_all()
                    self.feed.lost()
                moved += 1
                if moved % 64 == 0:
                    await asyncio.sleep(0)  # a burst must not outrun the writers of clients that do read
        finally:
            subscription.close()

    def _read_all(self) -> None:
        for item in self._hub.snapshot():
            self.feed.publish(item)

    def _publish(self, item: Item) -> None:
        try:
            self.feed.publish(item)
        except Exception:
            log.exception("left out of the feed: %s", type(item).__name__)
            self._hub.count("evcore_feed_unencodable_total")
        for connection in self._connections:
            client = connection.client
            if client.too_slow and connection.transport is not None:
                connection.transport.abort()  # its writer waits for a socket that takes nothing
            elif client.urgent or (client.waiting and not client.resting):
                connection.wake.set()

    async def serve(self, request: web.Request, known: Callable[[], bool]) -> web.WebSocketResponse:
        """One client, from the handshake to its end. Access was checked; `known` says later whether it still holds."""
        if len(self._connections) >= CLIENTS:
            raise ProblemError(503, f"{CLIENTS} clients are connected already", headers={"Retry-After": "10"})
        socket = _accept(request)
        await socket.prepare(request)
        connection = Connection(socket, request.transport, known)
        self._connections.add(connection)
        hello = {"t": "hello", "node": self.feed.node, "seq": self.feed.seq, "version": evcore.__version__}
        self._push(connection, encode(hello))
        writer = asyncio.create_task(self._write(connection))
        try:
            await self._read(connection)
        finally:
            self._connections.discard(connection)
            self.feed.clients.discard(connection.client)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            if connection.client.too_slow:
                self._hub.count("evcore_feed_slow_closed_total")
        return socket

    async def close(self) -> None:
        """Tell every client that we go away."""
        leaving = [_close(one.socket, WSCloseCode.GOING_AWAY, "shutting down") for one in self._connections]
        await asyncio.gather(*leaving)

    @property
    def connected(self) -> int:
        return len(self._connections)

    def _push(self, connection: Connection, message: bytes) -> None:
        connection.client.reply(message)
        connection.wake.set()

    async def _read(self, connection: Connection) -> None:
        orders: set[asyncio.Task[None]] = set()
        try:
            async for message in connection.socket:
                self._traffic.received += 1
                if message.type is WSMsgType.ERROR:  # no frame, no UTF-8, too long: aiohttp has closed for it
                    self._traffic.errors += 1
                    break
                try:
                    asked = _decode(message.data)
                except ValueError as error:
                    self._traffic.errors += 1
                    self._push(connection, _error(_id_of(message.data), "malformed", str(error)))
                    continue
                if isinstance(asked, Subscribe):
                    self._subscribe(connection, asked)
                elif len(orders) >= COMMANDS:
                    self._push(connection, _error(asked.id, "busy", f"{COMMANDS} commands wait for answers already"))
                else:
                    task = asyncio.create_task(self._order(connection, asked))
                    orders.add(task)
                    task.add_done_callback(orders.discard)
        finally:
            waiting = list(orders)
            for task in waiting:
                task.cancel()  # only the waiting: the commands themselves go on
            await asyncio.gather(*waiting, return_exceptions=True)

    def _subscribe(self, connection: Connection, asked: Subscribe) -> None:
        if asked.since is not None and asked.node is None:
            self._traffic.errors += 1
            self._push(connection, _error(asked.id, "malformed", "`since` needs the `node` of the hello it came from"))
            return
        connection.client.min_gap = 1 / asked.max_hz
        self.feed.subscribe(connection.client, asked.keys, asked.since if asked.node == self.feed.node else None)
        connection.wake.set()

    async def _order(self, connection: Connection, asked: Order) -> None:
        try:
            answer = await self._commands.run(asked.target, asked.name, asked.args, asked.key)
        except KeyReused as error:
            reply = _error(asked.id, "key-reused", str(error))
        else:
            reply = encode({"t": "r", "id": asked.id, "ok": answer.ok, "d": wire(answer)})
        self._push(connection, reply)

    async def _write(self, connection: Connection) -> None:
        client, socket, wake = connection.client, connection.socket, connection.wake
        code, reason = WSCloseCode.TRY_AGAIN_LATER, "too slow"
        now = asyncio.get_running_loop().time
        last = float("-inf")
        try:
            while not client.too_slow:
                if not connection.known():
                    code, reason = WSCloseCode.POLICY_VIOLATION, "logged out"
                    break
                wake.clear()
                gap = last + client.min_gap - now()
                if not client.waiting:
                    await _wait(wake, LOOK_S)
                elif not client.urgent and gap > 0:
                    client.resting = True
                    await _wait(wake, gap)
                    client.resting = False
                else:
                    last = now() if client.batch else last
                    await self._send(connection)
        except TimeoutError:
            client.too_slow = True
        except ConnectionError:
            return  # it left; the reader sees it too
        except Exception:
            log.exception("a feed client is closed")
            code, reason = WSCloseCode.INTERNAL_ERROR, "see the log"
        await _close(socket, code, reason)
        if connection.transport is not None:
            connection.transport.abort()

    async def _send(self, connection: Connection) -> None:
        """Everything that waits. Raises TimeoutError, ConnectionError."""
        for at, message in enumerate(self.feed.take(connection.client), 1):
            if at % 64 == 0:
                await asyncio.sleep(0)
            async with asyncio.timeout(SEND_S):
                await connection.socket.send_frame(message, WSMsgType.TEXT)
            self._traffic.sent += 1


def _accept(request: web.Request) -> web.WebSocketResponse:
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
    if offered and PROTOCOL not in offered:
        raise ProblemError(400, f"expected the subprotocol {PROTOCOL}, got {', '.join(offered)[:200]}")
    socket = web.WebSocketResponse(
        protocols=(PROTOCOL,) if offered else (), heartbeat=HEARTBEAT_S, max_msg_size=LARGEST, compress=False
    )
    if not socket.can_prepare(request):
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise ProblemError(426, "this is a WebSocket", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        raise ProblemError(400, "not a WebSocket handshake of version 13 (RFC 6455, 4.2.1)", kind="malformed")
    return socket


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


async def _close(socket: web.WebSocketResponse, code: int, reason: str) -> None:
    """Say goodbye, but do not wait long for one who does not read."""
    try:
        async with asyncio.timeout(2):
            await socket.close(code=code, message=reason.encode())
    except (TimeoutError, ConnectionError):
        return


def _decode(data: str | bytes) -> Subscribe | Order:
    if isinstance(data, bytes):
        raise ValueError("expected a text message, got a binary one")
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _id_of(data: str | bytes) -> str | int | None:
    """The id of a broken message, where it can be read."""
    try:
        id = msgspec.json.decode(data)["id"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    return id if isinstance(id, str | int) and not isinstance(id, bool) else None


def _error(id: str | int | None, code: str, detail: str) -> bytes:
    body: dict[str, Any] = {"t": "err", "code": code, "detail": detail[:500]}
    return encode(body if id is None else body | {"id": id})
