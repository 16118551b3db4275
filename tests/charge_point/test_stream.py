"""Our WebSocket as a stream: what waits is bounded, and every end is an exception."""

from __future__ import annotations

import asyncio
import logging

import pytest
import websockets

from evcore.errors import LinkError
from evcore.ocpp.upgrade import UpgradeError
from evcore.ocpp.websocket import ConnectionClosed, HandshakeRefused, open_stream, serve


def url_of(server, identity="CP"):
    return f"ws://127.0.0.1:{server.port}/{identity}"


async def test_messages_come_in_order_and_the_end_comes_after_the_last():
    got = []
    over = asyncio.Event()

    async def handler(stream):
        got.extend([message async for message in stream])
        with pytest.raises(ConnectionClosed) as raised:
            await stream.recv()
        assert (raised.value.code, raised.value.reason) == (1000, "peer")
        with pytest.raises(LinkError):
            await stream.send("x")
        assert not stream.is_open
        over.set()

    async with asyncio.timeout(9), serve(handler, "127.0.0.1", 0) as server:
        async with open_stream(url_of(server)) as stream:
            for number in range(200):
                await stream.send(f"é{number}")
        await over.wait()
    assert got == [f"é{number}" for number in range(200)]


async def test_who_does_not_receive_is_not_read_from_and_loses_nothing():
    """The peer's messages back up into the network, and come when they are wanted."""
    text, begun, go = "x" * 60_000, asyncio.Event(), asyncio.Event()
    streams = []

    async def handler(stream):
        streams.append(stream)
        begun.set()
        await go.wait()
        for _ in range(500):
            assert await stream.recv() == text
        await stream.send("all")

    async with (
        asyncio.timeout(9),
        serve(handler, "127.0.0.1", 0, queue=8) as server,
        websockets.connect(url_of(server), subprotocols=["ocpp1.6"], max_queue=None) as peer,
    ):
        sending = asyncio.ensure_future(_send_all(peer, text, 500))
        await begun.wait()
        while not streams[0]._paused:
            await asyncio.sleep(0.001)
        before = 0
        while len(streams[0]._waiting) != before:  # what was on its way when reading stopped
            before = len(streams[0]._waiting)
            await asyncio.sleep(0.05)
        assert before < 50
        assert not sending.done()
        go.set()
        assert await peer.recv() == "all"
        await sending


async def _send_all(peer, text, count):
    for _ in range(count):
        await peer.send(text)
        await asyncio.sleep(0)


async def test_a_stream_that_waits_for_its_peer_can_close_while_nothing_is_read():
    over = asyncio.Event()

    async def handler(stream):
        while not stream._paused:
            await asyncio.sleep(0.001)
        await stream.close(1008, "enough")
        over.set()

    async with asyncio.timeout(9), serve(handler, "127.0.0.1", 0, queue=2) as server:
        async with websockets.connect(url_of(server), subprotocols=["ocpp1.6"]) as peer:
            with pytest.raises(websockets.ConnectionClosed):
                await _send_all(peer, "x", 1_000_000)
            assert (peer.close_code, peer.close_reason) == (1008, "enough")
        await over.wait()


async def test_text_that_is_not_utf8_ends_the_connection():
    ended = asyncio.get_running_loop().create_future()

    async def handler(stream):
        try:
            await stream.recv()
        except ConnectionClosed as error:
            ended.set_result(error)

    async with asyncio.timeout(9), serve(handler, "127.0.0.1", 0) as server:
        async with websockets.connect(url_of(server), subprotocols=["ocpp1.6"]) as peer:
            await peer.send(b"\xff", text=True)
            with pytest.raises(websockets.ConnectionClosed):
                await peer.recv()
            assert peer.close_code == 1007
        assert (await ended).reason == "utf8"


async def test_two_tasks_cannot_receive_at_once_and_one_that_is_cancelled_leaves_nothing():
    async def handler(stream):
        await stream.recv()
        await stream.send("late")
        await stream.wait_closed()

    async with asyncio.timeout(9), serve(handler, "127.0.0.1", 0) as server, open_stream(url_of(server)) as stream:
        waiting = asyncio.ensure_future(stream.recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await stream.recv()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await stream.send("x")
        assert await stream.recv() == "late"


async def test_a_handler_that_fails_costs_its_connection_only(caplog):
    async def handler(stream):
        if await stream.recv() == "fail":
            raise RuntimeError("on purpose")
        await stream.send("fine")
        await stream.wait_closed()

    async with (
        asyncio.timeout(9),
        serve(handler, "127.0.0.1", 0) as server,
        open_stream(url_of(server)) as good,
        open_stream(url_of(server)) as bad,
    ):
        with caplog.at_level(logging.ERROR):
            await bad.send("fail")
            with pytest.raises(ConnectionClosed) as raised:
                await bad.recv()
        assert raised.value.code == 1011
        await good.send("x")
        assert await good.recv() == "fine"


async def test_a_handler_that_ends_closes_its_connection_and_the_request_tells_who_it_was():
    async def handler(stream):
        await stream.send(f"{stream.path} {stream.request.headers['Sec-WebSocket-Protocol']} {stream.subprotocol}")

    async with (
        asyncio.timeout(9),
        serve(handler, "127.0.0.1", 0, subprotocols=["ocpp2.0.1"]) as server,
        open_stream(url_of(server, "a/CP%201"), subprotocols=["ocpp2.1", "ocpp2.0.1"]) as stream,
    ):
        assert await stream.recv() == "/a/CP%201 ocpp2.1, ocpp2.0.1 ocpp2.0.1"
        with pytest.raises(ConnectionClosed):
            await stream.recv()


async def test_a_station_may_be_refused_or_speak_no_version_of_ours():
    async def handler(stream):
        raise AssertionError

    def authenticate(upgrade):
        if upgrade.identity == "stranger":
            raise UpgradeError(404, "unknown", "no such station")

    async with (
        asyncio.timeout(9),
        serve(handler, "127.0.0.1", 0, subprotocols=["ocpp2.1"], authenticate=authenticate) as server,
    ):
        with pytest.raises(HandshakeRefused) as refused:
            await open_stream(url_of(server, "stranger"))
        assert refused.value.status == 404
        with pytest.raises(HandshakeRefused):
            await open_stream(url_of(server), subprotocols=["ocpp1.6"])


async def test_closing_the_port_ends_every_stream_and_waits_for_the_handlers():
    over = []

    async def handler(stream):
        try:
            await stream.recv()
        finally:
            await asyncio.sleep(0)
            over.append(True)

    async with asyncio.timeout(9):
        server = await serve(handler, "127.0.0.1", 0)
        streams = [await open_stream(url_of(server)) for _ in range(5)]
        await server.close()
        await server.wait_closed()
        assert over == [True] * 5
        for stream in streams:
            with pytest.raises(ConnectionClosed):
                await stream.recv()
        server = await serve(handler, "127.0.0.1", 0)
        stream = await open_stream(url_of(server))
        await server.drain(0)
        with pytest.raises(ConnectionClosed) as raised:
            await stream.recv()
        assert raised.value.code == 1012


async def test_closing_the_port_begins_without_await_as_in_websockets():
    ended = asyncio.Event()

    async def handler(stream):
        with pytest.raises(ConnectionClosed):
            await stream.recv()
        ended.set()

    async with asyncio.timeout(9):
        server = await serve(handler, "127.0.0.1", 0)
        stream = await open_stream(url_of(server))
        server.close()
        await server.wait_closed()
        await server.close()  # once more is harmless
        with pytest.raises(ConnectionClosed):
            await stream.recv()
    assert ended.is_set()
