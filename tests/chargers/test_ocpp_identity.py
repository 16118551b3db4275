"""Who may connect, and as whom: passwords, TLS, two sockets with one identity."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme
from bare_station import BareStation

from evcore.errors import ConfigError
from evcore.model import Verb
from evcore.ocpp.websocket import HandshakeRefused, connect

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
PASSWORD = "right-password-1"
HEX = "00ff" * 10  # a 1.6 AuthorizationKey: 20 bytes that are no UTF-8


async def dial(
    site: Any, id: str = "CP1", *, user: str | None = None, password: Any = None, **options: Any
) -> BareStation:
    peer = BareStation()
    name = id if user is None else user
    await connect(f"{site.url}/{id}", peer, subprotocols=["ocpp1.6"], user=name, password=password, **options)
    return peer


@pytest.mark.parametrize(
    ("id", "user", "password", "enters"),
    [
        ("CP1", None, "right-password-1", True),
        ("CP1", None, "wrong-password-1", False),
        ("CP1", None, None, False),
        ("CP1", None, "", False),
        ("CP1", None, "right:with:colons", False),
        ("CP2", None, "right:with:colons", True),
        ("CP2", None, "right-password-1", False),
        ("CP1", "CP2", "right-password-1", False),
        ("CP3", None, bytes.fromhex(HEX), True),
        ("CP3", None, HEX, True),
        ("CP4", None, bytes(range(20)), True),
        ("NOBODY", None, "right-password-1", False),
        ("NOBODY", None, "none", False),
    ],
)
async def test_basic_auth(csms: Start, id: str, user: str | None, password: Any, enters: bool) -> None:
    passwords = {"CP1": "right-password-1", "CP2": "right:with:colons", "CP3": HEX, "CP4": bytes(range(20))}
    site = await csms(passwords=passwords)
    if enters:
        await dial(site, id, user=user, password=password)
        assert set(site.server.connected) == {id}
        return
    with pytest.raises(HandshakeRefused) as caught:
        await dial(site, id, user=user, password=password)
    assert caught.value.status == (404 if id == "NOBODY" else 401)
    assert not site.server.known, "nothing is allocated before the password is right"
    assert site.errors() == {"upgrade_unknown_station" if id == "NOBODY" else "upgrade_credentials": 1}


async def test_an_authenticator_of_ones_own(csms: Start) -> None:
    seen: list[Any] = []

    def authenticate(identity: str, password: bytes | None) -> bool:
        seen.append((identity, password))
        return password == b"open sesame"

    site = await csms(authenticate=authenticate)
    await dial(site, "CP1", password="open sesame")
    with pytest.raises(HandshakeRefused):
        await dial(site, "CP2")
    assert seen == [("CP1", b"open sesame"), ("CP2", None)]


async def test_a_guesser_is_shut_out_before_long_and_its_failures_fade(csms: Start) -> None:
    site = await csms(passwords={"CP1": "right-password-1"}, max_failures=5)
    for n in range(5):
        with pytest.raises(HandshakeRefused):
            await dial(site, password=f"guess {n}")
    with pytest.raises(ConnectionError):
        await dial(site, password="right-password-1")
    assert site.errors() == {"upgrade_credentials": 5, "upgrade_too_many_failures": 1}
    for _ in range(200):
        try:
            await dial(site, password="right-password-1")
            break
        except ConnectionError:
            await asyncio.sleep(0.05)
    assert set(site.server.connected) == {"CP1"}


async def test_passwords_are_in_no_log_and_no_event(csms: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    site = await csms(passwords={"CP1": "the-secret-of-cp1"})
    await dial(site, password="the-secret-of-cp1")
    with pytest.raises(HandshakeRefused):
        await dial(site, password="the-guess-at-cp1")
    text = caplog.text + repr(site.items) + repr(site.server) + repr(vars(site.server._roster))
    assert "the-secret" not in text
    assert "the-guess" not in text


async def test_tls_and_its_refusals(csms: Start, wait_until: Until) -> None:
    authority, other = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    trusting, doubting = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    other.configure_trust(doubting)
    old = ssl.create_default_context()
    authority.configure_trust(old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ALL:@SECLEVEL=0")
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    site = await csms(ssl=server, passwords={"CP1": "right-password-1"})
    assert site.url.startswith("wss://")
    station = await site.station(ssl=trusting, password="right-password-1", deflate=True)
    assert await station.plug_in(1, "T1")
    for refused in (doubting, old):
        with pytest.raises(ConnectionError):
            await dial(site, "CP2", ssl=refused)
    with pytest.raises(HandshakeRefused):
        await dial(site, "CP1", ssl=trusting, password="wrong")
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(b"GET /CP1 HTTP/1.1\r\n\r\n")  # in clear, to a TLS port
    await asyncio.wait_for(reader.read(), 8)
    await wait_until(lambda: site.errors().get("upgrade_handshake", 0) >= 3, "handshakes that failed are counted")
    assert set(site.server.connected) == {"CP1"}


async def test_the_newest_connection_serves_and_the_old_one_is_closed(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"], passwords={"CP1": PASSWORD})
    old = await dial(site, password=PASSWORD)
    new = await dial(site, password=PASSWORD)
    await wait_until(lambda: old.end is not None)
    assert old.end == (1008, "peer")
    assert [event.kind for event in site.events("station.")] == ["station.connected", "station.replaced"]
    new.send([2, "a", "Heartbeat", {}])
    await wait_until(lambda: new.messages)
    assert site.hub.last("charger/CP1").online, "the end of the old one changes nothing"
    assert set(site.server.connected) == {"CP1"}


async def test_a_call_to_the_old_connection_ends_and_no_answer_crosses_over(csms: Start, wait_until: Until) -> None:
    site = await csms(registered=["CP1"], passwords={"CP1": PASSWORD})
    old = await dial(site, password=PASSWORD)
    pending = asyncio.create_task(site.command(Verb.UNLOCK, evse=1))
    await wait_until(lambda: old.messages)
    new = await dial(site, password=PASSWORD)
    answer = await asyncio.wait_for(pending, 8)
    assert (answer.status, answer.ok) == ("Offline", False)
    new.send([3, old.messages[0][1], {"status": "Unlocked"}])
    await wait_until(lambda: site.errors() == {"unknown_answer": 1})
    again = asyncio.create_task(site.command(Verb.UNLOCK, evse=1))
    [call] = await wait_until(lambda: new.messages)
    new.send([3, call[1], {"status": "Unlocked"}])
    assert (await again).status == "Unlocked"


async def test_a_late_end_of_the_old_connection_does_not_take_the_new_one_offline(
    csms: Start, wait_until: Until
) -> None:
    site = await csms(registered=["CP1"], passwords={"CP1": PASSWORD})
    for _ in range(5):
        peers = [await dial(site, password=PASSWORD) for _ in range(3)]
        await wait_until(lambda peers=peers: all(peer.end is not None for peer in peers[:-1]))
        answer = asyncio.create_task(site.command(Verb.CLEAR_CACHE))
        [call] = await wait_until(lambda peers=peers: peers[-1].messages)
        peers[-1].send([3, call[1], {"status": "Accepted"}])
        assert (await answer).ok
    peers[-1].connection.abort()
    await wait_until(lambda: not site.hub.last("charger/CP1").online)
    assert (await site.command(Verb.CLEAR_CACHE)).status == "Offline"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ping_s": -1.0},
        {"ping_s": float("nan")},
        {"heartbeat_s": 0},
        {"call_timeout_s": 0.0},
        {"handler_timeout_s": 0.0},
        {"handshake_s": float("inf")},
        {"max_stations": 0},
        {"default_subprotocol": "ocpp1.5"},
    ],
    ids=str,
)
async def test_a_setting_that_cannot_work_is_named(csms: Start, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        await csms(**wrong)
    assert [caught.value.key] == list(wrong)
