"""Who may ask what: keys, cookies, origins, hosts."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from evcore.backends import HttpBackend
from evcore.backends.http import access, feed_socket
from evcore.backends.http.routes import ROUTES
from evcore.errors import ConfigError

KEYS = ["first-key", "second-key \u00e9"]


@pytest.fixture
async def guarded(site, serve, client_of):
    return await client_of(await serve(site, api_keys=KEYS), cookie_jar=aiohttp.CookieJar(unsafe=True))


def filled(path: str) -> str:
    return path.replace("{id}", "CP1").replace("{name}", "psp")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_route_is_open_or_asks_for_a_key(guarded, route):
    how = {"json": {}} if route.body is not None else {}
    got = await guarded.ask(route.method, filled(route.path), **how)
    assert (got.status == 401) == (route.access == "key"), got.text
    if route.access == "key":
        assert got.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_dashboards_files_need_no_key_but_the_feed_does(guarded):
    assert (await guarded.get("/")).status == 200
    assert (await guarded.get("/feed")).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer first-key"}, 200),
        ({"Authorization": "bearer  first-key "}, 200),
        ({"X-API-Key": "first-key"}, 200),
        ({"X-API-Key": "second-key \u00e9"}, 200),
        ({"X-API-Key": "first-ke"}, 401),
        ({"X-API-Key": "first-key2"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic Zmlyc3Qta2V5"}, 401),
        ({"Cookie": "evcore_session=first-key"}, 401),
        ({"Cookie": "evcore_session="}, 401),
    ],
)
async def test_a_key_comes_in_one_of_two_headers(guarded, headers, status):
    assert (await guarded.get("/v1/chargers", headers=headers)).status == status


async def test_a_key_becomes_a_cookie_that_opens_api_and_feed_until_logout(guarded):
    assert (await guarded.post("/v1/login", json={"key": "wrong"})).status == 401
    got = await guarded.post("/v1/login", json={"key": "first-key"})
    cookie = got.headers["Set-Cookie"]
    assert got.status == 204
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="))
    assert "Secure" not in cookie
    assert "first-key" not in cookie
    assert (await guarded.get("/v1/chargers")).status == 200
    async with guarded.http.ws_connect(guarded.url + "/feed") as ws:
        assert (await ws.receive_json())["t"] == "hello"
    stolen = cookie.split(";")[0]
    assert (await guarded.post("/v1/logout")).status == 204
    assert (await guarded.get("/v1/chargers")).status == 401
    assert (await guarded.get("/v1/chargers", headers={"Cookie": stolen})).status == 401


async def test_a_logout_ends_the_feed_too(guarded, monkeypatch):
    monkeypatch.setattr(feed_socket, "LOOK_S", 0.05)
    await guarded.post("/v1/login", json={"key": "first-key"})
    async with guarded.http.ws_connect(guarded.url + "/feed") as ws:
        await ws.receive_json()
        await guarded.post("/v1/logout")
        async with asyncio.timeout(8):
            await ws.receive()
        assert ws.close_code == 1008


async def test_a_session_ends_by_itself_and_there_are_not_endlessly_many(monkeypatch):
    door = access.Access(["key"])
    token = door.login("key")
    assert door.known({}, {"evcore_session": token})
    now = access.time.monotonic()
    monkeypatch.setattr(access.time, "monotonic", lambda: now + access.LIFETIME_S + 1)
    assert not door.known({}, {"evcore_session": token})
    tokens = [door.login("key") for _ in range(access.SESSIONS + 1)]
    assert [door.known({}, {"evcore_session": token}) for token in (tokens[0], tokens[1], tokens[-1])] == [0, 1, 1]


async def test_login_where_no_key_is_needed_sets_no_cookie(client):
    got = await client.post("/v1/login", json={"key": "any"})
    assert (got.status, "Set-Cookie" in got.headers) == (204, False)


async def test_what_is_not_ready_is_named_to_all_but_explained_to_who_has_a_key(guarded, site, monkeypatch):
    monkeypatch.setattr(site, "ready", lambda: {"hub": "ok", "store": "/secret/path: no space"})
    assert (await guarded.get("/readyz")).json["parts"] == {"hub": "ok", "store": "not ok"}
    got = await guarded.get("/readyz", headers={"X-API-Key": "first-key"})
    assert got.json["parts"]["store"] == "/secret/path: no space"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:{port}", 200),
        ("app.localhost", 200),
        ("127.0.0.2", 200),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("192.168.0.1", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
async def test_without_keys_only_this_machines_own_names_are_served(client, backend, host, status):
    """DNS rebinding: the page of evil.example, whose name now points to 127.0.0.1, sends its own name as Host."""
    got = await client.get("/v1/chargers", headers={"Host": host.format(port=backend.port)})
    assert got.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "{own}"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}.evil.example"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    ],
)
async def test_other_sites_pages_are_refused(client, backend, headers, status):
    sent = {name: value.format(own=backend.url) for name, value in headers.items()}
    assert (await client.get("/v1/chargers", headers=sent)).status == status
    body = {"json": {"verb": "start"}}
    got = await client.post("/v1/chargers/CP1/commands", headers=sent, **body)
    assert got.status == (409 if status == 200 else status)  # 409: it got as far as the charger, which is offline


async def test_a_cookie_does_not_help_another_sites_page(guarded):
    await guarded.post("/v1/login", json={"key": "first-key"})
    for origin in ("https://evil.example", "null"):
        got = await guarded.ask("DELETE", "/v1/tokens/T", headers={"Origin": origin})
        assert got.status == 403


async def test_a_page_of_a_named_origin_may_ask_through_a_proxy(site, serve, client_of):
    client = await client_of(await serve(site, origins=["https://site.example"]))
    assert (await client.get("/v1/chargers", headers={"Origin": "https://site.example"})).status == 200
    assert (await client.get("/v1/chargers", headers={"Host": "site.example"})).status == 200
    assert (await client.get("/v1/chargers", headers={"Origin": "https://other.example"})).status == 403


@pytest.mark.parametrize("origin", ["https://site.example", "http://site.example", "http://site.example:80"])
def test_an_origin_is_our_own_by_host_whatever_a_proxy_did_to_the_scheme(origin):
    access.Access(["key"]).check_origin({"Host": origin.split("://")[1], "Origin": origin})
    if "https" in origin:
        access.Access(["key"], secure=True).check_origin({"Host": "site.example:443", "Origin": origin})
    else:
        with pytest.raises(access.ProblemError):
            access.Access(["key"], secure=True).check_origin({"Host": "site.example", "Origin": origin})


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.2", "::", "box.example"])
def test_off_the_loopback_it_does_not_start_without_a_key(site, host):
    with pytest.raises(ConfigError, match="api_keys"):
        HttpBackend(site, host=host)
    HttpBackend(site, host=host, api_keys=["key"])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_the_loopback_it_needs_none(site, host):
    HttpBackend(site, host=host)


@pytest.mark.parametrize("keys", ["abc", [""], ["good", ""]])
def test_an_empty_key_or_a_text_in_place_of_a_list_is_refused(site, keys):
    with pytest.raises(ConfigError):
        HttpBackend(site, host="0.0.0.0", api_keys=keys)
