"""Random bytes and mutations of genuine messages at every port of a whole site, for a moment each. What may come of it
is counted; what may not is an exception in the log, an answer 500, a thing left behind or a station that notices."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from typing import Any

import can
import pytest
from paho.mqtt.client import CallbackAPIVersion, Client

from evcore.can.gbt27930.messages import BY_PGN
from evcore.can.j1939 import make_id
from evcore.core.modbus import crc16

SECONDS = 1.5
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
HEAD = b"Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + KEY
OCPP = b"GET /BAD HTTP/1.1\r\n" + HEAD + b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
FEED = b"GET /feed HTTP/1.1\r\n" + HEAD + b"\r\n"
CALLS = [
    b'[2,"1","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]',
    b'[2,"2","Heartbeat",{}]',
    b'[2,"3","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]',
    b'[2,"4","Authorize",{"idTag":"CARD-1"}]',
    b'[2,"5","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-11-23T18:30:37Z","sampledValue":'
    b'[{"value":"1.5","unit":"kWh"}]}]}]',
    b'[2,"6","DataTransfer",{"vendorId":"v","data":"\xc3\xa4"}]',
    b'[3,"7",{"status":"Accepted"}]',
    b'[4,"8","GenericError","",{}]',
]
ORDERS = [
    b'{"op":"sub","id":1,"keys":["*"],"max_hz":50}',
    b'{"op":"sub","keys":["event/*","session/*"],"since":1,"node":"n"}',
    b'{"op":"cmd","id":"a","target":"BAD","name":"reset","args":{"type":"Soft"},"key":"k"}',
]
BODY = b'{"verb":"start","args":{"evse":1,"token":"CARD-1"}}'
REQUESTS = [
    b"GET /v1/sessions?station=CP1&state=active&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/meters/grid/energy?from=2026-11-23T00:00:00Z&format=csv HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\n\r\n",
    b"POST /v1/chargers/BAD/commands HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: "
    + b'"k"\r\nContent-Length: %d\r\n\r\n' % len(BODY)
    + BODY,
    b"PUT /v1/tokens/T%C3%A4 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    + b'{"note":"n\xc3"}',
    b"POST /v1/psp/acme/webhook HTTP/1.1\r\nHost: x\r\nwebhook-id: i\r\nwebhook-timestamp: 1792000000\r\n"
    + b"webhook-signature: v1,AAAA\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]
COMMANDS = [b'{"id":"1","args":{"type":"Soft"},"reply_to":"answers/here"}', b"{}", b'{"args":{"evse":1}}']


def mutated(seed: random.Random, data: bytes) -> bytes:
    """A few bytes changed, cut out, doubled or put in; sometimes none, sometimes all."""
    if seed.random() < 0.05:
        return seed.randbytes(seed.randrange(200))
    for _ in range(seed.randrange(4)):
        at, to = sorted((seed.randrange(len(data) + 1), seed.randrange(len(data) + 1)))
        to = min(to, at + 12)
        match seed.randrange(5):
            case 0 if data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << seed.randrange(8)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:to] + data[at:]
            case 3:
                data = data[:at] + seed.randbytes(seed.randrange(6)) + data[at:]
            case _:
                data = data[:at] + seed.choice([b'"', b"[", b"}", b",", b"\0", b"-1e999", b"null", b"\r\n"]) + data[at:]
    return data


def frame(seed: random.Random, payload: bytes) -> bytes:
    """A masked text frame (RFC 6455, 5.2); now and then another opcode, or a fragment."""
    head = 0x81 if seed.random() < 0.8 else seed.randrange(256)
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
    return bytes([head]) + size + b"\0\0\0\0" + payload


async def talk(site: Any, port: str, opening: bytes, says: bytes) -> None:
    """Say it all, listen for a moment, go."""
    reader, writer = await site.connect(port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(opening + says)
        async with asyncio.timeout(0.03):
            while await reader.read(65_536):
                pass
    writer.transport.abort()


@pytest.mark.parametrize("port", ["ocpp", "ocpp upgrade", "http", "feed"])
async def test_mutations_at_a_listening_port_disturb_nobody(bad_site, port):
    site = await bad_site()
    seed, end, n = random.Random(port), time.monotonic() + SECONDS, 0
    while time.monotonic() < end or n < 20:
        n += 1
        match port:
            case "ocpp":
                says = b"".join(mutated(seed, frame(seed, mutated(seed, seed.choice(CALLS)))) for _ in range(8))
                await talk(site, "ocpp", OCPP, frame(random.Random(1), CALLS[0]) + says)
            case "ocpp upgrade":  # a right one between, or the address would be turned away unread
                await talk(site, "ocpp", mutated(seed, OCPP) if n % 2 else OCPP, b"")
            case "http":
                says = b"".join(mutated(seed, seed.choice(REQUESTS)) for _ in range(3))
                await talk(site, "http", b"", says)
            case _:
                says = b"".join(mutated(seed, frame(seed, mutated(seed, seed.choice(ORDERS)))) for _ in range(8))
                await talk(site, "http", FEED, says)
    protocol = {"feed": "websocket", "http": "http"}.get(port, "ocpp")
    await site.counts(n / 10, "evcore_message_errors_total", protocol=protocol)
    assert await site.counted("evcore_http_requests_total", status="500") == 0
    await site.goes_on()
    await site.leaves_nothing()


async def test_mutations_on_the_topics_disturb_nobody(bad_site, until):
    site = await bad_site()
    client = Client(CallbackAPIVersion.VERSION2)
    await asyncio.to_thread(client.connect, "127.0.0.1", site.broker_port)
    client.loop_start()
    site.remember()
    seed, end, sent = random.Random("mqtt"), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        for _ in range(20):
            topic = (
                f"evcore/v1/s1/{seed.choice(['BAD', '%41', '%ff', '', '$gateway'])}/cmd/{seed.choice(['reset', 'x'])}"
            )
            client.publish(seed.choice([topic, "pv/power"]), mutated(seed, seed.choice(COMMANDS)), qos=1)
            sent += 1
        await asyncio.sleep(0.02)
    await until(lambda: site.hub.traffic("mqtt").received >= sent, "all that was sent")
    await site.counts(sent / 10, "evcore_message_errors_total", protocol="mqtt")
    await asyncio.to_thread(client.disconnect)
    client.loop_stop()
    await site.goes_on()
    await site.leaves_nothing()


async def test_mutations_from_a_meter_are_never_taken_for_values(bad_site):
    """On a line with CRC; a changed value on TCP nobody can tell."""
    connections: set[asyncio.Task[None]] = set()
    seed, value = random.Random("modbus"), struct.pack(">f", 230.0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while request := await reader.readexactly(8):
                count = int.from_bytes(request[4:6], "big")
                body = bytes([request[0], request[1], 2 * count]) + value * (count // 2)
                writer.write(mutated(seed, body + struct.pack("<H", crc16(body))))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    site = await bad_site(f'[[modbus]]\nname = "m"\nurl = "{url}"\nprofile = "sdm630"\nperiod_s = 0.05\n')
    await asyncio.sleep(SECONDS)
    await site.goes_on()
    assert {item.value for item in site.hub.snapshot("sample/m/")} <= {230.0, 230_000.0}
    await site.counts(1, "evcore_message_errors_total", protocol="modbus")
    await site.leaves_nothing(2)
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)


async def test_frames_in_the_name_of_car_and_charger_are_counted_and_end_in_no_exception(bad_site, until):
    site = await bad_site()
    seed, end, sent = random.Random("can"), time.monotonic() + SECONDS, 0
    with can.Bus(interface="virtual", channel=site.channel) as bus:
        while time.monotonic() < end:
            for _ in range(20):
                pgn = seed.choice([*BY_PGN, 0xEC00, 0xEB00])
                source, destination = seed.choice([(0x56, 0xF4), (0xF4, 0x56)])
                data = seed.randbytes(8)
                if pgn == 0xEC00:  # announce a genuine message, of a size that is often right
                    size = seed.choice([9, 13, 41, 49, 1785])
                    named = seed.choice(list(BY_PGN)).to_bytes(3, "little")
                    data = bytes([seed.choice([16, 17, 19, 32, 255]), size & 255, size >> 8, -(-size // 7) & 255, 255])
                    data += named
                elif pgn == 0xEB00:
                    data = bytes([seed.randrange(1, 8)]) + data[1:]
                id = make_id(6, pgn, destination, source) & 0x1FFFFFFF
                bus.send(can.Message(arbitration_id=id, data=data[: seed.choice([8, 8, 8, seed.randrange(9)])]))
                sent += 1
            await asyncio.sleep(0.01)
    await until(lambda: site.hub.traffic("can").received >= sent, "all that was sent")
    await site.counts(sent / 10, "evcore_message_errors_total", protocol="can")
    await site.goes_on()
    await site.leaves_nothing()
