"""Who gets in and how that is decided, on real sockets: slow hooks, unknown and doubled stations, floods."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from raw_websocket import PING, PONG, TEXT, Raw, frame, request

from evcore.chargers import OcppServer, ServerStats
from evcore.chargers.ocpp_access import Unknown
from evcore.errors import ConfigError
from evcore.local import LocalLedger
from evcore.ocpp.deflate import Deflate
from evcore.ocpp.upgrade import Upgrade, UpgradeError, write_basic

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
PASSWORD = "right-password-1"
BOOT = [2, "boot", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}]
DEFLATE = "permessage-deflate; client_no_context_takeover"


async def dial(site: Any, id: str = "CP1", *, password: str = "", source: str = "127.0.0.1", **headers: Any) -> Raw:
    """An open connection by hand."""
    raw = await Raw.dial(site.server.port, source=source)
    basic = {"Authorization": write_basic(id, password)} if password else {}
    answer = await raw.upgrade(f"/{id}", **basic | headers)
    assert b" 101 " in answer, answer
    return raw


async def status(site: Any, id: str = "CP1", *, source: str = "127.0.0.1", **headers: Any) -> int:
    """The HTTP status that answers an upgrade; 0: none."""
    try:
        raw = await Raw.dial(site.server.port, source=source)
        answer = await raw.upgrade(f"/{id}", **headers)
    except (ConnectionError, asyncio.IncompleteReadError):
        return 0
    raw.writer.close()
    return int(answer.split()[1])


async def ask(raw: Raw, message: Any) -> Any:
    raw.frame(TEXT, json.dumps(message).encode())
    while True:
        opcode, payload = await raw.read()
        if opcode == TEXT:
            return json.loads(payload)


# An authenticator that takes its time


class Directory:
    """Passwords in a database: answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes | None]] = []
        self.ready = asyncio.Event()

    async def __call__(self, identity: str, password: bytes | None) -> bool:
        self.asked.append((identity, password))
        await self.ready.wait()
        if identity == "BROKEN":
            raise RuntimeError("no such table")
        return password == PASSWORD.encode()


async def test_what_a_station_says_before_the_verdict_is_answered_after_it(csms: Start, wait_until: Until) -> None:
    directory = Directory()
    site = await csms(authenticate=directory)
    raw = await dial(site, password=PASSWORD)
    raw.frame(TEXT, json.dumps(BOOT).encode())
    raw.frame(TEXT, b'[2,"b","Heartbeat",{}]')
    await wait_until(lambda: directory.asked == [("CP1", PASSWORD.encode())])
    assert (site.server.stats.opening, list(site.server.known), site.events("station.")) == (1, [], [])
    directory.ready.set()
    answers = [json.loads((await raw.read())[1]) for _ in range(2)]
    assert [(answer[0], answer[1]) for answer in answers] == [(3, "boot"), (3, "b")]
    assert (site.server.stats.opening, site.server.stats.connected) == (0, 1)


@pytest.mark.parametrize(
    ("id", "password", "code", "reason"),
    [("CP1", "wrong", 1008, "credentials"), ("BROKEN", PASSWORD, 1011, "internal")],
)
async def test_a_verdict_against_it_ends_the_connection_and_leaves_nothing(
    csms: Start, wait_until: Until, id: str, password: str, code: int, reason: str
) -> None:
    directory = Directory()
    directory.ready.set()
    site = await csms(authenticate=directory)
    raw = await dial(site, id, password=password)
    raw.frame(TEXT, json.dumps(BOOT).encode())
    assert await raw.close_code() == code
    assert (list(site.server.known), site.server.stats.refused) == ([], {reason: 1})
    assert [event.kind for event in site.events()] == ["security.refused"]
    assert id in site.events()[0].text


