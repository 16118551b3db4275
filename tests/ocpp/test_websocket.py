"""The door on real sockets: every habit of picows 2.3 that must not reach a station, both roles."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import websockets
from bare_station import BareStation
from raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw
from waiting import until

from evcore.errors import LinkError
from evcore.ocpp.admission import Admission
from evcore.ocpp.upgrade import Upgrade, UpgradeError
from evcore.ocpp.websocket import Closing, Connection, HandshakeRefused, Listening, Receiver, connect, listen


class Echo:
    """Sends back what it gets; remembers how it ended."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.messages: list[bytes] = []
        self.end: tuple[int, str] | None = None

    def opened(self, connection: Connection) -> None:
        self.connection = connection

    def received(self, data: bytes) -> None:
        self.messages.append(data)
        if data == b"fail":
            raise RuntimeError("a fault of the receiver")
        assert self.connection is not None
        self.connection.send(data)

    def closed(self, code: int, reason: str) -> None:
        assert self.end is None, "closed twice"
        self.end = (code, reason)


class Silent(Echo):
    def received(self, data: bytes) -> None:
        self.messages.append(data)


class Door:
    """A listening door whose receivers echo, and what it refused."""

    def __init__(self, listening: Listening, receivers: list[Echo], refused: list[str]) -> None:
        self.listening, self.receivers, self.refused = listening, receivers, refused
        self.url = f"ws://127.0.0.1:{listening.port}"


Opener = Callable[..., Awaitable[Door]]


@pytest.fixture
async def open_door() -> AsyncIterator[Opener]:
    doors: list[Listening] = []

    async def opener(**options: object) -> Door:
        receivers: list[Echo] = []
        refused: list[str] = []

        def accept(upgrade: Upgrade, subprotocol: str) -> Receiver:
            if upgrade.identity == "nobody":
                raise UpgradeError(401, "credentials", "who are you?")
            if upgrade.identity == "broken":
                raise RuntimeError("the password is hunter2")
            if not subprotocol:
                return Closing()
            receivers.append(Echo())
            return receivers[-1]

        listening = await listen(
            "127.0.0.1", 0, accept, refused=lambda reason, peer, identity: refused.append(reason), **options
        )  # type: ignore[arg-type]
        doors.append(listening)
        return Door(listening, receivers, refused)

    yield opener
    for door in doors:
        await door.close()
        assert not door.connections


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "Upgrade", "upgrade,keep-alive", None])
async def test_whatever_the_connection_header_says_an_upgrade_is_an_upgrade(
    open_door: Opener, connection: str | None
) -> None:
    raw = await Raw.dial((await open_door()).listening.port)
    assert b"101 " in await raw.upgrade(Connection=connection)
    raw.frame(TEXT, b"hello")
    assert await raw.read() == (TEXT, b"hello")


async def test_the_text_of_an_exception_never_reaches_the_peer(open_door: Opener) -> None:
    door = await open_door()
    raw = await Raw.dial(door.listening.port)
    answer = await raw.upgrade("/broken") + await raw.reader.read()
    assert b" 500 " in answer
    assert b"hunter2" not in answer
    assert door.refused == ["internal"]


async def test_a_refusal_comes_before_the_upgrade_and_is_counted(open_door: Opener) -> None:
    door = await open_door()
    answer = await (await Raw.dial(door.listening.port)).upgrade("/nobody")
    assert b" 401 " in answer
    assert b"WWW-Authenticate: Basic" in answer
    assert (door.refused, door.receivers) == (["credentials"], [])


async def test_a_close_without_code_is_answered_with_a_legal_one(open_door: Opener) -> None:
    door = await open_door()
    for payload, code, seen in ((b"", 1000, 1005), (struct.pack(">H", 4001), 4001, 4001), (b"\x03\xe8", 1000, 1000)):
        raw = await Raw.dial(door.listening.port)
        await raw.upgrade()
        raw.frame(CLOSE, payload)
        assert await raw.close_code() == code
        await raw.eof()
        await until(lambda: door.receivers[-1].end is not None)
        assert door.receivers[-1].end == (seen, "peer")


