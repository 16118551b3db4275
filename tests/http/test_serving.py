"""The port itself: TLS, the dashboard's files, metrics, start and stop."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from evcore.backends import HttpBackend
from evcore.backends.http import backend as room
from evcore.backends.http import server_context
from evcore.backends.http.static import load
from evcore.errors import ConfigError
from evcore.model import Answer, Health, Payment


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for pem in issued.cert_chain_pems:
        pem.write_to_path(certificate, append=True)
    return certificate, key


async def test_https_serves_api_feed_and_a_secure_cookie(site, serve, client_of, authority, files):
    backend = await serve(site, ssl=server_context(*files), api_keys=["key"])
    assert backend.url.startswith("https://127.0.0.1:")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    connector = aiohttp.TCPConnector(ssl=trust)
    client = await client_of(backend, connector=connector, headers={"X-API-Key": "key"})
    assert (await client.get("/v1/chargers")).status == 200
    assert "; Secure" in (await client.post("/v1/login", json={"key": "key"})).headers["Set-Cookie"]
    async with client.http.ws_connect(client.url + "/feed") as ws:
        assert (await ws.receive_json())["t"] == "hello"
    with pytest.raises(aiohttp.ClientError):
        await client.http.get(client.url.replace("https", "http") + "/healthz")
    assert (await client.get("/healthz")).status == 200


async def test_old_tls_is_refused(files):
    assert server_context(*files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_wrong_certificate_files_are_named(files, tmp_path):
    certificate, key = files
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        server_context(tmp_path / "missing.pem", key)
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        server_context(certificate, certificate)
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(ConfigError, match=r"junk\.pem"):
        server_context(tmp_path / "junk.pem", key)


async def test_the_dashboard_is_served_with_a_policy_that_lets_nothing_in_from_elsewhere(client):
    got = await client.get("/")
    policy = got.headers["Content-Security-Policy"]
    assert got.media == "text/html"
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (await client.get("/index.html")).text == got.text
    names = set(re.findall(r'(?:src|href)="(/[\w./-]+\.(?:js|css|svg))"', got.text))
    for name in names:
        assert (await client.get(name)).status == 200


async def test_a_file_that_has_not_changed_is_not_sent_again(client):
    first = await client.get("/")
    assert first.headers["Cache-Control"] == "no-cache"
    tag = first.headers["ETag"]
    for given in (tag, f'"x", W/{tag}', "*"):
        again = await client.get("/", headers={"If-None-Match": given})
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    assert (await client.get("/", headers={"If-None-Match": '"x"'})).status == 200


def test_only_files_of_known_kinds_are_served():
    assets = load()
    assert {"/", "/index.html"} <= set(assets)
    assert not [path for path in assets if path.endswith((".py", ".pyc"))]
    assert load("evcore.no_such_folder") == {}


async def test_without_the_dashboard_there_is_nothing_at_the_root(site, serve, client_of):
    client = await client_of(await serve(site, dashboard=False))
    assert (await client.get("/")).status == 404
    assert (await client.get("/healthz")).status == 200


async def test_prometheus_reads_the_metrics(client, site):
    hub = site.hub
    hub.count("evcore_odd_total", 3, text='a "quoted"\\ \n line', code="1")
    hub.count("not a name", 1)
    hub.count("evcore_build_info", 1)
    hub.traffic("ocpp").received = 7
    hub.publish(Payment("p", "psp", "charging", "CP1", 1, 1, "EUR", 1, 1))
    hub.publish(Health("meter", "degraded"))
    await client.get("/v1/sessions/CP1-3")
    await client.get("/nope")
    async with client.http.ws_connect(client.url + "/feed") as ws:
        await ws.receive()
        got = await client.get("/metrics")
    assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(got.text)}
    values = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["evcore_messages_total", (("direction", "received"), ("protocol", "ocpp"))] == 7
    assert values["evcore_odd_total", (("code", "1"), ("text", 'a "quoted"\\ \n line'))] == 3
    assert values["evcore_sessions_active", ()] == 1
    assert values["evcore_connections", (("protocol", "ocpp1.6"),)] == 1
    assert values["evcore_charger_status", (("status", "Occupied"),)] == 1
    assert values["evcore_payments", (("state", "charging"),)] == 1
    assert values["evcore_connector_health", (("connector", "meter"), ("state", "degraded"))] == 1
    assert values["evcore_connector_health", (("connector", "meter"), ("state", "up"))] == 0
    assert values["evcore_feed_clients", ()] == 1
    assert values["evcore_loop_lag_seconds", ()] >= 0
    by_path = {key: value for key, value in values.items() if key[0] == "evcore_http_requests_total"}
    assert by_path["evcore_http_requests_total", (("method", "GET"), ("path", "/v1/sessions/{id}"), ("status", "200"))]
    assert by_path["evcore_http_requests_total", (("method", "GET"), ("path", ""), ("status", "404"))] == 1
    assert "CP1" not in got.text
    assert got.text.count("evcore_build_info{") == 1


async def test_a_made_up_method_makes_no_label_of_its_own(client):
    for method in ("BREW", "WHEN"):
        await client.ask(method, "/v1/chargers")
    text = (await client.get("/metrics")).text
    assert "BREW" not in text
    assert "WHEN" not in text


async def test_a_taken_port_is_tried_again_until_it_is_free(site, monkeypatch):
    monkeypatch.setattr(room, "BACK_OFF_S", (0.02, 0.05))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        backend = HttpBackend(site, port=holder.getsockname()[1])
        task = asyncio.create_task(backend.run(site.hub))
        async with asyncio.timeout(8):
            while getattr(site.hub.last("health/http"), "state", "") != "down":
                await asyncio.sleep(0.01)
    async with asyncio.timeout(8):
        await backend.started.wait()
    assert site.hub.last("health/http").state == "up"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.hub.last("health/http").state == "stopped"
    assert not backend.started.is_set()


async def test_a_request_on_its_way_is_answered_before_the_end(site, client, backend):
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(command):
        asked.set()
        await gate.wait()
        return Answer("Accepted", True)

    site.hub.serve("CP1", slow)
    request = asyncio.create_task(client.post("/v1/chargers/CP1/commands", json={"verb": "start"}))
    await asked.wait()
    run = next(task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "HttpBackend.run")
    run.cancel()
    await asyncio.sleep(0.05)
    gate.set()
    assert (await request).status == 200
    with pytest.raises(asyncio.CancelledError):
        await run
    with pytest.raises(aiohttp.ClientError):
        await client.http.get(client.url + "/healthz")


async def test_it_can_run_again_after_it_was_stopped(site):
    backend = HttpBackend(site, port=0)
    for _ in range(2):
        task = asyncio.create_task(backend.run(site.hub))
        async with asyncio.timeout(8):
            await backend.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_loopback_of_ipv6_has_brackets_in_its_url(site, serve, client_of):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    client = await client_of(await serve(site, host="::1"))
    assert client.url.startswith("http://[::1]:")
    assert (await client.get("/v1/chargers", headers={"Origin": client.url})).status == 200