async def test_no_verdict_in_time_and_a_flood_before_it_end_the_connection(csms: Start, wait_until: Until) -> None:
    site = await csms(authenticate=Directory(), handshake_s=0.2)
    assert await (await dial(site, password=PASSWORD)).close_code() == 1013
    flooding = await dial(site, "CP2", password=PASSWORD)
    for _ in range(9):
        flooding.frame(TEXT, b'[2,"b","Heartbeat",{}]')
    assert await flooding.close_code() == 1008
    left = await dial(site, "CP3", password=PASSWORD)
    left.writer.transport.abort()
    await wait_until(lambda: len(site.server.stats.refused) == 3)
    assert site.server.stats.refused == {"no_verdict": 1, "impatient": 1, "left": 1}
    assert site.server.stats.opening == 0


async def test_who_left_before_the_verdict_is_not_known(csms: Start, wait_until: Until) -> None:
    directory = Directory()
    site = await csms(authenticate=directory)
    raw = await dial(site, password=PASSWORD)
    raw.writer.transport.abort()
    await wait_until(lambda: site.server.stats.refused == {"left": 1})
    directory.ready.set()
    await dial(site, "CP2", password=PASSWORD)
    await wait_until(lambda: site.server.connected)
    assert list(site.server.known) == ["CP2"]


async def test_connections_that_wait_for_a_verdict_are_bounded_too(csms: Start, wait_until: Until) -> None:
    site = await csms(authenticate=Directory(), max_opening=10)
    waiting = [await dial(site, f"CP{n}", password=PASSWORD, source="127.0.3.1") for n in range(10)]
    assert site.server.stats.opening == 10
    await dial(site, "OTHER", password=PASSWORD, source="127.0.3.2")
    await waiting[0].eof()
    assert site.server.stats.opening == 10


# Stations that nobody knows


@pytest.mark.parametrize("unknown", ["pending", "accept"])
async def test_an_unknown_station_may_wait_or_come_in(csms: Start, unknown: Unknown) -> None:
    site = await csms(passwords={"CP1": PASSWORD}, unknown=unknown)
    raw = await dial(site, "NEW-1")
    expected = "Pending" if unknown == "pending" else "Accepted"
    assert (await ask(raw, BOOT))[2]["status"] == expected
    answer = await ask(
        raw, [2, "x", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}]
    )
    assert answer[0] == (4 if unknown == "pending" else 3)


async def test_a_function_says_what_becomes_of_unknown_stations(csms: Start) -> None:
    def decide(upgrade: Upgrade) -> Unknown:
        if upgrade.identity.startswith("BAD"):
            raise UpgradeError(403, "banned", "not you")
        return "pending" if upgrade.identity.startswith("NEW") else "refuse"

    site = await csms(passwords={"CP1": PASSWORD}, unknown=decide)
    assert [await status(site, id) for id in ("NEW-1", "OTHER", "BAD-1", "CP1")] == [101, 404, 403, 401]
    assert site.server.stats.refused == {"unknown_station": 1, "banned": 1, "credentials": 1}


async def test_a_station_that_is_written_down_later_is_known_then(csms: Start) -> None:
    passwords: dict[str, str | bytes | None] = {}
    site = await csms(passwords=passwords)
    basic = write_basic("CP1", PASSWORD)
    assert await status(site, Authorization=basic) == 404
    passwords["CP1"] = PASSWORD
    assert await status(site, Authorization=basic) == 101


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/CP%201", 101),
        ("/a/b/CP1?token=x", 101),
        ("/%27%20OR%201=1", 101),
        ("/CP%00", 404),
        ("/../", 404),
        ("/x/%2e%2e", 404),
        ("/..%2fCP1", 404),
        ("/%E2%80%AECP1", 404),  # right-to-left override
        ("/%C2%85", 404),  # a control character
        ("/%ff%fe", 404),
        ("/" + "x" * 48, 101),
        ("/" + "x" * 49, 404),
        ("/" + "%C3%A4" * 48, 101),
        ("/" + "x" * 10_000, 404),
    ],
)
async def test_hostile_identities_open_nothing(csms: Start, path: str, expected: int) -> None:
    site = await csms()
    raw = await Raw.dial(site.server.port)
    assert int((await raw.upgrade(path)).split()[1]) == expected
    assert (len(site.server.known) == 1) == (expected == 101)


