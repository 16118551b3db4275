"""Security profiles 2 and 3 on real TLS sockets: suites, whose certificate, certificates that are replaced."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from bare_station import BareStation
from raw_websocket import request

from evcore.chargers import OcppServer
from evcore.errors import ConfigError, LinkError
from evcore.local import LocalHub
from evcore.model import Event, Health
from evcore.ocpp.subject import Subject, SubjectRule, read_subject
from evcore.ocpp.websocket import HandshakeRefused, ServerCertificates, connect

Start = Callable[..., Awaitable[Any]]
Until = Callable[..., Awaitable[Any]]
RSA, ECDSA = trustme.KeyType.RSA, trustme.KeyType.ECDSA
PASSWORD = "right-password-1"


class Site:
    """An authority, its server's files, and stations with certificates of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        for kind in (RSA, ECDSA):
            self.issue(self.authority, kind)

    def issue(self, authority: trustme.CA, kind: trustme.KeyType = ECDSA, **options: Any) -> None:
        leaf = authority.issue_cert("127.0.0.1", key_type=kind, **options)
        leaf.private_key_pem.write_to_path(self.folder / f"{kind.name}.key")
        (self.folder / f"{kind.name}.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))

    def files(self, *kinds: trustme.KeyType) -> list[tuple[Path, Path]]:
        return [(self.folder / f"{kind.name}.pem", self.folder / f"{kind.name}.key") for kind in kinds]

    def certificates(self, *, ca: bool = False, **options: Any) -> ServerCertificates:
        return ServerCertificates(self.files(RSA, ECDSA), client_ca=self.folder / "ca.pem" if ca else None, **options)

    def station(self, name: str = "", *, authority: trustme.CA | None = None, **options: Any) -> ssl.SSLContext:
        """A station's side; name: the CN of its certificate."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if name:
            (authority or self.authority).issue_cert("x.example", common_name=name, **options).configure_cert(context)
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def dial(csms: Any, id: str, context: ssl.SSLContext, *, version: str = "ocpp1.6", **options: Any) -> BareStation:
    peer = BareStation()
    await connect(f"{csms.url}/{id}", peer, subprotocols=[version], user=id, ssl=context, **options)
    return peer


def suite_of(peer: BareStation) -> tuple[str, str]:
    secure = peer.connection._transport.underlying_transport.get_extra_info("ssl_object")
    return secure.version(), secure.cipher()[0]


@pytest.mark.parametrize(
    ("suite", "legacy", "works"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", False, True),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", False, True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", False, True),
        ("AES128-GCM-SHA256", False, False),
        ("AES128-GCM-SHA256", True, True),
        ("AES256-GCM-SHA384", True, True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True, True),
    ],
)
async def test_every_suite_of_the_rules_with_one_rsa_and_one_ecdsa_certificate(
    csms: Start, site: Site, suite: str, legacy: bool, works: bool
) -> None:
    server = await csms(ssl=site.certificates(legacy_rsa_kx=legacy), passwords={"CP1": PASSWORD})
    context = site.station()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{suite}:@SECLEVEL=1")
    if not works:
        with pytest.raises(LinkError):
            await dial(server, "CP1", context, password=PASSWORD)
        return
    assert suite_of(await dial(server, "CP1", context, password=PASSWORD)) == ("TLSv1.2", suite)
    assert suite_of(await dial(server, "CP1", site.station(), password=PASSWORD))[0] == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_below_1_2_and_plain_text_are_refused_and_counted(csms: Start, site: Site, wait_until: Until) -> None:
    server = await csms(ssl=site.certificates(), passwords={"CP1": PASSWORD})
    old = site.station()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(LinkError):
        await dial(server, "CP1", old, password=PASSWORD)
    with pytest.raises(LinkError):
        await connect(server.url.replace("wss", "ws") + "/CP1", BareStation())
    await wait_until(lambda: server.errors() == {"upgrade_handshake": 2})


async def test_who_hangs_up_during_the_handshake_is_counted_and_the_event_loop_does_not_complain(
    csms: Start, site: Site, wait_until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """As load balancers do to see whether a port is there: each was a traceback in the log."""
    loop, complaints = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    server = await csms(ssl=site.certificates(), passwords={"CP1": PASSWORD})
    for said in (b"", b"\x16\x03\x01"):  # nothing, or the beginning of a hello
        _, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        writer.write(said)
        writer.close()
    await wait_until(lambda: server.errors() == {"upgrade_handshake": 2})
    assert (complaints, caplog.records) == ([], [])
    loop.call_exception_handler({"message": "another"})
    assert [context["message"] for context in complaints] == ["another"], "all others are told of as before"


async def test_a_station_of_profile_3_needs_no_password_and_no_other_gets_in_for_it(
    csms: Start, site: Site, wait_until: Until
) -> None:
    server = await csms(ssl=site.certificates(ca=True), passwords={"CP1": None, "CP2": None}, registered=["CP1"])
    good = await dial(server, "CP1", site.station("CP1"))
    good.send([2, "a", "Heartbeat", {}])
    await wait_until(lambda: good.messages)
    thief = await dial(server, "CP2", site.station("CP1"))
    thief.send([2, "b", "BootNotification", {"chargePointModel": "m", "chargePointVendor": "v"}])
    await wait_until(lambda: thief.end)
    assert thief.end == (1008, "peer")
    assert thief.messages == []
    for context in (site.station(), site.station("CP2", authority=trustme.CA())):
        peer = BareStation()
        try:  # with TLS 1.3 the client's handshake is over before its certificate is refused
            await connect(f"{server.url}/CP2", peer, subprotocols=["ocpp1.6"], ssl=context)
        except LinkError:
            continue
        await wait_until(lambda peer=peer: peer.end)
    await wait_until(lambda: server.errors().get("upgrade_handshake") == 2)
    assert server.errors() == {"upgrade_certificate_of_another": 1, "upgrade_handshake": 2}
    assert set(server.server.known) == {"CP1"}, "nothing is kept of who was not let in"
    assert {event.source for event in server.events()} == {"CP1", "ocpp"}
    [event] = server.events("security.")
    assert event.text == "certificate_of_another from 127.0.0.1 for CP2"


async def test_where_certificates_are_asked_for_a_password_does_too(csms: Start, site: Site, wait_until: Until) -> None:
    passwords = {"CP1": None, "CP2": PASSWORD}
    server = await csms(ssl=site.certificates(ca=True, clients="asked"), passwords=passwords)
    await dial(server, "CP1", site.station("CP1"))
    await dial(server, "CP2", site.station(), password=PASSWORD)
    assert set(server.server.connected) == {"CP1", "CP2"}
    bare = await dial(server, "CP1", site.station())
    await wait_until(lambda: bare.end == (1008, "peer"))
    with pytest.raises(HandshakeRefused):
        await dial(server, "CP2", site.station("CP2"))  # its password is configured, so it is needed
    other = await dial(server, "CP2", site.station("CP1"), password=PASSWORD)
    await wait_until(lambda: other.end == (1008, "peer"))
    assert set(server.server.connected) == {"CP1", "CP2"}
    assert server.errors() == {
        "upgrade_no_certificate": 1,
        "upgrade_credentials": 1,
        "upgrade_certificate_of_another": 1,
    }


@pytest.mark.parametrize(
    ("rule", "name", "enters"),
    [
        (SubjectRule(), "CP1", True),
        (SubjectRule(), "cp1", False),
        (SubjectRule(names={"CP1": "SN-77"}), "SN-77", True),
        (SubjectRule(names={"CP1": "SN-77"}), "CP1", False),
        (SubjectRule(organisation="Operator"), "CP1", True),
        (SubjectRule(organisation="Another"), "CP1", False),
        (SubjectRule(accepts=lambda id, subject: subject.common_name == f"SN-{id}"), "SN-CP1", True),
        (SubjectRule(accepts=lambda id, subject: False), "CP1", False),
    ],
)
async def test_the_rule_says_whose_certificate_it_is(
    csms: Start, site: Site, wait_until: Until, rule: SubjectRule, name: str, enters: bool
) -> None:
    server = await csms(ssl=site.certificates(ca=True), subjects=rule)
    peer = await dial(server, "CP1", site.station(name, organization_name="Operator"))
    await wait_until(lambda: peer.end or server.server.connected)
    assert (peer.end is None, bool(server.server.connected)) == (enters, enters)


def test_a_subject_with_two_names_has_none() -> None:
    twice = {"subject": ((("commonName", "CP1"),), (("commonName", "CP2"),), (("organizationName", "O"),))}
    assert read_subject(twice) == Subject("", "O")
    assert SubjectRule().problem("", read_subject({})) != "", "no name is nobody's"


@pytest.mark.parametrize(
    ("version", "serial", "stays"),
    [("ocpp2.0.1", "CP1", True), ("ocpp2.0.1", "", True), ("ocpp2.0.1", "SN-9", False), ("ocpp1.6", "SN-9", True)],
)
async def test_b01_fr_12_a_serial_number_that_is_not_the_certificates_ends_the_connection(
    csms: Start, site: Site, wait_until: Until, version: str, serial: str, stays: bool
) -> None:
    server = await csms(ssl=site.certificates(ca=True))
    peer = await dial(server, "CP1", site.station("CP1"), version=version)
    station = {"model": "m", "vendorName": "v"} | ({"serialNumber": serial} if serial else {})
    boot: Any = {"reason": "PowerUp", "chargingStation": station}
    if version == "ocpp1.6":
        boot = {"chargePointModel": "m", "chargePointVendor": "v", "chargePointSerialNumber": serial}
    peer.send([2, "a", "BootNotification", boot])
    await wait_until(lambda: peer.messages or peer.end)
    if stays:
        assert peer.messages[0][2]["status"] == "Accepted"
        return
    await wait_until(lambda: peer.end)
    assert (peer.end, peer.messages) == ((1008, "peer"), [])
    assert server.events("security.")[0].text.startswith("CP1 boots with serial number SN-9")


async def test_certificates_are_replaced_under_an_open_connection_and_broken_ones_are_not(
    csms: Start, site: Site, wait_until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evcore.chargers.ocpp_tls.LOOK_S", 0.02)
    server = await csms(ssl=site.certificates(ca=True))
    old_station = site.station("CP1")
    first = await dial(server, "CP1", old_station)
    health = lambda: server.hub.last("health/ocpp")  # noqa: E731

    (site.folder / "ECDSA.key").write_text("half of a ke")
    await wait_until(lambda: health().state == "degraded")
    assert "ECDSA.key" in health().detail
    assert [event.severity for event in server.events("certificate.")] == ["error"]
    again = await dial(server, "CP1", old_station)  # those in force stay so
    await wait_until(lambda: first.end)

    fresh = trustme.CA()
    site.issue(fresh, RSA)
    site.issue(fresh, ECDSA)
    fresh.cert_pem.write_to_path(site.folder / "ca.pem")
    await wait_until(lambda: health().state == "up")
    assert server.events("certificate.renewed")
    again.send([2, "a", "BootNotification", {"chargePointModel": "m", "chargePointVendor": "v"}])
    await wait_until(lambda: again.messages)
    assert again.end is None, "an open connection stays"

    with pytest.raises(LinkError):
        await dial(server, "CP2", site.station("CP2"))  # it does not know the new authority
    site.authority, old = fresh, site.authority
    stranger = BareStation()
    try:  # its certificate is of an authority that is trusted no longer
        await connect(f"{server.url}/CP2", stranger, subprotocols=["ocpp1.6"], ssl=site.station("CP2", authority=old))
    except LinkError:
        stranger.end = (0, "")
    await wait_until(lambda: stranger.end)
    await dial(server, "CP2", site.station("CP2"))
    assert set(server.server.connected) == {"CP1", "CP2"}
    assert await server.server.reload(), "also when it is asked for"


async def test_a_port_is_never_closed_while_certificates_change(csms: Start, site: Site, wait_until: Until) -> None:
    server = await csms(ssl=site.certificates(), max_failures=0)
    going, opened = True, 0

    async def keep_dialling(n: int) -> None:
        nonlocal opened
        while going:
            await dial(server, f"CP{n}-{opened}", site.station())
            opened += 1

    tasks = [asyncio.create_task(keep_dialling(n)) for n in range(3)]
    for _ in range(20):
        assert await server.server.reload()
    before = opened
    await wait_until(lambda: opened > before + 3)
    going = False
    await asyncio.gather(*tasks)  # none of them was refused
    assert server.errors() == {}


async def test_a_certificate_that_ends_soon_is_told_of(csms: Start, site: Site, wait_until: Until) -> None:
    site.issue(site.authority, RSA, not_after=datetime.now(UTC) + timedelta(days=20, hours=1))
    server = await csms(ssl=site.certificates())
    [event] = await wait_until(lambda: server.events("certificate.expiring"))
    assert (event.severity, event.data["days"]) == ("warning", 20)
    assert event.data["file"].endswith("RSA.pem")


def test_files_that_cannot_be_used_are_named(site: Site, tmp_path: Path) -> None:
    [(pem, key)] = site.files(RSA)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    for chains, ca in (([(pem, junk)], None), ([(junk, key)], None), ([(pem, tmp_path / "none")], None)):
        with pytest.raises(ConfigError, match=r"site.toml: ocpp\[0\].tls: expected a PEM certificate and its key"):
            ServerCertificates(chains, client_ca=ca, file="site.toml", key="ocpp[0].tls").load()
    with pytest.raises(ConfigError, match=r"tls.client_ca: expected PEM certificates"):
        ServerCertificates([(pem, key)], client_ca=junk, key="tls").load()
    with pytest.raises(ConfigError):
        ServerCertificates([])


def test_a_change_counts_when_nobody_is_writing_any_more(site: Site) -> None:
    certificates = site.certificates()
    certificates.load()
    assert not certificates.changed()
    for n in range(3):
        (site.folder / "RSA.pem").write_text("x" * n)
        assert not certificates.changed()
    assert certificates.changed()
    os.unlink(site.folder / "RSA.pem")
    assert not certificates.changed()
    assert certificates.changed()


async def test_a_station_that_does_not_read_is_dropped_under_tls_too(
    csms: Start, site: Site, wait_until: Until
) -> None:
    server = await csms(ssl=site.certificates())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port, ssl=site.station())
    writer.write(request("/CP1"))
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()
    connection = server.server._roster.links["CP1"].connection
    for _ in range(200):
        connection.send(b"x" * 60_000)
        await asyncio.sleep(0)
    await wait_until(lambda: server.server.stats.closed == {"slow": 1})
    writer.transport.abort()


def test_it_is_the_same_under_uvloop(site: Site) -> None:
    uvloop = pytest.importorskip("uvloop")
    seen: list[Any] = []

    async def scenario() -> None:
        hub = LocalHub(seen.append)
        server = OcppServer(port=0, ssl=site.certificates(ca=True))
        running = asyncio.create_task(server.run(hub))
        async with asyncio.timeout(8):
            await server.started.wait()
            await dial(server, "CP1", site.station("CP1"))
            thief = await dial(server, "CP2", site.station("CP1"))
            while thief.end is None:
                await asyncio.sleep(0.01)
            assert await server.reload()
            await dial(server, "CP3", site.station("CP3"))
        assert set(server.connected) == {"CP1", "CP3"}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(scenario())
        seen.append("done")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert seen[-1] == "done"
    texts = [item.text for item in seen if isinstance(item, Event) and item.kind == "security.refused"]
    assert texts == ["certificate_of_another from 127.0.0.1 for CP2"], "the address is known there too"
    assert [item.state for item in seen if isinstance(item, Health)][-1] == "stopped"
