"""StationClient and the security profiles, on real TLS: what goes out in clear, what is not trusted, who moves up."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from scripted_csms import Csms
from waiting import until

from evcore.errors import ConfigError
from evcore.ocpp import ConnectionProfile, StationAbout, StationClient
from evcore.ocpp.backoff import RetryBackOff
from evcore.ocpp.connection_profile import Step
from evcore.ocpp.station import NotConnected, ProfileTried

ABOUT = StationAbout("Vendor", "Model")
KEY = bytes.fromhex("00ff3a80fe0d0a3a00112233445566778899aabb")  # a 1.6 AuthorizationKey: colons, line ends, no UTF-8
PASSWORD = "a-password: of 16+"


class Authority:
    """A CA, its file, and contexts with its certificates."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.pem = str(folder / f"{id(self)}.pem")
        self.ca.cert_pem.write_to_path(self.pem)

    def server(self, *, station_certificates: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        if station_certificates:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def certificate(self, name: str) -> tuple[str, str]:
        issued = self.ca.issue_cert(common_name=name)
        chain, key = str(self.folder / f"{name}.chain"), str(self.folder / f"{name}.key")
        for n, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(chain, append=n > 0)
        issued.private_key_pem.write_to_path(key)
        return chain, key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def running(profile: ConnectionProfile, **options: Any) -> AsyncIterator[tuple[StationClient, list[Any]]]:
    events: list[Any] = []
    defaults: dict[str, Any] = {"back_off": RetryBackOff(0.1, 0, 0), "versions": ["1.6"], "burst_per_s": 0}
    station = StationClient(profile, "CP 1", ABOUT, on_event=events.append, **defaults | options)
    life = asyncio.create_task(station.run())
    try:
        yield station, events
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def online(station: StationClient) -> None:
    await asyncio.wait_for(station.online.wait(), 8)


def whys(events: list[Any]) -> list[str]:
    return [event.why for event in events if isinstance(event, NotConnected)]


@pytest.mark.parametrize("secret", [KEY, PASSWORD])
async def test_profile_1_sends_the_password_as_its_bytes(secret: bytes | str) -> None:
    raw = secret.encode() if isinstance(secret, str) else secret
    async with (
        Csms("ocpp1.6", passwords={"CP 1": raw}) as csms,
        running(ConnectionProfile(csms.url, 1, secret)) as (station, _),
    ):
        await online(station)


async def test_a_wrong_password_is_tried_at_the_pace_of_the_back_off_only() -> None:
    async with Csms("ocpp1.6", passwords={"CP 1": KEY}) as csms:
        profile = ConnectionProfile(csms.url, 1, PASSWORD)
        async with running(profile, back_off=RetryBackOff(0.25, 0, 0)) as (_, events):
            await asyncio.sleep(1)
            assert 2 <= csms.tries <= 5
            assert set(whys(events)) == {"authentication"}
            assert PASSWORD not in str(events)


async def test_profile_2_verifies_the_csms_and_sends_the_password_inside(authority: Authority) -> None:
    async with (
        Csms("ocpp1.6", tls=authority.server(), passwords={"CP 1": KEY}) as csms,
        running(ConnectionProfile(csms.url, password=KEY, ca=authority.pem)) as (station, _),
    ):
        await online(station)
        assert station.switch.current.level == 2


@pytest.mark.parametrize(
    ("version", "event"), [("1.6", "InvalidCentralSystemCertificate"), ("2.0.1", "InvalidCsmsCertificate")]
)
async def test_a_csms_that_is_not_trusted_gets_nothing_and_is_told_of_once_it_is(
    authority: Authority, tmp_path: Path, version: Any, event: str
) -> None:
    stranger = Authority(tmp_path)
    subprotocol = f"ocpp{version}"
    async with Csms(subprotocol, tls=stranger.server()) as bad:
        profile = ConnectionProfile(bad.url, password=KEY, ca=authority.pem)
        async with running(profile, versions=[version]) as (station, events):
            await until(lambda: len(whys(events)) >= 3)
            assert set(whys(events)) == {"certificate"}
            assert (bad.tries, bad.heard) == (0, [])
            port = bad.port
            await bad.__aexit__()
            async with Csms(subprotocol, port=port, tls=authority.server(), passwords={"CP 1": KEY}) as good:
                await online(station)
                await station.drained()
                assert [payload["type"] for _, _, payload in good.of("SecurityEventNotification")] == [event]
            await bad.__aenter__()


async def test_a_certificate_error_never_sends_a_byte_in_clear(authority: Authority, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)  # speaks no TLS at all
    port = server.sockets[0].getsockname()[1]
    profile = ConnectionProfile(f"wss://127.0.0.1:{port}", password=KEY, ca=authority.pem)
    async with running(profile) as (_, events):
        await until(lambda: len(whys(events)) >= 2)
    server.close()
    assert all(first[:1] == b"\x16" for first in heard), "each began with a TLS handshake record"


async def test_profile_3_shows_its_certificate(authority: Authority) -> None:
    async with Csms("ocpp1.6", tls=authority.server(station_certificates=True)) as csms:
        profile = ConnectionProfile(csms.url, ca=authority.pem, certificate=authority.certificate("SN-1"))
        async with running(profile) as (station, _):
            await online(station)
            assert station.switch.current.level == 3


async def test_with_tls_13_a_certificate_that_is_refused_after_the_handshake_is_no_reason_for_a_tight_loop(
    authority: Authority, tmp_path: Path
) -> None:
    context = authority.server(station_certificates=True)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    stranger = Authority(tmp_path)
    async with Csms("ocpp1.6", tls=context) as csms:
        profile = ConnectionProfile(csms.url, ca=authority.pem, certificate=stranger.certificate("SN-2"))
        async with running(profile, back_off=RetryBackOff(0.25, 0, 0)) as (_, events):
            await asyncio.sleep(1)
            assert 2 <= len(whys(events)) <= 5
            assert set(whys(events)) == {"authentication"}


async def test_it_moves_to_a_better_profile_when_that_connects_and_the_old_one_is_gone(authority: Authority) -> None:
    async with (
        Csms("ocpp1.6", passwords={"CP 1": KEY}) as plain,
        Csms("ocpp1.6", tls=authority.server(), passwords={"CP 1": KEY}) as secure,
        running(ConnectionProfile(plain.url, 1, KEY)) as (station, events),
    ):
        await online(station)
        assert station.switch.propose(ConnectionProfile(plain.url, 1, KEY), "1.6").startswith("A05.FR.01")
        assert station.switch.propose(ConnectionProfile(secure.url, 2, KEY, ca=authority.pem), "1.6") == ""
        station.reconnect()
        await until(lambda: secure.sockets and station.online.is_set())
        assert [event.step for event in events if isinstance(event, ProfileTried)] == [Step.CONFIRMED]
        station.drop()
        await until(lambda: len(secure.sockets) == 2)
        assert len(plain.sockets) == 1


async def test_it_falls_back_to_the_old_profile_when_the_new_one_does_not_connect(authority: Authority) -> None:
    async with (
        Csms("ocpp1.6", passwords={"CP 1": KEY}) as plain,
        running(ConnectionProfile(plain.url, 1, KEY), profile_attempts=2) as (station, events),
    ):
        await online(station)
        nowhere = ConnectionProfile("wss://127.0.0.1:1", 2, KEY, ca=authority.pem)
        assert station.switch.propose(nowhere, "1.6") == ""
        station.reconnect()
        await until(lambda: len(plain.sockets) == 2 and station.online.is_set())
        steps = [event.step for event in events if isinstance(event, ProfileTried)]
        assert steps == [Step.TRY_AGAIN, Step.FELL_BACK]


async def test_a_new_profile_whose_connections_are_closed_before_a_word_is_given_up(authority: Authority) -> None:
    """As `OcppServer` does with a certificate of another station: it can judge it only after the upgrade."""
    async with (
        Csms("ocpp1.6", passwords={"CP 1": KEY}) as plain,
        Csms("ocpp1.6", tls=authority.server(), passwords={"CP 1": KEY}) as closing,
        running(ConnectionProfile(plain.url, 1, KEY), profile_attempts=2) as (station, events),
    ):
        await online(station)
        closing.turns_away = True
        assert station.switch.propose(ConnectionProfile(closing.url, 2, KEY, ca=authority.pem), "1.6") == ""
        station.reconnect()
        await until(lambda: len(plain.sockets) == 2 and station.online.is_set())
        steps = [event.step for event in events if isinstance(event, ProfileTried)]
        assert (steps, len(closing.sockets)) == ([Step.TRY_AGAIN, Step.FELL_BACK], 2)


async def test_a_new_profile_on_which_nobody_answers_is_given_up(authority: Authority) -> None:
    async with (
        Csms("ocpp1.6", passwords={"CP 1": KEY}) as plain,
        Csms("ocpp1.6", tls=authority.server(), passwords={"CP 1": KEY}) as silent,
        running(ConnectionProfile(plain.url, 1, KEY), profile_attempts=1, call_timeout_s=0.5) as (station, events),
    ):
        await online(station)
        silent.rules["BootNotification"] = lambda _: None
        assert station.switch.propose(ConnectionProfile(silent.url, 2, KEY, ca=authority.pem), "1.6") == ""
        station.reconnect()
        await until(lambda: len(plain.sockets) == 2 and station.online.is_set())
        assert [event.step for event in events if isinstance(event, ProfileTried)] == [Step.FELL_BACK]


async def test_a_new_password_that_the_csms_does_not_take_leaves_the_old_one() -> None:
    async with (
        Csms("ocpp1.6", passwords={"CP 1": KEY}) as csms,
        running(ConnectionProfile(csms.url, 1, KEY), profile_attempts=1) as (station, events),
    ):
        await online(station)
        station.switch.propose_password(b"\x01" * 20)
        station.reconnect()
        await until(lambda: len(csms.sockets) == 2 and station.online.is_set())
        csms.passwords = {"CP 1": b"\x02" * 20}
        station.switch.propose_password(b"\x02" * 20)
        station.reconnect()
        await until(lambda: len(csms.sockets) == 3 and station.online.is_set())
        assert [e.step for e in events if isinstance(e, ProfileTried)] == [Step.FELL_BACK, Step.CONFIRMED]


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca"):
        StationClient(ConnectionProfile("wss://csms", ca=str(tmp_path / "none.pem")), "CP1", ABOUT)
    files = (str(tmp_path / "none.pem"), str(tmp_path / "none.key"))
    with pytest.raises(ConfigError, match="certificate"):
        StationClient(ConnectionProfile("wss://csms", certificate=files), "CP1", ABOUT)


def test_a_key_with_a_password_is_refused_instead_of_asking_for_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("CP1")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret"))
    )
    code = """if True:
        from evcore.ocpp.connection_profile import ConnectionProfile
        from evcore.ocpp.websocket.station_client import tls_context
        tls_context(ConnectionProfile("wss://csms", certificate=("chain.pem", "key.pem")))
    """
    done = subprocess.run(  # OpenSSL asks the terminal, or where there is none, standard input
        [sys.executable, "-c", code],
        input=b"secret\n",
        cwd=tmp_path,
        capture_output=True,
        start_new_session=True,
        timeout=30,
        check=False,
    )
    assert b"ConfigError" in done.stderr