def test_an_empty_password_is_refused_before_it_lets_anybody_in() -> None:
    with pytest.raises(ConfigError, match=r"passwords\.CP1"):
        OcppServer(port=0, ledger=LocalLedger(), passwords={"CP1": ""})


# Versions


async def test_a_station_that_speaks_no_common_version_may_be_refused_before_the_upgrade(csms: Start) -> None:
    site = await csms(versions=["2.0.1"], no_common_subprotocol="refuse", passwords={"CP1": PASSWORD})
    basic = write_basic("CP1", PASSWORD)
    offers = {"ocpp1.6": 400, "ocpp1.6, ocpp2.0.1": 101, None: 400, "": 400}
    for offer, expected in offers.items():
        assert await status(site, Authorization=basic, Sec_WebSocket_Protocol=offer) == expected, offer
    assert await status(site, Sec_WebSocket_Protocol="ocpp1.6") == 401, "who it is comes first"
    assert site.server.stats.refused == {"no_common_version": 3, "credentials": 1}


async def test_one_that_is_closed_for_its_versions_is_counted_too(csms: Start) -> None:
    site = await csms(versions=["2.0.1"])
    for offer in ("ocpp1.6", "ocpp2.0", None):
        assert await status(site, Sec_WebSocket_Protocol=offer) == 101
    assert site.server.stats.refused == {"no_common_version": 3}


# Two connections of one name, nobody has proven anything


