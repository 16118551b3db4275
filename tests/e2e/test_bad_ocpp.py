"""Bad input on the OCPP port of a whole site: it costs that message or that connection, is counted, and the station
that charges meanwhile does not notice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from raw_websocket import BINARY, CONTINUATION, TEXT, frame, request

UPGRADE = request("/BAD")
CLIENT_HELLO = bytes.fromhex("16030100 c8 010000c4 0303") + bytes(range(190))
BOOT = {"chargePointModel": "M", "chargePointVendor": "V"}


def endless(size: int) -> bytes:
    """A message of `size` bytes in fragments, none of which is the last."""
    part = b"x" * 32_768
    return frame(TEXT, part, fin=False) + frame(CONTINUATION, part, fin=False) * (size // len(part))


OPENINGS = [
    (b"GET /BAD HTTP/1.1\r\nUpgrade: web", "upgrade_handshake"),
    (CLIENT_HELLO, "upgrade_handshake"),
    (b"\0" * 5000, "upgrade_handshake"),
    (b"GET /BAD HTTP/1.1\r\nHost: x\r\n\r\n", "upgrade_not_websocket"),
    (UPGRADE.replace(b"BAD", b"NOBODY"), "upgrade_unknown_station"),
    (UPGRADE.replace(b"BAD", b"CP1"), "upgrade_credentials"),
    (UPGRADE.replace(b"/BAD", b"/" + b"x" * 5000), "upgrade_identity"),
]

FRAMES = [
    (frame(TEXT, b"[", claim=1 << 30), "websocket_frame_1009"),
    (frame(TEXT, b"\xc3\x28"), "websocket_utf8"),
    (frame(BINARY, b"[2]"), "websocket_binary"),
    (frame(3, b""), "websocket_frame_1002"),
    (endless(512 << 10), "websocket_too_big"),
    (frame(TEXT, b'[2,"' + b"x" * (1 << 20) + b'","Heartbeat",{}]'), "websocket_frame_1009"),
    (frame(CONTINUATION, b"[2]"), "websocket_continuation"),
]

MESSAGES = [
    ("nonsense", "frame_json"),
    ('{"a": 1}', "frame_array"),
    ('[2,"a"]', "frame_arity"),
    ('[2,"a","Heartbeat",{},1,2]', "frame_arity"),
    ('[2,5,"Heartbeat",{}]', "frame_idtype"),
    (f'[2,"{"x" * 60_000}","Heartbeat",{{}}]', "frame_length"),
    ('[2,"a","Teleport",{}]', "payload_NotImplemented"),
    ('[2,"a","StatusNotification",{}]', "payload_OccurenceConstraintViolation"),
    ('[2,"a","MeterValues",{"connectorId":"1","meterValue":[]}]', "payload_TypeConstraintViolation"),
    ('[2,"a","Heartbeat",' + "[" * 5000 + "]" * 5000 + "]", "frame_limit"),
    ('[3,"nobody-asked",{}]', "unknown_answer"),
    ('[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Sleepy"}]', "payload_Prop"),
]


def reasons(site: Any) -> dict[str, int]:
    counters = site.hub.counters().items()
    return {dict(labels)["reason"]: n for (name, labels), n in counters if name == "evcore_ocpp_errors_total"}


def total(site: Any, prefix: str) -> int:
    return sum(n for reason, n in reasons(site).items() if reason.startswith(prefix))


async def test_what_opens_no_connection_is_counted_and_the_station_charges_on(bad_site, until):
    site = await bad_site()
    for n, (data, reason) in enumerate(OPENINGS, 1):
        before = total(site, reason)
        await site.send("ocpp", data, hang_up=True)
        await until(lambda reason=reason, before=before: total(site, reason) > before, f"{reason} of {data[:40]!r}")
        assert site.hub.traffic("ocpp").errors == n
    await site.goes_on()
    await site.counts(len(OPENINGS), "evcore_ocpp_errors_total")
    await site.leaves_nothing()


async def test_half_an_upgrade_that_stays_holds_nobody_up(bad_site):
    site = await bad_site()
    waiting = [await site.connect("ocpp") for _ in range(15)]
    for _, writer in waiting:
        writer.write(UPGRADE[:40])
    await site.goes_on()
    async with websockets.connect(f"{site.gateway.urls['ocpp']}/BAD", subprotocols=["ocpp1.6"]) as socket:
        await socket.send(json.dumps([2, "boot", "BootNotification", BOOT]))
        assert json.loads(await socket.recv())[0] == 3
    for _, writer in waiting:
        writer.close()
    await site.counts(len(waiting), "evcore_ocpp_errors_total", reason="upgrade_handshake")
    await site.leaves_nothing()


async def test_a_broken_frame_costs_its_connection_only(bad_site, until):
    site = await bad_site()
    for n, (data, reason) in enumerate(FRAMES, 1):
        before = total(site, reason)
        await site.send("ocpp", UPGRADE + data)
        await until(lambda reason=reason, before=before: total(site, reason) > before, f"{reason}, not {reasons(site)}")
        assert site.hub.traffic("ocpp").errors == n, reasons(site)
    await site.goes_on()
    await site.leaves_nothing()


async def test_a_broken_message_costs_that_message_only(bad_site):
    site = await bad_site()
    async with websockets.connect(f"{site.gateway.urls['ocpp']}/BAD", subprotocols=["ocpp1.6"]) as socket:
        await socket.send(json.dumps([2, "boot", "BootNotification", BOOT]))
        assert json.loads(await socket.recv())[0] == 3
        for n, (message, reason) in enumerate(MESSAGES, 1):
            before = total(site, reason)
            await socket.send(message)
            await socket.send(f'[2,"next-{n}","Heartbeat",{{}}]')
            while (answer := json.loads(await asyncio.wait_for(socket.recv(), 8)))[1] != f"next-{n}":
                assert answer[0] == 4
            assert answer[0] == 3, "the connection works on"
            assert total(site, reason) == before + 1, f"{reason}: {reasons(site)}"
        await site.goes_on()
    assert site.hub.traffic("ocpp").errors == len(MESSAGES)
    await site.counts(len(MESSAGES), "evcore_message_errors_total", protocol="ocpp")
    await site.leaves_nothing()


@pytest.mark.parametrize("flood", [b'[2,"a","Heartbeat",{}]', b"[", b""], ids=["calls", "broken", "empty"])
async def test_a_peer_that_floods_and_reads_nothing_is_bounded(bad_site, flood):
    site = await bad_site()
    reader, writer = await site.connect("ocpp")
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    reader._transport.pause_reading()
    for _ in range(40):
        writer.write(frame(TEXT, flood) * 500)
        try:
            async with asyncio.timeout(0.05):
                await writer.drain()
        except (TimeoutError, ConnectionError):
            continue
    await site.goes_on()
    writer.transport.abort()
    await site.counts(20, "evcore_message_errors_total", protocol="ocpp")
    await site.goes_on()
    await site.leaves_nothing()
