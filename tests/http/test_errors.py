"""Whatever comes in, what goes out is an answer of the document (conftest.Client), and the next request is served."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evcore.backends.http import app, listener

COMMANDS = "/v1/chargers/CP1/commands"
JSON = {"Content-Type": "application/json"}


async def exchange(backend, data: bytes) -> bytes:
    """Bytes to the port, and all that comes back until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
    writer.write(data)
    async with asyncio.timeout(8):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/chargers/CP1/nope", 404),
        ("GET", "/../pyproject.toml", 404),
        ("GET", "/app.py", 404),
        ("POST", "/v1/chargers", 405),
        ("DELETE", "/feed", 405),
        ("OPTIONS", "/v1/chargers", 405),
    ],
)
async def test_what_is_not_there_is_a_problem(client, method, path, status):
    got = await client.ask(method, path)
    assert got.status == status
    assert ("Allow" in got.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"verb": "start"} x', "trailing"),
        (b'{"verb": "fly"}', "$.verb"),
        (b'{"verb": 5}', "$.verb"),
        (b"{}", "verb"),
        (b'{"verb": "start", "args": []}', "$.args"),
        (b'{"verb": "start", "more": 1}', "more"),
        (b'{"verb": "\xff"}', ""),
        (b'{"verb": "start", "args": {"a": "\xff"}}', ""),
        (b'{"verb": "start", "args": {"a": ' + b"[" * 20_000, ""),
        (b"null", "object"),
    ],
)
async def test_a_malformed_body_says_where(client, charger, body, hint):
    got = await client.post(COMMANDS, data=body, headers=JSON)
    assert (got.status, got.json["type"]) == (400, "tag:evcore,2026:malformed")
    assert hint in got.json["detail"]
    assert charger == []


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/sessions?limit=x", "$.limit"),
        ("/v1/sessions?limit=501", "$.limit"),
        ("/v1/sessions?state=odd", "$.state"),
        ("/v1/sessions?page=2", "page"),
        ("/v1/sessions?limit=1&limit=2", "twice"),
        ("/v1/meters/grid/energy?from=yesterday", "$.from"),
        ("/v1/meters/grid/energy?from=2026-01-01T00:00:00", "$.from"),
        ("/v1/sessions/CP1-3/samples?format=xml", "$.format"),
    ],
)
async def test_a_wrong_query_says_which_parameter(client, path, hint):
    got = await client.get(path)
    assert got.status == 400
    assert hint in got.json["detail"]


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=latin-1"}, {}]
)
async def test_another_media_type_is_not_supported(client, headers):
    got = await client.post(COMMANDS, data=b'{"verb": "start"}', headers=headers, skip_auto_headers=["Content-Type"])
    assert (got.status, got.headers["Accept"]) == (415, "application/json")


async def test_a_large_body_is_refused_however_it_is_wrapped(client, charger):
    large = json.dumps({"verb": "start", "args": {"x": "x" * 70_000}}).encode()

    async def chunks():
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    assert (await client.post(COMMANDS, data=large, headers=JSON)).status == 413
    assert (await client.post(COMMANDS, data=chunks(), headers=JSON)).status == 413
    zipped = gzip.compress(large)
    assert len(zipped) < 1000
    got = await client.post(COMMANDS, data=zipped, headers=JSON | {"Content-Encoding": "gzip"})
    assert got.status == 413
    assert charger == []
    allowed = json.dumps({"verb": "start", "args": {"x": "x" * 60_000}}).encode()
    assert (await client.post(COMMANDS, data=allowed, headers=JSON)).status == 200


async def test_a_body_that_is_not_in_its_encoding_is_malformed(client):
    got = await client.post(COMMANDS, data=b"{}", headers=JSON | {"Content-Encoding": "gzip"})
    assert got.status == 400


async def test_a_body_that_does_not_come_is_a_timeout(backend, monkeypatch):
    monkeypatch.setattr(app, "BODY_S", 0.1)
    head = f"POST {COMMANDS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
    writer.write(head.encode() + b"\r\n{")
    async with asyncio.timeout(8):
        assert b" 408 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9.9\r\n\r\n", b"GET /\x01 HTTP/1.1\r\nA B\r\n\r\n"]
)
async def test_what_is_no_http_is_answered_with_a_problem_and_counted(backend, site, data):
    answer = await exchange(backend, data + b"\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer
    assert b"aiohttp" not in answer
    assert site.hub.traffic("http").errors == 1


async def test_a_header_that_is_too_long_is_answered_with_a_problem(backend):
    answer = await exchange(backend, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n")
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer


async def test_a_peer_that_says_nothing_is_let_go(backend, site, monkeypatch):
    monkeypatch.setattr(listener, "HEAD_S", 0.1)
    assert await exchange(backend, b"GET / HTTP") == b""
    assert site.hub.counters()["evcore_http_refused_total", (("reason", "no request"),)] == 1
    assert site.hub.traffic("http").errors == 1


async def test_half_a_request_and_a_hang_up_are_counted_and_a_mere_connection_is_not(backend, site):
    for data in (b"", b"GET / HT", b"\0\1\2"):
        _, writer = await asyncio.open_connection("127.0.0.1", backend.port)
        writer.write(data)
        await asyncio.sleep(0.05)
        writer.transport.abort()
    async with asyncio.timeout(8):
        while site.hub.traffic("http").errors < 2:
            await asyncio.sleep(0.01)
    assert await exchange(backend, b"GET / HTTP/9.9\r\n\r\n")
    assert site.hub.traffic("http").errors == 3


async def test_a_peer_that_goes_in_the_middle_of_a_body_leaves_nothing_behind(backend, monkeypatch):
    monkeypatch.setattr(listener, "LINGER_S", 0.1)
    before = len(asyncio.all_tasks())
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        assert b" 200 " in await reader.readline()
        writer.transport.abort()
    async with asyncio.timeout(8):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)


async def test_more_connections_than_there_are_places_are_closed_at_once(backend, monkeypatch):
    monkeypatch.setattr(listener, "CONNECTIONS", 1)
    first = await asyncio.open_connection("127.0.0.1", backend.port)
    await asyncio.sleep(0)
    assert await exchange(backend, b"") == b""
    first[1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(8):
        assert b" 200 " in await first[0].readline()
    first[1].close()


async def test_a_fault_of_ours_is_logged_and_not_told(client, site, monkeypatch, caplog):
    async def broken(**_):
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(site, "sessions", broken)
    got = await client.get("/v1/sessions")
    assert got.status == 500
    assert "1234" not in got.text
    assert "1234" in caplog.text


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["start", "verb", "args", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["verb", "args", "status", "expires", "key", "amount", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=json_texts | st.binary(max_size=40), cut=st.integers(0, 400))
async def test_no_body_whatsoever_is_answered_with_anything_undocumented(client, charger, body, cut):
    for method, path in (("POST", COMMANDS), ("PUT", "/v1/tokens/T"), ("POST", "/v1/payments"), ("POST", "/v1/login")):
        headers = JSON | {"Idempotency-Key": body.hex()[:20] or "0"}
        got = await client.ask(method, path, data=body[:cut], headers=headers)
        assert got.status != 500


async def test_traffic_counts_every_request_and_the_broken_ones(client, site):
    before = (site.hub.traffic("http").received, site.hub.traffic("http").sent)
    await client.get("/v1/chargers")
    await client.get("/v1/chargers/none")
    await client.post(COMMANDS, data=b"{", headers=JSON)
    traffic = site.hub.traffic("http")
    assert (traffic.received - before[0], traffic.sent - before[1], traffic.errors) == (3, 3, 1)
