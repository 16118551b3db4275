"""Bad input on the HTTP port of a whole site: bytes, REST, feed and webhooks. It is answered as broken, counted, and
the station that charges meanwhile does not notice."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time

import aiohttp
import pytest

JSON = {"Content-Type": "application/json"}
COMMANDS = "/v1/chargers/CP1/commands"
DEEP = b'{"verb":"start","args":' + b'{"a":' * 9000 + b"1" + b"}" * 9001
PAYMENT = {"station": "CP1", "evse": 1, "amount": 1000, "currency": "EUR", "provider": "acme"}

GARBAGE = [
    bytes.fromhex("16030100c8010000c40303") + bytes(range(190)),  # a TLS ClientHello
    b"\0" * 100 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    b"POST /v1/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZZ\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  \r\n\r\n",
]

BODIES = [
    (COMMANDS, b"", 400),
    (COMMANDS, b"{", 400),
    (COMMANDS, b"[]", 400),
    (COMMANDS, b'{"verb":5}', 400),
    (COMMANDS, b'{"verb":"fly"}', 400),
    (COMMANDS, b'{"verb":"start","args":[]}', 400),
    (COMMANDS, b'{"verb":"\xff\xfe"}', 400),
    (COMMANDS, DEEP, 400),
    (COMMANDS, b'{"verb":"start","args":{"a":"' + b"x" * (2 << 20) + b'"}}', 413),
    ("/v1/payments", json.dumps(PAYMENT | {"amount": "1000"}).encode(), 400),
    ("/v1/payments", json.dumps(PAYMENT | {"amount": -5}).encode(), 400),
    ("/v1/payments", json.dumps(PAYMENT | {"amount": 1e300}).encode(), 400),
    ("/v1/payments", json.dumps(PAYMENT | {"currency": "euro"}).encode(), 400),
    ("/v1/login", b'{"key":null}', 400),
]

PATHS = [
    ("GET", "/v1/chargers/%ED%A0%80"),
    ("GET", "/v1/sessions/%00"),
    ("GET", "/v1/sessions/%FF%FE/samples"),
    ("GET", "/v1/sessions?after=%ED%B0%80&limit=1"),
    ("GET", "/v1/sessions?limit=99999999999999999999"),
    ("GET", "/v1/sessions?station=%00&state=nonsense"),
    ("GET", "/v1/payments/%ED%A0%80"),
    ("GET", "/v1/payments?after=" + "x" * 4000),
    ("GET", "/v1/meters/%ED%A0%80/energy"),
    ("GET", "/v1/meters/grid/energy?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z"),
    ("GET", "/v1/meters/grid/energy?from=%F0%9F%92%A9"),
    ("DELETE", "/v1/tokens/%ED%A0%80"),
    ("DELETE", "/v1/tokens/" + "x" * 3000),
    ("PUT", "/v1/tokens/%ED%A0%80"),
    ("PUT", "/v1/tokens/%00"),
    ("PUT", "/v1/tokens/" + "x" * 3000),
    ("POST", "/v1/psp/%ED%A0%80/webhook"),
]

FEED = [
    "",
    "nonsense",
    "[]",
    '{"op":"fly"}',
    '{"op":"sub","keys":"*"}',
    '{"op":"sub","keys":["*"],"max_hz":1e300}',
    '{"op":"sub","since":-1}',
    '{"op":"sub","since":5}',
    '{"op":"sub","keys":' + json.dumps(["k"] * 1000) + "}",
    '{"op":"cmd","id":1,"target":"CP1","name":"fly"}',
    '{"op":"cmd","id":1,"target":5,"name":"start"}',
    '{"op":"cmd","id":' + "[" * 9000 + "]" * 9000 + "}",
    b"\x00\xff binary",
]


@pytest.mark.parametrize("hang_up", [False, True])
async def test_what_is_no_http_is_refused_and_counted(bad_site, hang_up):
    site = await bad_site()
    for n, data in enumerate(GARBAGE, 1):
        answer = await site.send("http", data, hang_up=hang_up)
        assert hang_up or (answer.startswith(b"HTTP/1.") and b" 4" in answer[:13]), (data[:60], answer[:100])
        await site.counts(n, "evcore_message_errors_total", protocol="http")
    await site.goes_on()
    await site.leaves_nothing()


async def test_requests_that_never_become_whole_are_counted_and_hold_nobody_up(bad_site, monkeypatch):
    monkeypatch.setattr("evcore.backends.http.listener.HEAD_S", 0.5)
    site = await bad_site()
    waiting = [await site.connect("http") for _ in range(20)]
    for n, (_, writer) in enumerate(waiting):
        writer.write(b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Le"[: 10 + n])
    await site.goes_on()
    for reader, writer in waiting:
        assert await asyncio.wait_for(reader.read(), 8) == b""
        writer.close()
    await site.counts(len(waiting), "evcore_http_refused_total", reason="no request")
    await site.leaves_nothing()


async def test_a_body_that_is_wrong_costs_its_request_only(bad_site):
    site = await bad_site()
    async with aiohttp.ClientSession(site.http) as client:
        before = site.hub.traffic("http").errors
        for path, body, status in BODIES:
            headers = JSON | {"Idempotency-Key": "a-key"}
            async with client.post(path, data=body, headers=headers) as answer:
                assert answer.status == status, (path, body[:60], await answer.text())
                assert answer.content_type == "application/problem+json"
        assert site.hub.traffic("http").errors == before + len(BODIES)
        await site.goes_on()
    await site.counts(len(BODIES) - 2, "evcore_http_requests_total", method="POST", status="400")
    await site.leaves_nothing()


async def test_a_path_or_query_of_nonsense_is_no_fault_of_ours(bad_site):
    site = await bad_site()
    body = b'{"status":"Accepted"}'
    for method, path in PATHS:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        answer = await site.send("http", f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert answer[9:10] in (b"2", b"4"), (method, path, answer[:400])
    await site.counts(len(PATHS), "evcore_http_requests_total")
    await site.goes_on()
    await site.leaves_nothing()


async def test_a_bad_feed_message_is_answered_and_the_client_goes_on(bad_site):
    site = await bad_site()
    async with aiohttp.ClientSession(site.http) as client, client.ws_connect("/feed") as socket:
        assert (await socket.receive_json())["t"] == "hello"
        for message in FEED:
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
            answer = await socket.receive_json(timeout=8)
            assert (answer["t"], answer["code"]) == ("err", "malformed"), message[:60]
        assert site.hub.traffic("websocket").errors == len(FEED)
        await socket.send_str('{"op":"sub","keys":["session/*"]}')
        assert (await socket.receive_json(timeout=8))["t"] != "err"
        await site.goes_on()
    await site.counts(len(FEED), "evcore_message_errors_total", protocol="websocket")
    await site.leaves_nothing()


UPGRADE = (
    b"GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x82\0\0\0\0\xc3\x28",  # text that is no UTF-8
        b"\x81\xff\0\0\0\0\x40\0\0\0\0\0\0\0",  # a frame that claims 1 GB
        b"\x83\x80\0\0\0\0",  # a reserved opcode
        b"\x80\x80\0\0\0\0",  # a continuation of nothing
        b"\x89\x7e\0\0",  # a long ping
        b"\x01\xff\0\0\0\0\0\0\x80\0\0\0\0\0" + b"x" * 32768 + (b"\0\xfe\x80\0\0\0\0\0" + b"x" * 32768) * 8,  # no end
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["utf8", "1 GB", "opcode", "continuation", "ping", "endless", "http"],
)
async def test_a_broken_feed_frame_costs_its_connection_and_is_counted(bad_site, data):
    site = await bad_site()
    await site.send("http", UPGRADE + data)
    await site.counts(1, "evcore_message_errors_total", protocol="websocket")
    await site.goes_on()
    assert await site.counted("evcore_feed_clients") == 0
    await site.leaves_nothing()


def signed(secret: str, body: bytes, id: str = "msg-1") -> dict[str, str]:
    """The headers of a genuine webhook (standard-webhooks, "Signature scheme")."""
    key, now = base64.b64decode(secret.removeprefix("whsec_")), int(time.time())
    digest = hmac.new(key, f"{id}.{now}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": signature}


async def test_a_forged_webhook_is_refused_and_changes_nothing(bad_site, webhook_secret):
    site = await bad_site()
    async with aiohttp.ClientSession(site.http) as client:
        headers = JSON | {"Idempotency-Key": "the-order"}
        async with client.post("/v1/payments", json=PAYMENT | {"station": "BAD"}, headers=headers) as answer:
            payment = await answer.json()
            assert answer.status == 201, payment
        paid = {"type": "payment.updated", "data": {"id": "pay_1", "reference": payment["id"], "status": "authorised"}}
        body = json.dumps(paid).encode()
        good = signed(webhook_secret, body)
        forged = [
            {},
            good | {"webhook-signature": "v1,AAAA"},
            good | {"webhook-signature": " ".join(["v1,AAAA"] * 1000)},
            good | {"webhook-timestamp": "1"},
            good | {"webhook-timestamp": "9" * 12},
            good | {"webhook-timestamp": "٣٤"},
            good | {"webhook-id": "another"},
            signed("whsec_" + base64.b64encode(b"x" * 32).decode(), body),
        ]
        for headers in forged:
            async with client.post("/v1/psp/acme/webhook", data=body, headers=headers) as answer:
                assert answer.status == 403, (headers, await answer.text())
        raw = b"POST /v1/psp/acme/webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n"
        names = b"webhook-id: \xff\xfe\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,\xff\r\n\r\n{}"
        assert (await site.send("http", raw + names)).startswith(b"HTTP/1.1 403")
        async with client.post("/v1/psp/nobody/webhook", data=body, headers=good) as answer:
            assert answer.status == 404
        for n, broken in enumerate(NOT_UNDERSTOOD):
            text = broken.replace(b"REF", payment["id"].encode())
            async with client.post(
                "/v1/psp/acme/webhook", data=text, headers=signed(webhook_secret, text, f"broken-{n}")
            ) as answer:
                assert answer.status == 422, (text, await answer.text())
        async with client.get(f"/v1/payments/{payment['id']}") as answer:
            assert (await answer.json())["state"] == "created", "nobody has paid"
        await site.goes_on()
        path = "/v1/psp/{name}/webhook"
        await site.counts(len(forged) + 1, "evcore_http_requests_total", path=path, status="403")
        await site.counts(len(NOT_UNDERSTOOD), "evcore_http_requests_total", path=path, status="422")
        async with client.post("/v1/psp/acme/webhook", data=body, headers=good) as answer:
            assert await answer.json() == {"result": "accepted"}, "the genuine one"


NOT_UNDERSTOOD = [
    b"",
    b"nonsense",
    b"[]",
    b'{"data":[]}',
    b'{"data":{"id":"pay_1","reference":"REF"}}',
    b'{"data":{"id":{},"reference":"REF","status":"captured"}}',
    b'{"data":{"id":"pay_1","reference":["REF"],"status":"captured"}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":null}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":"captured","captured":"all"}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":"captured","captured":-5}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":"captured","captured":1.5}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":"captured","captured":true}}',
    b'{"data":{"id":"pay_1","reference":"REF","status":"captured","captured":18446744073709551615}}',
    b'{"data":' + b"[" * 900 + b"]" * 900 + b"}",
]
