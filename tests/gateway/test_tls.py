"""TLS of a site's ports, with certificates made for the test: who gets in, and which settings are refused."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import trustme

from evcore.errors import ConfigError
from evcore.gateway.config import ClientTls, ServerTls, parse
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


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 8
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


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
    server = server_context(ServerTls(certificate=tmp_path / "server.pem", key=tmp_path / "server.key"))
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
            ServerTls(certificate=tmp_path / "server.pem", key=tmp_path / key, key_password=secret),
            "site.toml",
            "http.tls",
        )

    load("locked.key", "right-password")
    for wrong in (("other.key",), ("locked.key", "wrong-password"), ("locked.key",), ("ca.pem",)):
        with pytest.raises(ConfigError) as caught:
            load(*wrong)
        assert (caught.value.file, caught.value.key) == ("site.toml", "http.tls")
        assert "password" not in str(caught.value)


def test_off_the_loopback_a_client_certificate_does_not_stand_in_for_the_station_s_password(
    ca: trustme.CA, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"ocpp\[0\]\.stations\[0\]\.password"):
        parse(SITE.replace("port = 0\ntls", 'host = "0.0.0.0"\nport = 0\ntls', 1), file="site.toml", base=tmp_path)
