"""What a broken or hostile peer sends costs that message or that connection, is counted, and nobody else notices."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]

TEXT, CONTINUATION, BINARY, CLOSE = 1, 0, 2, 8
KEY = base64.b64encode(b"0123456789abcdef").decode()
HEAD = (
    f"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
)


def frame(opcode: int, payload: bytes, *, fin: bool = True, claim: int | None = None) -> bytes:
    size = len(payload) if claim is None else claim
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size)
    return head + b"\0\0\0\0" + payload


async def dial(site: Any, name: str = "BAD") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(f"GET /{name} HTTP/1.1\r\n{HEAD}Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode())
    assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 8)
    return reader, writer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(TEXT, b"\xc3\x28"), "websocket_utf8"),
        (frame(BINARY, b"[2]"), "websocket_binary"),
        (frame(CONTINUATION, b"[2]"), "websocket_continuation"),
        (frame(TEXT, b"[", claim=1 << 30), "websocket_frame_1009"),
        (frame(3, b""), "websocket_frame_1002"),
        (frame(TEXT, b"[")[:1] + b"\x01[", "websocket_frame_1002"),
    ],
    ids=["utf8", "binary", "continuation", "1 GB", "opcode", "unmasked"],
)
async def test_a_broken_frame_costs_its_connection_and_is_counted(
    csms: Start, wait_until: Until, data: bytes, reason: str
) -> None:
    site = await csms()
    good = await site.station("GOOD")
    reader, writer = await dial(site)
    writer.write(data)
    await asyncio.wait_for(reader.read(), 8)
    await wait_until(lambda: site.errors().get(reason) == 1, f"{reason}: {site.errors()}")
    assert site.hub.traffic("ocpp").errors == 1
    assert await good.plug_in(1, "T1"), "the others work on"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"garbage\r\n\r\n", "upgrade_handshake"),
        (b"POST /CP1 HTTP/1.1\r\n\r\n", "upgrade_handshake"),
        (b"GET /CP1 HTTP/1.1\r\nUpgrade: web", "upgrade_handshake"),
        (b"GET /CP1 HTTP/1.1\r\nHost: x\r\n\r\n", "upgrade_not_websocket"),
        (f"GET / HTTP/1.1\r\n{HEAD}\r\n".encode(), "upgrade_identity"),
        (f"GET /' OR 1=1 HTTP/1.1\r\n{HEAD}\r\n".encode(), "upgrade_handshake"),
        (f"GET /..%2F..%00 HTTP/1.1\r\n{HEAD}\r\n".encode(), "upgrade_identity"),
        (f"GET /{'x' * 5000} HTTP/1.1\r\n{HEAD}\r\n".encode(), "upgrade_identity"),
    ],
)
async def test_what_opens_nothing_is_counted_and_leaves_nothing(
    csms: Start, wait_until: Until, data: bytes, reason: str
) -> None:
    site = await csms(handshake_s=0.2)
    good = await site.station("GOOD")
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(data)
    await asyncio.wait_for(reader.read(), 8)
    await wait_until(lambda: site.errors() == {reason: 1}, f"{reason}: {site.errors()}")
    assert [event.kind for event in site.events("security.")] == ["security.refused"]
    assert set(site.server._chargers) == {"GOOD"}
    assert await good.plug_in(1, "T1"), "the others work on"


LONG = "x" * 37
MESSAGES = [
    ("nonsense", "frame_json", None),
    ('{"a": 1}', "frame_array", None),
    ('[2,"a"]', "frame_arity", "FormationViolation"),
    ('[2,"a","Heartbeat",{},1]', "frame_arity", "FormationViolation"),
    ('[2,"a","Heartbeat",{]', "frame_json", "FormationViolation"),
    ('[2,"a","Heartbeat",[]]', "frame_payload", "FormationViolation"),
    ('[2,5,"Heartbeat",{}]', "frame_idtype", None),
    (f'[2,"{LONG}","Heartbeat",{{}}]', "frame_limit", None),
    ('[7,"a",{}]', "frame_type", None),
    ('[2,"a","Teleport",{}]', "payload_NotImplemented", "NotImplemented"),
    ('[2,"a","StatusNotification",{}]', "payload_OccurenceConstraintViolation", "OccurenceConstraintViolation"),
    (
        '[2,"a","StatusNotification",{"connectorId":"1","errorCode":"NoError","status":"Available"}]',
        "payload_TypeConstraintViolation",
        "TypeConstraintViolation",
    ),
    (
        '[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Sleepy"}]',
        "payload_PropertyConstraintViolation",
        "PropertyConstraintViolation",
    ),
    ('[3,"a",{}]', "unknown_answer", None),
    ('[4,"a","GenericError","",{}]', "unknown_answer", None),
    ('[2,"a","Heartbeat",' + "[" * 2000 + "]" * 2000 + "]", "frame_depth", "FormationViolation"),
]


@pytest.mark.parametrize(("message", "reason", "code"), MESSAGES, ids=[f"{m[0][:30]}" for m in MESSAGES])
async def test_a_broken_message_costs_that_message_only(
    csms: Start, wait_until: Until, message: str, reason: str, code: str | None
) -> None:
    site = await csms()
    async with websockets.connect(f"{site.url}/BAD", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        boot = {"chargePointModel": "M", "chargePointVendor": "V"}
        await socket.send(json.dumps([2, "boot", "BootNotification", boot]))
        assert json.loads(await socket.recv())[0] == 3
        await socket.send(message)
        await socket.send('[2,"next","Heartbeat",{}]')
        answers = [json.loads(await asyncio.wait_for(socket.recv(), 8))]
        while answers[-1][1] != "next":
            answers.append(json.loads(await asyncio.wait_for(socket.recv(), 8)))
    assert [answer[:3] for answer in answers[:-1]] == ([] if code is None else [[4, "a", code]])
    assert answers[-1][0] == 3, "the connection works on"
    assert site.errors() == {reason: 1}
    assert site.hub.traffic("ocpp").errors == 1
    assert [event.kind for event in site.events("protocol.")] == ["protocol.error"]


async def test_a_known_action_that_is_not_for_a_csms_is_not_supported(csms: Start) -> None:
    site = await csms(registered=["CP1"])
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp2.0.1"]) as socket:  # type: ignore[list-item]
        await socket.send('[2,"a","ClearCache",{}]')
        assert json.loads(await socket.recv())[:3] == [4, "a", "NotSupported"]


@pytest.mark.parametrize("connector", [-1, 1000, 2**31])
async def test_what_is_kept_of_a_station_is_bounded_whatever_it_says(csms: Start, connector: int) -> None:
    site = await csms(registered=["CP1"])
    status = {"connectorId": connector, "errorCode": "NoError", "status": "Available"}
    start = {"connectorId": connector, "idTag": "T1", "meterStart": 5, "timestamp": "2026-11-23T18:30:37Z"}
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        for action, payload in (("StatusNotification", status), ("StartTransaction", start)):
            await socket.send(json.dumps([2, "a", action, payload]))
            assert json.loads(await socket.recv())[:3] == [4, "a", "PropertyConstraintViolation"]
    assert site.ledger.sessions == {}
    assert site.hub.snapshot("evse/") == []


async def test_a_time_that_is_none_does_not_cost_the_record(csms: Start) -> None:
    site = await csms(registered=["CP1"])
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        start = {"connectorId": 1, "idTag": "T1", "meterStart": 5, "timestamp": "222222017-10-27T19:10:11.000Z"}
        await socket.send(json.dumps([2, "a", "StartTransaction", start]))
        assert json.loads(await socket.recv())[0] == 3
    assert site.errors() == {"time": 1}
    [session] = site.ledger.sessions.values()
    assert session.started_ns > 1_700_000_000_000_000_000