async def test_a_message_in_fragments_is_joined_with_a_ping_between_them(open_door: Opener) -> None:
    raw = await Raw.dial((await open_door()).listening.port)
    await raw.upgrade()
    raw.frame(TEXT, b"he", fin=False)
    raw.frame(PING, b"?")
    raw.frame(CONTINUATION, b"", fin=False)
    raw.frame(CONTINUATION, b"llo")
    assert [await raw.read(), await raw.read()] == [(PONG, b"?"), (TEXT, b"hello")]


async def test_a_message_beyond_the_limit_ends_the_connection_with_1009(open_door: Opener) -> None:
    door = await open_door(limit=100_000)
    raw = await Raw.dial(door.listening.port)
    await raw.upgrade()
    raw.frame(TEXT, b"x" * 60_000, fin=False)
    raw.frame(CONTINUATION, b"x" * 60_000, fin=False)
    assert await raw.close_code() == 1009
    assert door.receivers[0].messages == []


async def test_a_frame_that_claims_a_gigabyte_ends_the_connection_and_is_told(open_door: Opener) -> None:
    door = await open_door()
    raw = await Raw.dial(door.listening.port)
    await raw.upgrade()
    raw.frame(TEXT, b"x", claim=1 << 30)
    assert await raw.close_code() == 1009
    await until(lambda: door.receivers[0].end is not None)
    assert door.receivers[0].end == (1006, "frame_1009")


async def test_a_good_frame_before_a_broken_one_is_never_half_done(open_door: Opener) -> None:
    # picows parses frame n+1, and closes for it, before it delivers frame n: whose answer it would then drop.
    door = await open_door()
    raw = await Raw.dial(door.listening.port)
    await raw.upgrade()
    raw.frame(TEXT, b"good")
    raw.frame(3, b"no such opcode")
    opcode, payload = await raw.read()
    assert (opcode, payload[:2]) == (CLOSE, struct.pack(">H", 1002))
    assert door.receivers[0].messages == []


@pytest.mark.parametrize(
    ("opcode", "payload", "code"), [(BINARY, b"x", 1003), (CONTINUATION, b"x", 1002), (TEXT, b"\xff", 1007)]
)
async def test_a_frame_against_the_rules_costs_its_connection_only(
    open_door: Opener, opcode: int, payload: bytes, code: int
) -> None:
    door = await open_door()
    good, bad = await Raw.dial(door.listening.port), await Raw.dial(door.listening.port)
    await good.upgrade()
    await bad.upgrade()
    bad.frame(opcode, payload)
    assert await bad.close_code() == code
    good.frame(TEXT, b"still here")
    assert await good.read() == (TEXT, b"still here")


async def test_a_fault_of_the_receiver_costs_that_message_only(open_door: Opener) -> None:
    raw = await Raw.dial((await open_door()).listening.port)
    await raw.upgrade()
    raw.frame(TEXT, b"fail")
    raw.frame(TEXT, b"next")
    assert await raw.read() == (TEXT, b"next")


@pytest.mark.parametrize(
    "request_line", [b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000]
)
async def test_what_is_no_request_is_dropped_and_counted(open_door: Opener, request_line: bytes) -> None:
    door = await open_door(handshake_s=0.3)
    raw = await Raw.dial(door.listening.port)
    raw.writer.write(request_line)
    await raw.eof()
    await until(lambda: door.refused == ["handshake"])


async def test_whoever_opens_and_says_nothing_is_dropped(open_door: Opener) -> None:
    door = await open_door(handshake_s=0.2)
    await (await Raw.dial(door.listening.port)).eof()
    await until(lambda: door.refused == ["handshake"])


async def test_an_address_that_keeps_failing_is_not_even_read(open_door: Opener) -> None:
    door = await open_door(admission=Admission(failures=3))
    for _ in range(3):
        await (await Raw.dial(door.listening.port)).upgrade("/nobody")
    await (await Raw.dial(door.listening.port)).eof()
    assert door.refused == ["credentials"] * 3 + ["too_many_failures"]