async def test_a_living_connection_stays_and_the_second_of_its_name_goes(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"])
    first = await site.station()
    second = await dial(site)
    second.frame(TEXT, b'[2,"x","Heartbeat",{}]')
    assert await second.close_code() == 1008
    assert first.online.is_set()
    assert [event.source for event in site.events("security.duplicate")] == ["CP1"]
    assert site.server.stats.refused == {"duplicate": 1}
    assert site.events("station.replaced") == []
    assert await first.plug_in(1, "T1")


async def test_a_silent_connection_yields_and_what_the_second_said_is_answered(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"], duel_s=0.2)
    silent = await dial(site)
    second = await dial(site)
    second.frame(TEXT, b'[2,"x","Heartbeat",{}]')
    assert await silent.read() == (PING, b"")
    opcode, payload = await second.read()
    assert (opcode, json.loads(payload)[:2]) == (TEXT, [3, "x"])
    assert await silent.close_code() == 1008
    assert [event.kind for event in site.events("station.")] == ["station.connected", "station.replaced"]


async def test_the_newest_challenger_takes_the_place_of_the_one_before(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"], duel_s=60)
    silent = await dial(site)
    second, third = await dial(site), await dial(site)
    assert await second.close_code() == 1008
    silent.writer.transport.abort()
    assert (await ask(third, [2, "x", "Heartbeat", {}]))[0] == 3
    assert site.server.stats.refused == {"superseded": 1}


async def test_a_pong_is_a_sign_of_life(csms: Start) -> None:
    site = await csms(registered=["CP1"], duel_s=60)
    first = await dial(site)
    second = await dial(site)
    assert (await first.read())[0] == PING
    first.frame(PONG)
    assert await second.close_code() == 1008
    assert (await ask(first, [2, "x", "Heartbeat", {}]))[0] == 3


# Floods


async def test_ten_thousand_bad_handshakes_keep_no_genuine_station_away(csms: Start, wait_until: Until) -> None:
    passwords = {f"CP{n}": PASSWORD for n in range(20)}
    site = await csms(passwords=passwords)
    wrong = [request(f"/CP{n}", Authorization=write_basic(f"CP{n}", "guess")) for n in range(20)]
    tries, gate, port = 0, asyncio.Semaphore(64), site.server.port

    async def guess(n: int) -> None:
        nonlocal tries
        async with gate:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(f"127.0.1.{n % 50 + 1}", 0)
                )
                writer.write(wrong[n % 20])
                await reader.read()
                writer.close()
            except ConnectionError:
                pass  # it is not even listened to any more
            tries += 1

    flood = [asyncio.create_task(guess(n)) for n in range(10_000)]
    await wait_until(lambda: tries > 1500)
    grown = _memory()
    genuine = [await dial(site, f"CP{n}", password=PASSWORD, source="127.0.0.7") for n in range(20)]
    assert tries < 10_000, "the flood goes on meanwhile"
    await asyncio.gather(*flood)
    assert len(site.server.connected) == len(genuine) == 20
    refused = site.server.stats.refused
    assert sum(refused.values()) == 10_000, refused
    assert refused["too_many_failures"] > refused["credentials"]
    assert site.events("security.refused")
    assert any("many wrong passwords" in event.text for event in site.events("security."))
    assert _memory() - grown < 20 << 20
    assert len(site.server.known) == 20


def _memory() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_station_is_let_in_again_from_where_others_fail(csms: Start, wait_until: Until) -> None:
    site = await csms(passwords={"CP1": PASSWORD}, max_failures=3)
    first = await dial(site, password=PASSWORD)
    for _ in range(6):
        assert await status(site, Authorization=write_basic("CP1", "guess")) == 401
    assert await status(site, "OTHER", Authorization=write_basic("OTHER", "guess")) == 429
    await dial(site, password=PASSWORD)
    assert await first.close_code() == 1008
    assert site.server.stats.refused == {"credentials": 6, "too_many_failures": 1}


async def test_a_station_gets_in_beside_one_that_repeats_a_wrong_password(csms: Start) -> None:
    site = await csms(passwords={"CP1": PASSWORD, "CP2": PASSWORD})
    wrong = [await status(site, "CP2", Authorization=write_basic("CP2", "forgotten")) for _ in range(30)]
    assert wrong == [401] * 10 + [429] * 20
    await dial(site, password=PASSWORD)
    assert site.server.stats.refused == {"credentials": 10, "too_many_failures": 20}


async def test_slow_handshakes_of_one_address_keep_no_other_away(csms: Start, wait_until: Until) -> None:
    site = await csms(passwords={"CP1": PASSWORD}, max_opening=50)
    slow = [await Raw.dial(site.server.port, source="127.0.2.1") for _ in range(300)]
    for raw in slow:
        raw.writer.write(b"GET /CP1 HTTP/1.1\r\nHost: ")
    await wait_until(lambda: site.server.stats.refused.get("too_many_handshakes", 0) == 250)
    assert site.server.stats.opening == 50
    await dial(site, password=PASSWORD)
    for raw in slow:
        raw.writer.close()
    await wait_until(lambda: site.server.stats.opening == 0)


async def test_a_compressed_bomb_ends_its_connection_only(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1", "CP2"])
    good = await dial(site, "CP2")
    bomb = Deflate().deflate(b'[2,"a","DataTransfer",{"vendorId":"' + b"x" * 60_000_000 + b'"}]')
    assert len(bomb) < 60_000, "a thousandth"
    bad = await dial(site, Sec_WebSocket_Extensions=DEFLATE)
    before = _memory()
    data = frame(TEXT, bomb)
    bad.writer.write(bytes([data[0] | 0x40]) + data[1:])
    assert await bad.close_code() == 1009
    assert _memory() - before < 8 << 20
    await wait_until(lambda: site.server.stats.closed == {"too_big": 1})
    assert (await ask(good, [2, "x", "Heartbeat", {}]))[0] == 3


async def test_compressed_within_the_limit_is_understood(csms: Start) -> None:
    site = await csms(registered=["CP1"])
    raw = await dial(site, Sec_WebSocket_Extensions=DEFLATE)
    packed = Deflate().deflate(b'[2,"x","Heartbeat",' + b" " * 60_000 + b"{}]")
    data = frame(TEXT, packed)
    raw.writer.write(bytes([data[0] | 0x40]) + data[1:])
    assert json.loads((await raw.read())[1])[:2] == [3, "x"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /CP1 HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
        b"GET /\xff\xc3 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /CP1 HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /CP1 HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /CP1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"GET /CP1 HTTP/9.9\r\n\r\n",
        b"GET /CP1 HTTP/1.1\r\n" + b"a: b\r\n" * 900 + b"\r\n",
        request("/CP1", Sec_WebSocket_Protocol="\N{SNOWMAN}"),
        request("/CP1", Authorization="Basic \N{SNOWMAN}"),
        request("/CP1", Sec_WebSocket_Extensions="permessage-deflate; \N{SNOWMAN}"),
    ],
    ids=range(12),
)
async def test_a_broken_request_is_refused_and_fills_no_log(
    csms: Start, wait_until: Until, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "evcore")
    caplog.set_level(logging.INFO)
    site = await csms(handshake_s=0.5)
    raw = await Raw.dial(site.server.port)
    raw.writer.write(head)
    answer = await asyncio.wait_for(raw.reader.read(300), 8)
    if answer.startswith(b"HTTP/1.1 101"):
        raw.writer.close()
    else:
        await wait_until(lambda: sum(site.server.stats.refused.values()) == 1)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio" or record.levelno >= 40] == []


# What is kept


async def test_who_charges_is_not_forgotten_for_a_newcomer(csms: Start, wait_until: Until) -> None:
    site = await csms(max_stations=2)
    begun = {"connectorId": 1, "idTag": "T1", "meterStart": 0, "timestamp": "2026-11-23T18:30:00Z"}
    charging = await dial(site, "CP1")
    await ask(charging, BOOT)
    assert (await ask(charging, [2, "start", "StartTransaction", begun]))[0] == 3
    charging.writer.close()
    idle = await dial(site, "CP2")
    assert await status(site, "CP3") == 503, "one charges, one is there"
    idle.writer.close()
    await wait_until(lambda: not site.server.connected)
    await dial(site, "CP3")
    assert set(site.server.known) == {"CP1", "CP3"}


async def test_a_handler_that_never_ends_stops_its_own_call_only(csms: Start, wait_until: Until) -> None:
    async def for_ever(station: str, payload: Any) -> Any:
        await asyncio.Event().wait()

    site = await csms(registered=["CP1", "CP2"], data_transfer={"slow": for_ever})
    stuck, other = await dial(site, "CP1"), await dial(site, "CP2")
    stuck.frame(TEXT, b'[2,"slow","DataTransfer",{"vendorId":"slow"}]')
    assert (await ask(stuck, [2, "a", "Heartbeat", {}]))[:2] == [3, "a"]
    for n in range(50):
        assert (await ask(other, [2, f"b{n}", "Heartbeat", {}]))[0] == 3
    stuck.writer.transport.abort()
    await wait_until(lambda: site.server.stats.errors == {"unheard": 1})
    assert site.server.stats.closed == {"lost": 1}


# What is seen


async def test_everything_that_went_wrong_is_counted(csms: Start, wait_until: Until) -> None:
    site = await csms(passwords={"CP1": PASSWORD}, registered=["CP1"])
    assert OcppServer().stats == ServerStats()
    assert await status(site, Authorization=write_basic("CP1", "guess")) == 401
    raw = await dial(site, password=PASSWORD)
    for message in ("nonsense", '[3,"nobody-asked",{}]', '[2,"a","Teleport",{}]'):
        raw.frame(TEXT, message.encode())
    assert (await ask(raw, [2, "x", "Heartbeat", {}]))[0] == 4  # to the teleport
    await raw.read()
    raw.frame(2, b"binary")
    await raw.eof()
    await wait_until(lambda: site.server.stats.connected == 0)
    stats = site.server.stats
    assert (stats.opened, stats.known, stats.opening) == (1, 1, 0)
    assert stats.refused == {"credentials": 1}
    assert stats.closed == {"binary": 1}
    assert stats.errors == {
        "frame_json": 1,
        "unknown_answer": 1,
        "payload_NotImplemented": 1,
        "websocket_binary": 1,
    }
    assert (stats.received, stats.sent) == (4, 2)
