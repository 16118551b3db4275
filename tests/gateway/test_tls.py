"""TLS of a site's ports, with certificates made for the test: who gets in, and which settings are refused."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import trustme
from waiting import until

from evcore.errors import ConfigError
from evcore.gateway.config import ClientTls, Paths, ServerTls, parse
from evcore.gateway.doctor import examine, expiry_finding
from evcore.gateway.gateway import Gateway
from evcore.gateway.secret import Secret
from evcore.gateway.tls import client_context, server_context
from evcore.sim import SimStation

SITE = """
[[ocpp]]
port = 0
tls = { certificate = "server.pem", key = "server.key", client_ca = "ca.pem" }
[[ocpp.stations]]
id = "CP-1"
[http]
port = 0
dashboard = false
api_keys = ["key-of-the-api"]
tls = { certificate = "server.pem", key = "server.key" }
"""


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    server = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    return ca


async def test_a_station_with_a_certificate_and_a_user_with_a_key_get_in_and_others_do_not(
    ca: trustme.CA, tmp_path: Path
) -> None:
    gateway = Gateway(parse(SITE, file="site.toml", base=tmp_path))
    trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    known = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    ca.issue_cert("CP-1", common_name="CP-1").configure_cert(known)
    run = asyncio.create_task(gateway.run())
    stations: list[asyncio.Task[None]] = []
    try:
        await until(gateway.started.is_set)
        assert gateway.urls["ocpp"].startswith("wss://")
        good = SimStation(gateway.urls["ocpp"], "CP-1", ssl=known)
        bad = SimStation(gateway.urls["ocpp"], "CP-1", ssl=trusting, backoff_s=0.05)
        stations = [asyncio.create_task(station.run()) for station in (good, bad)]
        await until(good.online.is_set)
        await until(lambda: bad.last_error)
        assert not bad.online.is_set()
        async with aiohttp.ClientSession(headers={"X-API-Key": "key-of-the-api"}) as client:
            async with client.get(gateway.urls["http"] + "/v1/chargers", ssl=trusting) as answer:
                assert (await answer.json())["items"][0]["online"] is True
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await client.get(gateway.urls["http"] + "/v1/chargers")
    finally:
        for task in (*stations, run):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def test_both_sides_want_tls_1_2_and_the_client_checks_the_name(ca: trustme.CA, tmp_path: Path) -> None:
    server = server_context(
        ServerTls(certificate=Paths([tmp_path / "server.pem"]), key=Paths([tmp_path / "server.key"]))
    )
    assert server.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert server.verify_mode == ssl.CERT_NONE
    for tls in (None, ClientTls(ca=tmp_path / "ca.pem")):
        client = client_context(tls)
        assert client.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert client.check_hostname
        assert client.verify_mode == ssl.CERT_REQUIRED


def test_a_key_that_is_not_the_certificates_and_a_wrong_password_are_refused(ca: trustme.CA, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    (tmp_path / "locked.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"right-password"),
        )
    )
    ca.issue_cert("other").private_key_pem.write_to_path(tmp_path / "other.key")

    def load(key: str, password: str | None = None) -> ssl.SSLContext:
        secret = Secret(password) if password else None
        return server_context(
            ServerTls(certificate=Paths([tmp_path / "server.pem"]), key=Paths([tmp_path / key]), key_password=secret),
            "site.toml",
            "http.tls",
        )

    load("locked.key", "right-password")
    for wrong in (("other.key",), ("locked.key", "wrong-password"), ("locked.key",), ("ca.pem",)):
        with pytest.raises(ConfigError) as caught:
            load(*wrong)
        assert (caught.value.file, caught.value.key) == ("site.toml", "http.tls")
        assert "password" not in str(caught.value)


def listener(*lines: str) -> str:
    """The site with these lines at the top of [[ocpp]], listening beyond the loopback."""
    return SITE.replace("port = 0\ntls", "\n".join(['host = "0.0.0.0"', "port = 0", *lines, "tls"]), 1)


def test_a_client_certificate_stands_in_for_the_station_s_password(ca: trustme.CA, tmp_path: Path) -> None:
    site = parse(listener("profile = 3"), file="site.toml", base=tmp_path)
    assert site.ocpp[0].stations[0].password is None
    nobody_named = listener("profile = 3").replace('[[ocpp.stations]]\nid = "CP-1"\n', "")
    assert parse(nobody_named, file="site.toml", base=tmp_path).ocpp[0].stations == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (listener("profile = 3").replace(', client_ca = "ca.pem"', ""), "tls.client_ca"),
        (
            listener("profile = 3").replace("tls = {", "# {", 1),
            "tls",
        ),
        (listener("profile = 2").replace(', client_ca = "ca.pem"', ""), "stations[0].password"),
        (listener("profile = 1"), "profile"),
        (listener("profile = 0"), "profile"),
        (listener("profile = 3", "allow_unauthenticated = true"), "allow_unauthenticated"),
        (listener("profile = 4"), "profile"),
        (listener('default_subprotocol = "ocpp1.6"', 'versions = ["2.0.1"]'), "default_subprotocol"),
        (listener("versions = []"), "versions"),
        (listener().replace('certificate = "server.pem"', 'certificate = ["server.pem", "server.pem"]', 1), "tls.key"),
        (listener().replace('key = "server.key"', 'key = ["none.key"]', 1), "tls.key"),
        (listener().replace('key = "server.key"', "key = [1]", 1), "tls.key"),
        (listener().replace('key = "server.key"', "key = []", 1), "tls.key"),
    ],
)
def test_what_does_not_amount_to_the_profile_is_named(ca: trustme.CA, tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, file="site.toml", base=tmp_path)
    assert caught.value.key == f"ocpp[0].{key}"


async def test_two_certificates_on_one_port_and_stations_by_password_or_by_certificate(
    ca: trustme.CA, tmp_path: Path
) -> None:
    for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA):
        leaf = ca.issue_cert("127.0.0.1", key_type=kind)
        leaf.private_key_pem.write_to_path(tmp_path / f"{kind.name}.key")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{kind.name}.pem")
    text = """
        [[ocpp]]
        port = 0
        profile = 2
        tls = { certificate = ["RSA.pem", "ECDSA.pem"], key = ["RSA.key", "ECDSA.key"], client_ca = "ca.pem" }
        organisation = "Operator"
        [[ocpp.stations]]
        id = "CP-1"
        certificate_name = "SN-1"
        [[ocpp.stations]]
        id = "CP-2"
        password = "password-of-cp-2"
    """
    gateway = Gateway(parse(text, file="site.toml", base=tmp_path))
    certified, plain = (ssl.create_default_context(cafile=tmp_path / "ca.pem") for _ in range(2))
    ca.issue_cert("x.example", common_name="SN-1", organization_name="Operator").configure_cert(certified)
    plain.maximum_version = ssl.TLSVersion.TLSv1_2
    plain.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    run = asyncio.create_task(gateway.run())
    stations: list[asyncio.Task[None]] = []
    try:
        await until(gateway.started.is_set)
        first = SimStation(gateway.urls["ocpp"], "CP-1", ssl=certified)
        second = SimStation(gateway.urls["ocpp"], "CP-2", ssl=plain, password="password-of-cp-2")
        stations = [asyncio.create_task(station.run()) for station in (first, second)]
        await until(lambda: first.online.is_set() and second.online.is_set())
    finally:
        for task in (*stations, run):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def test_doctor_says_what_protects_a_port_and_when_its_certificates_end(ca: trustme.CA, tmp_path: Path) -> None:
    config = parse(SITE, file="site.toml", base=tmp_path)
    found = {(finding.what, finding.level) for finding in examine(config)}
    assert {("stations at ocpp", "ok"), ("certificates of ocpp", "ok"), ("certificates of http", "ok")} <= found
    (tmp_path / "server.key").write_text("junk")
    broken = [finding for finding in examine(config) if finding.level == "fail"]
    assert {finding.what for finding in broken} >= {"certificates of ocpp", "certificates of http"}
    now = 1_800_000_000
    levels = [expiry_finding("ocpp", "a.pem", now + days * 86_400, now).level for days in (-1, 0, 30, 31)]
    assert levels == ["fail", "warn", "warn", "ok"]
