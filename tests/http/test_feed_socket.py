"""The live feed over real WebSockets; the peer is aiohttp's client, or a bare socket that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import Any

import aiohttp
import pytest
from waiting import until

from evcore.backends.http import feed as room
from evcore.backends.http import feed_socket
from evcore.model import Answer, Event, Evse, Sample, Station


class Peer:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def next(self, kind: str = "") -> dict[str, Any]:
        """The next message, of this kind if one is named."""
        async with asyncio.timeout(8):
            while True:
                message = json.loads(await self.ws.receive_str())
                if kind in ("", message["t"]):
                    return message

    async def send(self, **message: Any) -> None:
        await self.ws.send_str(json.dumps(message))

    async def closed(self) -> int | None:
        async with asyncio.timeout(8):
            async for _ in self.ws:
                pass
        return self.ws.close_code


@pytest.fixture
async def connect(client):
    opened = []

    async def open_one(**how: Any) -> Peer:
        ws = await client.http.ws_connect(client.url + "/feed", protocols=("evcore.feed.v1",), **how)
        opened.append(ws)
        return Peer(ws)

    yield open_one
    for ws in opened:
        await ws.close()


def fault(text: str) -> Event:
    return Event("CP1", "fault.raised", 1, severity="error", text=text)


async def test_the_handshake_names_the_protocol_and_the_first_message_the_node(connect):
    peer = await connect()
    assert peer.ws.protocol == "evcore.feed.v1"
    hello = await peer.next()
    assert (hello["t"], len(hello["node"])) == ("hello", 16)


async def test_a_snapshot_then_deltas_of_charging_order_and_payment(connect, site, client):
    peer = await connect()
    await peer.send(op="sub", keys=["evse/*", "session/*", "payment/*"], max_hz=50)
    snap = await peer.next("snap")
    assert {key.split("/")[0] for key in snap["d"]} == {"evse", "session"}
    site.hub.publish(Evse("CP1", 2, "Occupied", "Charging"))
    delta = await peer.next("d")
    assert (delta["k"], delta["v"]) == ("evse/CP1/2", {"status": "Occupied", "charging": "Charging"})
    order = {"station": "CP1", "evse": 1, "amount": 1, "currency": "EUR", "provider": "psp"}
    made = await client.post("/v1/payments", json=order, headers={"Idempotency-Key": "k"})
    delta = await peer.next("d")
    assert (delta["k"], delta["v"]) == (f"payment/{made.json['id']}", made.json)


async def test_samples_are_conflated_to_max_hz_and_events_go_out_at_once(connect, site):
    peer = await connect()
    await peer.send(op="sub", keys=["sample/m/*", "event/*"], max_hz=0.1)
    await peer.next("snap")
    site.hub.publish(Sample("m", "Voltage", 0.0, "V", 0))
    assert (await peer.next("d"))["v"]["value"] == 0.0  # the first needs not wait
    for n in range(1, 30):
        site.hub.publish(Sample("m", "Voltage", float(n), "V", n))
        await asyncio.sleep(0)
    site.hub.publish(fault("now"))
    assert (await peer.next())["v"]["value"] == 29.0  # what waited goes before the event
    assert (await peer.next())["d"]["text"] == "now"


async def test_a_client_that_comes_back_gets_what_it_missed(connect, site):
    peer = await connect()
    node = (await peer.next("hello"))["node"]
    await peer.send(op="sub")
    seq = (await peer.next("snap"))["seq"]
    await peer.ws.close()
    site.hub.publish(Evse("CP1", 2, "Faulted"))
    site.hub.publish(fault("missed"))
    again = await connect()
    assert (await again.next("hello"))["node"] == node
    await again.send(op="sub", since=seq, node=node)
    snap = await again.next("snap")
    assert (snap["since"], set(snap["d"])) == (seq, {"evse/CP1/2"})
    assert (await again.next())["d"]["text"] == "missed"


async def test_a_number_of_another_node_or_too_long_ago_gets_a_whole_snapshot(connect, site, monkeypatch):
    monkeypatch.setattr(room, "RING", 2)
    peer = await connect()
    node = (await peer.next("hello"))["node"]
    for n in range(4):
        site.hub.publish(fault(str(n)))
    for since in ({"since": 1, "node": node}, {"since": 1, "node": "0" * 16}):
        await peer.send(op="sub", **since)
        snap = await peer.next("snap")
        assert "since" not in snap
        assert "charger/CP1" in snap["d"]


async def test_a_command_comes_back_with_the_chargers_answer(connect, charger):
    peer = await connect()
    await peer.send(op="cmd", id="c7", target="CP1", name="start", args={"evse": 1}, key="k")
    answer = {"status": "Accepted", "ok": True, "reason": "", "data": {"status": "x"}}
    assert await peer.next("r") == {"t": "r", "id": "c7", "ok": True, "d": answer}
    await peer.send(op="cmd", id=8, target="CP1", name="stop", key="k")
    assert (await peer.next())["code"] == "key-reused"
    await peer.send(op="cmd", id=9, target="CP1", name="stop")
    assert (await peer.next())["ok"] is False
    assert [(command.verb, command.id == "k") for command in charger] == [("start", True), ("stop", False)]


async def test_a_repeated_key_asks_once_whichever_door_it_comes_through(connect, client, charger):
    peer = await connect()
    await peer.send(op="cmd", id=1, target="CP1", name="start", key="k")
    await peer.next("r")
    ask = {"json": {"verb": "start"}, "headers": {"Idempotency-Key": "k"}}
    assert (await client.post("/v1/chargers/CP1/commands", **ask)).json["status"] == "Accepted"
    assert len(charger) == 1


async def test_a_command_goes_on_when_its_asker_leaves(connect, site):
    gate, done = asyncio.Event(), asyncio.Event()

    async def slow(command):
        await gate.wait()
        done.set()
        return Answer("Accepted", True)

    site.hub.serve("CP1", slow)
    peer = await connect()
    await peer.send(op="cmd", id=1, target="CP1", name="start")
    await peer.send(op="bad")
    await peer.next("err")  # the command before it was read
    await peer.ws.close()
    gate.set()
    async with asyncio.timeout(8):
        await done.wait()


async def test_too_many_commands_at_once_are_refused_one_by_one(connect, site, monkeypatch):
    monkeypatch.setattr(feed_socket, "COMMANDS", 2)
    gate = asyncio.Event()

    async def slow(command):
        await gate.wait()
        return Answer("Accepted", True)

    site.hub.serve("CP1", slow)
    peer = await connect()
    for id in (1, 2, 3):
        await peer.send(op="cmd", id=id, target="CP1", name="start")
    refused = await peer.next("err")
    assert (refused["id"], refused["code"]) == (3, "busy")
    gate.set()
    assert {(await peer.next("r"))["id"], (await peer.next("r"))["id"]} == {1, 2}


BROKEN = [
    ("{", None, "truncated"),
    ("[]", None, "object"),
    ('{"op":"sub","id":5,"max_hz":0}', 5, "$.max_hz"),
    ('{"op":"sub","keys":[1]}', None, "$.keys[0]"),
    ('{"op":"fly","id":"a"}', "a", "fly"),
    ('{"op":"cmd","id":"b","target":"CP1","name":"explode"}', "b", "explode"),
    ('{"op":"cmd","target":"CP1","name":"start"}', None, "id"),
    ('{"op":"sub","id":true}', None, "$.id"),
    ('{"op":"sub","more":1}', None, "more"),
    ('{"op":"sub","since":1}', None, "node"),
    ("[" * 30_000, None, ""),
    (b"\x00", None, "text"),
]


async def test_bad_messages_cost_an_error_reply_and_not_the_connection(connect, site):
    peer = await connect()
    await peer.next("hello")
    for data, id, hint in BROKEN:
        await (peer.ws.send_str(data) if isinstance(data, str) else peer.ws.send_bytes(data))
        error = await peer.next()
        assert (error["t"], error["code"], error.get("id")) == ("err", "malformed", id), data[:60]
        assert hint in error["detail"]
    await peer.send(op="sub", keys=[])
    assert (await peer.next())["d"] == {}
    traffic = site.hub.traffic("websocket")
    assert (traffic.received, traffic.errors) == (len(BROKEN) + 1, len(BROKEN))
    assert traffic.sent == len(BROKEN) + 2


async def test_a_message_that_is_too_long_ends_the_connection_with_1009_and_is_counted(connect, site):
    peer = await connect()
    await peer.ws.send_str('{"op":"sub","id":"' + "x" * 70_000 + '"}')
    assert await peer.closed() == 1009
    assert site.hub.traffic("websocket").errors == 1


async def raw_client(backend) -> socket.socket:
    """A client that shakes hands, subscribes, and then reads no more; its window is small."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", backend.port))
    head = f"GET /feed HTTP/1.1\r\nHost: 127.0.0.1:{backend.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    key = base64.b64encode(b"0123456789abcdef").decode()
    await loop.sock_sendall(sock, f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    assert b" 101 " in await loop.sock_recv(sock, 200)
    text = b'{"op":"sub","max_hz":50}'
    await loop.sock_sendall(sock, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return sock


async def test_a_slow_client_is_closed_and_the_others_lose_nothing(backend, site, connect):
    peer = await connect()
    await peer.send(op="sub", keys=["event/*"])
    await peer.next("snap")
    slow = await raw_client(backend)
    try:
        read = asyncio.create_task(_texts(peer, 6000))
        for n in range(6000):
            site.hub.publish(Event("CP1", "fault.raised", n, text=str(n), data={"bulk": "x" * 2000}))
            if n % 20 == 0:
                await asyncio.sleep(0)
        assert await read == [str(n) for n in range(6000)]
        await until(lambda: ("evcore_feed_slow_closed_total", ()) in site.hub.counters())
    finally:
        slow.close()


async def _texts(peer: Peer, many: int) -> list[str]:
    return [(await peer.next("e"))["d"]["text"] for _ in range(many)]


async def test_a_client_that_takes_nothing_is_closed_after_a_while(backend, site, monkeypatch):
    monkeypatch.setattr(feed_socket, "SEND_S", 0.2)
    slow = await raw_client(backend)
    try:
        async with asyncio.timeout(8):
            n = 0
            while ("evcore_feed_slow_closed_total", ()) not in site.hub.counters():
                n += 1
                site.hub.publish(Station("CP1", True, vendor=str(n) * 200_000))
                await asyncio.sleep(0.01)
    finally:
        slow.close()


async def test_events_that_the_hub_dropped_give_everybody_a_new_snapshot(connect, site):
    peer = await connect()
    await peer.send(op="sub")
    await peer.next("snap")
    for n in range(10_001):  # in one go: the feed's own queue at the hub is full
        site.hub.publish(fault(str(n)))
    assert "since" not in await peer.next("snap")
    assert site.hub.counters()["evcore_feed_dropped_total", ()] == 1


async def test_states_that_the_hub_dropped_are_in_that_snapshot(connect, site):
    peer = await connect()
    await peer.send(op="sub", keys=["sample/*"], max_hz=50)
    await peer.next("snap")
    for n in range(10_001):  # in one go: the oldest of these keys falls out of the feed's own queue
        site.hub.publish(Sample(f"m{n}", "Voltage", 1.0, "V", 1))
    while True:
        message = await peer.next()
        if message["t"] == "snap":
            break
    assert {f"sample/m{n}/0/Voltage" for n in range(10_001)} <= set(message["d"])


async def test_a_time_that_no_calendar_has_hurts_nobody(connect, client, site):
    peer = await connect()
    await peer.send(op="sub", keys=["sample/odd/*"], max_hz=50)
    await peer.next("snap")
    for time_ns in (2**80, -(2**80)):
        site.hub.publish(Sample("odd", "Voltage", float("nan"), "V", time_ns))
        assert (await peer.next("d"))["k"] == "sample/odd/0/Voltage"
    site.hub.publish(Sample("CP1", "Voltage", float("nan"), "V", 2**80))
    assert (await client.get("/v1/chargers/CP1")).json["samples"][-1]["time"] == "9999-12-31T23:59:59.999Z"


async def test_an_item_without_a_json_form_costs_the_feed_that_item_only(connect, site):
    peer = await connect()
    await peer.send(op="sub", keys=["event/*"])
    await peer.next("snap")
    loop: dict[str, Any] = {}
    loop["self"] = loop
    site.hub.publish(Event("CP1", "fault.raised", 1, data=loop))
    site.hub.publish(Event("CP1", "fault.raised", 1, text="half a \ud800 pair", data={"at": {1, 2}}))
    assert (await peer.next("e"))["d"]["text"] == "half a ? pair"
    assert site.hub.counters()["evcore_feed_unencodable_total", ()] == 1


async def test_the_hundred_and_first_client_is_turned_away(client, connect, monkeypatch):
    monkeypatch.setattr(feed_socket, "CLIENTS", 1)
    await connect()
    got = await client.get("/feed", headers=HANDSHAKE)
    assert (got.status, got.headers["Retry-After"]) == (503, "10")


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


async def test_what_is_no_handshake_of_ours_is_a_problem(client):
    assert (await client.get("/feed")).status == 426
    assert (await client.get("/feed", headers=HANDSHAKE | {"Sec-WebSocket-Version": "99"})).status == 400
    assert (await client.get("/feed", headers=HANDSHAKE | {"Sec-WebSocket-Protocol": "chat"})).status == 400
    assert (await client.get("/feed", headers=HANDSHAKE | {"Origin": "http://evil.example"})).status == 403


async def test_going_away_is_said(site, serve, client_of):
    backend = await serve(site)
    client = await client_of(backend)
    task = next(task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "HttpBackend.run")
    peer = Peer(await client.http.ws_connect(client.url + "/feed"))
    await peer.next("hello")
    task.cancel()
    assert await peer.closed() == 1001
    with pytest.raises(asyncio.CancelledError):
        await task