async def test_slow_handshakes_make_room_for_a_new_one(open_door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    door = await open_door(opening=3)
    slow = [await Raw.dial(door.listening.port) for _ in range(3)]
    await until(lambda: len(door.listening._opening) == 3)
    await (await Raw.dial(door.listening.port)).eof()
    assert door.refused == ["too_many_handshakes"]
    monkeypatch.setattr("evcore.ocpp.admission._SLOW_NS", 0)
    assert b" 101 " in await (await Raw.dial(door.listening.port)).upgrade()
    await slow[0].eof()


async def test_a_crowd_waits_in_the_queue_while_handshakes_are_under_way(
    open_door: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evcore.ocpp.websocket.server._CROWD", 4)
    monkeypatch.setattr("evcore.ocpp.websocket.server._SHUT_S", 60)
    door = await open_door()
    slow = [await Raw.dial(door.listening.port) for _ in range(4)]
    await until(lambda: door.listening.opening == 4)
    waiting = [await Raw.dial(door.listening.port) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert door.listening.opening == 4, "they are left in the system's queue"
    for raw in slow[:2]:
        assert b" 101 " in await raw.upgrade()
    await until(lambda: door.listening.opening == 5, "they are taken as soon as half of the crowd is through")
    for raw in waiting:
        assert b" 101 " in await raw.upgrade()


async def test_a_crowd_that_says_nothing_keeps_nobody_waiting_for_long(
    open_door: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evcore.ocpp.websocket.server._CROWD", 4)
    door = await open_door()
    crowd = [await Raw.dial(door.listening.port) for _ in range(200)]
    await until(lambda: door.listening.opening == 200, "some at a time")
    for raw in crowd:
        assert b" 101 " in await raw.upgrade()
    assert door.refused == []


async def test_when_no_descriptor_is_left_a_connection_is_turned_away_not_offered_for_ever(
    open_door: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import socket

    door = await open_door()
    plain, left = socket.socket.accept, 1

    def accept(listening: socket.socket) -> object:
        nonlocal left
        if left:
            left -= 1
            raise OSError(errno.EMFILE, "no descriptor left")
        return plain(listening)

    monkeypatch.setattr(socket.socket, "accept", accept)
    await (await Raw.dial(door.listening.port)).eof()
    assert door.refused == ["no_descriptors"]
    assert b" 101 " in await (await Raw.dial(door.listening.port)).upgrade()


async def test_a_quiet_peer_is_pinged_and_a_dead_one_dropped(open_door: Opener) -> None:
    door = await open_door(ping_s=0.1)
    alive = Silent()
    connection = await connect(f"{door.url}/alive", alive, ping_s=0)
    dead = await Raw.dial(door.listening.port)
    await dead.upgrade("/dead")
    assert await dead.read() == (PING, b"")
    await until(lambda: door.receivers[1].end is not None)
    assert door.receivers[1].end == (1006, "silent")
    assert (connection.is_open, door.receivers[0].end) == (True, None)


async def test_a_peer_that_does_not_read_is_dropped(open_door: Opener) -> None:
    door = await open_door()
    raw = await Raw.dial(door.listening.port)
    await raw.upgrade()
    connection = door.receivers[0].connection
    assert connection is not None
    for _ in range(400):
        connection.send(b"x" * 60_000)
        await asyncio.sleep(0)
    await until(lambda: door.receivers[0].end is not None)
    assert door.receivers[0].end == (1006, "slow")


async def test_picows_writes_nothing_to_the_log(open_door: Opener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    raw = await Raw.dial((await open_door()).listening.port)
    await raw.upgrade()
    raw.frame(3)
    await raw.eof()
    assert [record for record in caplog.records if record.name.startswith(("picows", "evcore"))] == []


async def test_without_a_common_version_the_handshake_is_finished_without_the_header_then_closed(
    open_door: Opener,
) -> None:
    raw = await Raw.dial((await open_door()).listening.port)
    answer = await raw.upgrade(Sec_WebSocket_Protocol="ocpp9")
    assert b" 101 " in answer
    assert b"Sec-WebSocket-Protocol" not in answer
    assert await raw.close_code() == 1002


async def test_a_charger_that_offers_no_version_may_be_given_one(open_door: Opener) -> None:
    raw = await Raw.dial((await open_door(default_subprotocol="ocpp1.6")).listening.port)
    assert b"Sec-WebSocket-Protocol" not in await raw.upgrade(Sec_WebSocket_Protocol=None)
    raw.frame(TEXT, b"hello")
    assert await raw.read() == (TEXT, b"hello")


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_another_librarys_client_talks_to_us_compressed_or_not(
    open_door: Opener, compression: str | None
) -> None:
    door = await open_door()
    offered = ["ocpp2.0.1", "ocpp1.6"]
    async with websockets.connect(f"{door.url}/CP1", subprotocols=offered, compression=compression) as client:  # type: ignore[arg-type]
        assert client.subprotocol == "ocpp2.0.1"
        for text in ("short", "long " * 1000, "ä" * 300):
            await client.send(text)
            assert await client.recv() in (text, text.encode())
        assert (client.protocol.extensions != []) == (compression is not None)


async def test_our_client_talks_to_another_librarys_server() -> None:
    async def echo(server: websockets.ServerConnection) -> None:
        async for message in server:
            await server.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        receiver = Silent()
        connection = await connect(f"ws://127.0.0.1:{port}/CP1", receiver, deflate=False)
        assert connection.subprotocol == "ocpp1.6"
        connection.send(b"x" * 5000)
        await until(lambda: receiver.messages == [b"x" * 5000])
        connection.close(1000, "done")
        await connection.wait_closed()
        assert receiver.end == (1000, "done")


async def test_compressed_both_ways_between_our_own_ends(open_door: Opener) -> None:
    receiver = Silent()
    connection = await connect(f"{(await open_door()).url}/CP1", receiver, deflate=True)
    connection.send(b"x" * 50_000)
    await until(lambda: receiver.messages == [b"x" * 50_000])


async def test_a_client_that_is_refused_learns_the_status(open_door: Opener) -> None:
    door = await open_door()
    with pytest.raises(HandshakeRefused) as caught:
        await connect(f"{door.url}/nobody", Silent())
    assert caught.value.status == 401
    with pytest.raises(HandshakeRefused):
        await connect(f"{door.url}/CP1", Silent(), subprotocols=["ocpp9"])


async def test_a_client_without_a_server_raises_a_link_error(free_port: Callable[[], int]) -> None:
    with pytest.raises(LinkError):
        await connect(f"ws://127.0.0.1:{free_port()}/CP1", Silent(), timeout_s=5)


async def test_a_server_that_hangs_up_during_the_handshake_is_no_opening() -> None:
    # picows 2.3 returns from ws_connect then, as if all were well
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkError):
            await connect(f"ws://127.0.0.1:{port}/CP1", Silent(), timeout_s=5)


async def test_a_server_that_hangs_up_during_the_tls_handshake_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkError, match="ConnectionResetError"):
            await connect(f"wss://127.0.0.1:{port}/CP1", BareStation(), ssl=ssl.create_default_context())
    assert (complaints, caplog.records) == ([], [])


async def test_a_cancelled_client_leaves_nothing_open(open_door: Opener) -> None:
    door = await open_door()
    task = asyncio.create_task(connect(f"{door.url}/CP1", Silent()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not door.listening.connections)


async def test_a_drain_waits_for_the_good_bye_of_a_dead_peer_no_longer_than_it_is_told(open_door: Opener) -> None:
    """Or each stop of a gateway with one half-open station would log that its good-bye failed."""
    door = await open_door()
    raw = await Raw.dial(door.listening.port)
    await raw.upgrade()
    await door.listening.drain(0.01, goodbye_s=0.01)
    assert len(door.listening.connections) == 1
    assert await raw.close_code() == 1012


async def test_a_drain_says_restart_to_everyone_and_takes_no_new_ones(open_door: Opener) -> None:
    door = await open_door()
    receivers = [Silent() for _ in range(5)]
    for n, receiver in enumerate(receivers):
        await connect(f"{door.url}/{n}", receiver)
    await door.listening.drain(0.1)
    await until(lambda: all(receiver.end == (1012, "peer") for receiver in receivers))
    with pytest.raises(LinkError):
        await connect(f"{door.url}/new", Silent(), timeout_s=1)
