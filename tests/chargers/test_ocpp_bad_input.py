"""What a broken or hostile peer sends costs that message or that connection, is counted, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from raw_websocket import BINARY, CONTINUATION, TEXT, Raw, frame, request

from evcore.ocpp.policy import Policy, Rule

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]


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
    raw = await Raw.dial(site.server.port)
    assert b" 101 " in await raw.upgrade("/BAD")
    raw.writer.write(data)
    await raw.eof()
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
        (request("/"), "upgrade_identity"),
        (request("/' OR 1=1"), "upgrade_handshake"),
        (request("/..%2F..%00"), "upgrade_identity"),
        (request(f"/{'x' * 5000}"), "upgrade_identity"),
    ],
)
async def test_what_opens_nothing_is_counted_and_leaves_nothing(
    csms: Start, wait_until: Until, data: bytes, reason: str
) -> None:
    site = await csms(handshake_s=0.2)
    good = await site.station("GOOD")
    raw = await Raw.dial(site.server.port)
    raw.writer.write(data)
    await raw.eof()
    await wait_until(lambda: site.errors() == {reason: 1}, f"{reason}: {site.errors()}")
    assert [event.kind for event in site.events("security.")] == ["security.refused"]
    assert set(site.server.known) == {"GOOD"}
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
    (f'[2,"{LONG}","Heartbeat",{{}}]', "frame_length", None),
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
    ('[2,"a","Heartbeat",' + "[" * 2000 + "]" * 2000 + "]", "frame_limit", "InternalError"),
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


async def test_a_time_that_is_none_is_refused_or_does_not_cost_the_record_where_it_is_let_through(csms: Start) -> None:
    start = {"connectorId": 1, "idTag": "T1", "meterStart": 5, "timestamp": "222222017-10-27T19:10:11.000Z"}
    strict = await csms(registered=["CP1"])
    async with websockets.connect(f"{strict.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps([2, "a", "StartTransaction", start]))
        assert json.loads(await socket.recv())[:3] == [4, "a", "PropertyConstraintViolation"]
    policy = Policy(actions={"StartTransaction": Rule("lenient", ["let_through"])})
    site = await csms(registered=["CP1"], policy=policy)
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps([2, "a", "StartTransaction", start]))
        assert json.loads(await socket.recv())[0] == 3
    assert site.errors() == {"time": 1}
    [session] = site.ledger.sessions.values()
    assert session.started_ns > 1_700_000_000_000_000_000


@pytest.mark.parametrize("more", [0, 1], ids=["as much as allowed", "a byte more"])
async def test_a_message_in_one_frame_may_be_as_long_as_max_message_says(csms: Start, more: int) -> None:
    site = await csms(registered=["CP1"], max_message=200_000)
    async with websockets.connect(f"{site.url}/CP1", subprotocols=["ocpp1.6"]) as socket:  # type: ignore[list-item]
        call = '[2,"a","Heartbeat",{}]'
        await socket.send(call + " " * (200_000 - len(call) + more))
        if more:
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1009
        else:
            assert json.loads(await socket.recv())[0] == 3


@pytest.mark.parametrize(
    ("version", "call", "reason"),
    [
        (
            "1.6",
            '"StatusNotification",{"connectorId":5000,"errorCode":"NoError","status":"Available"}',
            "refused_PropertyConstraintViolation",
        ),
        ("1.6", '"Reset",{"type":"Soft"}', "refused_NotSupported"),
        ("2.0.1", '"Reset",{"type":"Immediate"}', "refused_NotSupported"),
    ],
)
async def test_a_message_in_good_form_that_is_refused_is_counted_and_told(
    csms: Start, wait_until: Until, version: str, call: str, reason: str
) -> None:
    site = await csms(registered=["CP1"])
    async with websockets.connect(f"{site.server.url}/CP1", subprotocols=[f"ocpp{version}"]) as socket:
        await socket.send(f'[2,"u",{call}]')
        assert json.loads(await socket.recv())[:3] == [4, "u", reason.removeprefix("refused_")]
    assert site.errors()[reason] == 1
    assert [event.text for event in site.events("protocol.error") if event.text.startswith(reason)]
