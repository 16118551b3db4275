"""The live feed's sockets: one reader and one writer for each client, and the pump from the hub."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta, Struct

import evcore
from evcore.backends.http.commands import Commands
from evcore.backends.http.encode import encode
from evcore.backends.http.feed import Client, Feed
from evcore.backends.http.problem import ProblemError
from evcore.model import Verb, wire
from evcore.ports import Hub, KeyReused

PROTOCOL = "evcore.feed.v1"
CLIENTS = 100
COMMANDS = 16  # of one client at a time
HEARTBEAT_S = 20.0
SEND_S = 20.0  # a client that takes nothing for so long is closed
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


class FeedServer:
    """Serves /feed. hub: counts traffic there as "websocket"."""

    def __init__(self, hub: Hub, commands: Commands) -> None:
        self.feed = Feed()
        self._hub, self._commands = hub, commands
        self._traffic = hub.traffic("websocket")
        self._sockets: dict[Client, web.WebSocketResponse] = {}
        self._wake: dict[Client, asyncio.Event] = {}

    async def pump(self) -> None:
        """Move what the hub publishes into the feed, for ever."""
        subscription = self._hub.subscribe(limit=10_000)
        try:
            for item in self._hub.snapshot():
                self.feed.publish(item)
            dropped = 0
            async for item in subscription:
                try:
                    self.feed.publish(item)
                except (ValueError, TypeError, RecursionError):
                    log.exception("an item without a JSON form was left out of the feed")
                    self._hub.count("evcore_feed_unencodable_total")
                if subscription.dropped != dropped:
                    self._hub.count("evcore_feed_dropped_total", subscription.dropped - dropped)
                    dropped = subscription.dropped
                    self.feed.lost()
                for client in self.feed.clients:
                    if client.waiting:
                        self._wake[client].set()
        finally:
            subscription.close()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One client, from the handshake to its end. Access was checked before."""
        if len(self._sockets) >= CLIENTS:
            raise ProblemError(503, f"{CLIENTS} clients are connected already", headers={"Retry-After": "10"})
        socket = _accept(request)
        await socket.prepare(request)
        client = Client()
        self._sockets[client] = socket
        self._wake[client] = asyncio.Event()
        hello = {"t": "hello", "node": self.feed.node, "seq": self.feed.seq, "version": evcore.__version__}
        self._push(client, encode(hello))
        writer = asyncio.create_task(self._write(client, socket, request))
        try:
            await self._read(client, socket)
        finally:
            self.feed.clients.discard(client)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            del self._sockets[client], self._wake[client]
        return socket

    async def close(self) -> None:
        """Tell every client that we go away."""
        leaving = [_close(socket, WSCloseCode.GOING_AWAY, "shutting down") for socket in self._sockets.values()]
        await asyncio.gather(*leaving)

    @property
    def connected(self) -> int:
        return len(self._sockets)

    def _push(self, client: Client, message: bytes) -> None:
        client.push(message)
        self._wake[client].set()

    async def _read(self, client: Client, socket: web.WebSocketResponse) -> None:
        orders: set[asyncio.Task[None]] = set()
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            self._traffic.received += 1
            try:
                asked = _decode(message.data)
            except ValueError as error:
                self._traffic.errors += 1
                self._push(client, _error(_id_of(message.data), "malformed", str(error)))
                continue
            if isinstance(asked, Subscribe):
                self._subscribe(client, asked)
            elif len(orders) >= COMMANDS:
                self._push(client, _error(asked.id, "busy", f"{COMMANDS} commands are waiting for answers already"))
            else:
                task = asyncio.create_task(self._order(client, asked))
                orders.add(task)
                task.add_done_callback(orders.discard)
        for task in orders:
            task.cancel()  # only the waiting: the commands themselves go on

    def _subscribe(self, client: Client, asked: Subscribe) -> None:
        if asked.since is not None and asked.node is None:
            self._traffic.errors += 1
            self._push(client, _error(asked.id, "malformed", "`since` needs the `node` of the hello it came from"))
            return
        since = asked.since if asked.node == self.feed.node else None
        client.min_gap = 1 / asked.max_hz
        for message in self.feed.subscribe(client, asked.keys, since):
            client.push(message)
        self.feed.clients.add(client)
        self._wake[client].set()

    async def _order(self, client: Client, asked: Order) -> None:
        try:
            answer = await self._commands.run(asked.target, asked.name, asked.args, asked.key)
        except KeyReused as error:
            reply = _error(asked.id, "key-reused", str(error))
        else:
            reply = encode({"t": "r", "id": asked.id, "ok": answer.ok, "d": wire(answer)})
        if client in self._wake:
            self._push(client, reply)

    async def _write(self, client: Client, socket: web.WebSocketResponse, request: web.Request) -> None:
        wake, loop = self._wake[client], asyncio.get_running_loop()
        last = loop.time() - client.min_gap
        try:
            while not client.too_slow:
                if not client.waiting:
                    wake.clear()
                    await wake.wait()
                elif not client.urgent and (gap := last + client.min_gap - loop.time()) > 0:
                    wake.clear()
                    await _wait(wake, gap)
                else:
                    last = loop.time()
                    for message in client.take(self.feed.entities, self.feed.seq):
                        async with asyncio.timeout(SEND_S):
                            await socket.send_str(message.decode())
                        self._traffic.sent += 1
        except TimeoutError:
            client.too_slow = True
        except ConnectionError:
            return  # it left; the reader sees it too
        if client.too_slow:
            self._hub.count("evcore_feed_slow_closed_total")
            await _close(socket, WSCloseCode.TRY_AGAIN_LATER, "too slow")
            if request.transport is not None:
                request.transport.abort()


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
