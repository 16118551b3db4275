"""Passwords, certificates, and what must never be seen."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import trustme

from evcore.backends import MqttBackend
from evcore.errors import ConfigError
from evcore.model import Station

PASSWORD = "correct-horse-7"


def with_passwords(mosquitto, tmp_path: Path) -> None:
    """One user, `gateway`."""
    file = tmp_path / "passwords"
    file.write_text(f"gateway:{PASSWORD}\n")
    program = Path(mosquitto.program).name
    tool = subprocess.run(["which", f"{program}_passwd"], capture_output=True, text=True).stdout.strip()
    if not tool:
        pytest.skip("mosquitto_passwd is missing")
    subprocess.run([tool, "-U", str(file)], check=True, capture_output=True)
    file.chmod(0o644)
    mosquitto.lines = ["allow_anonymous false", f"password_file {file}"]


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
async def test_a_wrong_password_is_said_and_not_tried_again_soon(mosquitto, run, hub, until, tmp_path, caplog, version):
    with_passwords(mosquitto, tmp_path)
    mosquitto.start()
    caplog.set_level(logging.DEBUG)
    mqtt = MqttBackend(
        mosquitto.url, username="gateway", password="wrong-secret", retry_s=(0.01, 0.02), protocol=version
    )
    await run(mqtt, up=False)
    health = await until(lambda: (h := hub.last("health/mqtt")) and h.state == "down" and h)
    assert health.detail == "refused: Not authorized"
    await asyncio.sleep(0.2)
    assert hub.last("health/mqtt") is health, "it tried again"
    assert "wrong-secret" not in caplog.text + repr(mqtt) + repr(vars(mqtt)) + repr(hub.snapshot())


async def test_the_right_password_is_let_in_from_arguments_and_from_the_url(
    mosquitto, watch, run, hub, until, tmp_path
):
    with_passwords(mosquitto, tmp_path)
    mosquitto.start()
    await run(MqttBackend(mosquitto.url, username="gateway", password=PASSWORD, node="a"))
    url = mosquitto.url.replace("mqtt://", f"mqtt://gateway:{PASSWORD}@")
    mqtt = MqttBackend(url, node="b", name="second")
    assert PASSWORD not in repr(mqtt)
    await run(mqtt)
    watcher = await watch(mosquitto.port, "gateway", PASSWORD)
    await until(lambda: watcher.on("evcore/v1/site/$gateway/b/status"))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def with_tls(mosquitto, authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """mosquitto with a certificate for 127.0.0.1; a context that trusts it."""
    own = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    own.private_key_pem.write_to_path(key)
    for blob in own.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    key.chmod(0o644)
    mosquitto.lines += [f"certfile {chain}", f"keyfile {key}"]
    mosquitto.url = mosquitto.url.replace("mqtt://", "mqtts://")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_carries_small_and_large_messages_both_ways(mosquitto, authority, run, hub, until, tmp_path):
    context = with_tls(mosquitto, authority, tmp_path)
    mosquitto.start()
    mqtt = MqttBackend(mosquitto.url, tls=context, node="n1")
    await run(mqtt)
    # Each status comes back as a retained message to a second backend of the same node name: read, and kept as it is.
    for number in range(50):
        hub.publish(Station(f"CP{number}", True, vendor="x" * 3000, since_ns=time.time_ns()))
    sent = hub.traffic("mqtt")
    await until(lambda: sent.sent >= 52)
    other = MqttBackend(mosquitto.url, tls=context, node="n2", name="other")
    await run(other)
    await until(lambda: sent.received >= 50)
    assert sent.errors == 0


async def test_a_certificate_of_nobody_known_is_refused(mosquitto, authority, run, hub, until, tmp_path):
    with_tls(mosquitto, authority, tmp_path)
    mosquitto.start()
    await run(MqttBackend(mosquitto.url), up=False)
    health = await until(lambda: (h := hub.last("health/mqtt")) and h.state == "down" and h)
    assert "certificate refused: " in health.detail


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "mqtt://", "127.0.0.1:1883", "mqtt://u:p-secret@h:99999", "mqtt://h/path", "mqtt://h:x"]
)
def test_a_wrong_url_is_refused_without_repeating_its_password(url):
    with pytest.raises(ConfigError) as caught:
        MqttBackend(url)
    assert caught.value.key == "url"
    assert "p-secret" not in str(caught.value)


def test_a_password_without_a_name_and_tls_without_mqtts_are_refused():
    with pytest.raises(ConfigError, match="username"):
        MqttBackend(password="x")
    with pytest.raises(ConfigError, match="mqtts"):
        MqttBackend("mqtt://h", tls=ssl.create_default_context())


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "3"},
        {"keepalive_s": 100_000},  # it has 16 bits
        {"retry_s": (0, 0)},  # a loop without a pause
        {"refused_retry_s": 0},
        {"window": 0},  # nothing would ever go out
        {"expiry_s": 2**32},
        {"ring": 0},
        {"timeout_s": float("nan")},
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_named(wrong):
    with pytest.raises(ConfigError) as caught:
        MqttBackend(**wrong)
    assert [caught.value.key] == list(wrong)
